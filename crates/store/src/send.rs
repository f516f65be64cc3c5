//! Messages on their way: planned, judged at the gate, handed over, answered. Opt-outs.

use model::{ProfileId, Timestamp, WorkspaceId};

use crate::row::{Emitted, MessageRow, NewMessage, Remembered};
use crate::sql::{Row, Transaction, query};
use crate::step::{put_emitted, put_messages};
use crate::{Error, Store};

/// When a held message is due: no clock comes there, in the year 9999.
pub(crate) const HELD: Timestamp = Timestamp::from_secs(253_370_764_800);

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
    /// Not before [`Store::release_messages`] finds that its journey is paused no more.
    Hold(String),
    /// Not at all, with the reason's code.
    Skip(String),
}

/// What the gate is asked.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The message.
    pub id: String,
    /// The recipient's address as the suppression list knows it: keyed, never in clear.
    pub address_key: String,
    /// The decision trace when it may be sent. JSON list.
    pub trace: String,
    /// What was composed; nothing for an attempt with what the first one kept.
    pub composed: Option<Composed>,
}

/// A mail as composed, kept for later attempts and for whoever looks at it.
#[derive(Clone, Debug)]
pub struct Composed {
    /// Its subject.
    pub subject: String,
    /// What it was made of. JSON.
    pub content: String,
    /// The bytes to be handed over.
    pub raw: Vec<u8>,
}

/// What is said of a message that ends without having been sent: its trace, a JSON list, and the events of it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The decision trace.
    pub trace: String,
    /// Events of ours.
    pub emitted: Vec<Emitted>,
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

pub(crate) fn message_row(row: &Row) -> Result<MessageRow, Error> {
    let instant = |at: Option<i64>| at.map(Timestamp::from_micros);
    Ok(MessageRow {
        number: row.get(0)?,
        id: row.get(1)?,
        workspace: WorkspaceId(row.get(2)?),
        profile: ProfileId(row.get(3)?),
        kind: row.get(4)?,
        topic: row.get(5)?,
        journey: row.get(6)?,
        entry: row.get(7)?,
        node: row.get(8)?,
        template: row.get(9)?,
        recipient: row.get(10)?,
        subject: row.get(11)?,
        state: row.get(12)?,
        reason: row.get(13)?,
        attempt: row.get(14)?,
        due_at: Timestamp::from_micros(row.get(15)?),
        created_at: Timestamp::from_micros(row.get(16)?),
        sent_at: instant(row.get(17)?),
        opened_at: instant(row.get(18)?),
        clicked_at: instant(row.get(19)?),
        data: row.get(20)?,
        trace: row.get(21)?,
        content: row.get(22)?,
    })
}

