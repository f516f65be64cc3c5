//! An SMTP server that does as a script says, stage by stage, and writes down every line it was sent.
//!
//! It is for tests within one process; the sink is the one with a ledger on disk.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Bytes of one line.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// How long something is waited for that must come.
const WAIT_MAX: Duration = Duration::from_mins(2);

/// A point of a session at which the script is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The greeting.
    Connect,
    /// EHLO, before and under TLS.
    Hello,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// After the first line of the body.
    Body,
    /// After the final dot; the mail is written down before.
    Dot,
}

/// What is done at a stage instead of the usual.
#[derive(Clone)]
pub enum Act {
    /// Says this; a line end is added.
    Say(String),
    /// Ends the connection without a word.
    Cut,
    /// Goes on as usual once released.
    Wait(Release),
    /// Ends the connection without a word once released.
    WaitAndCut(Release),
}

/// Lets waiting sessions go on.
#[derive(Clone)]
pub struct Release(Arc<watch::Sender<bool>>);

impl Default for Release {
    fn default() -> Release {
        Release(Arc::new(watch::channel(false).0))
    }
}

impl Release {
    /// From now on nobody waits.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn wait(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

struct Rule {
    stage: Stage,
    to: Option<String>,
    times: usize,
    act: Act,
}

/// What the server does.
#[derive(Default)]
pub struct Script {
    rules: Vec<Rule>,
    offers: Vec<String>,
    tls: Option<(TlsAcceptor, bool)>,
}

impl Script {
    /// A server that takes everything and offers nothing.
    pub fn new() -> Script {
        Script::default()
    }

    /// Offers an extension, such as `PIPELINING`.
    #[must_use]
    pub fn offer(mut self, extension: &str) -> Script {
        self.offers.push(extension.to_owned());
        self
    }

    /// Speaks TLS with this certificate: at once, or after STARTTLS.
    ///
    /// # Panics
    /// When the certificate is none.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a test that gives no certificate is broken")]
    pub fn tls(mut self, certificate: &SelfSigned, implicit: bool) -> Script {
        let chain = vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        self.tls = Some((TlsAcceptor::from(Arc::new(config)), implicit));
        self
    }

    /// Does this at a stage, always.
    #[must_use]
    pub fn at(self, stage: Stage, act: Act) -> Script {
        self.rule(stage, None, usize::MAX, act)
    }

    /// Answers this at a stage, always.
    #[must_use]
    pub fn say(self, stage: Stage, answer: &str) -> Script {
        self.at(stage, Act::Say(answer.to_owned()))
    }

    /// Does this at a stage the first `times` times.
    #[must_use]
    pub fn first(self, times: usize, stage: Stage, act: Act) -> Script {
        self.rule(stage, None, times, act)
    }

    /// Does this at a stage for one recipient.
    #[must_use]
    pub fn for_recipient(self, to: &str, stage: Stage, act: Act) -> Script {
        self.rule(stage, Some(to.to_owned()), usize::MAX, act)
    }

    fn rule(mut self, stage: Stage, to: Option<String>, times: usize, act: Act) -> Script {
        self.rules.push(Rule { stage, to, times, act });
        self
    }
}

/// A certificate that nobody vouches for.
pub struct SelfSigned {
    /// In PEM form.
    pub certificate: String,
    key: String,
}

impl SelfSigned {
    /// For these names.
    ///
    /// # Panics
    /// When a name is none.
    #[expect(clippy::unwrap_used, reason = "a test that names no host is broken")]
    pub fn new(names: &[&str]) -> SelfSigned {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        SelfSigned { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }
}

/// A line as the server got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which connection, from 1.
    pub connection: usize,
    /// It came under TLS.
    pub secure: bool,
    /// Without its end.
    pub text: String,
}

/// A mail whose final dot the server got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Which connection, from 1.
    pub connection: usize,
    /// The return path.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// The bytes, dots undoubled.
    pub raw: Vec<u8>,
    /// The server answered 250.
    pub accepted: bool,
}

impl Mail {
    /// The first header of this name, unfolded; empty for none.
    pub fn header(&self, name: &str) -> String {
        let text = String::from_utf8_lossy(&self.raw);
        let head =
            text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    }
}

/// What the server has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Connections that were opened.
    pub connections: usize,
    /// Lines, bodies left out.
    pub lines: Vec<Line>,
    /// Mails.
    pub mails: Vec<Mail>,
}

