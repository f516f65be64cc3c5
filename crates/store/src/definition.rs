//! What people write: versions of definitions, items of catalogues, files.

use model::{Timestamp, WorkspaceId};

use crate::row::DefinitionRow;
use crate::sql::{Row, query};
use crate::{Error, Store};

impl Store {
    /// The current versions of a kind of definition.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn definitions(&self, workspace: WorkspaceId, kind: &str) -> Result<Vec<DefinitionRow>, Error> {
        let rows = query(
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
        let rows = query(
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
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        query("UPDATE definition SET current = 0 WHERE workspace = $1 AND kind = $2 AND id = $3")
            .bind(workspace.0)
            .bind(&row.kind)
            .bind(&row.id)
            .execute(&mut transaction)
            .await?;
        let version: i64 = query(
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
        .scalar(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(version)
    }

    /// Items of a catalogue: (id, JSON).
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn items(&self, workspace: WorkspaceId, catalog: &str) -> Result<Vec<(String, String)>, Error> {
        let rows = query("SELECT id, body FROM item WHERE workspace = $1 AND catalog = $2 ORDER BY id")
            .bind(workspace.0)
            .bind(catalog)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
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
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        for (name, body) in files {
            query(
                "INSERT INTO asset (workspace, name, kind, body) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (workspace, name) DO UPDATE SET body = excluded.body, kind = excluded.kind",
            )
            .bind(workspace.0)
            .bind(name)
            .bind(kind)
            .bind(body.as_bytes())
            .execute(&mut transaction)
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
        let row = query("SELECT kind, body FROM asset WHERE name = $1 LIMIT 1")
            .bind(name)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
    }
}

fn definition_row(row: &Row) -> Result<DefinitionRow, Error> {
    Ok(DefinitionRow {
        kind: row.get(0)?,
        id: row.get(1)?,
        version: row.get(2)?,
        name: row.get(3)?,
        body: row.get(4)?,
        status: row.get(5)?,
        author: row.get(6)?,
        at: Timestamp::from_micros(row.get(7)?),
    })
}
