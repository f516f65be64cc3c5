//! Members of segments whose members are listed, and which of many profiles there are.

use model::{ProfileId, Timestamp, WorkspaceId};
use serde_json::{Value, json};

use crate::sql::query;
use crate::{Error, Store};

impl Store {
    /// The members of a segment, by id.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn segment_members(
        &self,
        workspace: WorkspaceId,
        segment: &str,
    ) -> Result<Vec<ProfileId>, Error> {
        let rows =
            query("SELECT profile FROM membership WHERE workspace = $1 AND segment = $2 ORDER BY profile")
                .bind(workspace.0)
                .bind(segment)
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(|row| Ok(ProfileId(row.get(0)?))).collect()
    }

    /// Those of the given profiles that the workspace has.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn known_profiles(
        &self,
        workspace: WorkspaceId,
        ids: &[ProfileId],
    ) -> Result<Vec<ProfileId>, Error> {
        let list: Vec<Value> = ids.iter().map(|id| json!([id.0])).collect();
        let rows = query(
            "SELECT id FROM profile WHERE workspace = $1 AND id IN (SELECT j.int(0) FROM list($2) AS j)",
        )
        .bind(workspace.0)
        .bind(list)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok(ProfileId(row.get(0)?))).collect()
    }

    /// Ends all memberships of a segment that is no more.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn end_memberships(
        &self,
        workspace: WorkspaceId,
        segment: &str,
        at: Timestamp,
        cause: &str,
    ) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        query(
            "INSERT INTO membership_history (workspace, segment, profile, at, entered, cause) \
             SELECT workspace, segment, profile, $3, 0, $4 FROM membership WHERE workspace = $1 AND segment = $2",
        )
        .bind(workspace.0)
        .bind(segment)
        .bind(at.micros())
        .bind(cause)
        .execute(&mut transaction)
        .await?;
        query("DELETE FROM membership WHERE workspace = $1 AND segment = $2")
            .bind(workspace.0)
            .bind(segment)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
