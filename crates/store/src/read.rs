//! What pages and commands read, and the small writes that are not part of a step.

use model::{ProfileId, Timestamp, WorkspaceId};

use crate::row::{ConsentRow, Emitted, EntryRow, MergeRow, ProfileRow, entry_of};
use crate::sql::query;
use crate::step::{profile_row, put_emitted, select_profile};
use crate::{Error, Store};

impl Store {
    /// Events of ours that wait for the log, oldest first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn emitted(&self, limit: i64) -> Result<Vec<(i64, Emitted)>, Error> {
        let rows = query("SELECT id, message_id, payload FROM emitted ORDER BY id LIMIT $1")
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| Ok((row.get(0)?, Emitted { message_id: row.get(1)?, payload: row.get(2)? })))
            .collect()
    }

    /// Forgets events of ours that the log has.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written; they are relayed again then, and count once.
    pub async fn forget_emitted(&self, ids: &[i64]) -> Result<(), Error> {
        let mut writer = self.write().await?;
        query("DELETE FROM emitted WHERE id IN (SELECT j.int(0) FROM list($1) AS j)")
            .bind(ids.iter().map(|id| serde_json::json!([id])).collect::<Vec<_>>())
            .execute(&mut *writer)
            .await?;
        Ok(())
    }

    /// Adds events of ours outside a step.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn emit(&self, rows: &[Emitted]) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        put_emitted(&mut transaction, rows).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps refused items. `rows`: (reasons as JSON, body).
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn quarantine(
        &self,
        workspace: WorkspaceId,
        received_at: Timestamp,
        source: &str,
        rows: &[(String, String)],
    ) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        for (reasons, body) in rows {
            query(
                "INSERT INTO quarantine (workspace, received_at, source, reasons, body) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(workspace.0)
            .bind(received_at.micros())
            .bind(source)
            .bind(reasons)
            .bind(body)
            .execute(&mut transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Refused items, newest first: (id, received, source, reasons as JSON, body).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn quarantined(
        &self,
        workspace: WorkspaceId,
        before: i64,
        limit: i64,
    ) -> Result<Vec<(i64, Timestamp, String, String, String)>, Error> {
        let rows = query(
            "SELECT id, received_at, source, reasons, body FROM quarantine WHERE workspace = $1 AND id < $2 \
             ORDER BY id DESC LIMIT $3",
        )
        .bind(workspace.0)
        .bind(before)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?), row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .collect()
    }

    /// Profiles by a word in their e-mail, name or user id, most recently seen first; or the members of a segment.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn search_profiles(
        &self,
        workspace: WorkspaceId,
        search: Option<&str>,
        segment: Option<&str>,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<ProfileRow>, Error> {
        let rows = query(
            select_profile!("WHERE workspace = $1 AND ($2 IS NULL OR has(lower(coalesce(email, '')), $2) OR has(lower(coalesce(name, '')), $2) \
             OR user_id = $2 OR CAST(id AS TEXT) = $2) \
             AND ($3 IS NULL OR id IN (SELECT profile FROM membership WHERE workspace = $1 AND segment = $3)) \
             ORDER BY last_seen_at DESC, id DESC LIMIT $5 OFFSET $4"),
        )
        .bind(workspace.0)
        .bind(search.map(str::to_lowercase))
        .bind(segment)
        .bind(offset)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(profile_row).collect()
    }

    /// The memberships of a profile: (segment, since, cause).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn memberships(&self, profile: ProfileId) -> Result<Vec<(String, Timestamp, String)>, Error> {
        let rows =
            query("SELECT segment, since, cause FROM membership WHERE profile = $1 ORDER BY since DESC")
                .bind(profile.0)
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(|row| Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?), row.get(2)?))).collect()
    }

    /// Entries and exits of a segment, newest first: (id, profile, at, entered, cause).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn segment_history(
        &self,
        workspace: WorkspaceId,
        segment: &str,
        before: i64,
        limit: i64,
    ) -> Result<Vec<(i64, ProfileId, Timestamp, bool, String)>, Error> {
        let rows = query(
            "SELECT id, profile, at, entered, cause FROM membership_history WHERE workspace = $1 AND segment = $2 AND id < $3 \
             ORDER BY id DESC LIMIT $4",
        )
        .bind(workspace.0)
        .bind(segment)
        .bind(before)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.get(0)?,
                    ProfileId(row.get(1)?),
                    Timestamp::from_micros(row.get(2)?),
                    row.get::<i64>(3)? != 0,
                    row.get(4)?,
                ))
            })
            .collect()
    }

    /// Entries of a journey or of a profile, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn entries(
        &self,
        workspace: WorkspaceId,
        journey: Option<&str>,
        profile: Option<ProfileId>,
        limit: i64,
    ) -> Result<Vec<EntryRow>, Error> {
        let rows = query(
            "SELECT workspace, id, journey, version, profile, node, key, entered_at, due_at, exited_at, exit_reason FROM entry \
             WHERE workspace = $1 AND ($2 IS NULL OR journey = $2) AND ($3 IS NULL OR profile = $3) \
             ORDER BY entered_at DESC LIMIT $4",
        )
        .bind(workspace.0)
        .bind(journey)
        .bind(profile.map(|id| id.0))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(entry_of).collect()
    }

    /// What a profile said on topics.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn consents(
        &self,
        workspace: WorkspaceId,
        profile: ProfileId,
    ) -> Result<Vec<ConsentRow>, Error> {
        let rows = query("SELECT topic, subscribed, at, source FROM consent WHERE workspace = $1 AND profile = $2 ORDER BY topic")
            .bind(workspace.0)
            .bind(profile.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ConsentRow {
                    workspace,
                    profile,
                    topic: row.get(0)?,
                    subscribed: row.get::<i64>(1)? != 0,
                    at: Timestamp::from_micros(row.get(2)?),
                    source: row.get(3)?,
                })
            })
            .collect()
    }

    /// Where merged profiles went.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn merges(&self, workspace: WorkspaceId) -> Result<Vec<MergeRow>, Error> {
        let rows = query("SELECT source, target, at, reason FROM merge WHERE workspace = $1")
            .bind(workspace.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(MergeRow {
                    workspace,
                    source: ProfileId(row.get(0)?),
                    target: ProfileId(row.get(1)?),
                    at: Timestamp::from_micros(row.get(2)?),
                    reason: row.get(3)?,
                })
            })
            .collect()
    }

    /// Memberships of a workspace: (segment, profile, since).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn all_memberships(
        &self,
        workspace: WorkspaceId,
        limit: i64,
    ) -> Result<Vec<(String, ProfileId, Timestamp)>, Error> {
        let rows = query("SELECT segment, profile, since FROM membership WHERE workspace = $1 LIMIT $2")
            .bind(workspace.0)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| Ok((row.get(0)?, ProfileId(row.get(1)?), Timestamp::from_micros(row.get(2)?))))
            .collect()
    }

    /// What happened to a message: (name, at, detail, actor).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn message_events(&self, id: &str) -> Result<Vec<(String, Timestamp, String, String)>, Error> {
        let rows = query("SELECT name, at, detail, actor FROM message_event WHERE message = $1 ORDER BY id")
            .bind(id)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?), row.get(2)?, row.get(3)?)))
            .collect()
    }
}
