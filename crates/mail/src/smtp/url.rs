//! The address of an SMTP server, as it stands in the configuration.

use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Semaphore;

use super::{Smtp, Timeouts, Tls};
use crate::Error;

/// Connections that may be open at once, unless told otherwise.
const CONNECTIONS: usize = 10;
/// The most that can be asked for.
const CONNECTIONS_MAX: usize = 100;

fn invalid(why: &str) -> Error {
    Error::Invalid(format!("the SMTP URL is not usable: {why}"))
}

impl Smtp {
    /// Reads `smtp://[user:password@]host[:port]` with any of these after a `?`:
    ///
    /// | option | meaning |
    /// | --- | --- |
    /// | `tls=starttls`, `implicit`, `none` | how TLS begins; `none` is for this machine only |
    /// | `ca=FILE` | certificates in PEM form that are trusted instead of the public ones |
    /// | `name=HOST` | what we call ourselves in EHLO |
    /// | `connections=N` | connections open at once, 10 otherwise |
    /// | `return_path=sender` | the sender's address as return path, where a server takes no other |
    ///
    /// # Errors
    /// `Invalid` with what is wrong; never with the password.
    pub fn from_url(text: &str) -> Result<Smtp, Error> {
        let url = url::Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        if url.scheme() != "smtp" && url.scheme() != "smtps" {
            return Err(invalid("it begins with smtp:// or smtps://"));
        }
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| invalid("it names no host"))?
            .to_owned();
        let mut tls = if url.scheme() == "smtps" { Tls::Implicit } else { Tls::Upgrade };
        let (mut hello, mut own_return_path, mut connections, mut roots) = (None, true, CONNECTIONS, None);
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("tls", "starttls") => tls = Tls::Upgrade,
                ("tls", "implicit") => tls = Tls::Implicit,
                ("tls", "none") if is_loopback(&host) => tls = Tls::None,
                ("tls", "none") => return Err(invalid("tls=none is for servers on this machine only")),
                ("tls", _) => {
                    return Err(invalid("it may say tls=starttls, tls=implicit or tls=none, nothing else"));
                }
                ("ca", file) => roots = Some(read_roots(file)?),
                ("name", text) if is_host_name(text) => hello = Some(text.to_owned()),
                ("name", _) => return Err(invalid("name= is a host name such as mail.example.com")),
                ("connections", text) => {
                    let number = text.parse().ok().filter(|number| (1..=CONNECTIONS_MAX).contains(number));
                    connections = number.ok_or_else(|| invalid("connections= is a number from 1 to 100"))?;
                }
                ("return_path", "message") => own_return_path = true,
                ("return_path", "sender") => own_return_path = false,
                _ => {
                    return Err(invalid(&format!(
                        "'{name}={value}' is not known: tls, ca, name, connections, return_path"
                    )));
                }
            }
        }
        let default_port = if tls == Tls::Implicit { 465 } else { 587 };
        let port = url.port().unwrap_or(if tls == Tls::None { 25 } else { default_port });
        let login = (!url.username().is_empty())
            .then(|| -> Result<(String, String), Error> {
                let text = |part: &str| {
                    let text =
                        String::from_utf8(percent(part)).map_err(|_| invalid("the login is no UTF-8"))?;
                    if text.contains('\0') { Err(invalid("the login holds a NUL")) } else { Ok(text) }
                };
                Ok((text(url.username())?, text(url.password().unwrap_or_default())?))
            })
            .transpose()?;
        Ok(Smtp {
            host,
            port,
            tls,
            login,
            hello,
            own_return_path,
            connections,
            timeouts: Timeouts::default(),
            config: Arc::new(client_config(roots.unwrap_or_else(public_roots))?),
            free: Semaphore::new(connections),
            kept: Mutex::default(),
        })
    }
}

fn client_config(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Bug(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn public_roots() -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots
}

fn read_roots(file: &str) -> Result<rustls::RootCertStore, Error> {
    let refuse = |why: String| invalid(&format!("the certificates in {file} cannot be used: {why}"));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refuse(error.to_string()))? {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() { Err(refuse("there is none".to_owned())) } else { Ok(roots) }
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.[]:".contains(&byte))
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Decodes `%XX`.
fn percent(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let decoded = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match decoded {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_tls_is_for_this_machine_only_and_no_debug_output_shows_the_password() {
        assert!(Smtp::from_url("smtp://relay.example?tls=none").is_err());
        assert!(Smtp::from_url("smtp://127.0.0.1:2525?tls=none").is_ok());
        assert!(Smtp::from_url("http://relay.example").is_err());
        let smtp = Smtp::from_url("smtp://me:s%40cret@relay.example").unwrap();
        assert_eq!(smtp.login, Some(("me".to_owned(), "s@cret".to_owned())));
        assert!(!format!("{smtp:?}").contains("cret"));
    }

    #[test]
    fn ports_follow_from_tls_and_unknown_options_are_named() {
        for (url, port) in [
            ("smtp://relay.example", 587),
            ("smtps://relay.example", 465),
            ("smtp://localhost?tls=none", 25),
            ("smtp://relay.example:2525?connections=3&name=mail.shop.example", 2525),
        ] {
            assert_eq!(Smtp::from_url(url).unwrap().port, port, "{url}");
        }
        for (url, word) in [
            ("smtp://relay.example?tsl=none", "tsl"),
            ("smtp://relay.example?connections=0", "connections"),
            ("smtp://relay.example?name=a%0d%0ab", "name"),
            ("smtp://relay.example?ca=/nowhere.pem", "/nowhere.pem"),
            ("smtp://a%00b:c@relay.example", "NUL"),
        ] {
            let error = Smtp::from_url(url).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