impl Store {
    /// Plans one message outside a step. False when its send key is known already.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn plan_message(&self, message: &NewMessage) -> Result<bool, Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let new = put_messages(&mut transaction, std::slice::from_ref(message)).await?;
        transaction.commit().await?;
        Ok(new == 1)
    }

    /// Plans messages under an idempotency key, in one transaction with the key: the first call has the effect and its
    /// answer is kept, a replay gets that answer.
    ///
    /// # Errors
    /// `Reused` when the key was used with another body.
    pub async fn plan_once(
        &self,
        workspace: WorkspaceId,
        call: &Remembered,
        messages: &[NewMessage],
        now: Timestamp,
    ) -> Result<Remembered, Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let new = query(
            "INSERT INTO idempotency (workspace, key, body, status, answer, at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT DO NOTHING",
        )
        .bind(workspace.0)
        .bind(&call.key)
        .bind(call.body as i64)
        .bind(i64::from(call.status))
        .bind(&call.answer)
        .bind(now.micros())
        .execute(&mut transaction)
        .await?;
        if new == 0 {
            drop(transaction);
            drop(writer);
            let first = self.remembered(workspace, &call.key).await?;
            return match first {
                Some(first) if first.body == call.body => Ok(first),
                _ => Err(Error::Reused(call.key.clone())),
            };
        }
        put_messages(&mut transaction, messages).await?;
        transaction.commit().await?;
        Ok(call.clone())
    }

    /// The first call under an idempotency key.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn remembered(&self, workspace: WorkspaceId, key: &str) -> Result<Option<Remembered>, Error> {
        let row = query("SELECT body, status, answer FROM idempotency WHERE workspace = $1 AND key = $2")
            .bind(workspace.0)
            .bind(key)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| {
            Ok(Remembered {
                key: key.to_owned(),
                body: row.get::<i64>(0)? as u64,
                status: row.get::<i64>(1)? as u16,
                answer: row.get(2)?,
            })
        })
        .transpose()
    }

    /// Messages to send by `now`, the longest due first.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn due_messages(&self, now: Timestamp, limit: i64) -> Result<Vec<MessageRow>, Error> {
        let rows = query(select_message!(
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
        skipped: &(dyn Fn(&str) -> Told + Send + Sync),
    ) -> Result<GateVerdict, Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let facts = facts(&mut transaction, gate).await?;
        let verdict = judge(&facts);
        match &verdict {
            GateVerdict::Allow => {
                let (subject, content, raw) = match &gate.composed {
                    Some(composed) => (Some(&composed.subject), Some(&composed.content), Some(&composed.raw)),
                    None => (None, None, None),
                };
                query(
                    "UPDATE message SET state = 'intent', attempt = attempt + 1, subject = coalesce($2, subject), \
                     content = coalesce($3, content), trace = $4, raw = coalesce($5, raw), reason = NULL WHERE id = $1",
                )
                .bind(&gate.id)
                .bind(subject)
                .bind(content)
                .bind(&gate.trace)
                .bind(raw.cloned())
                .execute(&mut transaction)
                .await?;
            }
            GateVerdict::Hold(reason) => {
                hold(&mut transaction, &gate.id, HELD, Some(reason)).await?;
            }
            GateVerdict::Skip(reason) => {
                end(&mut transaction, &gate.id, "skipped", reason, &skipped(reason)).await?;
            }
        }
        transaction.commit().await?;
        Ok(verdict)
    }

    /// Ends a message that has not been handed over as `skipped` or `expired`. What had ended before stays as it is.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn end_message(&self, id: &str, state: &str, reason: &str, told: &Told) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        end(&mut transaction, id, state, reason, told).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Puts off a message that waits.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn hold_message(&self, id: &str, until: Timestamp) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        hold(&mut transaction, id, until, None).await?;
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
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let done = query(
            "UPDATE message SET state = $2, reason = $3, trace = $5, due_at = coalesce($6, due_at), \
             sent_at = CASE WHEN $2 = 'accepted' THEN $4 ELSE sent_at END WHERE id = $1 AND state = 'intent'",
        )
        .bind(id)
        .bind(state)
        .bind(reason)
        .bind(at.micros())
        .bind(trace)
        .bind(due_at.map(Timestamp::micros))
        .execute(&mut transaction)
        .await?;
        // An answer to what is no open intent says nothing.
        if done == 1 {
            put_emitted(&mut transaction, emitted).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// At start: every intent that is still open was interrupted. A marketing message is in doubt from now on, until
    /// `doubted_until`; a transactional one is due again, with the same bytes. `told` makes the events of each. Says
    /// which.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn recover_intents(
        &self,
        now: Timestamp,
        doubted_until: Timestamp,
        told: &(dyn Fn(&MessageRow) -> Vec<Emitted> + Send + Sync),
    ) -> Result<Vec<String>, Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let rows = query(select_message!("WHERE state = 'intent' ORDER BY number"))
            .fetch_all(&mut transaction)
            .await?;
        let open = rows.iter().map(message_row).collect::<Result<Vec<_>, _>>()?;
        let emitted: Vec<Emitted> = open.iter().flat_map(told).collect();
        query(
            "UPDATE message SET reason = 'interrupted', \
             state = CASE WHEN kind = 'transactional' THEN 'deferred' ELSE 'in_doubt' END, \
             due_at = CASE WHEN kind = 'transactional' THEN $1 ELSE $2 END WHERE state = 'intent'",
        )
        .bind(now.micros())
        .bind(doubted_until.micros())
        .execute(&mut transaction)
        .await?;
        put_emitted(&mut transaction, &emitted).await?;
        transaction.commit().await?;
        Ok(open.into_iter().map(|message| message.id).collect())
    }

    /// Messages whose time in doubt is over: nothing more will be learnt of them, they are unknown. Says which.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn end_doubts(
        &self,
        now: Timestamp,
        told: &(dyn Fn(&MessageRow) -> Vec<Emitted> + Send + Sync),
    ) -> Result<Vec<String>, Error> {
        let over = select_message!("WHERE state = 'in_doubt' AND due_at <= $1 ORDER BY number");
        if query(over).bind(now.micros()).fetch_optional(&self.readers).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        let rows = query(over).bind(now.micros()).fetch_all(&mut transaction).await?;
        let ended = rows.iter().map(message_row).collect::<Result<Vec<_>, _>>()?;
        query("UPDATE message SET state = 'unknown' WHERE state = 'in_doubt' AND due_at <= $1")
            .bind(now.micros())
            .execute(&mut transaction)
            .await?;
        let emitted: Vec<Emitted> = ended.iter().flat_map(told).collect();
        put_emitted(&mut transaction, &emitted).await?;
        transaction.commit().await?;
        Ok(ended.into_iter().map(|message| message.id).collect())
    }

    /// Writes a person's word; whatever the gate judges afterwards sees it.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn opt_out(&self, word: &OptOut) -> Result<(), Error> {
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        for (topic, subscribed) in &word.topics {
            query(
                "INSERT INTO consent (workspace, profile, topic, subscribed, at, source) VALUES ($1, coalesce((SELECT target FROM \
                 merge WHERE workspace = $1 AND source = $2), $2), $3, $4, $5, $6) \
                 ON CONFLICT (workspace, profile, topic) DO UPDATE SET subscribed = excluded.subscribed, at = excluded.at, source = excluded.source",
            )
            .bind(word.workspace.0)
            .bind(word.profile.0)
            .bind(topic)
            .bind(i64::from(*subscribed))
            .bind(word.at.micros())
            .bind(&word.source)
            .execute(&mut transaction)
            .await?;
        }
        put_emitted(&mut transaction, &word.emitted).await?;
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
        let mut writer = self.write().await?;
        let mut transaction = writer.begin().await?;
        query("INSERT INTO message_event (message, name, at, detail, actor) VALUES ($1, $2, $3, $4, $5)")
            .bind(id)
            .bind(name)
            .bind(at.micros())
            .bind(detail)
            .bind(actor)
            .execute(&mut transaction)
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
            query(first).bind(id).bind(at.micros()).execute(&mut transaction).await?;
        }
        put_emitted(&mut transaction, emitted).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// One message.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn message(&self, id: &str) -> Result<Option<MessageRow>, Error> {
        let row = query(select_message!("WHERE id = $1")).bind(id).fetch_optional(&self.readers).await?;
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
        let rows = query(select_message!(
            "WHERE workspace = $1 AND number < $2 AND ($4 IS NULL OR state = $4) AND ($5 IS NULL OR journey = $5) \
             AND ($6 IS NULL OR profile = $6) AND ($7 IS NULL OR has(lower(recipient), $7) OR has(lower(subject), $7)) \
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

    /// The bytes that were handed over.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn raw_message(&self, id: &str) -> Result<Option<Vec<u8>>, Error> {
        let raw: Option<Option<Vec<u8>>> =
            query("SELECT raw FROM message WHERE id = $1").bind(id).scalar_optional(&self.readers).await?;
        Ok(raw.flatten())
    }
}

