//! The wire: SMTP to one server, with TLS, and an answer that says exactly how far a mail got.
//!
//! Source: RFC 5321, RFC 3207 (STARTTLS), RFC 4954 (AUTH). A failure before the final dot means certainly not accepted;
//! after it without an answer, nobody knows.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Error;

/// How long each phase may take.
const PHASE_MAX: Duration = Duration::from_secs(30);
/// Messages of one connection.
const MESSAGES_PER_CONNECTION: u32 = 100;
/// Connections kept for the next message.
const CONNECTIONS_MAX: usize = 10;
/// Lines of one answer.
const ANSWER_LINES_MAX: usize = 100;
/// Bytes of one answer line.
const ANSWER_LINE_BYTES_MAX: u64 = 2_000;

/// Sender and recipient as the server is told.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The return path.
    pub from: String,
    /// The recipient.
    pub to: String,
}

/// How far a mail got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The server has taken it.
    Accepted {
        /// What it said.
        answer: String,
    },
    /// Certainly not taken; may be tried again.
    Deferred {
        /// The code; 0 when there was none.
        code: u16,
        /// What it said, or what went wrong.
        answer: String,
    },
    /// Refused for good.
    Rejected {
        /// The code.
        code: u16,
        /// What it said.
        answer: String,
    },
    /// Handed over without an answer.
    InDoubt {
        /// What went wrong.
        answer: String,
    },
}

impl Delivery {
    /// The address itself is gone for good: unknown user, unknown host, moved, takes no mail. Nothing else that is
    /// refused says so, and least of all a fault of ours as sender. Source: RFC 3463, RFC 7505.
    pub fn is_hard(&self) -> bool {
        const HARD: [&str; 4] = ["5.1.1", "5.1.2", "5.1.6", "5.1.10"];
        match self {
            Delivery::Rejected { answer, .. } => {
                answer.split(|c: char| !c.is_ascii_digit() && c != '.').any(|word| HARD.contains(&word))
            }
            _ => false,
        }
    }
}

/// Where mails go.
pub enum Transport {
    /// Nowhere: they can be looked at in the console.
    Inbox,
    /// An SMTP server.
    Smtp(Smtp),
}

impl Transport {
    /// Messages that may be on the wire at once.
    pub fn connections_max(&self) -> usize {
        CONNECTIONS_MAX
    }

    /// Hands over a mail.
    pub async fn send(&self, envelope: &Envelope, raw: &[u8]) -> Delivery {
        match self {
            Transport::Inbox => Delivery::Accepted { answer: "kept in the built-in inbox".to_owned() },
            Transport::Smtp(smtp) => smtp.send(envelope, raw).await,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    Upgrade,
    Implicit,
    None,
}

/// An SMTP server and the connections kept to it.
pub struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    login: Option<(String, String)>,
    config: Arc<rustls::ClientConfig>,
    kept: Mutex<Vec<Connection>>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{}, {:?})", self.host, self.port, self.tls)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    sent: u32,
}

/// An answer of the server.
struct Answer {
    code: u16,
    text: String,
}

impl Answer {
    fn failed(self) -> Delivery {
        if (500..600).contains(&self.code) {
            Delivery::Rejected { code: self.code, answer: self.text }
        } else {
            Delivery::Deferred { code: self.code, answer: self.text }
        }
    }
}

fn deferred(why: impl fmt::Display) -> Delivery {
    Delivery::Deferred { code: 0, answer: why.to_string() }
}

