//! Composes a mail: gathers what the template may use, renders it with sealed links, and keeps the decision trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Map, Timestamp, Value};
use serde_json::json;

use crate::Error;
use crate::data::{Answers, Fetched, MailData};
use crate::hot::Hot;
use crate::platform::Platform;
use crate::registry::{Registry, template_error};

/// Renders of one mail: what one asks for may lead to another ask.
const ROUNDS_MAX: u32 = 3;

/// Makes a signing key.
type MakeKey = fn() -> Result<String, mail::Error>;

/// A composed mail.
pub struct Composed {
    /// Its subject.
    pub subject: String,
    /// What is kept for the console and the browser view: html, text, links.
    pub content: Value,
    /// The trace with what composing added.
    pub trace: Vec<Value>,
    /// The bytes to hand over.
    pub raw: Vec<u8>,
    /// The sender's address.
    pub from: String,
}

/// What a mail is composed from.
pub struct Order<'a> {
    /// The message's id; empty for previews, which seal no links.
    pub message_id: &'a str,
    /// What clicks are counted under elsewhere (`utm_campaign`): the journey, or the template.
    pub campaign: &'a str,
    /// The step of a journey, or what else tells two mails of a campaign apart; empty where there is none.
    pub step: &'a str,
    /// The template.
    pub template: &'a template::Template,
    /// Who it is for, when known.
    pub hot: Option<(&'a store::ProfileRow, &'a Hot)>,
    /// The address.
    pub recipient: &'a str,
    /// Data of the trigger.
    pub data: &'a Value,
    /// As of when.
    pub now: Timestamp,
    /// Keep the ways through the template that were taken.
    pub keep_ways: bool,
}

impl Platform {
    /// What every mail has: the message's id, links, and the code its step of a journey asks for.
    async fn own_data(
        &self,
        workspace: model::WorkspaceId,
        order: &Order<'_>,
        trace: &mut Vec<Value>,
    ) -> Result<Map, Error> {
        let mut own = Map::new();
        if let Some(name) = order.data.get("coupon").and_then(Value::as_str) {
            let code = self.node_coupon(workspace, order, name, trace).await?;
            own.insert("coupon".to_owned(), json!({"code": code}));
        }
        let link = |kind, path: &str| {
            if order.message_id.is_empty() {
                return format!("{}/{path}/preview", self.options.base_url);
            }
            format!(
                "{}/{path}/{}",
                self.options.base_url,
                self.tokens.seal(kind, workspace, order.message_id, 0)
            )
        };
        own.insert("message".to_owned(), json!({"id": order.message_id}));
        own.insert(
            "links".to_owned(),
            json!({
                "unsubscribe": link(mail::TokenKind::Unsubscribe, "u"),
                "preferences": link(mail::TokenKind::Preferences, "p"),
                "view_in_browser": link(mail::TokenKind::View, "v"),
            }),
        );
        Ok(own)
    }

