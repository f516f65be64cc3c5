//! Messages on their way: planned, judged at the gate, handed over, answered. Opt-outs.

use model::{ProfileId, Timestamp, WorkspaceId};
use sqlx::{Acquire, Connection, Row, SqliteConnection};

use crate::row::{Emitted, MessageRow, NewMessage};
use crate::step::put_emitted;
use crate::{Error, Store};

/// What the gate knows about one message, read in its own transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateFacts {
    /// `marketing` or `transactional`.
    pub kind: String,
    /// The person's word on the topic, if any.
    pub topic_subscribed: Option<bool>,
    /// The person's word on marketing as a whole, if any.
    pub marketing_subscribed: Option<bool>,
    /// Why the address must not be written to.
    pub suppressed: Option<String>,
    /// The profile is still there.
    pub profile_exists: bool,
    /// The journey's status, when the message comes from one.
    pub source_status: Option<String>,
    /// Attempts so far.
    pub attempt: i64,
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateVerdict {
    /// Hand it over.
    Allow,
    /// Not before this instant.
    Hold(Timestamp),
    /// Not at all, with the reason's code.
    Skip(String),
}

/// What the gate is asked.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The message.
    pub id: String,
    /// Its subject as composed.
    pub subject: String,
    /// What was composed. JSON.
    pub content: String,
    /// The decision trace. JSON list.
    pub trace: String,
    /// The bytes to be handed over, compressed by the caller.
    pub raw: Vec<u8>,
}

/// An opt-out or another word of a person.
#[derive(Clone, Debug)]
pub struct OptOut {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Who.
    pub profile: ProfileId,
    /// On which topics, and yes or no.
    pub topics: Vec<(String, bool)>,
    /// How the word was given.
    pub source: String,
    /// When.
    pub at: Timestamp,
    /// The event of it.
    pub emitted: Vec<Emitted>,
}

/// The columns of a message, then the given clauses.
macro_rules! select_message {
    ($clauses:literal) => {
        concat!(
            "SELECT number, id, workspace, profile, kind, topic, journey, entry, node, template, recipient, subject, ",
            "state, reason, attempt, due_at, created_at, sent_at, opened_at, clicked_at, data, trace, content FROM message ",
            $clauses
        )
    };
}

pub(crate) fn message_row(row: &sqlx::sqlite::SqliteRow) -> Result<MessageRow, Error> {
    let instant = |at: Option<i64>| at.map(Timestamp::from_micros);
    Ok(MessageRow {
        number: row.try_get(0)?,
        id: row.try_get(1)?,
        workspace: WorkspaceId(row.try_get(2)?),
        profile: ProfileId(row.try_get(3)?),
        kind: row.try_get(4)?,
        topic: row.try_get(5)?,
        journey: row.try_get(6)?,
        entry: row.try_get(7)?,
        node: row.try_get(8)?,
        template: row.try_get(9)?,
        recipient: row.try_get(10)?,
        subject: row.try_get(11)?,
        state: row.try_get(12)?,
        reason: row.try_get(13)?,
        attempt: row.try_get(14)?,
        due_at: Timestamp::from_micros(row.try_get(15)?),
        created_at: Timestamp::from_micros(row.try_get(16)?),
        sent_at: instant(row.try_get(17)?),
        opened_at: instant(row.try_get(18)?),
        clicked_at: instant(row.try_get(19)?),
        data: row.try_get(20)?,
        trace: row.try_get(21)?,
        content: row.try_get(22)?,
    })
}