impl Smtp {
    /// Reads `smtp://[user:password@]host[:port][?tls=starttls|implicit|none]`.
    ///
    /// # Errors
    /// `Invalid` with what is wrong; never with the password.
    pub fn from_url(text: &str) -> Result<Smtp, Error> {
        let invalid = |why: &str| Error::Invalid(format!("the SMTP URL is not usable: {why}"));
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
        for (name, value) in url.query_pairs() {
            tls = match (name.as_ref(), value.as_ref()) {
                ("tls", "starttls") => Tls::Upgrade,
                ("tls", "implicit") => Tls::Implicit,
                ("tls", "none") if is_loopback(&host) => Tls::None,
                ("tls", "none") => return Err(invalid("tls=none is for servers on this machine only")),
                _ => return Err(invalid("it may say tls=starttls, tls=implicit or tls=none, nothing else")),
            };
        }
        let plain = |text: &str| {
            let bytes = percent(text);
            String::from_utf8(bytes).map_err(|_| invalid("the login is not UTF-8"))
        };
        let login = if url.username().is_empty() {
            None
        } else {
            Some((plain(url.username())?, plain(url.password().unwrap_or_default())?))
        };
        let port = url.port().unwrap_or(if tls == Tls::Implicit { 465 } else { 587 });
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Bug(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Smtp { host, port, tls, login, config: Arc::new(config), kept: Mutex::default() })
    }

    fn take(&self) -> Option<Connection> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, connection: Connection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.sent < MESSAGES_PER_CONNECTION && kept.len() < CONNECTIONS_MAX {
            kept.push(connection);
        }
    }

    async fn send(&self, envelope: &Envelope, raw: &[u8]) -> Delivery {
        if let Some(mut kept) = self.take()
            && kept.command("RSET\r\n").await.is_ok_and(|answer| answer.code == 250)
        {
            return self.send_over(kept, envelope, raw).await;
        }
        match self.connect().await {
            Ok(connection) => self.send_over(connection, envelope, raw).await,
            Err(delivery) => delivery,
        }
    }

    async fn connect(&self) -> Result<Connection, Delivery> {
        let address = (self.host.trim_matches(['[', ']']), self.port);
        let tcp = tokio::time::timeout(PHASE_MAX, TcpStream::connect(address))
            .await
            .map_err(|_| deferred("the server did not answer in time"))?
            .map_err(|error| deferred(format!("no connection to {}:{}: {error}", self.host, self.port)))?;
        // Small commands must not wait for each other.
        let _ = tcp.set_nodelay(true);
        let mut connection = match self.tls {
            Tls::Implicit => Connection::new(self.secure(tcp).await?),
            Tls::Upgrade => {
                let mut plain = Connection::new(tcp);
                plain.greet().await?;
                plain.hello().await?;
                let answer = plain.command("STARTTLS\r\n").await.map_err(deferred)?;
                if answer.code != 220 {
                    return Err(deferred(format!(
                        "the server offers no TLS, and nothing is sent without: {}",
                        answer.text
                    )));
                }
                // What the server said before TLS is forgotten with the buffer.
                let mut secure = Connection::new(self.secure(plain.stream.into_inner()).await?);
                secure.hello().await?;
                self.login(&mut secure).await?;
                return Ok(secure);
            }
            Tls::None => Connection::new(tcp),
        };
        connection.greet().await?;
        connection.hello().await?;
        self.login(&mut connection).await?;
        Ok(connection)
    }

    async fn secure<S: Stream + 'static>(
        &self,
        stream: S,
    ) -> Result<tokio_rustls::client::TlsStream<S>, Delivery> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| deferred(format!("no name for TLS: {error}")))?;
        tokio::time::timeout(PHASE_MAX, TlsConnector::from(self.config.clone()).connect(name, stream))
            .await
            .map_err(|_| deferred("TLS was not agreed upon in time"))?
            .map_err(|error| deferred(format!("TLS failed, and nothing is sent without: {error}")))
    }

    async fn login(&self, connection: &mut Connection) -> Result<(), Delivery> {
        let Some((user, password)) = &self.login else { return Ok(()) };
        if self.tls == Tls::None && !is_loopback(&self.host) {
            return Err(deferred("no password is sent without TLS"));
        }
        let secret = STANDARD.encode(format!("\0{user}\0{password}"));
        let answer = connection.command(&format!("AUTH PLAIN {secret}\r\n")).await.map_err(deferred)?;
        if answer.code == 235 {
            Ok(())
        } else {
            Err(deferred(format!("the server refused the login: {}", answer.text)))
        }
    }

    async fn send_over(&self, mut connection: Connection, envelope: &Envelope, raw: &[u8]) -> Delivery {
        for (command, wanted) in [
            (format!("MAIL FROM:<{}>\r\n", envelope.from), 250),
            (format!("RCPT TO:<{}>\r\n", envelope.to), 250),
            ("DATA\r\n".to_owned(), 354),
        ] {
            match connection.command(&command).await {
                Ok(answer) if answer.code == wanted => {}
                Ok(answer) => {
                    let delivery = answer.failed();
                    self.keep(connection);
                    return delivery;
                }
                Err(error) => return deferred(error),
            }
        }
        let (body, end) = stuffed(raw);
        // Everything but the end: a failure here means that the server has no mail.
        if let Err(error) = connection.write(&body).await {
            return deferred(error);
        }
        if let Err(error) = connection.write(end).await {
            return Delivery::InDoubt { answer: error };
        }
        match connection.answer().await {
            Ok(answer) if answer.code == 250 => {
                connection.sent += 1;
                self.keep(connection);
                Delivery::Accepted { answer: answer.text }
            }
            Ok(answer) => answer.failed(),
            Err(error) => Delivery::InDoubt { answer: error },
        }
    }
}

