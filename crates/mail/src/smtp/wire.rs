//! One connection to an SMTP server: lines out, answers in, each within its time and size.

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::delivery::Delivery;

/// Lines of one answer.
const ANSWER_LINES_MAX: usize = 100;
/// Bytes of one answer line. Source: RFC 5321, 4.5.3.1.5 says 512; some servers say more.
const ANSWER_LINE_BYTES_MAX: u64 = 2_000;
/// Bytes of an answer that are kept.
const ANSWER_BYTES_KEPT: usize = 4_000;
/// Bytes of a body written at once; each piece has its own time.
const BODY_PIECE_BYTES: usize = 64 << 10;

/// How long each stage may take. Source: RFC 5321, 4.5.3.2.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP, then TLS.
    pub connect: Duration,
    /// The greeting.
    pub greeting: Duration,
    /// A command and its answer.
    pub command: Duration,
    /// The answer to DATA.
    pub data: Duration,
    /// Each piece of the body.
    pub block: Duration,
    /// The answer to the final dot: the longest, because giving up leaves the mail in doubt.
    pub dot: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(30),
            greeting: Duration::from_mins(5),
            command: Duration::from_mins(5),
            data: Duration::from_mins(2),
            block: Duration::from_mins(3),
            dot: Duration::from_mins(10),
        }
    }
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What the server offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    pub pipelining: bool,
    pub start_tls: bool,
    pub eight_bit: bool,
    pub utf8: bool,
    pub plain: bool,
    pub login: bool,
    /// Bytes of the largest mail; `Some(0)` for an offer without a limit.
    pub size: Option<u64>,
}

/// An answer of the server.
#[derive(Debug)]
pub(super) struct Answer {
    pub code: u16,
    /// All lines with their codes, joined by spaces.
    pub text: String,
    lines: Vec<String>,
}

pub(super) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    pub timeouts: Timeouts,
    pub offers: Offers,
    /// Messages taken over this connection.
    pub sent: u32,
    /// A transaction was begun and not ended.
    pub dirty: bool,
    /// The server ends the connection, or it broke: not to be used again.
    pub closing: bool,
}

pub(super) fn deferred(why: impl fmt::Display) -> Delivery {
    Delivery::Deferred { code: 0, answer: why.to_string() }
}

impl Answer {
    /// The answer to a command about this message: refused for good with 5xx, put off with anything else.
    pub fn failed(self) -> Delivery {
        if (500..600).contains(&self.code) {
            Delivery::Rejected { code: self.code, answer: self.text }
        } else {
            Delivery::Deferred { code: self.code, answer: self.text }
        }
    }

    /// The answer to what concerns the connection: it says nothing about the message, whatever its code.
    pub fn unready(self, what: &str) -> Delivery {
        Delivery::Deferred { code: self.code, answer: format!("{what}: {}", self.text) }
    }
}

