//! Counts for pages.

use model::{ProfileId, WorkspaceId};

use crate::sql::query;
use crate::{Error, Store};

/// What is counted of a template's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateMessage {
    /// The journey that sent it.
    pub journey: Option<String>,
    /// Its node.
    pub node: Option<String>,
    /// The decision trace, JSON.
    pub trace: String,
}

impl Store {
    /// How many rows a table of a workspace has; `table` is one of ours.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn count_profiles(&self, workspace: WorkspaceId) -> Result<i64, Error> {
        query("SELECT count(*) FROM profile WHERE workspace = $1")
            .bind(workspace.0)
            .scalar(&self.readers)
            .await
    }

    /// The ids of all profiles of a workspace, in no order.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn profile_ids(&self, workspace: WorkspaceId) -> Result<Vec<ProfileId>, Error> {
        let rows = query("SELECT id FROM profile WHERE workspace = $1")
            .bind(workspace.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| Ok(ProfileId(row.get(0)?))).collect()
    }

    /// Members of each segment.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn segment_counts(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64)>, Error> {
        let rows = query("SELECT segment, count(*) FROM membership WHERE workspace = $1 GROUP BY segment")
            .bind(workspace.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// Messages by state.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn message_counts(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64)>, Error> {
        let rows = query("SELECT state, count(*) FROM message WHERE workspace = $1 GROUP BY state")
            .bind(workspace.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// For each journey: (entered, active).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn journey_counts(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64, i64)>, Error> {
        let rows = query(
            "SELECT journey, count(*), count(*) - count(exited_at) FROM entry WHERE workspace = $1 GROUP BY journey",
        )
        .bind(workspace.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
    }

    /// For each node of a journey: (node, waiting there, passed).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn node_counts(
        &self,
        workspace: WorkspaceId,
        journey: &str,
    ) -> Result<Vec<(String, i64, i64)>, Error> {
        let rows = query(
            "SELECT node, CAST(sum(waiting) AS BIGINT), CAST(sum(passed) AS BIGINT) FROM (\
             SELECT node, count(*) AS waiting, 0 AS passed FROM entry WHERE workspace = $1 AND journey = $2 AND exited_at IS NULL \
             GROUP BY node UNION ALL SELECT node, 0, count FROM passed WHERE workspace = $1 AND journey = $2) AS n GROUP BY node",
        )
        .bind(workspace.0)
        .bind(journey)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
    }

    /// The versions of journeys that somebody is inside of: (journey, version).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn open_versions(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64)>, Error> {
        let rows = query(
            "SELECT DISTINCT journey, version FROM entry WHERE workspace = $1 AND exited_at IS NULL ORDER BY journey, version",
        )
        .bind(workspace.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// Messages a journey has planned.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn journey_messages(&self, workspace: WorkspaceId, journey: &str) -> Result<i64, Error> {
        query("SELECT count(*) FROM message WHERE workspace = $1 AND journey = $2")
            .bind(workspace.0)
            .bind(journey)
            .scalar(&self.readers)
            .await
    }

    /// How entries of a journey ended: (reason, count).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn exit_counts(
        &self,
        workspace: WorkspaceId,
        journey: &str,
    ) -> Result<Vec<(String, i64)>, Error> {
        let rows = query(
            "SELECT exit_reason, count(*) FROM entry WHERE workspace = $1 AND journey = $2 AND exit_reason IS NOT NULL \
             GROUP BY exit_reason",
        )
        .bind(workspace.0)
        .bind(journey)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// The latest messages of a template that have left `planned`: (journey, node, decision trace), newest first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn template_messages(
        &self,
        workspace: WorkspaceId,
        template: &str,
        limit: i64,
    ) -> Result<Vec<TemplateMessage>, Error> {
        let rows = query(
            "SELECT journey, node, trace FROM message WHERE workspace = $1 AND template = $2 AND state <> 'planned' \
             ORDER BY number DESC LIMIT $3",
        )
        .bind(workspace.0)
        .bind(template)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| Ok(TemplateMessage { journey: row.get(0)?, node: row.get(1)?, trace: row.get(2)? }))
            .collect()
    }

    /// Messages that people opened, and clicked.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn response_counts(&self, workspace: WorkspaceId) -> Result<(i64, i64), Error> {
        let row = query("SELECT count(opened_at), count(clicked_at) FROM message WHERE workspace = $1")
            .bind(workspace.0)
            .fetch_one(&self.readers)
            .await?;
        Ok((row.get(0)?, row.get(1)?))
    }
}
