//! What pages and commands read, and the small writes that are not part of a step.

use model::{ProfileId, Timestamp, WorkspaceId};
use sqlx::{Acquire, Connection, Row};

use crate::row::{ConsentRow, DefinitionRow, Emitted, EntryRow, MergeRow, ProfileRow};
use crate::step::{profile_row, put_emitted, select_profile};
use crate::{Error, Store};

impl Store {
    /// A named value of the installation.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Sets a named value unless it is set already; the value in force is returned.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn meta_once(&self, name: &str, value: &str) -> Result<String, Error> {
        let mut writer = self.write().await;
        sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(value)
            .execute(&mut *writer)
            .await?;
        Ok(sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *writer)
            .await?)
    }

    /// Adds a key by its hash; the same key again changes nothing. Its id is returned.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_key(
        &self,
        workspace: WorkspaceId,
        name: &str,
        kind: &str,
        hash: &str,
        hint: &str,
        now: Timestamp,
    ) -> Result<String, Error> {
        let id = model::clock::random_hex::<8>();
        let mut writer = self.write().await;
        let id = sqlx::query_scalar(
            "INSERT INTO access_key (id, workspace, name, kind, hash, hint, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (hash) DO UPDATE SET name = excluded.name RETURNING id",
        )
        .bind(id)
        .bind(workspace.0)
        .bind(name)
        .bind(kind)
        .bind(hash)
        .bind(hint)
        .bind(now.micros())
        .fetch_one(&mut *writer)
        .await?;
        Ok(id)
    }

    /// The workspace and kind of a key.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn key(&self, hash: &str) -> Result<Option<(WorkspaceId, String)>, Error> {
        let row = sqlx::query("SELECT workspace, kind FROM access_key WHERE hash = $1")
            .bind(hash)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Ok((WorkspaceId(row.try_get(0)?), row.try_get(1)?))).transpose()
    }

    /// The keys of a workspace: (id, name, kind, hint, created).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn keys(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<(String, String, String, String, Timestamp)>, Error> {
        let rows = sqlx::query(
            "SELECT id, name, kind, hint, created_at FROM access_key WHERE workspace = $1 ORDER BY created_at",
        )
        .bind(workspace.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let at = Timestamp::from_micros(row.try_get(4)?);
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, at))
            })
            .collect()
    }

    /// Withdraws a key. False when there was none.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn delete_key(&self, workspace: WorkspaceId, id: &str) -> Result<bool, Error> {
        let mut writer = self.write().await;
        let done = sqlx::query("DELETE FROM access_key WHERE workspace = $1 AND id = $2")
            .bind(workspace.0)
            .bind(id)
            .execute(&mut *writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Begins a console session.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_session(
        &self,
        hash: &str,
        workspace: WorkspaceId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), Error> {
        let mut writer = self.write().await;
        sqlx::query("DELETE FROM session WHERE expires_at < $1")
            .bind(now.micros())
            .execute(&mut *writer)
            .await?;
        sqlx::query("INSERT INTO session (hash, workspace, created_at, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(hash)
            .bind(workspace.0)
            .bind(now.micros())
            .bind(until.micros())
            .execute(&mut *writer)
            .await?;
        Ok(())
    }

    /// The workspace of a session that has not ended.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn session(&self, hash: &str, now: Timestamp) -> Result<Option<WorkspaceId>, Error> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT workspace FROM session WHERE hash = $1 AND expires_at > $2")
                .bind(hash)
                .bind(now.micros())
                .fetch_optional(&self.readers)
                .await?;
        Ok(found.map(WorkspaceId))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn delete_session(&self, hash: &str) -> Result<(), Error> {
        let mut writer = self.write().await;
        sqlx::query("DELETE FROM session WHERE hash = $1").bind(hash).execute(&mut *writer).await?;
        Ok(())
    }

    /// The ids of all workspaces and their settings as JSON.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn workspaces(&self) -> Result<Vec<(WorkspaceId, String, Timestamp)>, Error> {
        let rows = sqlx::query("SELECT id, settings, created_at FROM workspace ORDER BY id")
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                Ok((WorkspaceId(row.try_get(0)?), row.try_get(1)?, Timestamp::from_micros(row.try_get(2)?)))
            })
            .collect()
    }

    /// Creates a workspace or replaces its settings.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_workspace(&self, id: WorkspaceId, settings: &str, now: Timestamp) -> Result<(), Error> {
        let mut writer = self.write().await;
        sqlx::query(
            "INSERT INTO workspace (id, settings, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO UPDATE SET settings = excluded.settings",
        )
        .bind(id.0)
        .bind(settings)
        .bind(now.micros())
        .execute(&mut *writer)
        .await?;
        Ok(())
    }

    /// Events of ours that wait for the log, oldest first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn emitted(&self, limit: i64) -> Result<Vec<(i64, Emitted)>, Error> {
        let rows = sqlx::query("SELECT id, message_id, payload FROM emitted ORDER BY id LIMIT $1")
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                Ok((row.try_get(0)?, Emitted { message_id: row.try_get(1)?, payload: row.try_get(2)? }))
            })
            .collect()
    }

    /// Forgets events of ours that the log has.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written; they are relayed again then, and count once.
    pub async fn forget_emitted(&self, ids: &[i64]) -> Result<(), Error> {
        let mut writer = self.write().await;
        sqlx::query("DELETE FROM emitted WHERE id IN (SELECT value FROM json_each($1))")
            .bind(serde_json::json!(ids).to_string())
            .execute(&mut *writer)
            .await?;
        Ok(())
    }

    /// Adds events of ours outside a step.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn emit(&self, rows: &[Emitted]) -> Result<(), Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        put_emitted(transaction.acquire().await?, rows).await?;
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
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        for (reasons, body) in rows {
            sqlx::query(
                "INSERT INTO quarantine (workspace, received_at, source, reasons, body) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(workspace.0)
            .bind(received_at.micros())
            .bind(source)
            .bind(reasons)
            .bind(body)
            .execute(&mut *transaction)
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
        let rows = sqlx::query(
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
                Ok((
                    row.try_get(0)?,
                    Timestamp::from_micros(row.try_get(1)?),
                    row.try_get(2)?,
                    row.try_get(3)?,
                    row.try_get(4)?,
                ))
            })
            .collect()
    }

    /// The current versions of a kind of definition.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn definitions(&self, workspace: WorkspaceId, kind: &str) -> Result<Vec<DefinitionRow>, Error> {
        let rows = sqlx::query(
            "SELECT kind, id, version, name, body, status, author, at FROM definition \
             WHERE workspace = $1 AND kind = $2 AND current = 1 AND status <> 'deleted' ORDER BY name, id",
        )
        .bind(workspace.0)
        .bind(kind)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(definition_row).collect()
    }

    /// All versions of one definition, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn versions(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        id: &str,
    ) -> Result<Vec<DefinitionRow>, Error> {
        let rows = sqlx::query(
            "SELECT kind, id, version, name, body, status, author, at FROM definition \
             WHERE workspace = $1 AND kind = $2 AND id = $3 ORDER BY version DESC",
        )
        .bind(workspace.0)
        .bind(kind)
        .bind(id)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(definition_row).collect()
    }

    /// Writes a new version and makes it current; its number is returned.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_definition(&self, workspace: WorkspaceId, row: &DefinitionRow) -> Result<i64, Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE definition SET current = 0 WHERE workspace = $1 AND kind = $2 AND id = $3")
            .bind(workspace.0)
            .bind(&row.kind)
            .bind(&row.id)
            .execute(&mut *transaction)
            .await?;
        let version: i64 = sqlx::query_scalar(
            "INSERT INTO definition (workspace, kind, id, version, name, body, status, author, at, current) \
             SELECT $1, $2, $3, 1 + coalesce(max(version), 0), $4, $5, $6, $7, $8, 1 FROM definition \
             WHERE workspace = $1 AND kind = $2 AND id = $3 RETURNING version",
        )
        .bind(workspace.0)
        .bind(&row.kind)
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.body)
        .bind(&row.status)
        .bind(&row.author)
        .bind(row.at.micros())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(version)
    }

    /// Sets a named value.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_meta(&self, name: &str, value: &str) -> Result<(), Error> {
        let mut writer = self.write().await;
        sqlx::query(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(&mut *writer)
        .await?;
        Ok(())
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
        let rows = sqlx::query(
            select_profile!("WHERE workspace = $1 AND ($2 IS NULL OR instr(lower(coalesce(email, '')), $2) OR instr(lower(coalesce(name, '')), $2) \
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

    /// How many rows a table of a workspace has; `table` is one of ours.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn count_profiles(&self, workspace: WorkspaceId) -> Result<i64, Error> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM profile WHERE workspace = $1")
            .bind(workspace.0)
            .fetch_one(&self.readers)
            .await?)
    }

    /// Members of each segment.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn segment_counts(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64)>, Error> {
        let rows =
            sqlx::query("SELECT segment, count(*) FROM membership WHERE workspace = $1 GROUP BY segment")
                .bind(workspace.0)
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Messages by state.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn message_counts(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64)>, Error> {
        let rows = sqlx::query("SELECT state, count(*) FROM message WHERE workspace = $1 GROUP BY state")
            .bind(workspace.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// The memberships of a profile: (segment, since, cause).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn memberships(&self, profile: ProfileId) -> Result<Vec<(String, Timestamp, String)>, Error> {
        let rows = sqlx::query(
            "SELECT segment, since, cause FROM membership WHERE profile = $1 ORDER BY since DESC",
        )
        .bind(profile.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, Timestamp::from_micros(row.try_get(1)?), row.try_get(2)?)))
            .collect()
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
        let rows = sqlx::query(
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
                    row.try_get(0)?,
                    ProfileId(row.try_get(1)?),
                    Timestamp::from_micros(row.try_get(2)?),
                    row.try_get::<i64, _>(3)? != 0,
                    row.try_get(4)?,
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
        let rows = sqlx::query(
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
        let instant = |at: Option<i64>| at.map(Timestamp::from_micros);
        rows.iter()
            .map(|row| {
                Ok(EntryRow {
                    workspace: WorkspaceId(row.try_get(0)?),
                    id: row.try_get(1)?,
                    journey: row.try_get(2)?,
                    version: row.try_get(3)?,
                    profile: ProfileId(row.try_get(4)?),
                    node: row.try_get(5)?,
                    key: row.try_get(6)?,
                    entered_at: Timestamp::from_micros(row.try_get(7)?),
                    due_at: instant(row.try_get(8)?),
                    exited_at: instant(row.try_get(9)?),
                    exit_reason: row.try_get(10)?,
                    passed: Vec::new(),
                })
            })
            .collect()
    }

    /// For each journey: (entered, active).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn journey_counts(&self, workspace: WorkspaceId) -> Result<Vec<(String, i64, i64)>, Error> {
        let rows = sqlx::query(
            "SELECT journey, count(*), count(*) - count(exited_at) FROM entry WHERE workspace = $1 GROUP BY journey",
        )
        .bind(workspace.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
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
        let rows = sqlx::query(
            "SELECT node, sum(waiting), sum(passed) FROM (\
             SELECT node, count(*) AS waiting, 0 AS passed FROM entry WHERE workspace = $1 AND journey = $2 AND exited_at IS NULL \
             GROUP BY node UNION ALL SELECT node, 0, count FROM passed WHERE workspace = $1 AND journey = $2) GROUP BY node",
        )
        .bind(workspace.0)
        .bind(journey)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
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
        let rows = sqlx::query("SELECT topic, subscribed, at, source FROM consent WHERE workspace = $1 AND profile = $2 ORDER BY topic")
            .bind(workspace.0)
            .bind(profile.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ConsentRow {
                    workspace,
                    profile,
                    topic: row.try_get(0)?,
                    subscribed: row.try_get::<i64, _>(1)? != 0,
                    at: Timestamp::from_micros(row.try_get(2)?),
                    source: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// Where merged profiles went.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn merges(&self, workspace: WorkspaceId) -> Result<Vec<MergeRow>, Error> {
        let rows = sqlx::query("SELECT source, target, at, reason FROM merge WHERE workspace = $1")
            .bind(workspace.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(MergeRow {
                    workspace,
                    source: ProfileId(row.try_get(0)?),
                    target: ProfileId(row.try_get(1)?),
                    at: Timestamp::from_micros(row.try_get(2)?),
                    reason: row.try_get(3)?,
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
        let rows =
            sqlx::query("SELECT segment, profile, since FROM membership WHERE workspace = $1 LIMIT $2")
                .bind(workspace.0)
                .bind(limit)
                .fetch_all(&self.readers)
                .await?;
        rows.iter()
            .map(|row| {
                Ok((row.try_get(0)?, ProfileId(row.try_get(1)?), Timestamp::from_micros(row.try_get(2)?)))
            })
            .collect()
    }

    /// Writes items of a catalogue: (id, JSON).
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_items(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        items: &[(String, String)],
    ) -> Result<(), Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        for (id, body) in items {
            sqlx::query(
                "INSERT INTO item (workspace, catalog, id, body) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO UPDATE SET body = excluded.body",
            )
            .bind(workspace.0)
            .bind(catalog)
            .bind(id)
            .bind(body)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Items of a catalogue: (id, JSON).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn items(&self, workspace: WorkspaceId, catalog: &str) -> Result<Vec<(String, String)>, Error> {
        let rows = sqlx::query("SELECT id, body FROM item WHERE workspace = $1 AND catalog = $2 ORDER BY id")
            .bind(workspace.0)
            .bind(catalog)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Writes files that `/media/` serves: (name, content).
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_assets(
        &self,
        workspace: WorkspaceId,
        kind: &str,
        files: &[(String, String)],
    ) -> Result<(), Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        for (name, body) in files {
            sqlx::query(
                "INSERT INTO asset (workspace, name, kind, body) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO UPDATE SET body = excluded.body, kind = excluded.kind",
            )
            .bind(workspace.0)
            .bind(name)
            .bind(kind)
            .bind(body.as_bytes())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// A file of any workspace by its name: (kind, content). Files are public.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn asset(&self, name: &str) -> Result<Option<(String, Vec<u8>)>, Error> {
        let row = sqlx::query("SELECT kind, body FROM asset WHERE name = $1 LIMIT 1")
            .bind(name)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }

    /// Messages that people opened, and clicked.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn response_counts(&self, workspace: WorkspaceId) -> Result<(i64, i64), Error> {
        let row = sqlx::query("SELECT count(opened_at), count(clicked_at) FROM message WHERE workspace = $1")
            .bind(workspace.0)
            .fetch_one(&self.readers)
            .await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// Messages a journey has planned.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn journey_messages(&self, workspace: WorkspaceId, journey: &str) -> Result<i64, Error> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM message WHERE workspace = $1 AND journey = $2")
            .bind(workspace.0)
            .bind(journey)
            .fetch_one(&self.readers)
            .await?)
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
        let rows = sqlx::query(
            "SELECT exit_reason, count(*) FROM entry WHERE workspace = $1 AND journey = $2 AND exit_reason IS NOT NULL \
             GROUP BY exit_reason",
        )
        .bind(workspace.0)
        .bind(journey)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// What happened to a message: (name, at, detail, actor).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn message_events(&self, id: &str) -> Result<Vec<(String, Timestamp, String, String)>, Error> {
        let rows =
            sqlx::query("SELECT name, at, detail, actor FROM message_event WHERE message = $1 ORDER BY id")
                .bind(id)
                .fetch_all(&self.readers)
                .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get(0)?,
                    Timestamp::from_micros(row.try_get(1)?),
                    row.try_get(2)?,
                    row.try_get(3)?,
                ))
            })
            .collect()
    }
}

fn definition_row(row: &sqlx::sqlite::SqliteRow) -> Result<DefinitionRow, Error> {
    Ok(DefinitionRow {
        kind: row.try_get(0)?,
        id: row.try_get(1)?,
        version: row.try_get(2)?,
        name: row.try_get(3)?,
        body: row.try_get(4)?,
        status: row.try_get(5)?,
        author: row.try_get(6)?,
        at: Timestamp::from_micros(row.try_get(7)?),
    })
}