impl Offers {
    fn read(answer: &Answer) -> Offers {
        let mut offers = Offers::default();
        for line in answer.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split([' ', '=']);
            match words.next().unwrap_or_default() {
                "PIPELINING" => offers.pipelining = true,
                "STARTTLS" => offers.start_tls = true,
                "8BITMIME" => offers.eight_bit = true,
                "SMTPUTF8" => offers.utf8 = true,
                "SIZE" => offers.size = Some(words.next().and_then(|size| size.parse().ok()).unwrap_or(0)),
                "AUTH" => {
                    for word in words {
                        offers.plain |= word == "PLAIN";
                        offers.login |= word == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

impl Connection {
    pub fn new(stream: impl Stream + 'static, timeouts: Timeouts) -> Connection {
        Connection {
            stream: BufReader::new(Box::new(stream)),
            timeouts,
            offers: Offers::default(),
            sent: 0,
            dirty: false,
            closing: false,
        }
    }

    /// The stream below, for TLS. Words that the server sent too early would be taken for words under TLS.
    pub fn into_stream(self) -> Result<Box<dyn Stream>, Delivery> {
        if self.stream.buffer().is_empty() {
            Ok(self.stream.into_inner())
        } else {
            Err(deferred("the server spoke before TLS began, which is how an attack looks"))
        }
    }

    pub async fn greet(&mut self) -> Result<(), Delivery> {
        let answer = self.answer(self.timeouts.greeting).await.map_err(deferred)?;
        if answer.code == 220 { Ok(()) } else { Err(answer.unready("the server does not serve")) }
    }

    pub async fn hello(&mut self, name: &str) -> Result<(), Delivery> {
        let answer = self.command(&format!("EHLO {name}\r\n")).await.map_err(deferred)?;
        if answer.code != 250 {
            return Err(answer.unready("the server refused our name"));
        }
        self.offers = Offers::read(&answer);
        Ok(())
    }

    pub async fn command(&mut self, line: &str) -> Result<Answer, String> {
        self.write(line.as_bytes(), self.timeouts.command).await?;
        self.answer(self.timeouts.command).await
    }

    pub async fn write(&mut self, bytes: &[u8], limit: Duration) -> Result<(), String> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(limit, write)
            .await
            .map_err(|_| "the server took too long to read".to_owned())?
            .map_err(|error| format!("the connection broke: {error}"))
    }

    /// Writes a body in pieces.
    pub async fn write_body(&mut self, body: &[u8]) -> Result<(), String> {
        for piece in body.chunks(BODY_PIECE_BYTES) {
            self.write(piece, self.timeouts.block).await?;
        }
        Ok(())
    }

    /// Whether the server has said something, or gone, though it is our turn.
    pub async fn is_interrupted(&mut self) -> bool {
        // A limit of nothing still looks once.
        tokio::time::timeout(Duration::ZERO, self.stream.fill_buf()).await.is_ok()
    }

    pub async fn answer(&mut self, limit: Duration) -> Result<Answer, String> {
        let answer = tokio::time::timeout(limit, self.read_answer())
            .await
            .map_err(|_| "the server took too long to answer".to_owned())
            .and_then(|answer| answer);
        // 421 says that the server ends the connection. Source: RFC 5321, 3.8.
        self.closing |= answer.as_ref().map_or(true, |answer| answer.code == 421);
        answer
    }

    async fn read_answer(&mut self) -> Result<Answer, String> {
        let mut answer = Answer { code: 0, text: String::new(), lines: Vec::new() };
        for _ in 0..ANSWER_LINES_MAX {
            let mut line = Vec::new();
            let mut limited = (&mut self.stream).take(ANSWER_LINE_BYTES_MAX);
            limited
                .read_until(b'\n', &mut line)
                .await
                .map_err(|error| format!("the connection broke: {error}"))?;
            if line.last() != Some(&b'\n') {
                return Err(if line.len() as u64 == ANSWER_LINE_BYTES_MAX {
                    "a line of the server's answer is too long".to_owned()
                } else {
                    "the server ended the connection".to_owned()
                });
            }
            let line = String::from_utf8_lossy(&line);
            let line: String =
                line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let code = line
                .get(..3)
                .filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|code| code.parse().ok())
                .filter(|code| (200..600).contains(code))
                .ok_or("the server does not speak SMTP")?;
            if answer.code != 0 && answer.code != code {
                return Err("the server's answer changes its code".to_owned());
            }
            answer.code = code;
            let last = line.as_bytes().get(3) != Some(&b'-');
            if answer.text.len() + line.len() < ANSWER_BYTES_KEPT {
                if !answer.text.is_empty() {
                    answer.text.push(' ');
                }
                answer.text.push_str(&line);
            }
            answer.lines.push(line.get(4..).unwrap_or_default().to_owned());
            if last {
                return Ok(answer);
            }
        }
        Err("the server's answer does not end".to_owned())
    }
}
