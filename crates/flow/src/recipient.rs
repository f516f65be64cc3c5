//! What recipients do: open, click, unsubscribe, choose topics, look in the browser. Tokens say who; nothing else does.

use std::net::IpAddr;

use model::{ProfileId, Value, WorkspaceId};
use serde_json::json;
use store::{Emitted, MessageRow, OptOut};

use crate::actor::{self, Hit};
use crate::platform::Platform;
use crate::{Error, codec, emit};

/// What is known of whoever followed a link.
#[derive(Clone, Debug, Default)]
pub struct Hint {
    /// The HTTP method.
    pub method: String,
    /// The user agent.
    pub user_agent: String,
    /// The address.
    pub ip: Option<IpAddr>,
}

impl Hint {
    /// The class of actor and the reason for it.
    pub fn actor(&self) -> (&'static str, &'static str) {
        let agent = self.user_agent.to_lowercase();
        if self.method == "HEAD" {
            return ("scanner", "HEAD instead of GET");
        }
        if agent.contains("googleimageproxy") || agent.contains("yahoomailproxy") {
            return ("prefetch", "an image proxy");
        }
        if agent == "mozilla/5.0" {
            return ("prefetch", "the bare agent of Apple's mail privacy proxy");
        }
        let scanners =
            ["bot", "crawler", "spider", "curl/", "python-", "wget", "barracuda", "proofpoint", "mimecast"];
        if agent.is_empty() || scanners.iter().any(|name| agent.contains(name)) {
            return ("scanner", "the agent of a program");
        }
        ("person", "an ordinary agent")
    }
}

/// Who a token speaks of, for pages.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The profile.
    pub profile: ProfileId,
    /// The message the link stood in.
    pub message_id: String,
    /// The address.
    pub email: String,
    /// The message's topic.
    pub topic: String,
    /// The workspace's name, for the page.
    pub brand: String,
    /// The workspace's colour, for the page.
    pub color: String,
    /// What the person said on topics so far.
    pub topics: Vec<(String, bool)>,
}

fn gone() -> Error {
    Error::Missing("This link is not valid. Use the link in the mail as it is.".to_owned())
}

impl Platform {
    async fn message_of(&self, kind: mail::TokenKind, token: &str) -> Result<(MessageRow, u32), Error> {
        let opened = self.tokens.open(kind, token).map_err(|_| gone())?;
        let message =
            self.store.message(&opened.message_id).await?.filter(|m| m.workspace == opened.workspace);
        Ok((message.ok_or_else(gone)?, opened.link))
    }

    async fn note(
        &self,
        message: &MessageRow,
        name: &str,
        (actor, why): (&'static str, &'static str),
        mut properties: Value,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        properties["actor"] = json!(actor);
        properties["actor_reason"] = json!(why);
        properties["journey"] = json!(message.journey);
        properties["template"] = json!(message.template);
        let detail = properties.get("link_url").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut event = emit::message(message.workspace, message.profile, name, &message.id, now, properties);
        // Each hit is an event of its own.
        event.message_id = format!("hit-{}-{}", message.id, model::clock::random_hex::<8>());
        let emitted = Emitted { message_id: event.message_id.clone(), payload: codec::encode_event(&event)? };
        self.store.message_event(&message.id, name, now, &detail, actor, &[emitted]).await?;
        self.wake.relay.notify_one();
        Ok(())
    }

    /// Notes an open; a bad token or a store at rest is nobody's business but ours.
    pub async fn opened(&self, token: &str, hint: Hint) {
        let noted = async {
            let (message, _) = self.message_of(mail::TokenKind::Open, token).await?;
            self.note(&message, "Email Opened", hint.actor(), json!({})).await
        };
        if let Err(error) = noted.await {
            tracing::debug!(%error, "an open was not noted");
        }
    }

    /// Notes a click and gives the destination, which is the message's own.
    ///
    /// # Errors
    /// `Missing` for a token that is not ours.
    pub async fn clicked(&self, token: &str, hint: Hint) -> Result<String, Error> {
        let (message, link) = self.message_of(mail::TokenKind::Click, token).await?;
        let content: Value =
            serde_json::from_str(message.content.as_deref().unwrap_or_default()).unwrap_or_default();
        let found = &content["links"][link.to_string()];
        let url = found["url"].as_str().ok_or_else(gone)?.to_owned();
        let properties = json!({"link_id": link, "link_url": url, "block": found["block"]});
        let noted = async {
            let links = content["links"].as_object().map_or(0, model::Map::len);
            let earlier = self.store.message_events(&message.id).await?;
            let hit = |(name, at, link, _)| Hit { name, at, link };
            let earlier: Vec<Hit> = earlier.into_iter().map(hit).collect();
            let actor = actor::of_click(&hint, &url, links, &earlier, message.sent_at, self.clock.now());
            self.note(&message, "Email Link Clicked", actor, properties).await
        };
        if let Err(error) = noted.await {
            tracing::warn!(%error, "a click was not noted; the person is sent on all the same");
        }
        Ok(url)
    }

