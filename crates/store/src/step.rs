//! What the step reads and writes. Rows go in bulk: one statement for all rows of a kind, their text as one JSON list,
//! their bytes as one blob that the statement cuts up.

use std::collections::{BTreeMap, HashMap};

use model::{IdentifierKind, Position, ProfileId, Timestamp, WorkspaceId};
use serde_json::{Value, json};
use sqlx::{Acquire, Connection, Row, SqliteConnection};

use crate::row::{EntryRow, ProfileRow, StepCommit};
use crate::{Error, Store};

/// The columns of a profile, then the given clauses.
macro_rules! select_profile {
    ($clauses:literal) => {
        concat!(
            "SELECT workspace, id, due_at, created_at, last_seen_at, email, name, user_id, state FROM profile ",
            $clauses
        )
    };
}
pub(crate) use select_profile;

impl Store {
    /// The position that `consumer` has consumed up to.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn position(&self, consumer: &str) -> Result<Position, Error> {
        let found: Option<i64> = sqlx::query_scalar("SELECT position FROM position WHERE consumer = $1")
            .bind(consumer)
            .fetch_optional(&self.readers)
            .await?;
        Ok(Position(found.unwrap_or(0)))
    }

    /// The highest profile id in use; 0 when there is none.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn max_profile_id(&self) -> Result<i64, Error> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT max(id) FROM profile").fetch_one(&self.readers).await?;
        let merged: Option<i64> =
            sqlx::query_scalar("SELECT max(source) FROM merge").fetch_one(&self.readers).await?;
        Ok(found.unwrap_or(0).max(merged.unwrap_or(0)))
    }

    /// The profiles that identifiers belong to; what is not known is not in the answer.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn lookup_identifiers(
        &self,
        wanted: &[(WorkspaceId, IdentifierKind, String)],
    ) -> Result<HashMap<(WorkspaceId, IdentifierKind, String), ProfileId>, Error> {
        let list: Vec<Value> = wanted.iter().map(|(w, k, v)| json!([w.0, *k as u8, v])).collect();
        let rows = sqlx::query(
            "SELECT i.workspace, i.kind, i.value, i.profile FROM json_each($1) AS j CROSS JOIN identifier AS i \
             ON i.workspace = (j.value ->> 0) AND i.kind = (j.value ->> 1) AND i.value = (j.value ->> 2)",
        )
        .bind(Value::Array(list).to_string())
        .fetch_all(&self.readers)
        .await?;
        let mut out = HashMap::with_capacity(rows.len());
        for row in rows {
            let kind = IdentifierKind::from_number(row.try_get::<i64, _>(1)? as u8)
                .ok_or_else(|| Error::Corrupt("an identifier of unknown kind".to_owned()))?;
            out.insert((WorkspaceId(row.try_get(0)?), kind, row.try_get(2)?), ProfileId(row.try_get(3)?));
        }
        Ok(out)
    }

    /// The rows of profiles, in no order.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn load_profiles(&self, ids: &[ProfileId]) -> Result<Vec<ProfileRow>, Error> {
        let list: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query(select_profile!("WHERE id IN (SELECT value FROM json_each($1))"))
            .bind(json!(list).to_string())
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(profile_row).collect()
    }

    /// Profiles of a workspace in the order of their ids, after `after`.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn scan_profiles(
        &self,
        workspace: WorkspaceId,
        after: ProfileId,
        limit: i64,
    ) -> Result<Vec<ProfileRow>, Error> {
        let rows = sqlx::query(select_profile!("WHERE id > $1 AND workspace = $2 ORDER BY id LIMIT $3"))
            .bind(after.0)
            .bind(workspace.0)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(profile_row).collect()
    }

    /// Profiles whose time has come, the longest due first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn due_profiles(
        &self,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<(WorkspaceId, ProfileId)>, Error> {
        let rows = sqlx::query(
            "SELECT workspace, id FROM profile WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2",
        )
        .bind(now.micros())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((WorkspaceId(row.try_get(0)?), ProfileId(row.try_get(1)?)))).collect()
    }

    /// The earliest instant at which a profile is due.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn next_due_at(&self) -> Result<Option<Timestamp>, Error> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT min(due_at) FROM profile WHERE due_at IS NOT NULL")
                .fetch_one(&self.readers)
                .await?;
        Ok(found.map(Timestamp::from_micros))
    }

    /// Writes a step in one transaction.
    ///
    /// # Errors
    /// `Moved` when the position is not the expected one; nothing is written then.
    pub async fn commit_step(&self, commit: &StepCommit) -> Result<(), Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        let connection = transaction.acquire().await?;
        move_position(connection, commit).await?;
        put_profiles(connection, &commit.profiles).await?;
        put_merges(connection, commit).await?;
        put_identifiers(connection, commit).await?;
        put_memberships(connection, commit).await?;
        put_consents(connection, commit).await?;
        put_entries(connection, &commit.entries).await?;
        put_messages(connection, commit).await?;
        put_emitted(connection, &commit.emitted).await?;
        transaction.commit().await?;
        Ok(())
    }
}

