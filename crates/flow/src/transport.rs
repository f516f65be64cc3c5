//! Where mail goes: decided by the command line or the environment, or stored as settings and swapped at run time.
//!
//! A stored password stands in the store in clear text, as a relay wants it; it is never answered and never logged.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::platform::{Options, Platform};

/// Somebody waits for the outcome of a trial.
const TRIAL_MAX: Duration = Duration::from_secs(20);
const STORED: &str = "transport";

/// The transport in force.
pub(crate) struct Switch(RwLock<Arc<mail::Transport>>);

impl Switch {
    pub(crate) fn new(transport: mail::Transport) -> Switch {
        Switch(RwLock::new(Arc::new(transport)))
    }

    /// What a message is handed to; one that is on its way keeps what it was given.
    pub(crate) fn now(&self) -> Arc<mail::Transport> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, transport: mail::Transport) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(transport);
    }
}

/// An SMTP server as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpSettings {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// starttls, implicit or none.
    pub tls: String,
    /// The user name.
    pub username: Option<String>,
    /// A password is kept.
    pub has_password: bool,
}

/// Where mail goes, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSettings {
    /// The SMTP server; the built-in inbox otherwise.
    pub smtp: Option<SmtpSettings>,
    /// The command line, the environment or the demo decides.
    pub fixed: bool,
}

/// An SMTP server to be used from now on.
#[derive(Clone, Deserialize, Serialize)]
pub struct SmtpDraft {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// starttls, implicit or none.
    pub tls: String,
    /// The user name.
    pub username: Option<String>,
    /// The password; the stored one stays when it is absent.
    pub password: Option<String>,
}

impl SmtpDraft {
    fn shown(&self) -> SmtpSettings {
        SmtpSettings {
            host: self.host.clone(),
            port: self.port,
            tls: self.tls.clone(),
            username: self.username.clone(),
            has_password: self.password.is_some(),
        }
    }

    fn url(&self) -> Result<String, Error> {
        let named = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
        if self.host.is_empty() || !self.host.chars().all(named) {
            return Err(Error::invalid(
                "invalid_transport",
                "/host",
                "Give the host's name or address alone.",
            ));
        }
        if !["starttls", "implicit", "none"].contains(&self.tls.as_str()) {
            return Err(Error::invalid(
                "invalid_transport",
                "/tls",
                "The encryption is starttls, implicit or none.",
            ));
        }
        let quote = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let login = match (&self.username, &self.password) {
            (Some(user), Some(password)) => format!("{}:{}@", quote(user), quote(password)),
            (Some(user), None) => format!("{}@", quote(user)),
            (None, _) => String::new(),
        };
        Ok(format!("smtp://{login}{}:{}?tls={}", self.host, self.port, self.tls))
    }

    fn open(&self) -> Result<mail::Transport, Error> {
        open(&self.url()?)
    }
}

fn open(url: &str) -> Result<mail::Transport, Error> {
    let smtp = mail::Smtp::from_url(url)
        .map_err(|error| Error::invalid("invalid_smtp_url", "/smtp_url", error.to_string()))?;
    Ok(mail::Transport::Smtp(Box::new(smtp)))
}

fn fixed(options: &Options) -> bool {
    options.demo || options.smtp_url.is_some()
}

async fn stored(store: &store::Store) -> Result<Option<SmtpDraft>, Error> {
    let Some(text) = store.meta(STORED).await? else { return Ok(None) };
    serde_json::from_str(&text).map_err(|_| Error::Corrupt("the stored transport".to_owned()))
}

/// The transport to begin with: that of the command line or the environment, or the stored one.
pub(crate) async fn first(options: &Options, store: &store::Store) -> Result<Switch, Error> {
    let transport = match &options.smtp_url {
        _ if options.demo => mail::Transport::Inbox,
        Some(url) => open(url)?,
        None => match stored(store).await? {
            Some(smtp) => smtp.open()?,
            None => mail::Transport::Inbox,
        },
    };
    Ok(Switch::new(transport))
}

impl Platform {
    /// Where mail goes, without its secret.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn transport_settings(&self) -> Result<TransportSettings, Error> {
        let fixed = fixed(&self.options);
        let smtp = match &self.options.smtp_url {
            _ if self.options.demo => None,
            Some(url) => shown(url),
            None => stored(&self.store).await?.map(|smtp| smtp.shown()),
        };
        Ok(TransportSettings { smtp, fixed })
    }

    /// Stores where mail goes and goes over to it; messages on the wire finish where they are. `None` is the built-in inbox.
    ///
    /// # Errors
    /// `Conflict` when the command line or the environment decides; `Invalid` for what is no server.
    pub async fn set_transport(&self, smtp: Option<SmtpDraft>) -> Result<TransportSettings, Error> {
        if fixed(&self.options) {
            return Err(Error::Conflict(
                "The command line, the environment or the demo decides where mail goes: remove --smtp-url there first.".to_owned(),
            ));
        }
        let smtp = match smtp {
            None => None,
            Some(mut draft) => {
                let kept = stored(&self.store).await?.filter(|kept| kept.username == draft.username);
                draft.password = draft.password.or(kept.and_then(|kept| kept.password));
                Some(draft)
            }
        };
        let transport = match &smtp {
            None => mail::Transport::Inbox,
            Some(smtp) => smtp.open()?,
        };
        let text = serde_json::to_string(&smtp).map_err(|error| Error::Bug(error.to_string()))?;
        self.store.put_meta(STORED, &text).await?;
        self.transport.put(transport);
        self.transport_settings().await
    }
}