    /// Who a token speaks of.
    ///
    /// # Errors
    /// `Missing` for a token that is not ours.
    pub async fn recipient(&self, kind: mail::TokenKind, token: &str) -> Result<Recipient, Error> {
        let (message, _) = self.message_of(kind, token).await?;
        let settings = self.settings(message.workspace).await?;
        let text = |name: &str| settings.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let topics = self.store.consents(message.workspace, message.profile).await?;
        Ok(Recipient {
            workspace: message.workspace,
            profile: message.profile,
            message_id: message.id,
            email: message.recipient,
            topic: message.topic,
            brand: text("name"),
            color: text("brand_color"),
            topics: topics.into_iter().map(|row| (row.topic, row.subscribed)).collect(),
        })
    }

    /// Opts a person out of marketing. Durable, and seen by the gate, when it returns.
    ///
    /// # Errors
    /// `Missing` for a token that is not ours; `Unavailable` when nothing was written.
    pub async fn unsubscribe(&self, token: &str, method: &str) -> Result<(), Error> {
        let (message, _) = self.message_of(mail::TokenKind::Unsubscribe, token).await?;
        let mut topics = vec![("marketing".to_owned(), false)];
        if message.topic != "marketing" && message.topic != "transactional" {
            topics.push((message.topic.clone(), false));
        }
        self.word(message.workspace, message.profile, &topics, method, Some(&message.id)).await
    }

    /// Sets topics from the preference page.
    ///
    /// # Errors
    /// As [`Platform::unsubscribe`].
    pub async fn set_topics(&self, token: &str, topics: &[(String, bool)]) -> Result<(), Error> {
        let (message, _) = self.message_of(mail::TokenKind::Preferences, token).await?;
        self.word(message.workspace, message.profile, topics, "preference_page", Some(&message.id)).await
    }

    /// Sets a topic on somebody's behalf.
    ///
    /// # Errors
    /// `Unavailable` when nothing was written.
    pub async fn set_consent(
        &self,
        workspace: WorkspaceId,
        profile: ProfileId,
        topic: &str,
        subscribed: bool,
        source: &str,
    ) -> Result<(), Error> {
        self.word(workspace, profile, &[(topic.to_owned(), subscribed)], source, None).await
    }

    async fn word(
        &self,
        workspace: WorkspaceId,
        profile: ProfileId,
        topics: &[(String, bool)],
        source: &str,
        message: Option<&str>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let mut emitted = Vec::new();
        for (topic, subscribed) in topics {
            let name = if *subscribed { "Subscribed" } else { "Unsubscribed" };
            let id = format!("word-{}", model::clock::random_hex::<12>());
            let properties = json!({"topic": topic, "source": source, "message_id": message});
            let event = emit::event(workspace, profile, name, id, now, properties);
            emitted.push(Emitted {
                message_id: event.message_id.clone(),
                payload: codec::encode_event(&event)?,
            });
        }
        let word = OptOut {
            workspace,
            profile,
            topics: topics.to_vec(),
            source: source.to_owned(),
            at: now,
            emitted,
        };
        self.store.opt_out(&word).await?;
        if let Some(message) = message {
            let detail = topics.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>().join(", ");
            self.store.message_event(message, "Unsubscribed", now, &detail, "person", &[]).await?;
        }
        self.wake.relay.notify_one();
        Ok(())
    }

    /// The mail as it was sent.
    ///
    /// # Errors
    /// `Missing` for a token that is not ours.
    pub async fn view_in_browser(&self, token: &str) -> Result<String, Error> {
        let (message, _) = self.message_of(mail::TokenKind::View, token).await?;
        let content: Value =
            serde_json::from_str(message.content.as_deref().unwrap_or_default()).unwrap_or_default();
        content["html"].as_str().map(str::to_owned).ok_or_else(gone)
    }
}