/// Plans a message; a second one with the same send key is left out.
pub(crate) async fn plan(connection: &mut SqliteConnection, message: &NewMessage) -> Result<bool, Error> {
    let (journey, entry, node) = match &message.source {
        Some((journey, entry, node)) => (Some(journey), Some(entry), Some(node)),
        None => (None, None, None),
    };
    let done = sqlx::query(
        "INSERT INTO message (id, send_key, workspace, profile, kind, topic, journey, entry, node, template, recipient, \
         subject, state, attempt, due_at, created_at, data, trace) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', 'planned', 0, $12, $13, $14, $15) ON CONFLICT DO NOTHING",
    )
    .bind(&message.id)
    .bind(&message.send_key)
    .bind(message.workspace.0)
    .bind(message.profile.0)
    .bind(&message.kind)
    .bind(&message.topic)
    .bind(journey)
    .bind(entry)
    .bind(node)
    .bind(&message.template)
    .bind(&message.recipient)
    .bind(message.due_at.micros())
    .bind(message.created_at.micros())
    .bind(&message.data)
    .bind(&message.trace)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

impl Store {
    /// Plans one message outside a step. False when its send key is known already.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn plan_message(&self, message: &NewMessage) -> Result<bool, Error> {
        let mut writer = self.write().await;
        plan(&mut writer, message).await
    }

    /// Messages to send by `now`, the longest due first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn due_messages(&self, now: Timestamp, limit: i64) -> Result<Vec<MessageRow>, Error> {
        let rows = sqlx::query(select_message!(
            "WHERE state IN ('planned', 'deferred') AND due_at <= $1 ORDER BY due_at LIMIT $2"
        ))
        .bind(now.micros())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(message_row).collect()
    }

    /// The gate: judges a message by what is true at this instant and writes the intent, in one transaction. Nothing
    /// but this writes an intent.
    ///
    /// # Errors
    /// `Missing` when the message is not open any more.
    pub async fn gate(
        &self,
        gate: &Gate,
        judge: &(dyn Fn(&GateFacts) -> GateVerdict + Send + Sync),
        skipped: &(dyn Fn(&str) -> Vec<Emitted> + Send + Sync),
    ) -> Result<GateVerdict, Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        let connection = transaction.acquire().await?;
        let facts = facts(connection, &gate.id).await?;
        let verdict = judge(&facts);
        match &verdict {
            GateVerdict::Allow => {
                sqlx::query(
                    "UPDATE message SET state = 'intent', attempt = attempt + 1, subject = $2, content = $3, trace = $4, \
                     raw = $5, reason = NULL WHERE id = $1",
                )
                .bind(&gate.id)
                .bind(&gate.subject)
                .bind(&gate.content)
                .bind(&gate.trace)
                .bind(&gate.raw)
                .execute(&mut *connection)
                .await?;
            }
            GateVerdict::Hold(until) => {
                sqlx::query("UPDATE message SET due_at = $2 WHERE id = $1")
                    .bind(&gate.id)
                    .bind(until.micros())
                    .execute(&mut *connection)
                    .await?;
            }
            GateVerdict::Skip(reason) => {
                skip(connection, &gate.id, reason, &gate.trace, &skipped(reason)).await?;
            }
        }
        transaction.commit().await?;
        Ok(verdict)
    }

    /// Ends a message that cannot be composed.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn skip_message(
        &self,
        id: &str,
        reason: &str,
        trace: &str,
        emitted: &[Emitted],
    ) -> Result<(), Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        skip(transaction.acquire().await?, id, reason, trace, emitted).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records the answer to a message with an intent.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer; the intent stays open and is in doubt after a restart.
    pub async fn record_result(
        &self,
        id: &str,
        state: &str,
        reason: Option<&str>,
        at: Timestamp,
        due_at: Option<Timestamp>,
        trace: &str,
        emitted: &[Emitted],
    ) -> Result<(), Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        let connection = transaction.acquire().await?;
        let done = sqlx::query(
            "UPDATE message SET state = $2, reason = $3, trace = $5, due_at = coalesce($6, due_at), \
             sent_at = CASE WHEN $2 = 'accepted' THEN $4 ELSE sent_at END WHERE id = $1 AND state = 'intent'",
        )
        .bind(id)
        .bind(state)
        .bind(reason)
        .bind(at.micros())
        .bind(trace)
        .bind(due_at.map(Timestamp::micros))
        .execute(&mut *connection)
        .await?;
        // An answer to what is no open intent says nothing.
        if done.rows_affected() == 1 {
            put_emitted(connection, emitted).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// At start: every intent that is still open was interrupted, and is in doubt from now on. Says which.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn recover_intents(&self) -> Result<Vec<String>, Error> {
        let mut writer = self.write().await;
        let ids = sqlx::query_scalar(
            "UPDATE message SET state = 'in_doubt', reason = 'interrupted' WHERE state = 'intent' RETURNING id",
        )
        .fetch_all(&mut *writer)
        .await?;
        Ok(ids)
    }

    /// Writes a person's word; whatever the gate judges afterwards sees it.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn opt_out(&self, word: &OptOut) -> Result<(), Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        let connection = transaction.acquire().await?;
        for (topic, subscribed) in &word.topics {
            sqlx::query(
                "INSERT INTO consent (workspace, profile, topic, subscribed, at, source) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT DO UPDATE SET subscribed = excluded.subscribed, at = excluded.at, source = excluded.source",
            )
            .bind(word.workspace.0)
            .bind(word.profile.0)
            .bind(topic)
            .bind(i64::from(*subscribed))
            .bind(word.at.micros())
            .bind(&word.source)
            .execute(&mut *connection)
            .await?;
        }
        put_emitted(connection, &word.emitted).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Notes what a recipient did; the first open and click by a person are kept with the message.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn message_event(
        &self,
        id: &str,
        name: &str,
        at: Timestamp,
        detail: &str,
        actor: &str,
        emitted: &[Emitted],
    ) -> Result<(), Error> {
        let mut writer = self.write().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        let connection = transaction.acquire().await?;
        sqlx::query(
            "INSERT INTO message_event (message, name, at, detail, actor) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(name)
        .bind(at.micros())
        .bind(detail)
        .bind(actor)
        .execute(&mut *connection)
        .await?;
        let first = match (name, actor) {
            ("Email Opened", "person") => {
                Some("UPDATE message SET opened_at = coalesce(opened_at, $2) WHERE id = $1")
            }
            ("Email Link Clicked", "person") => {
                Some("UPDATE message SET clicked_at = coalesce(clicked_at, $2) WHERE id = $1")
            }
            _ => None,
        };
        if let Some(first) = first {
            sqlx::query(first).bind(id).bind(at.micros()).execute(&mut *connection).await?;
        }
        put_emitted(connection, emitted).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// One message.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn message(&self, id: &str) -> Result<Option<MessageRow>, Error> {
        let row =
            sqlx::query(select_message!("WHERE id = $1")).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(message_row).transpose()
    }

    /// Messages of a workspace, newest first, before `before`; filters that are `None` do not apply.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn messages(
        &self,
        workspace: WorkspaceId,
        before: i64,
        limit: i64,
        state: Option<&str>,
        journey: Option<&str>,
        profile: Option<ProfileId>,
        search: Option<&str>,
    ) -> Result<Vec<MessageRow>, Error> {
        let rows = sqlx::query(select_message!(
            "WHERE workspace = $1 AND number < $2 AND ($4 IS NULL OR state = $4) AND ($5 IS NULL OR journey = $5) \
             AND ($6 IS NULL OR profile = $6) AND ($7 IS NULL OR instr(lower(recipient), $7) OR instr(lower(subject), $7)) \
             ORDER BY number DESC LIMIT $3"
        ))
        .bind(workspace.0)
        .bind(before)
        .bind(limit)
        .bind(state)
        .bind(journey)
        .bind(profile.map(|id| id.0))
        .bind(search.map(str::to_lowercase))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(message_row).collect()
    }

    /// The bytes that were handed over, compressed by the caller.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn raw_message(&self, id: &str) -> Result<Option<Vec<u8>>, Error> {
        let raw: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT raw FROM message WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(raw.flatten())
    }
}

