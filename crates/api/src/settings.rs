//! The settings of a workspace, and how the server was started.

use axum::Json;
use axum::extract::State;
use flow::Platform;
use model::{Map, Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::Body;
use crate::shape::Time;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(settings))
        .routes(routes!(put_workspace))
        .routes(routes!(put_transport))
        .routes(routes!(test_transport))
        .routes(routes!(dkim))
}

/// The settings page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Settings {
    /// name, timezone, brand_color, postal_address, from_name, from_email, reply_to; and the id.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub workspace: Map,
    /// Where mail goes.
    pub transport: Transport,
    /// What the collector takes.
    pub limits: Limits,
    /// Directory for what is stored.
    pub data_dir: String,
    /// sqlite or postgres.
    pub store: String,
    /// When this server was started.
    pub since: Time,
    /// The server's clock.
    pub now: Time,
}

/// Where mail goes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Transport {
    /// inbox or smtp.
    pub kind: String,
    /// The server's name.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// starttls, implicit or none.
    pub tls: Option<String>,
    /// The user name.
    pub username: Option<String>,
    /// A password is kept; it is never shown.
    pub has_password: bool,
    /// The command line, the environment or the demo decides: what is stored does not apply.
    pub fixed: bool,
}

/// What the collector takes.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "a limit says that it is one")]
pub struct Limits {
    /// Bytes of one event.
    pub event_bytes_max: u64,
    /// Bytes of one batch after decompression.
    pub batch_bytes_max: u64,
    /// Events of one batch.
    pub batch_events_max: u64,
}

impl From<flow::TransportSettings> for Transport {
    fn from(found: flow::TransportSettings) -> Transport {
        let smtp = found.smtp;
        Transport {
            kind: if smtp.is_some() { "smtp" } else { "inbox" }.to_owned(),
            host: smtp.as_ref().map(|smtp| smtp.host.clone()),
            port: smtp.as_ref().map(|smtp| smtp.port),
            tls: smtp.as_ref().map(|smtp| smtp.tls.clone()),
            username: smtp.as_ref().and_then(|smtp| smtp.username.clone()),
            has_password: smtp.is_some_and(|smtp| smtp.has_password),
            fixed: found.fixed,
        }
    }
}

async fn assemble(platform: &Platform, workspace: WorkspaceId) -> Result<Settings, Problem> {
    let mut settings = platform.settings(workspace).await?;
    settings.insert("id".to_owned(), workspace.0.into());
    let options = &platform.options;
    Ok(Settings {
        workspace: settings,
        transport: platform.transport_settings().await?.into(),
        limits: Limits {
            event_bytes_max: options.limits.event_bytes_max as u64,
            batch_bytes_max: options.limits.batch_bytes_max as u64,
            batch_events_max: options.limits.batch_events_max as u64,
        },
        data_dir: options.data_dir.display().to_string(),
        store: if options.store_url.is_some() { "postgres" } else { "sqlite" }.to_owned(),
        since: platform.started_at().into(),
        now: platform.clock.now().into(),
    })
}

/// The settings of the workspace, and how the server was started.
#[utoipa::path(get, path = "/api/settings", tag = "settings", responses((status = 200, body = Settings)))]
async fn settings(State(app): State<App>, ws: Ws) -> Result<Json<Settings>, Problem> {
    Ok(Json(assemble(&app.platform, ws.0).await?))
}

/// Changes settings of the workspace; what is not named stays.
#[utoipa::path(put, path = "/api/settings/workspace", tag = "settings", request_body = std::collections::BTreeMap<String, Value>, responses((status = 200, body = Settings)))]
async fn put_workspace(
    State(app): State<App>,
    ws: Ws,
    Body(changes): Body<Map>,
) -> Result<Json<Settings>, Problem> {
    app.platform.set_workspace(ws.0, Value::Object(changes)).await?;
    Ok(Json(assemble(&app.platform, ws.0).await?))
}

