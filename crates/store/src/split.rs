//! Profiles that were merged and are two people: what a step writes of it, and what is known of it afterwards.

use model::{IdentifierKind, ProfileId, Timestamp, WorkspaceId};
use serde_json::{Value, json};

use crate::row::{IdentifierRow, SplitRow};
use crate::sql::{Row, Transaction, query};
use crate::{Error, Store};

/// An event that a split gave to a profile: its position, the profile that its row in the lake names, and that profile.
pub type Given = (i64, i64, i64);

impl Store {
    /// What profiles were known by when they became part of `target`: (source, kind, value). None of sources that were
    /// merged before this was noted.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn merged_identifiers(
        &self,
        target: ProfileId,
    ) -> Result<Vec<(ProfileId, IdentifierKind, String)>, Error> {
        let rows = query(
            "SELECT i.source, i.kind, i.value FROM merge AS m JOIN merged_identifier AS i \
             ON i.workspace = m.workspace AND i.source = m.source WHERE m.target = $1 ORDER BY i.source, i.kind, i.value",
        )
        .bind(target.0)
        .fetch_all(&self.readers)
        .await?;
        let kind = |number: i64| {
            IdentifierKind::from_number(number as u8)
                .ok_or_else(|| Error::Corrupt("an identifier of unknown kind".to_owned()))
        };
        rows.iter().map(|row| Ok((ProfileId(row.get(0)?), kind(row.get(1)?)?, row.get(2)?))).collect()
    }

    /// The splits that a profile had part in, oldest first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn splits(&self, workspace: WorkspaceId, profile: ProfileId) -> Result<Vec<SplitRow>, Error> {
        let rows = query(
            "SELECT message_id, source, target, at, reason, moved, kept, shared FROM split \
             WHERE workspace = $1 AND (source = $2 OR target = $2) ORDER BY at, message_id",
        )
        .bind(workspace.0)
        .bind(profile.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| split_row(workspace, row)).collect()
    }

    /// What became of a split, by the id of the event that asked for it; none while it has not been stepped.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn split(&self, workspace: WorkspaceId, message_id: &str) -> Result<Option<SplitRow>, Error> {
        let row = query(
            "SELECT message_id, source, target, at, reason, moved, kept, shared FROM split \
             WHERE workspace = $1 AND message_id = $2",
        )
        .bind(workspace.0)
        .bind(message_id)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| split_row(workspace, &row)).transpose()
    }

    /// Every event that a split gave to a profile.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn given_events(&self) -> Result<Vec<Given>, Error> {
        let rows =
            query("SELECT position, stored, profile FROM given_event").fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
    }

    /// The ids and recipients of a profile's messages.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn recipients_of(&self, profile: ProfileId) -> Result<Vec<(String, String)>, Error> {
        let rows = query("SELECT id, recipient FROM message WHERE profile = $1")
            .bind(profile.0)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }
}

fn split_row(workspace: WorkspaceId, row: &Row) -> Result<SplitRow, Error> {
    Ok(SplitRow {
        workspace,
        message_id: row.get(0)?,
        source: ProfileId(row.get(1)?),
        target: row.get::<Option<i64>>(2)?.map(ProfileId),
        at: Timestamp::from_micros(row.get(3)?),
        reason: row.get(4)?,
        moved: row.get(5)?,
        kept: row.get(6)?,
        shared: row.get(7)?,
        ..SplitRow::default()
    })
}

