//! Sending: due messages are composed, judged at the gate, handed over, and their answer recorded.
//!
//! Nothing else hands a mail to the transport, and this only after the gate has written an intent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use model::time::{HOUR, MINUTE};
use model::{ProfileId, Timestamp, Value, WorkspaceId};
use serde_json::json;
use store::{Emitted, Gate, GateFacts, GateVerdict, MessageRow};
use tokio_util::sync::CancellationToken;

use crate::compose::Order;
use crate::platform::Platform;
use crate::step::message_id;
use crate::{Error, codec, emit};

/// Messages taken at once.
const TAKE_MAX: i64 = 200;
/// A marketing mail that could not be sent for so long is not news any more.
const EXPIRES_AFTER: i64 = 72 * HOUR;

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

pub(crate) async fn run(platform: Arc<Platform>, stop: CancellationToken) {
    let now = platform.clock.now();
    let told = |message: &MessageRow| {
        emitted_with(message, "Email In Doubt", "", now, json!({"reason": "interrupted"}))
    };
    match platform.store.recover_intents(&told).await {
        Ok(ids) if !ids.is_empty() => tracing::warn!(messages = ids.len(), "interrupted sends are in doubt"),
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "interrupted sends could not be looked for"),
    }
    while !stop.is_cancelled() {
        match platform.send_due(&stop).await {
            Ok(0) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = platform.wake.send.notified() => {}
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "messages could not be sent");
                platform.faults.note("Mail", platform.clock.now(), &error);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
}

fn judge(facts: &GateFacts) -> GateVerdict {
    let verdict = policy::judge(&policy::Facts {
        marketing: facts.kind == "marketing",
        topic_subscribed: facts.topic_subscribed,
        marketing_subscribed: facts.marketing_subscribed,
        suppressed: facts.suppressed.is_some(),
        profile_exists: facts.profile_exists,
        source_live: facts.source_status.as_deref().is_none_or(|status| status == "live"),
        attempt: facts.attempt,
    });
    match verdict {
        policy::Verdict::Allow => GateVerdict::Allow,
        policy::Verdict::Skip(reason) => GateVerdict::Skip(reason.code().to_owned()),
    }
}

impl Platform {
    async fn send_due(&self, stop: &CancellationToken) -> Result<usize, Error> {
        let due = self.store.due_messages(self.clock.now(), TAKE_MAX).await?;
        let many = due.len();
        let connections = self.transport.now().connections_max().max(1);
        futures::stream::iter(due)
            .for_each_concurrent(connections, |message| async move {
                if stop.is_cancelled() {
                    return;
                }
                let id = message.id.clone();
                if let Err(error) = self.send_one(message).await {
                    tracing::error!(%error, message = %id, "a message could not be sent");
                }
            })
            .await;
        Ok(many)
    }