    /// Renders a template for a person.
    pub(crate) async fn render_for(
        &self,
        registry: &Registry,
        workspace: model::WorkspaceId,
        order: &Order<'_>,
        trace: &mut Vec<Value>,
    ) -> Result<template::Rendered, Error> {
        let own = self.own_data(workspace, order, trace).await?;
        let stock = self.stock(workspace).await?;
        let cleaned;
        let mut order = order;
        let without;
        if crate::contract::has_blanks(order.data) {
            without = crate::contract::without_blanks(order.data.clone()).unwrap_or_default();
            cleaned = Order { data: &without, ..*order };
            order = &cleaned;
        }
        let options =
            template::Options { now: order.now, keep_ways: order.keep_ways, ..template::Options::default() };
        let mut dressing = template::Dressing::default();
        if !order.message_id.is_empty() {
            dressing.utm = vec![
                ("utm_source".into(), "rapport".into()),
                ("utm_medium".into(), "email".into()),
                ("utm_campaign".into(), order.campaign.into()),
            ];
            let token = self.tokens.seal(mail::TokenKind::Open, workspace, order.message_id, 0);
            dressing.pixel_url = Some(format!("{}/t/o/{token}", self.options.base_url));
        }
        let mut rewrite = |link: &template::Link| {
            if order.message_id.is_empty() {
                return link.url.clone();
            }
            let token = self.tokens.seal(mail::TokenKind::Click, workspace, order.message_id, link.number);
            format!("{}/t/c/{token}", self.options.base_url)
        };
        // What a branch that is taken asks for is fetched, and the mail rendered again with it.
        let mut answers = Answers::new();
        for round in 1.. {
            let render = |rewrite: template::Rewrite<'_>| {
                let data = MailData::new(registry, order, stock.clone(), &answers, own.clone());
                let rendered = order.template.render(&data, &options, &dressing, rewrite);
                (rendered, data.trace())
            };
            let (rendered, ranked) = render(&mut rewrite);
            let mut rendered = rendered.map_err(|error| template_error(&error))?;
            if rendered.trace.pending.is_empty() || round == ROUNDS_MAX {
                trace.extend(ranked);
                rendered.warnings.extend(mail::size_warning(rendered.html.len()));
                return Ok(rendered);
            }
            for ask in std::mem::take(&mut rendered.trace.pending) {
                let known = answers.contains_key(&ask);
                let answer = if known { continue } else { self.fetch(workspace, order, &ask, trace).await? };
                answers.insert(ask, answer);
            }
        }
        Err(Error::Bug("a render without an end".to_owned()))
    }

    /// Answers what could not be answered from memory.
    async fn fetch(
        &self,
        workspace: model::WorkspaceId,
        order: &Order<'_>,
        ask: &template::Ask,
        trace: &mut Vec<Value>,
    ) -> Result<Fetched, Error> {
        match ask {
            template::Ask::Coupon { pool } => self.pool_coupon(workspace, order, pool, trace).await,
            other => Ok(Fetched::Nothing(format!("There is no source for {other} here."))),
        }
    }
    /// Composes a message to bytes.
    pub(crate) async fn compose(
        &self,
        registry: &Registry,
        workspace: model::WorkspaceId,
        order: &Order<'_>,
        trace: Vec<Value>,
    ) -> Result<Composed, Error> {
        let mut trace = trace;
        let rendered = self.render_for(registry, workspace, order, &mut trace).await?;
        trace.push(crate::contract::told(&rendered.trace, order.now));
        if !rendered.warnings.is_empty() {
            trace.push(json!({
                "step": "warnings", "title": "Changed or doubtful", "at": order.now,
                "sentence": format!("{}.", rendered.warnings.join("; ")), "data": {"warnings": rendered.warnings},
            }));
        }
        let may_be_large = registry.settings.get("large_mails").and_then(Value::as_bool).unwrap_or(false);
        if rendered.html.len() > mail::HTML_BYTES_MAX && !may_be_large {
            return Err(Error::invalid("mail_too_large", "/body", mail::size_refusal(rendered.html.len())));
        }
        let setting =
            |name: &str| registry.settings.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let from_text = match &self.options.from {
            Some(from) => from.clone(),
            None => format!("{} <{}>", setting("from_name"), setting("from_email")),
        };
        let from = mail::Mailbox::parse(&from_text)
            .map_err(|error| Error::invalid("invalid_sender", "/from", error.to_string()))?;
        let from_address = from.address.clone();
        let reply_to = setting("reply_to");
        let domain = from_address.rsplit_once('@').map_or("localhost", |(_, domain)| domain).to_owned();
        let unsubscribe = format!(
            "{}/u/{}",
            self.options.base_url,
            self.tokens.seal(mail::TokenKind::Unsubscribe, workspace, order.message_id, 0)
        );
        let draft = mail::Draft {
            from,
            reply_to: if reply_to.is_empty() { None } else { mail::Mailbox::parse(&reply_to).ok() },
            to: order.recipient.to_owned(),
            subject: rendered.subject.clone(),
            html: rendered.html.clone(),
            text: rendered.text.clone(),
            message_id: format!("{}@{domain}", order.message_id),
            date: order.now,
            unsubscribe_url: Some(unsubscribe),
            list_id: Some(format!("workspace-{workspace}.{domain}")),
            feedback_id: Some(format!("{}:{workspace}:rapport", order.message_id)),
        };
        let raw =
            mail::compose(&draft).map_err(|error| Error::invalid("invalid_mail", "", error.to_string()))?;
        let raw = self.sign(&domain, &raw).await?;
        let links: BTreeMap<String, Value> = rendered
            .links
            .iter()
            .map(|link| {
                (link.number.to_string(), json!({"url": link.url, "block": link.block, "id": link.id}))
            })
            .collect();
        let content = json!({
            "html": rendered.html, "text": rendered.text, "preheader": rendered.preheader, "links": links,
            "from": from_text, "size_bytes": raw.len(),
        });
        Ok(Composed { subject: rendered.subject, content, trace, raw, from: from_address })
    }

    async fn sign(&self, domain: &str, raw: &[u8]) -> Result<Vec<u8>, Error> {
        let signer = self.signer(domain).await?;
        signer.sign(raw).map_err(|error| Error::Bug(format!("a mail could not be signed: {error}")))
    }

    /// The keys that sign for a domain, read once. They are the files `dkim/DOMAIN/SELECTOR.pem` of the data directory;
    /// without any, an RSA and an Ed25519 key are made at first use and kept in the store.
    ///
    /// # Errors
    /// `Invalid` names the file that holds no usable key; otherwise when the store does not answer.
    pub async fn signer(&self, domain: &str) -> Result<Arc<mail::Signer>, Error> {
        let mut signers = self.signers.lock().await;
        if let Some(signer) = signers.get(domain) {
            return Ok(signer.clone());
        }
        let mut keys = dkim_files(&self.options.data_dir.join("dkim"), domain)?;
        if keys.is_empty() {
            keys = self.kept_keys(domain).await?;
        }
        let signer = mail::Signer::new(domain, &keys)
            .map_err(|error| Error::invalid("invalid_dkim_key", "/dkim", error.to_string()))?;
        let signer = Arc::new(signer);
        signers.insert(domain.to_owned(), signer.clone());
        Ok(signer)
    }

    async fn kept_keys(&self, domain: &str) -> Result<Vec<(String, String)>, Error> {
        let mut keys = Vec::new();
        for (selector, name, make) in [
            ("rapport-rsa", format!("dkim.rsa.{domain}"), mail::Signer::generate_rsa as MakeKey),
            ("rapport", format!("dkim.ed25519.{domain}"), mail::Signer::generate_ed25519 as MakeKey),
        ] {
            let text = match self.store.meta(&name).await? {
                Some(text) => text,
                None => {
                    let made = tokio::task::spawn_blocking(make)
                        .await
                        .map_err(|error| Error::Bug(error.to_string()))?
                        .map_err(|error| Error::Bug(error.to_string()))?;
                    self.store.meta_once(&name, &made).await?
                }
            };
            keys.push((selector.to_owned(), text));
        }
        Ok(keys)
    }
}

/// The keys in files: (selector, PEM), in the order of their names.
fn dkim_files(dir: &std::path::Path, domain: &str) -> Result<Vec<(String, String)>, Error> {
    // The domain comes from a setting; it names a folder of ours and no other.
    if domain.contains(['/', '\\']) || domain.starts_with('.') {
        return Ok(Vec::new());
    }
    let dir = dir.join(domain);
    let unreadable = |path: &std::path::Path, error: std::io::Error| {
        Error::Unavailable(format!("the DKIM keys in {} cannot be read: {error}", path.display()))
    };
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(&dir, error)),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(&dir, error))?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            let selector = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            keys.push((selector, text));
        }
    }
    keys.sort();
    Ok(keys)
}
