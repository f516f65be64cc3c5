//! Changes of catalogue items that people who know the item should hear of: kept with the item's write, until told.

use model::{Timestamp, WorkspaceId};

use crate::row::{Emitted, ItemChange};
use crate::sql::query;
use crate::step::put_emitted;
use crate::{Error, Store};

impl Store {
    /// Writes items of a catalogue, (id, JSON), and what their changes are, in one transaction.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn change_items(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        items: &[(String, String)],
        changes: &[ItemChange],
    ) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        for (id, body) in items {
            query(
                "INSERT INTO item (workspace, catalog, id, body) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (workspace, catalog, id) DO UPDATE SET body = excluded.body",
            )
            .bind(workspace.0)
            .bind(catalog)
            .bind(id)
            .bind(body)
            .execute(&mut transaction)
            .await?;
        }
        for change in changes {
            query("INSERT INTO item_change (workspace, item, name, detail, at) VALUES ($1, $2, $3, $4, $5)")
                .bind(workspace.0)
                .bind(&change.item)
                .bind(&change.name)
                .bind(&change.detail)
                .bind(change.at.micros())
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Changes that nobody has been told of, oldest first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn item_changes(&self, limit: i64) -> Result<Vec<ItemChange>, Error> {
        let rows =
            query("SELECT id, workspace, item, name, detail, at FROM item_change ORDER BY id LIMIT $1")
                .bind(limit)
                .fetch_all(&self.readers)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(ItemChange {
                    id: row.get(0)?,
                    workspace: WorkspaceId(row.get(1)?),
                    item: row.get(2)?,
                    name: row.get(3)?,
                    detail: row.get(4)?,
                    at: Timestamp::from_micros(row.get(5)?),
                })
            })
            .collect()
    }

    /// Emits what changes tell and forgets them, in one transaction.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn tell_changes(&self, told: &[ItemChange], rows: &[Emitted]) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        put_emitted(&mut transaction, rows).await?;
        query("DELETE FROM item_change WHERE id IN (SELECT j.int(0) FROM list($1) AS j)")
            .bind(told.iter().map(|change| serde_json::json!([change.id])).collect::<Vec<_>>())
            .execute(&mut transaction)
            .await?;
        transaction.commit().await
    }
}