/// Notes what profiles are known by as they become part of others.
pub(crate) async fn put_merged_identifiers(
    connection: &mut Transaction<'_>,
    rows: &[IdentifierRow],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let list: Vec<Value> =
        rows.iter().map(|row| json!([row.workspace.0, row.profile.0, row.kind as u8, row.value])).collect();
    query(
        "INSERT INTO merged_identifier (workspace, source, kind, value) \
         SELECT j.int(0), j.int(1), j.int(2), j.text(3) FROM list($1) AS j WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(list)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Writes splits: merges that are undone, whose messages, entries and events are, and consent. Every refusal stays on both.
pub(crate) async fn put_splits(connection: &mut Transaction<'_>, rows: &[SplitRow]) -> Result<(), Error> {
    for row in rows {
        let workspace = row.workspace.0;
        query(
            "INSERT INTO split (workspace, message_id, source, target, at, reason, moved, kept, shared) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(workspace)
        .bind(&row.message_id)
        .bind(row.source.0)
        .bind(row.target.map(|id| id.0))
        .bind(row.at.micros())
        .bind(&row.reason)
        .bind(row.moved)
        .bind(row.kept)
        .bind(row.shared)
        .execute(&mut *connection)
        .await?;
        let Some(target) = row.target else { continue };
        let ids = |ids: &[ProfileId]| ids.iter().map(|id| json!([id.0])).collect::<Vec<Value>>();
        let texts = |texts: &[String]| texts.iter().map(|text| json!([text])).collect::<Vec<Value>>();
        for statement in [
            "DELETE FROM merge WHERE workspace = $2 AND source = $1",
            "DELETE FROM merged_identifier WHERE workspace = $2 AND source = $1",
        ] {
            query(statement).bind(target.0).bind(workspace).execute(&mut *connection).await?;
        }
        query(
            "UPDATE merge SET target = $3 WHERE workspace = $2 AND source IN (SELECT j.int(0) FROM list($1) AS j)",
        )
        .bind(ids(&row.repointed))
        .bind(workspace)
        .bind(target.0)
        .execute(&mut *connection)
        .await?;
        query("UPDATE entry SET profile = $3 WHERE workspace = $2 AND id IN (SELECT j.text(0) FROM list($1) AS j)")
            .bind(texts(&row.entries))
            .bind(workspace)
            .bind(target.0)
            .execute(&mut *connection)
            .await?;
        query(
            "UPDATE message SET profile = $3 WHERE profile = $4 AND workspace = $2 \
             AND lower(recipient) IN (SELECT j.text(0) FROM list($1) AS j)",
        )
        .bind(texts(&row.addresses))
        .bind(workspace)
        .bind(target.0)
        .bind(row.source.0)
        .execute(&mut *connection)
        .await?;
        split_consent(connection, row, target).await?;
        let list: Vec<Value> = row.given.iter().map(|(at, stored, now)| json!([at, stored, now])).collect();
        query(
            "INSERT INTO given_event (position, stored, profile) \
             SELECT j.int(0), j.int(1), j.int(2) FROM list($1) AS j WHERE true \
             ON CONFLICT (position) DO UPDATE SET stored = excluded.stored, profile = excluded.profile",
        )
        .bind(list)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// What was withdrawn stays withdrawn on both; what was given is whose events gave it.
async fn split_consent(
    connection: &mut Transaction<'_>,
    row: &SplitRow,
    target: ProfileId,
) -> Result<(), Error> {
    query(
        "INSERT INTO consent (workspace, profile, topic, subscribed, at, source) \
         SELECT workspace, CAST($2 AS BIGINT), topic, subscribed, at, source FROM consent \
         WHERE profile = $1 AND subscribed = 0 \
         ON CONFLICT (workspace, profile, topic) DO UPDATE SET subscribed = 0, at = greatest(consent.at, excluded.at)",
    )
    .bind(row.source.0)
    .bind(target.0)
    .execute(&mut *connection)
    .await?;
    query("DELETE FROM consent WHERE profile = $1 AND subscribed = 1")
        .bind(row.source.0)
        .execute(&mut *connection)
        .await?;
    let list: Vec<Value> = row
        .consents
        .iter()
        .map(|said| {
            json!([
                said.workspace.0,
                said.profile.0,
                said.topic,
                i64::from(said.subscribed),
                said.at.micros(),
                said.source,
            ])
        })
        .collect();
    query(
        "INSERT INTO consent (workspace, profile, topic, subscribed, at, source) \
         SELECT j.int(0), j.int(1), j.text(2), j.int(3), j.int(4), j.text(5) FROM list($1) AS j WHERE true \
         ON CONFLICT (workspace, profile, topic) DO UPDATE SET subscribed = least(consent.subscribed, excluded.subscribed)",
    )
    .bind(list)
    .execute(&mut *connection)
    .await?;
    Ok(())
}