    async fn send_one(&self, message: MessageRow) -> Result<(), Error> {
        let trace: Vec<Value> = serde_json::from_str(&message.trace).unwrap_or_default();
        let now = self.clock.now();
        if message.kind == "marketing" && now - message.created_at > EXPIRES_AFTER {
            return self.skip(&message, "expired", "It could not be sent within three days.", trace).await;
        }
        if mail::normalise_address(&message.recipient).is_err() {
            return self.skip(&message, "no_address", "The profile has no address to write to.", trace).await;
        }
        let registry = self.registry(message.workspace);
        let Some(template) = registry.templates.get(&message.template) else {
            return self
                .skip(&message, "template_missing", "The template is not in force any more.", trace)
                .await;
        };
        let hot = match self.hot(message.workspace, message.profile).await {
            Ok(hot) => hot,
            Err(Error::Missing(_)) => {
                return self.skip(&message, "profile_gone", "The profile is gone.", trace).await;
            }
            Err(error) => return Err(error),
        };
        let data: Value = serde_json::from_str(&message.data).unwrap_or_default();
        let order = Order {
            message_id: &message.id,
            template,
            hot: Some((&hot.0, &hot.1)),
            recipient: &message.recipient,
            data: &data,
            now,
        };
        let composed = match self.compose(&registry, message.workspace, &order, trace.clone()).await {
            Ok(composed) => composed,
            Err(error @ Error::Invalid { .. }) => {
                return self.skip(&message, "render_failed", &error.to_string(), trace).await;
            }
            Err(error) => return Err(error),
        };
        let mut trace = composed.trace;
        let gate = Gate {
            id: message.id.clone(),
            address_key: self.address_key(message.workspace, &message.recipient),
            subject: composed.subject,
            content: composed.content.to_string(),
            trace: json!(with_policy(&trace, "Nothing forbids it: no opt-out, no suppression.", now))
                .to_string(),
            raw: composed.raw.clone(),
        };
        let skipped =
            |reason: &str| emitted_with(&message, "Email Skipped", "", now, json!({"reason": reason}));
        match self.store.gate(&gate, &judge, &skipped).await {
            Ok(GateVerdict::Allow) => {}
            Ok(_) => {
                self.wake.relay.notify_one();
                return Ok(());
            }
            Err(store::Error::Missing(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        trace = with_policy(&trace, "Nothing forbids it: no opt-out, no suppression.", now);
        let envelope = mail::Envelope { from: composed.from, to: message.recipient.clone() };
        let delivery = self.transport.now().send(&envelope, &composed.raw).await;
        self.record(&message, delivery, trace).await
    }

    async fn record(
        &self,
        message: &MessageRow,
        delivery: mail::Delivery,
        mut trace: Vec<Value>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let (state, answer, name) = match &delivery {
            mail::Delivery::Accepted { answer } => ("accepted", answer.clone(), Some("Email Sent")),
            mail::Delivery::Deferred { answer, .. } => ("deferred", answer.clone(), Some("Email Deferred")),
            mail::Delivery::Rejected { answer, .. } => ("rejected", answer.clone(), Some("Email Bounced")),
            mail::Delivery::InDoubt { answer } => ("in_doubt", answer.clone(), Some("Email In Doubt")),
        };
        trace.push(json!({
            "step": "delivery", "title": "Handed over", "at": now, "sentence": format!("{state}: {answer}"), "data": {"state": state},
        }));
        // 1, 5, 25 … minutes between attempts.
        let later = MINUTE * 5_i64.pow(message.attempt.clamp(0, 4) as u32);
        let due_at = (state == "deferred").then_some(now + later);
        let mut emitted = Vec::new();
        if let Some(name) = name {
            // A message can be deferred more than once.
            let attempt = if state == "deferred" { format!("-{}", message.attempt) } else { String::new() };
            let mut properties = json!({"answer": answer, "attempt": message.attempt + 1});
            if state == "rejected" {
                properties["class"] = json!(if delivery.is_hard() { "hard" } else { "soft" });
            }
            emitted = emitted_with(message, name, &attempt, now, properties);
        }
        let trace = Value::Array(trace).to_string();
        let reason = (state != "accepted").then_some(answer.as_str());
        self.store.record_result(&message.id, state, reason, now, due_at, &trace, &emitted).await?;
        if delivery.is_hard() {
            self.suppress(message.workspace, &message.recipient, "hard_bounce").await?;
        }
        if state == "accepted" {
            self.live.messages_accepted.fetch_add(1, Ordering::Relaxed);
        }
        self.wake.relay.notify_one();
        Ok(())
    }

    async fn skip(
        &self,
        message: &MessageRow,
        code: &str,
        sentence: &str,
        mut trace: Vec<Value>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        trace.push(json!({"step": "policy", "title": "Not sent", "at": now, "sentence": sentence, "data": {"reason": code}}));
        let emitted =
            emitted_with(message, "Email Skipped", "", now, json!({"reason": code, "detail": sentence}));
        self.store.skip_message(&message.id, code, &Value::Array(trace).to_string(), &emitted).await?;
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
            template: &compiled,
            hot: hot.as_ref().map(|(row, hot)| (row, hot)),
            recipient: "",
            data: &request.data,
            now: self.clock.now(),
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

fn with_policy(trace: &[Value], sentence: &str, now: Timestamp) -> Vec<Value> {
    let mut trace = trace.to_vec();
    trace.push(
        json!({"step": "policy", "title": "May it be sent", "at": now, "sentence": sentence, "data": {}}),
    );
    trace
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