async fn end(
    connection: &mut Transaction<'_>,
    id: &str,
    state: &str,
    reason: &str,
    told: &Told,
) -> Result<(), Error> {
    let ended = query(
        "UPDATE message SET state = $4, reason = $2, trace = $3 WHERE id = $1 AND state IN ('planned', 'deferred')",
    )
    .bind(id)
    .bind(reason)
    .bind(&told.trace)
    .bind(state)
    .execute(&mut *connection)
    .await?;
    // What had ended before says nothing a second time.
    if ended == 1 { put_emitted(connection, &told.emitted).await } else { Ok(()) }
}

async fn hold(
    connection: &mut Transaction<'_>,
    id: &str,
    until: Timestamp,
    reason: Option<&String>,
) -> Result<(), Error> {
    query(
        "UPDATE message SET due_at = $2, reason = coalesce($3, reason) WHERE id = $1 AND state IN ('planned', 'deferred')",
    )
    .bind(id)
    .bind(until.micros())
    .bind(reason)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn facts(connection: &mut Transaction<'_>, gate: &Gate) -> Result<GateFacts, Error> {
    let row = query(
        "SELECT m.kind, m.attempt, (SELECT subscribed FROM consent c WHERE c.workspace = m.workspace AND c.profile = m.profile \
         AND c.topic = m.topic), (SELECT subscribed FROM consent c WHERE c.workspace = m.workspace AND c.profile = m.profile \
         AND c.topic = 'marketing'), (SELECT reason FROM suppression s WHERE s.workspace = m.workspace AND s.address = $2), \
         (SELECT count(*) FROM profile p WHERE p.id = m.profile), \
         (SELECT status FROM definition d WHERE d.workspace = m.workspace AND d.kind = 'journey' AND d.id = m.journey \
         AND d.current = 1) FROM message m WHERE m.id = $1 AND m.state IN ('planned', 'deferred')",
    )
    .bind(&gate.id)
    .bind(&gate.address_key)
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| Error::Missing(format!("the message {} is not open any more", gate.id)))?;
    Ok(GateFacts {
        kind: row.get(0)?,
        attempt: row.get(1)?,
        topic_subscribed: row.get::<Option<i64>>(2)?.map(|n| n != 0),
        marketing_subscribed: row.get::<Option<i64>>(3)?.map(|n| n != 0),
        suppressed: row.get(4)?,
        profile_exists: row.get::<i64>(5)? != 0,
        source_status: row.get(6)?,
    })
}
