//! Composes a mail: gathers what the template may use, renders it with sealed links, and keeps the decision trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Map, Timestamp, Value};
use serde_json::json;

use crate::Error;
use crate::hot::Hot;
use crate::platform::Platform;
use crate::registry::{Registry, template_error};

/// Recommendations a template is given.
const RECOMMENDED_MAX: usize = 6;

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
    /// The data a template sees. Shape: `spec` of the template data in `docs/templates.md`.
    pub(crate) async fn template_data(
        &self,
        registry: &Registry,
        workspace: model::WorkspaceId,
        order: &Order<'_>,
        trace: &mut Vec<Value>,
    ) -> Result<Map, Error> {
        let mut customer = Map::new();
        let mut recommendations = Map::new();
        if let Some((row, hot)) = order.hot {
            customer = hot.profile.values();
            crate::contract::drop_blanks(&mut customer);
            customer.insert("id".to_owned(), json!(row.id.0));
            customer.entry("email").or_insert_with(|| json!(order.recipient));
            let names: Vec<&str> =
                registry.engine.memberships(&hot.segments).map(|(d, _)| d.name.as_str()).collect();
            customer.insert("segments".to_owned(), json!(names));
            crate::traits::put(&mut customer, registry, hot, order.now);
            let offer = self.offer(workspace, &hot.history, RECOMMENDED_MAX).await?;
            trace.extend(offer.trace);
            recommendations.insert(row.id.0.to_string(), json!(offer.items));
        }
        let mut data = order.data.as_object().cloned().unwrap_or_default();
        if order.hot.is_none() {
            // A sample may say who it is for.
            if let Some(Value::Object(given)) = data.remove("customer") {
                customer = given;
            }
            if let Some(Value::Object(given)) = data.get("site").map(|site| site["recommendations"].clone()) {
                recommendations = given;
            }
        }
        crate::contract::drop_blanks(&mut data);
        if let Some(prefix) = data.get("coupon").and_then(Value::as_str).map(str::to_owned) {
            let code = format!("{prefix}-{}", self.code(order.message_id));
            trace.push(json!({
                "step": "coupon", "title": "Discount code", "at": order.now,
                "sentence": format!("The code {code} was made for this message alone."), "data": {"code": code},
            }));
            data.insert("coupon".to_owned(), json!({"code": code}));
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
        data.insert("customer".to_owned(), Value::Object(customer));
        data.insert("workspace".to_owned(), Value::Object(registry.settings.clone()));
        data.insert("site".to_owned(), json!({"recommendations": recommendations}));
        data.insert("message".to_owned(), json!({"id": order.message_id}));
        data.insert(
            "links".to_owned(),
            json!({
                "unsubscribe": link(mail::TokenKind::Unsubscribe, "u"),
                "preferences": link(mail::TokenKind::Preferences, "p"),
                "view_in_browser": link(mail::TokenKind::View, "v"),
            }),
        );
        Ok(data)
    }

    /// A discount code that follows from the message, or a rule's firing: a retry shows the same one.
    pub(crate) fn code(&self, message_id: &str) -> String {
        let hash = xxhash_rust::xxh3::xxh3_64(format!("{}{message_id}", self.secret).as_bytes());
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        (0..8).map(|at| char::from(LETTERS[(hash >> (at * 5)) as usize & 31])).collect()
    }

    /// Renders a template for a person.
    pub(crate) async fn render_for(
        &self,
        registry: &Registry,
        workspace: model::WorkspaceId,
        order: &Order<'_>,
        trace: &mut Vec<Value>,
    ) -> Result<template::Rendered, Error> {
        let data = self.template_data(registry, workspace, order, trace).await?;
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
        let mut rendered = order
            .template
            .render(&data, &options, &dressing, &mut rewrite)
            .map_err(|error| template_error(&error))?;
        rendered.warnings.extend(mail::size_warning(rendered.html.len()));
        Ok(rendered)
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
