//! What the step reads and writes. Rows go in bulk: one statement for all rows of a kind, their text as one JSON list,
//! their bytes as one blob that the statement cuts up.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::{IdentifierKind, Position, ProfileId, Timestamp, WorkspaceId};
use serde_json::{Value, json};

use crate::row::{ConsentRow, Emitted, EntryRow, NewMessage, ProfileRow, StepCommit};
use crate::split::{put_merged_identifiers, put_splits};
use crate::sql::{Row, Transaction, query};
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
        let found: Option<i64> = query("SELECT position FROM position WHERE consumer = $1")
            .bind(consumer)
            .scalar_optional(&self.readers)
            .await?;
        Ok(Position(found.unwrap_or(0)))
    }

    /// The highest profile id in use; 0 when there is none.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn max_profile_id(&self) -> Result<i64, Error> {
        let found: Option<i64> = query("SELECT max(id) FROM profile").scalar(&self.readers).await?;
        let merged: Option<i64> = query("SELECT max(source) FROM merge").scalar(&self.readers).await?;
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
        let rows = query(
            "SELECT i.workspace, i.kind, i.value, i.profile FROM list($1) AS j CROSS JOIN identifier AS i \
             WHERE i.workspace = j.int(0) AND i.kind = j.int(1) AND i.value = j.text(2)",
        )
        .bind(list)
        .fetch_all(&self.readers)
        .await?;
        let mut out = HashMap::with_capacity(rows.len());
        for row in rows {
            let kind = IdentifierKind::from_number(row.get::<i64>(1)? as u8)
                .ok_or_else(|| Error::Corrupt("an identifier of unknown kind".to_owned()))?;
            out.insert((WorkspaceId(row.get(0)?), kind, row.get(2)?), ProfileId(row.get(3)?));
        }
        Ok(out)
    }

    /// The rows of profiles, in no order.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn load_profiles(&self, ids: &[ProfileId]) -> Result<Vec<ProfileRow>, Error> {
        let list: Vec<Value> = ids.iter().map(|id| json!([id.0])).collect();
        let rows = query(select_profile!("WHERE id IN (SELECT j.int(0) FROM list($1) AS j)"))
            .bind(list)
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
        let rows = query(select_profile!("WHERE id > $1 AND workspace = $2 ORDER BY id LIMIT $3"))
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
        let rows = query(
            "SELECT workspace, id FROM profile WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2",
        )
        .bind(now.micros())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((WorkspaceId(row.get(0)?), ProfileId(row.get(1)?)))).collect()
    }

    /// The earliest instant at which a profile is due.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn next_due_at(&self) -> Result<Option<Timestamp>, Error> {
        let found: Option<i64> =
            query("SELECT min(due_at) FROM profile WHERE due_at IS NOT NULL").scalar(&self.readers).await?;
        Ok(found.map(Timestamp::from_micros))
    }

    /// Writes a step in one transaction.
    ///
    /// # Errors
    /// `Moved` when the position is not the expected one; nothing is written then.
    pub async fn commit_step(&self, commit: &StepCommit) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let open = &mut transaction;
        move_position(open, commit).await?;
        put_profiles(open, &commit.profiles).await?;
        put_merges(open, commit).await?;
        put_merged_identifiers(open, &commit.merged_identifiers).await?;
        put_splits(open, &commit.splits).await?;
        put_identifiers(open, commit).await?;
        put_memberships(open, commit).await?;
        put_consents(open, &commit.consents).await?;
        put_entries(open, &commit.entries).await?;
        put_messages(open, &commit.messages).await?;
        crate::coupon::put_redeemed(open, &commit.redeemed).await?;
        put_emitted(open, &commit.emitted).await?;
        transaction.commit().await?;
        Ok(())
    }
}

pub(crate) fn profile_row(row: &Row) -> Result<ProfileRow, Error> {
    Ok(ProfileRow {
        workspace: WorkspaceId(row.get(0)?),
        id: ProfileId(row.get(1)?),
        due_at: row.get::<Option<i64>>(2)?.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.get(3)?),
        last_seen_at: Timestamp::from_micros(row.get(4)?),
        email: row.get(5)?,
        name: row.get(6)?,
        user_id: row.get(7)?,
        state: row.get(8)?,
    })
}

