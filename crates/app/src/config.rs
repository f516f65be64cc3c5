//! Configuration: command line over environment (`RAPPORT_…`) over file (`rapport.toml`) over defaults.
//!
//! Every key is one field here, with its documentation; `rapport serve --help` prints them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::command::BadInput;

/// Characters of a key that is given rather than made.
const BOOTSTRAP_KEY_CHARS_MIN: usize = 24;

/// The largest batch that intake takes fits in.
const INFLIGHT_BYTES_MIN: usize = 1 << 20;

/// What the server can be told. Each option is also a key of the file, with `_` for `-`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Directory for everything that is stored [default: rapport-data]
    #[arg(long, env = "RAPPORT_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:7700]
    #[arg(long, env = "RAPPORT_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where recipients and browsers reach this server; stands in every link of a mail [default: http://ADDR]
    #[arg(long, env = "RAPPORT_BASE_URL", value_name = "URL")]
    pub base_url: Option<String>,
    /// `postgres://…` keeps log and state in PostgreSQL; SQLite in the data directory otherwise
    #[arg(long, env = "RAPPORT_STORE", value_name = "URL", hide_env_values = true)]
    pub store: Option<String>,
    /// `smtp://[user:password@]host[:port][?tls=starttls|implicit|none]` sends mail; the built-in inbox otherwise
    #[arg(long, env = "RAPPORT_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// Sender of mails, `Name <address>`
    #[arg(long, env = "RAPPORT_FROM", value_name = "MAILBOX")]
    pub from: Option<String>,
    /// A write key to create at the first start, for automation
    #[arg(long, env = "RAPPORT_BOOTSTRAP_WRITE_KEY", value_name = "KEY", hide_env_values = true)]
    pub bootstrap_write_key: Option<String>,
    /// An API key to create at the first start, for automation
    #[arg(long, env = "RAPPORT_BOOTSTRAP_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub bootstrap_api_key: Option<String>,
    /// Bytes of events in work at once; what is more is answered 429 [default: 67108864]
    #[arg(long, env = "RAPPORT_INGEST_INFLIGHT_BYTES_MAX", value_name = "BYTES")]
    pub ingest_inflight_bytes_max: Option<usize>,
    /// Connections open at once; what is more waits [default: 4096, at most half the descriptors of the process]
    #[arg(long, env = "RAPPORT_CONNECTIONS_MAX", value_name = "NUMBER")]
    pub connections_max: Option<usize>,
    /// What to log, such as `info` or `flow=debug` [default: info]
    #[arg(long, env = "RAPPORT_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// `text` or `json` [default: text]
    #[arg(long, env = "RAPPORT_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// Settings, and the file that may hold more of them.
#[derive(Args, Clone, Debug, Default)]
pub struct Configuration {
    #[command(flatten)]
    settings: Settings,
    /// Configuration file [default: rapport.toml where it exists]
    #[arg(long, env = "RAPPORT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Configuration {
    /// The settings over those of the file, checked.
    ///
    /// # Errors
    /// When a named file is missing, a key is unknown or of the wrong type, or a value cannot be used.
    pub fn resolve(self) -> Result<Settings, BadInput> {
        let settings = self.settings.over_file(self.config.as_deref())?;
        settings.check()?;
        Ok(settings)
    }
}

impl Settings {
    fn over_file(self, named: Option<&Path>) -> Result<Settings, BadInput> {
        let path = named.unwrap_or(Path::new("rapport.toml"));
        if named.is_none() && !path.exists() {
            return Ok(self);
        }
        let bad = |reason: &dyn std::fmt::Display| {
            BadInput(format!("the configuration {} cannot be used: {reason}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
        let file: Settings = toml::from_str(&text).map_err(|error| bad(&error.to_string().trim_end()))?;
        Ok(Settings {
            data: self.data.or(file.data),
            listen: self.listen.or(file.listen),
            base_url: self.base_url.or(file.base_url),
            store: self.store.or(file.store),
            smtp_url: self.smtp_url.or(file.smtp_url),
            from: self.from.or(file.from),
            bootstrap_write_key: self.bootstrap_write_key.or(file.bootstrap_write_key),
            bootstrap_api_key: self.bootstrap_api_key.or(file.bootstrap_api_key),
            ingest_inflight_bytes_max: self.ingest_inflight_bytes_max.or(file.ingest_inflight_bytes_max),
            connections_max: self.connections_max.or(file.connections_max),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
        })
    }

    /// Says which key cannot be used and what to write instead, before anything is opened.
    ///
    /// # Errors
    /// The first such key.
    pub fn check(&self) -> Result<(), BadInput> {
        let bad = |key: &str, reason: String| Err(BadInput(format!("{key}: {reason}")));
        if let Some(url) = &self.base_url {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', ' '])) {
                return bad("base_url", format!("'{url}' is no address: write https://mail.shop.example"));
            }
        }
        if let Some(from) = &self.from
            && let Err(error) = mail::Mailbox::parse(from)
        {
            return bad("from", format!("'{from}' is no sender ({error}): write Shop <hello@shop.example>"));
        }
        if let Some(url) = &self.smtp_url
            && let Err(error) = mail::Smtp::from_url(url)
        {
            return bad("smtp_url", format!("{error}: write smtp://user:password@relay.shop.example:587"));
        }
        if let Some(url) = &self.store
            && !url.starts_with("postgres://")
            && !url.starts_with("postgresql://")
        {
            let remedy = "it begins with postgres://; leave it out to use SQLite in the data directory";
            return bad("store", remedy.to_owned());
        }
        for (name, key) in [
            ("bootstrap_write_key", &self.bootstrap_write_key),
            ("bootstrap_api_key", &self.bootstrap_api_key),
        ] {
            if key.as_ref().is_some_and(|key| key.len() < BOOTSTRAP_KEY_CHARS_MIN) {
                let remedy = format!(
                    "it is shorter than {BOOTSTRAP_KEY_CHARS_MIN} characters: make one with openssl rand -hex 24"
                );
                return bad(name, remedy);
            }
        }
        if self.ingest_inflight_bytes_max.is_some_and(|bytes| bytes < INFLIGHT_BYTES_MIN) {
            let remedy = format!("less than one batch fits in: write {INFLIGHT_BYTES_MIN} or more");
            return bad("ingest_inflight_bytes_max", remedy);
        }
        if self.connections_max == Some(0) {
            return bad("connections_max", "nobody could connect: write 1 or more".to_owned());
        }
        if let Some(format) = &self.log_format
            && !["text", "json"].contains(&format.as_str())
        {
            return bad("log_format", format!("'{format}' is unknown: write text or json"));
        }
        if let Some(filter) = &self.log
            && let Err(error) = tracing_subscriber::EnvFilter::try_new(filter)
        {
            return bad("log", format!("'{filter}' is not understood ({error}): write info or flow=debug"));
        }
        Ok(())
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| PathBuf::from("rapport-data"))
    }

    /// The address to listen on.
    pub fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7700)))
    }

    /// Where this server is reached, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.base_url
            .clone()
            .map_or_else(|| format!("http://{}", self.listen()), |url| url.trim_end_matches('/').to_owned())
    }
}
