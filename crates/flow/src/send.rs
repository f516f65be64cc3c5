//! Sending: due messages are composed, judged at the gate, handed over, and their answer recorded.
//!
//! Nothing else hands a mail to the transport, and this only after the gate has written an intent.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::time::{HOUR, MINUTE};
use model::{ProfileId, Timestamp, Value, WorkspaceId};
use serde_json::json;
use store::{Emitted, Gate, GateFacts, GateVerdict, MessageRow, Told};
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::compose::Order;
use crate::platform::Platform;
use crate::step::message_id;
use crate::{Error, codec, emit};

/// Messages taken at once.
const TAKE_MAX: usize = 200;
/// A marketing mail that could not be sent for so long is not news any more.
const EXPIRES_AFTER: i64 = 72 * HOUR;
/// How long evidence may still resolve a message in doubt.
const DOUBTED_FOR: i64 = 72 * HOUR;
/// How often the end of doubts is looked for.
const DOUBTS_BEAT: i64 = MINUTE;
/// How long a message rests that met a fault of ours.
const RESTS_FOR: i64 = MINUTE;
/// How often due messages are looked for when nothing else gives cause to.
const BEAT: Duration = Duration::from_millis(500);
const MAY_BE_SENT: &str = "Nothing forbids it: no opt-out, no suppression.";

/// A transactional mail.
#[derive(Clone, Debug)]
pub struct SendRequest {
    /// The template's id.
    pub template: String,
    /// The profile.
    pub profile: ProfileId,
    /// What the template may use besides the profile.
    pub data: Value,
    /// The same key again is the same message.
    pub key: Option<String>,
}

/// A template to be looked at.
#[derive(Clone, Debug, Default)]
pub struct RenderRequest {
    /// A saved template; `body` otherwise.
    pub template: Option<String>,
    /// As in a template's body: subject, preheader, body, format.
    pub body: Value,
    /// For whom.
    pub profile: Option<ProfileId>,
    /// What the template may use besides.
    pub data: Value,
}

/// Messages in work: some wait for a connection, the others have one. As soon as one is done the next begins, so that a
/// slow server holds up its own mail and no other.
#[derive(Default)]
struct Work {
    waiting: VecDeque<MessageRow>,
    running: JoinSet<()>,
    /// The message of each running task.
    tasks: HashMap<task::Id, String>,
    /// Messages that wait or run.
    ids: HashSet<String>,
}

impl Work {
    /// Takes due messages when fewer wait than can be begun at once.
    async fn refill(&mut self, platform: &Platform, connections: usize) -> Result<(), Error> {
        if self.waiting.len() >= connections {
            return Ok(());
        }
        // Those in work are due as well until the gate has judged them.
        let limit = TAKE_MAX + self.ids.len();
        for message in platform.store.due_messages(platform.clock.now(), limit as i64).await? {
            if self.ids.insert(message.id.clone()) {
                self.waiting.push_back(message);
            }
        }
        Ok(())
    }

    fn begin(&mut self, platform: &Arc<Platform>, connections: usize) {
        while self.running.len() < connections
            && let Some(message) = self.waiting.pop_front()
        {
            let (platform, id) = (platform.clone(), message.id.clone());
            let task = self.running.spawn(async move { platform.send_or_rest(message).await });
            self.tasks.insert(task.id(), id);
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!(%error, "sending a message died");
                error.id()
            }
        };
        if let Some(id) = self.tasks.remove(&task) {
            self.ids.remove(&id);
        }
    }
}

