//! Configuration: command line over environment (`RAPPORT_…`) over file (`rapport.toml`) over defaults.
//!
//! Every key is one field here, with its documentation; `rapport serve --help` prints them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;

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
    /// What to log, such as `info` or `flow=debug` [default: info]
    #[arg(long, env = "RAPPORT_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// `text` or `json` [default: text]
    #[arg(long, env = "RAPPORT_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Settings {
    /// These settings over those of `file`; without a file named, `rapport.toml` is read when it is there.
    ///
    /// # Errors
    /// When a named file is missing, or a key is unknown or of the wrong type.
    pub fn over_file(self, file: Option<&Path>) -> Result<Settings> {
        let path = file.unwrap_or(Path::new("rapport.toml"));
        if file.is_none() && !path.exists() {
            return Ok(self);
        }
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let file: Settings =
            toml::from_str(&text).with_context(|| format!("in the configuration {}", path.display()))?;
        Ok(Settings {
            data: self.data.or(file.data),
            listen: self.listen.or(file.listen),
            base_url: self.base_url.or(file.base_url),
            store: self.store.or(file.store),
            smtp_url: self.smtp_url.or(file.smtp_url),
            from: self.from.or(file.from),
            bootstrap_write_key: self.bootstrap_write_key.or(file.bootstrap_write_key),
            bootstrap_api_key: self.bootstrap_api_key.or(file.bootstrap_api_key),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_over_the_file_and_an_unknown_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rapport.toml");
        std::fs::write(&path, "data = \"a\"\nfrom = \"A <a@sender.example>\"\n").unwrap();
        let line = Settings { data: Some("b".into()), ..Settings::default() };
        let settings = line.over_file(Some(&path)).unwrap();
        assert_eq!(settings.data(), Path::new("b"));
        assert_eq!(settings.from.as_deref(), Some("A <a@sender.example>"));
        std::fs::write(&path, "dta = \"a\"\n").unwrap();
        let error = format!("{:#}", Settings::default().over_file(Some(&path)).unwrap_err());
        assert!(error.contains("dta"), "{error}");
    }
}
