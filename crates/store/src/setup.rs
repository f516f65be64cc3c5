//! The installation: named values, workspaces, keys, console sessions, the suppression list.

use model::{Timestamp, WorkspaceId};

use crate::row::SuppressionRow;
use crate::sql::{Row, query};
use crate::{Error, Store};

impl Store {
    /// A named value of the installation.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, Error> {
        query("SELECT value FROM meta WHERE name = $1").bind(name).scalar_optional(&self.readers).await
    }

    /// Sets a named value unless it is set already; the value in force is returned.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn meta_once(&self, name: &str, value: &str) -> Result<String, Error> {
        let mut writer = self.write().await?;
        query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(value)
            .execute(&mut *writer)
            .await?;
        query("SELECT value FROM meta WHERE name = $1").bind(name).scalar(&mut *writer).await
    }

    /// Sets a named value.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_meta(&self, name: &str, value: &str) -> Result<(), Error> {
        let mut writer = self.write().await?;
        query(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(&mut *writer)
        .await?;
        Ok(())
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
        let mut writer = self.write().await?;
        let id = query(
            "INSERT INTO access_key (id, workspace, name, kind, hash, hint, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (hash) DO UPDATE SET name = excluded.name RETURNING id",
        ).bind(id)
        .bind(workspace.0)
        .bind(name)
        .bind(kind)
        .bind(hash)
        .bind(hint)
        .bind(now.micros())
        .scalar(&mut *writer)
        .await?;
        Ok(id)
    }

    /// The workspace and kind of a key.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn key(&self, hash: &str) -> Result<Option<(WorkspaceId, String)>, Error> {
        let row = query("SELECT workspace, kind FROM access_key WHERE hash = $1")
            .bind(hash)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Ok((WorkspaceId(row.get(0)?), row.get(1)?))).transpose()
    }

    /// The keys of a workspace: (id, name, kind, hint, created).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn keys(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<(String, String, String, String, Timestamp)>, Error> {
        let rows = query(
            "SELECT id, name, kind, hint, created_at FROM access_key WHERE workspace = $1 ORDER BY created_at",
        )
        .bind(workspace.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let at = Timestamp::from_micros(row.get(4)?);
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, at))
            })
            .collect()
    }

    /// Withdraws a key. False when there was none.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn delete_key(&self, workspace: WorkspaceId, id: &str) -> Result<bool, Error> {
        let mut writer = self.write().await?;
        let done = query("DELETE FROM access_key WHERE workspace = $1 AND id = $2")
            .bind(workspace.0)
            .bind(id)
            .execute(&mut *writer)
            .await?;
        Ok(done == 1)
    }

    /// Begins a console session; one that begins with a key, given by its hash, ends with it.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_session(
        &self,
        hash: &str,
        workspace: WorkspaceId,
        key: Option<&str>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let ended = "DELETE FROM session WHERE expires_at < $1";
        query(ended).bind(now.micros()).execute(&mut transaction).await?;
        query("DELETE FROM session_key WHERE session NOT IN (SELECT hash FROM session)")
            .execute(&mut transaction)
            .await?;
        if let Some(key) = key {
            query("INSERT INTO session_key (session, key) VALUES ($1, $2)")
                .bind(hash)
                .bind(key)
                .execute(&mut transaction)
                .await?;
        }
        query("INSERT INTO session (hash, workspace, created_at, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(hash)
            .bind(workspace.0)
            .bind(now.micros())
            .bind(until.micros())
            .execute(&mut transaction)
            .await?;
        transaction.commit().await
    }

    /// The workspace of a session that has not ended, nor the key it began with.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn session(&self, hash: &str, now: Timestamp) -> Result<Option<WorkspaceId>, Error> {
        let found: Option<i64> = query(
            "SELECT workspace FROM session WHERE hash = $1 AND expires_at > $2 AND NOT EXISTS (SELECT 1 FROM session_key k \
             WHERE k.session = $1 AND NOT EXISTS (SELECT 1 FROM access_key a WHERE a.hash = k.key))",
        )
        .bind(hash)
        .bind(now.micros())
        .scalar_optional(&self.readers)
        .await?;
        Ok(found.map(WorkspaceId))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn delete_session(&self, hash: &str) -> Result<(), Error> {
        let mut writer = self.write().await?;
        query("DELETE FROM session WHERE hash = $1").bind(hash).execute(&mut *writer).await?;
        Ok(())
    }

    /// The ids of all workspaces and their settings as JSON.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn workspaces(&self) -> Result<Vec<(WorkspaceId, String, Timestamp)>, Error> {
        let rows = query("SELECT id, settings, created_at FROM workspace ORDER BY id")
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| Ok((WorkspaceId(row.get(0)?), row.get(1)?, Timestamp::from_micros(row.get(2)?))))
            .collect()
    }

    /// Creates a workspace or replaces its settings.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn put_workspace(&self, id: WorkspaceId, settings: &str, now: Timestamp) -> Result<(), Error> {
        let mut writer = self.write().await?;
        query(
            "INSERT INTO workspace (id, settings, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET settings = excluded.settings",
        )
        .bind(id.0)
        .bind(settings)
        .bind(now.micros())
        .execute(&mut *writer)
        .await?;
        Ok(())
    }

    /// Puts an address on the list; the first reason stays.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn suppress(&self, workspace: WorkspaceId, rows: &[SuppressionRow]) -> Result<u64, Error> {
        let list: Vec<serde_json::Value> = rows
            .iter()
            .map(|row| serde_json::json!([workspace.0, row.address, row.hint, row.reason, row.at.micros()]))
            .collect();
        let mut writer = self.write().await?;
        query(
            "INSERT INTO suppression (workspace, address, hint, reason, at) \
             SELECT j.int(0), j.text(1), j.text(2), j.text(3), j.int(4) FROM list($1) AS j WHERE true ON CONFLICT DO NOTHING",
        )
        .bind(list)
        .execute(&mut *writer)
        .await
    }

    /// Takes an address off the list. False when it was not on it.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn unsuppress(&self, workspace: WorkspaceId, address: &str) -> Result<bool, Error> {
        let mut writer = self.write().await?;
        let gone = query("DELETE FROM suppression WHERE workspace = $1 AND address = $2")
            .bind(workspace.0)
            .bind(address)
            .execute(&mut *writer)
            .await?;
        Ok(gone == 1)
    }

    /// One row of the list.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn suppression(
        &self,
        workspace: WorkspaceId,
        address: &str,
    ) -> Result<Option<SuppressionRow>, Error> {
        let row =
            query("SELECT address, hint, reason, at FROM suppression WHERE workspace = $1 AND address = $2")
                .bind(workspace.0)
                .bind(address)
                .fetch_optional(&self.readers)
                .await?;
        row.as_ref().map(suppression_row).transpose()
    }

    /// The list, newest first, with its length.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn suppressions(
        &self,
        workspace: WorkspaceId,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<SuppressionRow>, i64), Error> {
        let rows = query(
            "SELECT address, hint, reason, at FROM suppression WHERE workspace = $1 ORDER BY at DESC, address \
             LIMIT $3 OFFSET $2",
        )
        .bind(workspace.0)
        .bind(offset)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let total = query("SELECT count(*) FROM suppression WHERE workspace = $1")
            .bind(workspace.0)
            .scalar(&self.readers)
            .await?;
        Ok((rows.iter().map(suppression_row).collect::<Result<_, _>>()?, total))
    }
}

fn suppression_row(row: &Row) -> Result<SuppressionRow, Error> {
    Ok(SuppressionRow {
        address: row.get(0)?,
        hint: row.get(1)?,
        reason: row.get(2)?,
        at: Timestamp::from_micros(row.get(3)?),
    })
}