pub(crate) fn profile_row(row: &sqlx::sqlite::SqliteRow) -> Result<ProfileRow, Error> {
    Ok(ProfileRow {
        workspace: WorkspaceId(row.try_get(0)?),
        id: ProfileId(row.try_get(1)?),
        due_at: row.try_get::<Option<i64>, _>(2)?.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.try_get(3)?),
        last_seen_at: Timestamp::from_micros(row.try_get(4)?),
        email: row.try_get(5)?,
        name: row.try_get(6)?,
        user_id: row.try_get(7)?,
        state: row.try_get(8)?,
    })
}

async fn move_position(connection: &mut SqliteConnection, commit: &StepCommit) -> Result<(), Error> {
    sqlx::query("INSERT INTO position (consumer, position) VALUES ($1, 0) ON CONFLICT DO NOTHING")
        .bind(&commit.consumer)
        .execute(&mut *connection)
        .await?;
    let found: i64 = sqlx::query_scalar("SELECT position FROM position WHERE consumer = $1")
        .bind(&commit.consumer)
        .fetch_one(&mut *connection)
        .await?;
    if found != commit.expected.0 {
        return Err(Error::Moved { consumer: commit.consumer.clone(), expected: commit.expected.0, found });
    }
    if commit.position > commit.expected {
        sqlx::query("UPDATE position SET position = $2 WHERE consumer = $1")
            .bind(&commit.consumer)
            .bind(commit.position.0)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn put_profiles(connection: &mut SqliteConnection, rows: &[ProfileRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut blob = Vec::with_capacity(rows.iter().map(|row| row.state.len()).sum());
    let mut list = Vec::with_capacity(rows.len());
    for row in rows {
        let start = blob.len() + 1;
        blob.extend_from_slice(&row.state);
        list.push(json!([
            row.workspace.0,
            row.id.0,
            row.due_at.map(Timestamp::micros),
            row.created_at.micros(),
            row.last_seen_at.micros(),
            row.email,
            row.name,
            row.user_id,
            start,
            row.state.len(),
        ]));
    }
    sqlx::query(
        "INSERT INTO profile (workspace, id, due_at, created_at, last_seen_at, email, name, user_id, state) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, \
         substr($2, value ->> 8, value ->> 9) FROM json_each($1) WHERE true \
         ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, last_seen_at = excluded.last_seen_at, \
         email = excluded.email, name = excluded.name, user_id = excluded.user_id, state = excluded.state",
    )
    .bind(Value::Array(list).to_string())
    .bind(blob)
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_merges(connection: &mut SqliteConnection, commit: &StepCommit) -> Result<(), Error> {
    for merge in &commit.merges {
        let (workspace, source, target) = (merge.workspace.0, merge.source.0, merge.target.0);
        sqlx::query(
            "INSERT INTO merge (workspace, source, target, at, reason) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(workspace)
        .bind(source)
        .bind(target)
        .bind(merge.at.micros())
        .bind(&merge.reason)
        .execute(&mut *connection)
        .await?;
        // Chains stay one link long.
        let statements = [
            "UPDATE merge SET target = $2 WHERE target = $1",
            "UPDATE identifier SET profile = $2 WHERE profile = $1",
            "UPDATE entry SET profile = $2 WHERE profile = $1",
            "UPDATE message SET profile = $2 WHERE profile = $1",
            // A refusal outlives the merge: the stricter word stays.
            "INSERT INTO consent (workspace, profile, topic, subscribed, at, source) \
             SELECT workspace, $2, topic, subscribed, at, source FROM consent WHERE profile = $1 \
             ON CONFLICT DO UPDATE SET subscribed = min(subscribed, excluded.subscribed), at = max(at, excluded.at)",
            "DELETE FROM consent WHERE profile = $1 AND $1 <> $2",
            "DELETE FROM membership WHERE profile = $1 AND $1 <> $2",
            "DELETE FROM profile WHERE id = $1 AND $1 <> $2",
        ];
        for statement in statements {
            sqlx::query(statement).bind(source).bind(target).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn put_identifiers(connection: &mut SqliteConnection, commit: &StepCommit) -> Result<(), Error> {
    if commit.identifiers.is_empty() {
        return Ok(());
    }
    let rows: BTreeMap<_, _> = commit
        .identifiers
        .iter()
        .map(|row| ((row.workspace.0, row.kind as u8, &row.value), row.profile.0))
        .collect();
    let list: Vec<Value> = rows.into_iter().map(|((w, k, v), p)| json!([w, k, v, p])).collect();
    sqlx::query(
        "INSERT INTO identifier (workspace, kind, value, profile) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1) WHERE true \
         ON CONFLICT DO UPDATE SET profile = excluded.profile",
    )
    .bind(Value::Array(list).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_memberships(connection: &mut SqliteConnection, commit: &StepCommit) -> Result<(), Error> {
    if commit.memberships.is_empty() {
        return Ok(());
    }
    let list: Vec<Value> = commit
        .memberships
        .iter()
        .map(|c| json!([c.workspace.0, c.segment, c.profile.0, c.at.micros(), i64::from(c.entered), c.cause]))
        .collect();
    let list = Value::Array(list).to_string();
    // The last word on each (segment, profile) of this step decides.
    macro_rules! of_last {
        ($statement:literal) => {
            concat!(
                "WITH change AS (SELECT value ->> 0 AS w, value ->> 1 AS s, value ->> 2 AS p, value ->> 3 AS at, ",
                "value ->> 4 AS entered, value ->> 5 AS cause, key FROM json_each($1)), ",
                "last AS (SELECT w, s, p, at, entered, cause, max(key) FROM change GROUP BY w, s, p) ",
                $statement
            )
        };
    }
    let statements = [
        "INSERT INTO membership_history (workspace, segment, profile, at, entered, cause) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each($1)",
        of_last!(
            "INSERT INTO membership (workspace, segment, profile, since, cause) \
             SELECT w, s, p, at, cause FROM last WHERE entered = 1 \
             ON CONFLICT DO UPDATE SET since = excluded.since, cause = excluded.cause"
        ),
        of_last!(
            "DELETE FROM membership WHERE (workspace, segment, profile) IN (SELECT w, s, p FROM last WHERE entered = 0)"
        ),
    ];
    for statement in statements {
        sqlx::query(statement).bind(&list).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put_consents(connection: &mut SqliteConnection, commit: &StepCommit) -> Result<(), Error> {
    for row in &commit.consents {
        sqlx::query(
            "INSERT INTO consent (workspace, profile, topic, subscribed, at, source) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT DO UPDATE SET subscribed = excluded.subscribed, at = excluded.at, source = excluded.source \
             WHERE excluded.at >= at",
        )
        .bind(row.workspace.0)
        .bind(row.profile.0)
        .bind(&row.topic)
        .bind(i64::from(row.subscribed))
        .bind(row.at.micros())
        .bind(&row.source)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn put_entries(connection: &mut SqliteConnection, rows: &[EntryRow]) -> Result<(), Error> {
    for row in rows {
        sqlx::query(
            "INSERT INTO entry (workspace, id, journey, version, profile, node, key, entered_at, due_at, exited_at, exit_reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO UPDATE SET profile = excluded.profile, \
             node = excluded.node, due_at = excluded.due_at, exited_at = excluded.exited_at, exit_reason = excluded.exit_reason",
        )
        .bind(row.workspace.0)
        .bind(&row.id)
        .bind(&row.journey)
        .bind(row.version)
        .bind(row.profile.0)
        .bind(&row.node)
        .bind(&row.key)
        .bind(row.entered_at.micros())
        .bind(row.due_at.map(Timestamp::micros))
        .bind(row.exited_at.map(Timestamp::micros))
        .bind(&row.exit_reason)
        .execute(&mut *connection)
        .await?;
        for node in &row.passed {
            sqlx::query(
                "INSERT INTO passed (workspace, journey, node, count) VALUES ($1, $2, $3, 1) \
                 ON CONFLICT DO UPDATE SET count = count + 1",
            )
            .bind(row.workspace.0)
            .bind(&row.journey)
            .bind(node)
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}

async fn put_messages(connection: &mut SqliteConnection, commit: &StepCommit) -> Result<(), Error> {
    for message in &commit.messages {
        crate::send::plan(connection, message).await?;
    }
    Ok(())
}

pub(crate) async fn put_emitted(
    connection: &mut SqliteConnection,
    rows: &[crate::row::Emitted],
) -> Result<(), Error> {
    for row in rows {
        sqlx::query("INSERT INTO emitted (message_id, payload) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(&row.message_id)
            .bind(&row.payload)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