async fn move_position(connection: &mut Transaction<'_>, commit: &StepCommit) -> Result<(), Error> {
    query("INSERT INTO position (consumer, position) VALUES ($1, 0) ON CONFLICT DO NOTHING")
        .bind(&commit.consumer)
        .execute(&mut *connection)
        .await?;
    let found: i64 = query("SELECT position FROM position WHERE consumer = $1")
        .bind(&commit.consumer)
        .scalar(&mut *connection)
        .await?;
    if found != commit.expected.0 {
        return Err(Error::Moved { consumer: commit.consumer.clone(), expected: commit.expected.0, found });
    }
    if commit.position > commit.expected {
        query("UPDATE position SET position = $2 WHERE consumer = $1")
            .bind(&commit.consumer)
            .bind(commit.position.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn put_profiles(connection: &mut Transaction<'_>, rows: &[ProfileRow]) -> Result<(), Error> {
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
    query(
        "INSERT INTO profile (workspace, id, due_at, created_at, last_seen_at, email, name, user_id, state) \
         SELECT j.int(0), j.int(1), j.int(2), j.int(3), j.int(4), j.text(5), j.text(6), j.text(7), j.bytes($2, 8, 9) \
         FROM list($1) AS j WHERE true \
         ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, last_seen_at = excluded.last_seen_at, \
         email = excluded.email, name = excluded.name, user_id = excluded.user_id, state = excluded.state",
    )
    .bind(list)
    .bind(blob)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn put_merges(connection: &mut Transaction<'_>, commit: &StepCommit) -> Result<(), Error> {
    for merge in &commit.merges {
        let (workspace, source, target) = (merge.workspace.0, merge.source.0, merge.target.0);
        query(
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
            "UPDATE coupon SET profile = $2 WHERE profile = $1",
            // A refusal outlives the merge: the stricter word stays.
            "INSERT INTO consent (workspace, profile, topic, subscribed, at, source) \
             SELECT workspace, CAST($2 AS BIGINT), topic, subscribed, at, source FROM consent WHERE profile = $1 \
             ON CONFLICT (workspace, profile, topic) DO UPDATE \
             SET subscribed = least(consent.subscribed, excluded.subscribed), at = greatest(consent.at, excluded.at)",
            "DELETE FROM consent WHERE profile = $1 AND $1 <> $2",
            "DELETE FROM membership WHERE profile = $1 AND $1 <> $2",
            "DELETE FROM profile WHERE id = $1 AND $1 <> $2",
        ];
        for statement in statements {
            query(statement).bind(source).bind(target).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn put_identifiers(connection: &mut Transaction<'_>, commit: &StepCommit) -> Result<(), Error> {
    if commit.identifiers.is_empty() {
        return Ok(());
    }
    let rows: BTreeMap<_, _> = commit
        .identifiers
        .iter()
        .map(|row| ((row.workspace.0, row.kind as u8, &row.value), row.profile.0))
        .collect();
    let list: Vec<Value> = rows.into_iter().map(|((w, k, v), p)| json!([w, k, v, p])).collect();
    query(
        "INSERT INTO identifier (workspace, kind, value, profile) \
         SELECT j.int(0), j.int(1), j.text(2), j.int(3) FROM list($1) AS j WHERE true \
         ON CONFLICT (workspace, kind, value) DO UPDATE SET profile = excluded.profile",
    )
    .bind(list)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn put_memberships(connection: &mut Transaction<'_>, commit: &StepCommit) -> Result<(), Error> {
    if commit.memberships.is_empty() {
        return Ok(());
    }
    let mut history = Vec::with_capacity(commit.memberships.len());
    // The last word on each (segment, profile) of this step decides.
    let mut last = BTreeMap::new();
    for change in &commit.memberships {
        history.push(json!([
            change.workspace.0,
            change.segment,
            change.profile.0,
            change.at.micros(),
            i64::from(change.entered),
            change.cause,
        ]));
        last.insert((change.workspace.0, &change.segment, change.profile.0), change);
    }
    let (entered, left): (Vec<_>, Vec<_>) = last.into_iter().partition(|(_, change)| change.entered);
    query(
        "INSERT INTO membership_history (workspace, segment, profile, at, entered, cause) \
         SELECT j.int(0), j.text(1), j.int(2), j.int(3), j.int(4), j.text(5) FROM list($1) AS j ORDER BY j.key",
    )
    .bind(history)
    .execute(&mut *connection)
    .await?;
    if !entered.is_empty() {
        let rows: Vec<Value> = entered
            .iter()
            .map(|((w, s, p), change)| json!([w, s, p, change.at.micros(), change.cause]))
            .collect();
        query(
            "INSERT INTO membership (workspace, segment, profile, since, cause) \
             SELECT j.int(0), j.text(1), j.int(2), j.int(3), j.text(4) FROM list($1) AS j WHERE true \
             ON CONFLICT (workspace, segment, profile) DO UPDATE SET since = excluded.since, cause = excluded.cause",
        )
        .bind(rows)
        .execute(&mut *connection)
        .await?;
    }
    if !left.is_empty() {
        let rows: Vec<Value> = left.iter().map(|((w, s, p), _)| json!([w, s, p])).collect();
        query(
            "DELETE FROM membership WHERE (workspace, segment, profile) IN \
             (SELECT j.int(0), j.text(1), j.int(2) FROM list($1) AS j)",
        )
        .bind(rows)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Later words win; of two at the same instant the later in order.
pub(crate) async fn put_consents(connection: &mut Transaction<'_>, rows: &[ConsentRow]) -> Result<(), Error> {
    let mut last: BTreeMap<(i64, i64, &str), &ConsentRow> = BTreeMap::new();
    for row in rows {
        let kept = last.entry((row.workspace.0, row.profile.0, &row.topic)).or_insert(row);
        if row.at >= kept.at {
            *kept = row;
        }
    }
    if last.is_empty() {
        return Ok(());
    }
    let list: Vec<Value> = last
        .into_iter()
        .map(|((w, p, topic), row)| {
            json!([w, p, topic, i64::from(row.subscribed), row.at.micros(), row.source])
        })
        .collect();
    query(
        "INSERT INTO consent (workspace, profile, topic, subscribed, at, source) \
         SELECT j.int(0), j.int(1), j.text(2), j.int(3), j.int(4), j.text(5) FROM list($1) AS j WHERE true \
         ON CONFLICT (workspace, profile, topic) DO UPDATE SET subscribed = excluded.subscribed, at = excluded.at, \
         source = excluded.source WHERE excluded.at >= consent.at",
    )
    .bind(list)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn put_entries(connection: &mut Transaction<'_>, rows: &[EntryRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut last = BTreeMap::new();
    let mut passed: BTreeMap<(i64, &str, &str), i64> = BTreeMap::new();
    for row in rows {
        last.insert((row.workspace.0, &row.id), row);
        for node in &row.passed {
            *passed.entry((row.workspace.0, &row.journey, node)).or_default() += 1;
        }
    }
    let list: Vec<Value> = last
        .into_values()
        .map(|row| {
            json!([
                row.workspace.0,
                row.id,
                row.journey,
                row.version,
                row.profile.0,
                row.node,
                row.key,
                row.entered_at.micros(),
                row.due_at.map(Timestamp::micros),
                row.exited_at.map(Timestamp::micros),
                row.exit_reason,
            ])
        })
        .collect();
    query(
        "INSERT INTO entry (workspace, id, journey, version, profile, node, key, entered_at, due_at, exited_at, exit_reason) \
         SELECT j.int(0), j.text(1), j.text(2), j.int(3), j.int(4), j.text(5), j.text(6), j.int(7), j.int(8), j.int(9), \
         j.text(10) FROM list($1) AS j WHERE true \
         ON CONFLICT (workspace, id) DO UPDATE SET profile = excluded.profile, node = excluded.node, \
         due_at = excluded.due_at, exited_at = excluded.exited_at, exit_reason = excluded.exit_reason",
    )
    .bind(list)
    .execute(&mut *connection)
    .await?;
    if passed.is_empty() {
        return Ok(());
    }
    let list: Vec<Value> = passed.into_iter().map(|((w, j, n), count)| json!([w, j, n, count])).collect();
    query(
        "INSERT INTO passed (workspace, journey, node, count) \
         SELECT j.int(0), j.text(1), j.text(2), j.int(3) FROM list($1) AS j WHERE true \
         ON CONFLICT (workspace, journey, node) DO UPDATE SET count = passed.count + excluded.count",
    )
    .bind(list)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Plans messages; one whose send key is known already is left out. How many are new.
pub(crate) async fn put_messages(
    connection: &mut Transaction<'_>,
    rows: &[NewMessage],
) -> Result<u64, Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let list: Vec<Value> = rows
        .iter()
        .map(|message| {
            let (journey, entry, node) = match &message.source {
                Some((journey, entry, node)) => (Some(journey), Some(entry), Some(node)),
                None => (None, None, None),
            };
            json!([
                message.id,
                message.send_key,
                message.workspace.0,
                message.profile.0,
                message.kind,
                message.topic,
                journey,
                entry,
                node,
                message.template,
                message.recipient,
                message.due_at.micros(),
                message.created_at.micros(),
                message.data,
                message.trace,
            ])
        })
        .collect();
    query(
        "INSERT INTO message (id, send_key, workspace, profile, kind, topic, journey, entry, node, template, recipient, \
         subject, state, attempt, due_at, created_at, data, trace) \
         SELECT j.text(0), j.text(1), j.int(2), j.int(3), j.text(4), j.text(5), j.text(6), j.text(7), j.text(8), j.text(9), \
         j.text(10), '', 'planned', 0, j.int(11), j.int(12), j.text(13), j.text(14) FROM list($1) AS j WHERE true \
         ORDER BY j.key ON CONFLICT DO NOTHING",
    )
    .bind(list)
    .execute(&mut *connection)
    .await
}

/// Adds events of ours; one whose id waits already is left out.
pub(crate) async fn put_emitted(connection: &mut Transaction<'_>, rows: &[Emitted]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut blob = Vec::with_capacity(rows.iter().map(|row| row.payload.len()).sum());
    let mut list = Vec::with_capacity(rows.len());
    let mut seen = HashSet::new();
    for row in rows.iter().filter(|row| seen.insert(&row.message_id)) {
        let start = blob.len() + 1;
        blob.extend_from_slice(&row.payload);
        list.push(json!([row.message_id, start, row.payload.len()]));
    }
    query(
        "INSERT INTO emitted (message_id, payload) SELECT j.text(0), j.bytes($2, 1, 2) FROM list($1) AS j WHERE true \
         ORDER BY j.key ON CONFLICT DO NOTHING",
    )
    .bind(list)
    .bind(blob)
    .execute(&mut *connection)
    .await?;
    Ok(())
}