impl Connection {
    fn new(stream: impl Stream + 'static) -> Connection {
        Connection { stream: BufReader::new(Box::new(stream)), sent: 0 }
    }

    async fn greet(&mut self) -> Result<(), Delivery> {
        let answer = self.answer().await.map_err(deferred)?;
        if answer.code == 220 { Ok(()) } else { Err(answer.failed()) }
    }

    async fn hello(&mut self) -> Result<(), Delivery> {
        let answer = self.command("EHLO rapport\r\n").await.map_err(deferred)?;
        if answer.code == 250 { Ok(()) } else { Err(answer.failed()) }
    }

    async fn command(&mut self, line: &str) -> Result<Answer, String> {
        self.write(line.as_bytes()).await?;
        self.answer().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(PHASE_MAX, write)
            .await
            .map_err(|_| "the server took too long to read".to_owned())?
            .map_err(|error| error.to_string())
    }

    async fn answer(&mut self) -> Result<Answer, String> {
        tokio::time::timeout(PHASE_MAX, self.read_answer())
            .await
            .map_err(|_| "the server took too long to answer".to_owned())?
    }

    async fn read_answer(&mut self) -> Result<Answer, String> {
        use tokio::io::AsyncReadExt;
        let mut text = String::new();
        for _ in 0..ANSWER_LINES_MAX {
            let mut line = Vec::new();
            let mut limited = (&mut self.stream).take(ANSWER_LINE_BYTES_MAX);
            limited.read_until(b'\n', &mut line).await.map_err(|error| error.to_string())?;
            if line.last() != Some(&b'\n') {
                return Err("the connection ended within an answer".to_owned());
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let code =
                line.get(..3).and_then(|code| code.parse().ok()).ok_or("the server does not speak SMTP")?;
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Answer { code, text });
            }
        }
        Err("the server's answer does not end".to_owned())
    }
}

/// The body with its dots doubled, and the end that is sent last.
fn stuffed(raw: &[u8]) -> (Vec<u8>, &'static [u8]) {
    let mut out = Vec::with_capacity(raw.len() + 64);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    (out, b".\r\n")
}

fn is_loopback(host: &str) -> bool {
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
    fn dots_at_the_start_of_a_line_are_doubled() {
        let (body, end) = stuffed(b"a\r\n.\r\n..b\r\nc");
        assert_eq!(body, b"a\r\n..\r\n...b\r\nc\r\n");
        assert_eq!(end, b".\r\n");
    }

    #[test]
    fn a_url_without_tls_is_for_this_machine_only_and_no_debug_output_shows_the_password() {
        assert!(Smtp::from_url("smtp://relay.example?tls=none").is_err());
        assert!(Smtp::from_url("smtp://127.0.0.1:2525?tls=none").is_ok());
        assert!(Smtp::from_url("http://relay.example").is_err());
        let smtp = Smtp::from_url("smtp://me:s%40cret@relay.example").unwrap();
        assert_eq!(smtp.login, Some(("me".to_owned(), "s@cret".to_owned())));
        assert!(!format!("{smtp:?}").contains("cret"));
    }
}