pub(crate) async fn run(platform: Arc<Platform>, stop: CancellationToken) {
    // Nothing is sent before: an intent of this process must not be taken for one that was interrupted.
    while !platform.recover_intents().await {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    let mut work = Work::default();
    let mut doubts_at = Timestamp::MIN;
    while !stop.is_cancelled() {
        let now = platform.clock.now();
        let connections = platform.transport.now().connections_max().max(1);
        if now - doubts_at >= DOUBTS_BEAT {
            doubts_at = now;
            platform.end_doubts().await;
            platform.release_held().await;
        }
        if let Err(error) = work.refill(&platform, connections).await {
            tracing::error!(%error, "due messages could not be looked for");
            platform.faults.note("Mail", now, &error);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        work.begin(&platform, connections);
        let room = work.waiting.len() < connections;
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = work.running.join_next_with_id() => work.ended(ended),
            () = platform.wake.send.notified(), if room => {}
            () = tokio::time::sleep(BEAT), if room => {}
        }
    }
    // What has a connection is let finish; what waits is found again.
    while work.running.join_next().await.is_some() {}
}

fn judge(facts: &GateFacts) -> GateVerdict {
    let verdict = policy::judge(&policy::Facts {
        marketing: facts.kind == "marketing",
        topic_subscribed: facts.topic_subscribed,
        marketing_subscribed: facts.marketing_subscribed,
        suppressed: facts.suppressed.is_some(),
        profile_exists: facts.profile_exists,
        source: match facts.source_status.as_deref() {
            None | Some("live") => policy::Source::Live,
            Some("paused") => policy::Source::Paused,
            Some(_) => policy::Source::Gone,
        },
        attempt: facts.attempt,
    });
    match verdict {
        policy::Verdict::Allow => GateVerdict::Allow,
        policy::Verdict::Hold => GateVerdict::Hold(crate::pause::HELD.to_owned()),
        policy::Verdict::Skip(reason) => GateVerdict::Skip(reason.code().to_owned()),
    }
}

impl Platform {
    /// Sends what is due, one after another, in this task: for tests, and for commands on a data directory.
    pub(crate) async fn send_due(&self) -> Result<usize, Error> {
        let due = self.store.due_messages(self.clock.now(), TAKE_MAX as i64).await?;
        let many = due.len();
        for message in due {
            self.send_or_rest(message).await;
        }
        Ok(many)
    }

    /// True when none is left open.
    async fn recover_intents(&self) -> bool {
        let now = self.clock.now();
        let told = |message: &MessageRow| {
            let attempt = format!("-{}", message.attempt);
            emitted_with(message, "Email In Doubt", &attempt, now, json!({"reason": "interrupted"}))
        };
        match self.store.recover_intents(now, now + DOUBTED_FOR, &told).await {
            Ok(ids) if !ids.is_empty() => {
                tracing::warn!(messages = ids.len(), "interrupted sends are in doubt");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "interrupted sends could not be looked for");
                self.faults.note("Mail", now, &error.into());
                return false;
            }
        }
        true
    }

    async fn end_doubts(&self) {
        let now = self.clock.now();
        let told = |message: &MessageRow| {
            emitted_with(message, "Email Unknown", "", now, json!({"reason": message.reason}))
        };
        match self.store.end_doubts(now, &told).await {
            Ok(ids) if !ids.is_empty() => {
                tracing::warn!(
                    messages = ids.len(),
                    "nothing was learnt of sends in doubt; they are unknown"
                );
                self.wake.relay.notify_one();
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the end of doubts could not be looked for"),
        }
    }

    /// Sends a message; one that meets a fault of ours rests, so that it holds up no other.
    async fn send_or_rest(&self, message: MessageRow) {
        let id = message.id.clone();
        let Err(error) = self.send_one(message).await else { return };
        tracing::error!(%error, message = %id, "a message could not be sent; it rests");
        self.faults.note("Mail", self.clock.now(), &error);
        if let Err(error) = self.store.hold_message(&id, self.clock.now() + RESTS_FOR).await {
            tracing::error!(%error, message = %id, "nor could it be put off");
            // It is taken again at once; a store at rest must not be asked in a loop.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn send_one(&self, message: MessageRow) -> Result<(), Error> {
        let trace: Vec<Value> = serde_json::from_str(&message.trace).unwrap_or_default();
        let now = self.clock.now();
        if message.kind == "marketing" && now - message.created_at > EXPIRES_AFTER {
            let sentence = "It could not be sent within three days.";
            return self.end(&message, "expired", "expired", sentence, trace).await;
        }
        if self.stands_still(&message) {
            return self.put_aside(&message).await;
        }
        let ready = match self.kept(&message).await? {
            Some(ready) => ready,
            None => match self.ready(&message, trace.clone()).await {
                Ok(ready) => ready,
                Err(Unready::Skip(code, sentence)) => {
                    return self.end(&message, "skipped", code, &sentence, trace).await;
                }
                Err(Unready::Fault(error)) => return Err(error),
            },
        };
        let gate = Gate {
            id: message.id.clone(),
            address_key: self.address_key(message.workspace, &message.recipient),
            trace: Value::Array(with_policy(&ready.trace, "May it be sent", MAY_BE_SENT, &json!({}), now))
                .to_string(),
            composed: ready.composed,
        };
        let skipped = |code: &str| {
            let reason = policy::Reason::ALL.into_iter().find(|reason| reason.code() == code);
            let sentence = reason.map_or("The policy forbids it.", policy::Reason::sentence);
            told(&message, code, sentence, &ready.trace, now)
        };
        match self.store.gate(&gate, &judge, &skipped).await {
            Ok(GateVerdict::Allow) => {}
            Ok(_) => {
                self.wake.relay.notify_one();
                return Ok(());
            }
            Err(store::Error::Missing(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let envelope = mail::Envelope { from: ready.return_path, to: message.recipient.clone() };
        let delivery = self.transport.now().send(&envelope, &ready.raw).await;
        self.record(
            &message,
            delivery,
            with_policy(&ready.trace, "May it be sent", MAY_BE_SENT, &json!({}), now),
        )
        .await
    }

    /// What an earlier attempt composed: a retry sends the same bytes under the same Message-ID.
    async fn kept(&self, message: &MessageRow) -> Result<Option<Ready>, Error> {
        let Some(content) = message.content.as_deref().filter(|_| message.attempt > 0) else {
            return Ok(None);
        };
        let content: Value = serde_json::from_str(content).unwrap_or_default();
        let from = mail::Mailbox::parse(content["from"].as_str().unwrap_or_default());
        let raw = self.store.raw_message(&message.id).await?;
        Ok(raw.zip(from.ok()).map(|(raw, from)| Ready {
            return_path: self.return_path(message, &from.address),
            composed: None,
            raw,
            trace: serde_json::from_str(&message.trace).unwrap_or_default(),
        }))
    }

    async fn ready(&self, message: &MessageRow, trace: Vec<Value>) -> Result<Ready, Unready> {
        let skip = |code, sentence: &str| Err(Unready::Skip(code, sentence.to_owned()));
        if let Err(error) = mail::normalise_address(&message.recipient) {
            if message.recipient.is_empty() {
                return skip("no_address", "The profile has no address to write to.");
            }
            return skip("no_address", &error.to_string());
        }
        let registry = self.registry(message.workspace);
        let Some(template) = registry.templates.get(&message.template) else {
            return skip("template_missing", "The template is not in force any more.");
        };
        let hot = match self.hot(message.workspace, message.profile).await {
            Ok(hot) => hot,
            Err(Error::Missing(_)) => return skip("profile_gone", "The profile is gone."),
            Err(error) => return Err(Unready::Fault(error)),
        };
        let data: Value = serde_json::from_str(&message.data).unwrap_or_default();
        let order = Order {
            message_id: &message.id,
            campaign: message.journey.as_deref().unwrap_or(&message.template),
            step: message.node.as_deref().unwrap_or(&message.id),
            template,
            hot: Some((&hot.0, &hot.1)),
            recipient: &message.recipient,
            data: &data,
            now: self.clock.now(),
            keep_ways: false,
        };
        let composed = self.composed_or_instead(&registry, message, &order, trace).await?;
        Ok(Ready {
            return_path: self.return_path(message, &composed.from),
            composed: Some(store::Composed {
                subject: composed.subject,
                content: composed.content.to_string(),
                raw: composed.raw.clone(),
            }),
            raw: composed.raw,
            trace: composed.trace,
        })
    }

    /// Where bounces of a message go: to an address of its own at the sender's domain.
    fn return_path(&self, message: &MessageRow, from: &str) -> String {
        let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let own = self.tokens.seal_return_path(message.workspace, &message.id, domain);
        own.filter(|_| self.transport.now().has_own_return_path()).unwrap_or_else(|| from.to_owned())
    }

    async fn record(
        &self,
        message: &MessageRow,
        delivery: mail::Delivery,
        mut trace: Vec<Value>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let (mut state, answer, name) = match &delivery {
            mail::Delivery::Accepted { answer } => ("accepted", answer.clone(), "Email Sent"),
            mail::Delivery::Deferred { answer, .. } => ("deferred", answer.clone(), "Email Deferred"),
            mail::Delivery::Rejected { answer, .. } => ("rejected", answer.clone(), "Email Bounced"),
            mail::Delivery::InDoubt { answer } => ("in_doubt", answer.clone(), "Email In Doubt"),
        };
        trace.push(json!({
            "step": "delivery", "title": "Handed over", "at": now, "sentence": format!("{state}: {answer}"), "data": {"state": state},
        }));
        let mut reason = (state != "accepted").then_some(answer.clone());
        // Somebody waits for a transactional mail: better twice, under one Message-ID, than never.
        if state == "in_doubt" && message.kind == "transactional" {
            state = "deferred";
            reason = Some(format!("in doubt, to be sent again: {answer}"));
        }
        // 1, 5, 25 … minutes between attempts.
        let later = MINUTE * 5_i64.pow(message.attempt.clamp(0, 4) as u32);
        let due_at = match state {
            "deferred" => Some(now + later),
            "in_doubt" => Some(now + DOUBTED_FOR),
            _ => None,
        };
        // A message can be deferred or doubted more than once.
        let number = message.attempt + 1;
        let suffix = if due_at.is_some() { format!("-{number}") } else { String::new() };
        let mut properties = json!({"answer": answer, "attempt": number});
        if state == "rejected" {
            properties["class"] = json!(delivery.blame().class());
        }
        crate::offer::tell_shown(&mut properties, &trace);
        let emitted = emitted_with(message, name, &suffix, now, properties);
        let trace = Value::Array(trace).to_string();
        self.store
            .record_result(&message.id, state, reason.as_deref(), now, due_at, &trace, &emitted)
            .await?;
        if delivery.is_hard() {
            self.suppress(message.workspace, &message.recipient, "hard_bounce").await?;
        }
        if state == "accepted" {
            self.live.messages_accepted.fetch_add(1, Ordering::Relaxed);
        }
        self.wake.relay.notify_one();
        if delivery.blame() == mail::Blame::Sender {
            self.pause_for(message, &answer).await?;
        }
        Ok(())
    }

    async fn end(
        &self,
        message: &MessageRow,
        state: &str,
        code: &str,
        sentence: &str,
        trace: Vec<Value>,
    ) -> Result<(), Error> {
        let told = told(message, code, sentence, &trace, self.clock.now());
        self.store.end_message(&message.id, state, code, &told).await?;
        self.wake.relay.notify_one();
        Ok(())
    }

    /// Plans a transactional mail; it is sent by the sender like any other.
    ///
    /// # Errors
    /// `Missing` for an unknown template or profile, `Conflict` for a key that was used with another body.
    pub async fn send_transactional(
        &self,
        workspace: WorkspaceId,
        request: SendRequest,
    ) -> Result<String, Error> {
        let registry = self.registry(workspace);
        if !registry.templates.contains_key(&request.template) {
            return Err(Error::Missing(format!("There is no template '{}'.", request.template)));
        }
        let (row, hot) = self.hot(workspace, request.profile).await?;
        let body = xxhash_rust::xxh3::xxh3_64(
            json!([request.template, request.profile, request.data]).to_string().as_bytes(),
        );
        let given = request.key.clone();
        let key = request.key.unwrap_or_else(model::clock::random_hex::<16>);
        let send_key = format!("{workspace}/transactional/{}/{key}/{}/email", request.template, row.id);
        let id = message_id(&send_key);
        let now = self.clock.now();
        let message = store::NewMessage {
            workspace,
            id: id.clone(),
            send_key,
            profile: row.id,
            kind: "transactional".to_owned(),
            topic: "transactional".to_owned(),
            source: None,
            template: request.template,
            recipient: hot.profile.email().unwrap_or_default(),
            due_at: now,
            created_at: now,
            data: request.data.to_string(),
            trace: json!([{"step": "trigger", "title": "Why this mail", "at": now, "sentence": "It was asked for through the API.", "data": {}}]).to_string(),
        };
        let Some(key) = given else {
            self.store.plan_message(&message).await?;
            self.wake.send.notify_one();
            return Ok(id);
        };
        let call = store::Remembered { key, body, status: 202, answer: id };
        let first = self.store.plan_once(workspace, &call, &[message], now).await?;
        self.wake.send.notify_one();
        Ok(first.answer)
    }

    /// Renders a template as a preview: links lead nowhere, nothing is counted.
    ///
    /// # Errors
    /// `Invalid` with line and column.
    pub async fn render(
        &self,
        workspace: WorkspaceId,
        request: RenderRequest,
    ) -> Result<template::Rendered, Error> {
        let registry = self.registry(workspace);
        let compiled = match &request.template {
            Some(id) => registry
                .templates
                .get(id)
                .cloned()
                .ok_or_else(|| Error::Missing(format!("There is no template '{id}'.")))?,
            None => Arc::new(crate::registry::compile_template(&request.body)?),
        };
        let hot = match request.profile {
            Some(id) => Some(self.hot(workspace, id).await?),
            None => None,
        };
        let order = Order {
            message_id: "",
            campaign: "",
            step: "",
            template: &compiled,
            hot: hot.as_ref().map(|(row, hot)| (row, hot)),
            recipient: "",
            data: &request.data,
            now: self.clock.now(),
            keep_ways: false,
        };
        self.render_for(&registry, workspace, &order, &mut Vec::new()).await
    }

    /// The bytes of a message as handed over.
    ///
    /// # Errors
    /// `Missing` when the workspace has no such message.
    pub async fn raw_message(&self, workspace: WorkspaceId, id: &str) -> Result<Option<Vec<u8>>, Error> {
        let message = self.store.message(id).await?.filter(|message| message.workspace == workspace);
        message.ok_or_else(|| Error::Missing("There is no such message.".to_owned()))?;
        Ok(self.store.raw_message(id).await?)
    }

    /// Mails in the built-in inbox, newest first: (message id, html).
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn delivered_html(
        &self,
        workspace: WorkspaceId,
        limit: usize,
    ) -> Result<Vec<(String, String)>, Error> {
        let rows = self
            .store
            .messages(workspace, i64::MAX, limit as i64, Some("accepted"), None, None, None)
            .await?;
        let html = |row: MessageRow| {
            let content: Value =
                serde_json::from_str(row.content.as_deref().unwrap_or_default()).unwrap_or_default();
            (row.id, content["html"].as_str().unwrap_or_default().to_owned())
        };
        Ok(rows.into_iter().map(html).collect())
    }

    /// Where mail goes, for people.
    ///
    /// # Errors
    /// None now; the settings may come from the store.
    pub async fn transport_name(&self, _workspace: WorkspaceId) -> Result<String, Error> {
        Ok(match &*self.transport.now() {
            mail::Transport::Inbox => "built-in inbox; nothing leaves this machine".to_owned(),
            mail::Transport::Smtp(_) => "SMTP".to_owned(),
        })
    }
}

/// A message ready for the gate.
struct Ready {
    return_path: String,
    /// `None` when an earlier attempt kept it.
    composed: Option<store::Composed>,
    raw: Vec<u8>,
    trace: Vec<Value>,
}

/// Why a message is not ready: the person's case, with code and sentence, or a fault of ours.
pub(crate) enum Unready {
    Skip(&'static str, String),
    Fault(Error),
}

fn with_policy(trace: &[Value], title: &str, sentence: &str, data: &Value, now: Timestamp) -> Vec<Value> {
    let mut trace = trace.to_vec();
    trace.push(json!({"step": "policy", "title": title, "at": now, "sentence": sentence, "data": data}));
    trace
}

/// What is said of a message that is not sent.
fn told(message: &MessageRow, code: &str, sentence: &str, trace: &[Value], now: Timestamp) -> Told {
    let trace = with_policy(trace, "Not sent", sentence, &json!({"reason": code}), now);
    let properties = json!({"reason": code, "detail": sentence});
    Told {
        trace: Value::Array(trace).to_string(),
        emitted: emitted_with(message, "Email Skipped", "", now, properties),
    }
}

fn emitted_with(
    message: &MessageRow,
    name: &str,
    suffix: &str,
    now: Timestamp,
    properties: Value,
) -> Vec<Emitted> {
    let mut properties = properties;
    properties["journey"] = json!(message.journey);
    properties["entry"] = json!(message.entry);
    properties["template"] = json!(message.template);
    properties["topic"] = json!(message.topic);
    let mut event = emit::message(message.workspace, message.profile, name, &message.id, now, properties);
    event.message_id.push_str(suffix);
    let payload = codec::encode_event(&event);
    payload.map(|payload| Emitted { message_id: event.message_id, payload }).into_iter().collect()
}
