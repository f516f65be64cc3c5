//! What the API's pages ask: entries page by page, changes of memberships over time, what waits, catalogues.

use model::{ProfileId, Timestamp, WorkspaceId};

use crate::row::{EntryRow, entry_of};
use crate::sql::query;
use crate::{Error, Store};

impl Store {
    /// Entries of a journey or of a profile, newest first, after the given (entered, id); with a node, those that are there
    /// now.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn entries_before(
        &self,
        workspace: WorkspaceId,
        journey: Option<&str>,
        profile: Option<ProfileId>,
        after: Option<&(Timestamp, String)>,
        node: Option<&str>,
        limit: i64,
    ) -> Result<Vec<EntryRow>, Error> {
        let rows = query(
            "SELECT workspace, id, journey, version, profile, node, key, entered_at, due_at, exited_at, exit_reason FROM entry \
             WHERE workspace = $1 AND ($2 IS NULL OR journey = $2) AND ($3 IS NULL OR profile = $3) \
             AND (entered_at < $4 OR (entered_at = $4 AND id < $5)) AND ($7 IS NULL OR (node = $7 AND exited_at IS NULL)) \
             ORDER BY entered_at DESC, id DESC LIMIT $6",
        )
        .bind(workspace.0)
        .bind(journey)
        .bind(profile.map(|id| id.0))
        .bind(after.map_or(i64::MAX, |(at, _)| at.micros()))
        .bind(after.map_or("", |(_, id)| id.as_str()))
        .bind(limit)
        .bind(node)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(entry_of).collect()
    }

    /// Entries that came to their end, for each journey.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn completed_counts(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64)>, Error> {
        let rows = query(
            "SELECT journey, count(*) FROM entry WHERE workspace = $1 AND exit_reason = 'completed' GROUP BY journey",
        )
        .bind(workspace.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// Entries less exits of each segment since an instant, summed over steps of `grain` microseconds: (segment, when the
    /// step began, net).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn membership_changes(
        &self,
        workspace: WorkspaceId,
        since: Timestamp,
        grain: i64,
    ) -> Result<Vec<(String, Timestamp, i64)>, Error> {
        let rows = query(
            "SELECT segment, at / $3 AS step, CAST(sum(CASE WHEN entered = 1 THEN 1 ELSE -1 END) AS BIGINT) \
             FROM membership_history WHERE workspace = $1 AND at >= $2 GROUP BY segment, step",
        )
        .bind(workspace.0)
        .bind(since.micros())
        .bind(grain)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| Ok((row.get(0)?, Timestamp::from_micros(row.get::<i64>(1)? * grain), row.get(2)?)))
            .collect()
    }

    /// Items refused since an instant.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn quarantined_since(&self, workspace: WorkspaceId, since: Timestamp) -> Result<i64, Error> {
        query("SELECT count(*) FROM quarantine WHERE workspace = $1 AND received_at >= $2")
            .bind(workspace.0)
            .bind(since.micros())
            .scalar(&self.readers)
            .await
    }

    /// The same by steps of `grain` microseconds: (when the step began, refused).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn quarantined_by(
        &self,
        workspace: WorkspaceId,
        since: Timestamp,
        grain: i64,
    ) -> Result<Vec<(Timestamp, i64)>, Error> {
        let rows = query(
            "SELECT received_at / $3 AS step, count(*) FROM quarantine WHERE workspace = $1 AND received_at >= $2 GROUP BY step",
        )
        .bind(workspace.0)
        .bind(since.micros())
        .bind(grain)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((Timestamp::from_micros(row.get::<i64>(0)? * grain), row.get(1)?))).collect()
    }

    /// Messages that should have been sent by `now`: how many, and since when the oldest.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn messages_due(&self, now: Timestamp) -> Result<(i64, Option<Timestamp>), Error> {
        let row = query(
            "SELECT count(*), min(due_at) FROM message WHERE state IN ('planned', 'deferred') AND due_at <= $1",
        )
        .bind(now.micros())
        .fetch_one(&self.readers)
        .await?;
        Ok((row.get(0)?, row.get::<Option<i64>>(1)?.map(Timestamp::from_micros)))
    }

    /// The catalogues of a workspace: (name, items).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn catalogs(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64)>, Error> {
        let rows = query(
            "SELECT catalog, count(*) FROM item WHERE workspace = $1 GROUP BY catalog ORDER BY catalog",
        )
        .bind(workspace.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// Items of a catalogue after an id, by id: (id, JSON).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn items_after(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<(String, String)>, Error> {
        let rows = query(
            "SELECT id, body FROM item WHERE workspace = $1 AND catalog = $2 AND id > $3 ORDER BY id LIMIT $4",
        )
        .bind(workspace.0)
        .bind(catalog)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// One item's JSON.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn item(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        id: &str,
    ) -> Result<Option<String>, Error> {
        query("SELECT body FROM item WHERE workspace = $1 AND catalog = $2 AND id = $3")
            .bind(workspace.0)
            .bind(catalog)
            .bind(id)
            .scalar_optional(&self.readers)
            .await
    }

    /// Removes an item. False when there was none.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn delete_item(&self, workspace: WorkspaceId, catalog: &str, id: &str) -> Result<bool, Error> {
        let mut writer = self.write().await?;
        let gone = query("DELETE FROM item WHERE workspace = $1 AND catalog = $2 AND id = $3")
            .bind(workspace.0)
            .bind(catalog)
            .bind(id)
            .execute(&mut *writer)
            .await?;
        Ok(gone == 1)
    }
}