impl Log {
    /// Lines that begin with this word.
    pub fn count(&self, verb: &str) -> usize {
        self.lines.iter().filter(|line| line.text.starts_with(verb)).count()
    }
}

struct Shared {
    script: Mutex<Script>,
    log: Mutex<Log>,
    changed: watch::Sender<usize>,
}

/// A running server; it ends when dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Starts a server on a free port of this machine.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(script: Script) -> std::io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            log: Mutex::default(),
            changed: watch::channel(0).0,
        });
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                let connection = {
                    let mut log = locked(&shared.log);
                    log.connections += 1;
                    log.connections
                };
                // A client that goes away is what such servers are for.
                sessions.spawn(async move {
                    let _ = Session { shared, connection, secure: false }.serve(Box::new(stream)).await;
                });
            }
        });
        Ok(Server { address, shared, task })
    }

    /// The URL without TLS and options.
    pub fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    /// What was seen so far.
    pub fn log(&self) -> Log {
        locked(&self.shared.log).clone()
    }

    /// Adds to the script of the running server.
    pub fn change(&self, more: impl FnOnce(Script) -> Script) {
        let mut script = locked(&self.shared.script);
        *script = more(std::mem::take(&mut *script));
    }

    /// Waits until what was seen satisfies `enough`.
    ///
    /// # Panics
    /// When it does not within two minutes: a test that waits for ever says nothing.
    pub async fn wait(&self, enough: impl Fn(&Log) -> bool) -> Log {
        let mut changed = self.shared.changed.subscribe();
        let seen = async {
            loop {
                let log = self.log();
                if enough(&log) {
                    return log;
                }
                // The sender lives as long as this server.
                let _ = changed.changed().await;
            }
        };
        let seen = tokio::time::timeout(WAIT_MAX, seen).await;
        assert!(seen.is_ok(), "what was waited for did not happen; {} mails came", self.log().mails.len());
        seen.unwrap_or_default()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Wire = BufReader<Box<dyn Stream>>;

struct Session {
    shared: Arc<Shared>,
    connection: usize,
    secure: bool,
}

/// What a session does after a line.
enum Next {
    Go,
    End,
}

impl Session {
    async fn serve(mut self, stream: Box<dyn Stream>) -> std::io::Result<()> {
        let tls = locked(&self.shared.script).tls.clone();
        let mut wire: Wire = match &tls {
            Some((acceptor, true)) => {
                self.secure = true;
                BufReader::new(Box::new(acceptor.accept(stream).await?))
            }
            _ => BufReader::new(stream),
        };
        if let Next::End = self.reply(&mut wire, Stage::Connect, "", "220 scripted ESMTP").await? {
            return Ok(());
        }
        let (mut from, mut to) = (String::new(), String::new());
        loop {
            let line = read_line(&mut wire).await?;
            self.note(&line);
            let verb: String = line.chars().take(4).collect::<String>().to_ascii_uppercase();
            let next = match verb.as_str() {
                "EHLO" => {
                    let usual = self.offers();
                    self.reply(&mut wire, Stage::Hello, "", &usual).await?
                }
                "STAR" => {
                    let Some((acceptor, false)) = &tls else {
                        say(&mut wire, "502 no TLS here").await?;
                        continue;
                    };
                    let next = self.reply(&mut wire, Stage::StartTls, "", "220 go on").await?;
                    let stream = acceptor.accept(wire.into_inner()).await?;
                    self.secure = true;
                    wire = BufReader::new(Box::new(stream));
                    next
                }
                "AUTH" => {
                    if line.eq_ignore_ascii_case("AUTH LOGIN") {
                        for prompt in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                            say(&mut wire, prompt).await?;
                            let secret = read_line(&mut wire).await?;
                            self.note(&secret);
                        }
                    }
                    self.reply(&mut wire, Stage::Auth, "", "235 2.7.0 welcome").await?
                }
                "MAIL" => {
                    from = between(&line);
                    to.clear();
                    self.reply(&mut wire, Stage::Mail, "", "250 2.1.0 ok").await?
                }
                "RCPT" => {
                    let asked = between(&line);
                    let accepted = self.will_accept(Stage::Rcpt, &asked);
                    let next = self.reply(&mut wire, Stage::Rcpt, &asked, "250 2.1.5 ok").await?;
                    if accepted {
                        to = asked;
                    }
                    next
                }
                "DATA" if to.is_empty() => {
                    say(&mut wire, "554 5.5.1 no valid recipients").await?;
                    Next::Go
                }
                "DATA" => {
                    let accepted = self.will_accept(Stage::Data, &to);
                    let next = self.reply(&mut wire, Stage::Data, &to, "354 go on").await?;
                    if accepted { self.body(&mut wire, &from, &to).await? } else { next }
                }
                "RSET" | "NOOP" => {
                    say(&mut wire, "250 ok").await?;
                    Next::Go
                }
                "QUIT" => return say(&mut wire, "221 bye").await,
                _ => {
                    say(&mut wire, "502 not known here").await?;
                    Next::Go
                }
            };
            if let Next::End = next {
                return Ok(());
            }
        }
    }

    fn offers(&self) -> String {
        let script = locked(&self.shared.script);
        let mut lines = vec!["scripted".to_owned()];
        lines.extend(script.offers.iter().cloned());
        if !self.secure && script.tls.is_some() {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let line =
            |(number, line): (usize, &String)| format!("250{}{line}", if number == last { ' ' } else { '-' });
        lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
    }

    fn note(&self, text: &str) {
        let line = Line { connection: self.connection, secure: self.secure, text: text.to_owned() };
        locked(&self.shared.log).lines.push(line);
        self.shared.changed.send_modify(|count| *count += 1);
    }

    fn act(&self, stage: Stage, to: &str, spend: bool) -> Option<Act> {
        let mut script = locked(&self.shared.script);
        let rule = script.rules.iter_mut().find(|rule| {
            rule.stage == stage && rule.times > 0 && rule.to.as_deref().is_none_or(|wanted| wanted == to)
        })?;
        if spend && rule.times != usize::MAX {
            rule.times -= 1;
        }
        Some(rule.act.clone())
    }

    fn will_accept(&self, stage: Stage, to: &str) -> bool {
        match self.act(stage, to, false) {
            Some(Act::Say(answer)) => answer.starts_with(['2', '3']),
            Some(Act::Cut | Act::WaitAndCut(_)) => false,
            Some(Act::Wait(_)) | None => true,
        }
    }

    async fn reply(&self, wire: &mut Wire, stage: Stage, to: &str, usual: &str) -> std::io::Result<Next> {
        match self.act(stage, to, true) {
            None => say(wire, usual).await?,
            Some(Act::Say(answer)) => {
                say(wire, &answer).await?;
                if answer.starts_with("421") {
                    return Ok(Next::End);
                }
            }
            Some(Act::Cut) => return Ok(Next::End),
            Some(Act::Wait(release)) => {
                release.wait().await;
                say(wire, usual).await?;
            }
            Some(Act::WaitAndCut(release)) => {
                release.wait().await;
                return Ok(Next::End);
            }
        }
        Ok(Next::Go)
    }

    async fn body(&self, wire: &mut Wire, from: &str, to: &str) -> std::io::Result<Next> {
        let mut raw = Vec::new();
        loop {
            let mut line = Vec::new();
            if wire.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line == b".\r\n" {
                break;
            }
            let first = raw.is_empty();
            raw.extend_from_slice(if line.first() == Some(&b'.') { &line[1..] } else { &line });
            if first {
                match self.act(Stage::Body, to, true) {
                    Some(Act::Cut) => return Ok(Next::End),
                    Some(Act::Say(answer)) => say(wire, &answer).await?,
                    Some(Act::Wait(release)) => release.wait().await,
                    Some(Act::WaitAndCut(release)) => {
                        release.wait().await;
                        return Ok(Next::End);
                    }
                    None => {}
                }
            }
        }
        let accepted = self.will_accept(Stage::Dot, to);
        let mail =
            Mail { connection: self.connection, from: from.to_owned(), to: to.to_owned(), raw, accepted };
        locked(&self.shared.log).mails.push(mail);
        self.shared.changed.send_modify(|count| *count += 1);
        self.reply(wire, Stage::Dot, to, "250 2.0.0 taken").await
    }
}

async fn say(wire: &mut Wire, answer: &str) -> std::io::Result<()> {
    wire.write_all(format!("{answer}\r\n").as_bytes()).await?;
    wire.flush().await
}

async fn read_line(wire: &mut Wire) -> std::io::Result<String> {
    let mut line = String::new();
    if wire.take(LINE_BYTES_MAX).read_line(&mut line).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn between(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner);
    inner.unwrap_or_default().to_owned()
}