/// Where mail is to go.
#[derive(Deserialize, ToSchema)]
pub struct TransportDraft {
    /// inbox or smtp.
    pub kind: TransportKind,
    /// The server's name.
    #[serde(default)]
    pub host: String,
    /// Its port; 587 otherwise.
    pub port: Option<u16>,
    /// starttls, implicit, or none for a server on this machine; starttls otherwise.
    pub tls: Option<String>,
    /// The user name.
    pub username: Option<String>,
    /// The password; the stored one stays when it is absent.
    pub password: Option<String>,
}

impl TransportDraft {
    fn smtp(self) -> Option<flow::SmtpDraft> {
        (self.kind == TransportKind::Smtp).then(|| flow::SmtpDraft {
            host: self.host,
            port: self.port.unwrap_or(587),
            tls: self.tls.unwrap_or_else(|| "starttls".to_owned()),
            username: self.username.filter(|name| !name.is_empty()),
            password: self.password.filter(|password| !password.is_empty()),
        })
    }
}

/// The kinds of transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// The built-in inbox: nothing leaves.
    Inbox,
    /// An SMTP server.
    Smtp,
}

/// Stores where mail goes and goes over to it at once. 409 while the command line or the environment decides.
#[utoipa::path(put, path = "/api/settings/transport", tag = "settings", request_body = TransportDraft, responses((status = 200, body = Settings)))]
async fn put_transport(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<TransportDraft>,
) -> Result<Json<Settings>, Problem> {
    app.platform.set_transport(draft.smtp()).await?;
    Ok(Json(assemble(&app.platform, ws.0).await?))
}

/// What is tried.
#[derive(Deserialize, ToSchema)]
pub struct TransportTrial {
    /// A server that is not stored yet; what is in force otherwise.
    pub transport: Option<TransportDraft>,
    /// An address: the server is asked whether it would take a mail to it.
    pub to: Option<String>,
}

/// What the trial showed.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransportResult {
    /// It works.
    pub works: bool,
    /// What was done, or what went wrong, in the server's words.
    pub detail: String,
    /// What to do, when it does not work.
    pub remedy: Option<String>,
}

/// Tries where mail goes: connects, says hello, begins TLS, signs in. Nothing is sent.
#[utoipa::path(post, path = "/api/settings/transport/test", tag = "settings", request_body = TransportTrial, responses((status = 200, body = TransportResult)))]
async fn test_transport(
    State(app): State<App>,
    ws: Ws,
    Body(trial): Body<TransportTrial>,
) -> Result<Json<TransportResult>, Problem> {
    let draft = trial.transport.and_then(TransportDraft::smtp);
    let found = app.platform.probe_transport(ws.0, draft, trial.to.filter(|to| !to.is_empty())).await?;
    Ok(Json(TransportResult { works: found.works, detail: found.detail, remedy: found.remedy }))
}

/// The DNS record that lets receivers check the signature of one key.
#[derive(Debug, Serialize, ToSchema)]
pub struct DkimRecord {
    /// The selector.
    pub selector: String,
    /// rsa or ed25519.
    pub algorithm: String,
    /// The record's name.
    pub record_name: String,
    /// The record's value.
    pub record_value: String,
}

/// The DKIM records of the sender's domain.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dkim {
    /// The sender's domain.
    pub domain: String,
    /// One for each key that signs.
    pub records: Vec<DkimRecord>,
}

/// The DKIM records to publish for the sender's domain.
#[utoipa::path(get, path = "/api/dkim", tag = "settings", responses((status = 200, body = Dkim)))]
async fn dkim(State(app): State<App>, ws: Ws) -> Result<Json<Dkim>, Problem> {
    let settings = app.platform.settings(ws.0).await?;
    let from = settings.get("from_email").and_then(Value::as_str).unwrap_or_default();
    let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let records = app.platform.signer(domain).await?.dns_records();
    let records = records
        .into_iter()
        .map(|record| DkimRecord {
            selector: record.selector,
            algorithm: record.algorithm.to_owned(),
            record_name: record.name,
            record_value: record.value,
        })
        .collect();
    Ok(Json(Dkim { domain: domain.to_owned(), records }))
}