/// What a try of a transport showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// It works.
    pub works: bool,
    /// What was done, or what went wrong.
    pub detail: String,
    /// What to do, when it does not work.
    pub remedy: Option<String>,
}

fn remedy(error: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if says(&["no connection to", "did not answer in time"]) {
        "Check host and port, and whether a firewall or the provider of this machine blocks the way: port 25 often is; 587 and 465 seldom are."
    } else if says(&["offers no TLS"]) {
        "Choose TLS from the first byte, with port 465, or ask the relay's operator for STARTTLS. Mail never goes over an open line."
    } else if says(&["TLS failed", "TLS was not agreed", "no name for TLS"]) {
        "The relay's certificate must be valid for the host's name, and the port must fit the encryption: 587 for STARTTLS, 465 for TLS from the first byte."
    } else if says(&["login", "535", "530"]) {
        "Check user name and password; many providers want an app password or an API key instead of the account's."
    } else {
        "The relay's own words say why. Its operator can tell more."
    }
}

impl Platform {
    /// Tries a transport: connects, says hello, begins TLS, signs in; with an address, asks whether a mail from the
    /// workspace's sender to it would be taken. Nothing is sent. `None` tries what is in force.
    ///
    /// # Errors
    /// `Invalid` for what is no server or no address; a server that refuses is an answer.
    pub async fn probe_transport(
        &self,
        workspace: model::WorkspaceId,
        draft: Option<SmtpDraft>,
        to: Option<String>,
    ) -> Result<Probed, Error> {
        let transport = match draft {
            None => self.transport.now(),
            Some(mut draft) => {
                let kept = stored(&self.store).await?.filter(|kept| {
                    kept.username == draft.username && kept.host == draft.host && kept.port == draft.port
                });
                draft.password = draft.password.or(kept.and_then(|kept| kept.password));
                Arc::new(draft.open()?)
            }
        };
        let mail::Transport::Smtp(smtp) = &*transport else {
            let detail = "The built-in inbox takes every mail; nothing leaves this machine.".to_owned();
            return Ok(Probed { works: true, detail, remedy: None });
        };
        let envelope = match to {
            None => None,
            Some(to) => {
                let to = mail::normalise_address(&to)
                    .map_err(|error| Error::invalid("invalid_address", "/to", error.to_string()))?;
                let settings = self.settings(workspace).await?;
                let from = settings.get("from_email").and_then(model::Value::as_str).unwrap_or_default();
                Some(mail::Envelope { from: from.to_owned(), to })
            }
        };
        let tried = tokio::time::timeout(TRIAL_MAX, smtp.probe(envelope.as_ref())).await;
        Ok(match tried.unwrap_or_else(|_| Err("the server did not answer in time".to_owned())) {
            Ok(()) => {
                let detail = match envelope {
                    None => "Connected, encrypted and signed in as configured. Nothing was sent.".to_owned(),
                    Some(envelope) => {
                        format!(
                            "It would take a mail from {} to {}. Nothing was sent.",
                            envelope.from, envelope.to
                        )
                    }
                };
                Probed { works: true, detail, remedy: None }
            }
            Err(error) => {
                let remedy = Some(remedy(&error).to_owned());
                Probed { works: false, detail: error, remedy }
            }
        })
    }
}

/// What an address of `--smtp-url` says, without its password.
fn shown(url: &str) -> Option<SmtpSettings> {
    let (scheme, rest) = url.split_once("://")?;
    let implicit = scheme == "smtps";
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest.trim_end_matches('/');
    let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()?),
        _ => (place, if implicit { 465 } else { 587 }),
    };
    let tls = query.split('&').find_map(|pair| pair.strip_prefix("tls="));
    let tls = tls.unwrap_or(if implicit { "implicit" } else { "starttls" });
    let user = login.map(|login| login.split(':').next().unwrap_or_default());
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some(SmtpSettings {
        host: host.to_owned(),
        port,
        tls: tls.to_owned(),
        username: user.filter(|user| !user.is_empty()).map(decode),
        has_password: login.is_some_and(|login| login.contains(':')),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> SmtpDraft {
        SmtpDraft {
            host: "relay.shop.example".to_owned(),
            port: 2525,
            tls: "none".to_owned(),
            username: Some("a@b".to_owned()),
            password: Some("p:/?@".to_owned()),
        }
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let shown = shown(&draft().url().unwrap()).unwrap();
        assert_eq!(shown, draft().shown());
        assert!(!format!("{shown:?}").contains("p:/?@"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in ["", "a b", "x@y", "h/path", "h?tls=none"] {
            let draft = SmtpDraft { host: host.to_owned(), ..draft() };
            assert!(draft.url().is_err(), "{host}");
        }
    }
}
