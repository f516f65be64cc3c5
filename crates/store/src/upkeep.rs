//! What is looked after now and then: messages held for a pause that is over, calls that need not be remembered any more.

use model::Timestamp;

use crate::send::HELD;
use crate::sql::query;
use crate::{Error, Store};

impl Store {
    /// Makes due what was held for a pause of its journey that is over. The number is returned.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn release_messages(&self, now: Timestamp) -> Result<u64, Error> {
        let held =
            "SELECT due_at FROM message WHERE state IN ('planned', 'deferred') AND due_at >= $1 LIMIT 1";
        let any: Option<i64> = query(held).bind(HELD.micros()).scalar_optional(&self.readers).await?;
        if any.is_none() {
            return Ok(0);
        }
        let mut writer = self.write().await?;
        query(
            "UPDATE message SET due_at = $2, reason = NULL WHERE state IN ('planned', 'deferred') AND due_at >= $1 \
             AND NOT EXISTS (SELECT 1 FROM definition d WHERE d.workspace = message.workspace AND d.kind = 'journey' \
             AND d.id = message.journey AND d.current = 1 AND d.status = 'paused')",
        )
        .bind(HELD.micros())
        .bind(now.micros())
        .execute(&mut *writer)
        .await
    }

    /// Forgets calls made before an instant: their keys may be used anew.
    ///
    /// # Errors
    /// `Unavailable` when nothing was forgotten.
    pub async fn forget_calls(&self, before: Timestamp) -> Result<u64, Error> {
        let old = "SELECT at FROM idempotency WHERE at < $1 LIMIT 1";
        let any: Option<i64> = query(old).bind(before.micros()).scalar_optional(&self.readers).await?;
        if any.is_none() {
            return Ok(0);
        }
        let mut writer = self.write().await?;
        query("DELETE FROM idempotency WHERE at < $1").bind(before.micros()).execute(&mut *writer).await
    }
}