async fn skip(
    connection: &mut SqliteConnection,
    id: &str,
    reason: &str,
    trace: &str,
    emitted: &[Emitted],
) -> Result<(), Error> {
    sqlx::query("UPDATE message SET state = 'skipped', reason = $2, trace = $3 WHERE id = $1 AND state IN ('planned', 'deferred')")
        .bind(id)
        .bind(reason)
        .bind(trace)
        .execute(&mut *connection)
        .await?;
    put_emitted(connection, emitted).await
}

async fn facts(connection: &mut SqliteConnection, id: &str) -> Result<GateFacts, Error> {
    let row = sqlx::query(
        "SELECT m.kind, m.attempt, (SELECT subscribed FROM consent c WHERE c.workspace = m.workspace AND c.profile = m.profile \
         AND c.topic = m.topic), (SELECT subscribed FROM consent c WHERE c.workspace = m.workspace AND c.profile = m.profile \
         AND c.topic = 'marketing'), (SELECT reason FROM suppression s WHERE s.workspace = m.workspace \
         AND s.address = lower(m.recipient)), EXISTS (SELECT 1 FROM profile p WHERE p.id = m.profile), \
         (SELECT status FROM definition d WHERE d.workspace = m.workspace AND d.kind = 'journey' AND d.id = m.journey \
         AND d.current = 1) FROM message m WHERE m.id = $1 AND m.state IN ('planned', 'deferred')",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Error::Missing(format!("the message {id} is not open any more")))?;
    Ok(GateFacts {
        kind: row.try_get(0)?,
        attempt: row.try_get(1)?,
        topic_subscribed: row.try_get::<Option<i64>, _>(2)?.map(|n| n != 0),
        marketing_subscribed: row.try_get::<Option<i64>, _>(3)?.map(|n| n != 0),
        suppressed: row.try_get(4)?,
        profile_exists: row.try_get::<i64, _>(5)? != 0,
        source_status: row.try_get(6)?,
    })
}
