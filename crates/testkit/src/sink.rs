//! An SMTP server that takes everything and writes down what it took, before it says so.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of one mail.
const MAIL_BYTES_MAX: usize = 32 << 20;
/// Bytes of one line.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What the sink does besides taking mails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Script {
    /// Every so many mails, the connection ends after the final dot without an answer; 0 for never.
    pub drop_after_dot: usize,
    /// Every so many recipients is put off with 451; 0 for never.
    pub defer: usize,
}

/// Where mails are written down: memory, and a file when there is one.
#[derive(Clone, Default)]
pub struct Ledger {
    mails: Arc<Mutex<Vec<Value>>>,
    file: Option<Arc<Mutex<File>>>,
    recipients: Arc<Mutex<usize>>,
}

impl Ledger {
    /// A ledger that also appends to `file`, waiting for the disk.
    pub fn to_file(file: File) -> Ledger {
        Ledger { file: Some(Arc::new(Mutex::new(file))), ..Ledger::default() }
    }

    /// Everything taken so far.
    pub fn mails(&self) -> Vec<Value> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, mail: Value) -> std::io::Result<usize> {
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(file, "{mail}")?;
            file.sync_data()?;
        }
        let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.push(mail);
        Ok(mails.len())
    }

    fn recipient(&self) -> usize {
        let mut recipients = self.recipients.lock().unwrap_or_else(PoisonError::into_inner);
        *recipients += 1;
        *recipients
    }
}

/// Serves for ever.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, ledger: Ledger, script: Script) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let ledger = ledger.clone();
        tokio::spawn(async move {
            // A client that goes away is what sinks are for.
            let _ = session(stream, &ledger, script).await;
        });
    }
}

fn between(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner);
    inner.unwrap_or_default().to_owned()
}

async fn session(stream: TcpStream, ledger: &Ledger, script: Script) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    loop {
        let mut line = String::new();
        if (&mut stream).take(LINE_BYTES_MAX).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb: String = line.chars().take(4).collect::<String>().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" | "HELO" => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            "MAIL" => {
                from = between(&line);
                to.clear();
                b"250 ok\r\n"
            }
            "RCPT" => {
                let number = ledger.recipient();
                if script.defer > 0 && number.is_multiple_of(script.defer) {
                    b"451 4.7.1 try again later\r\n"
                } else {
                    to.push(between(&line));
                    b"250 ok\r\n"
                }
            }
            "DATA" if to.is_empty() => b"503 no recipient\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let raw = body(&mut stream).await?;
                let number = ledger.take(json!({
                    "from": from, "to": to, "message_id": header(&raw, "message-id"), "subject": header(&raw, "subject"),
                    "raw": String::from_utf8_lossy(&raw),
                }))?;
                if script.drop_after_dot > 0 && number.is_multiple_of(script.drop_after_dot) {
                    return Ok(());
                }
                b"250 taken\r\n"
            }
            "RSET" | "NOOP" => b"250 ok\r\n",
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"502 not known here\r\n",
        };
        stream.write_all(answer).await?;
    }
}

async fn body(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await? == 0 || raw.len() > MAIL_BYTES_MAX
        {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(raw);
        }
        raw.extend_from_slice(if line.first() == Some(&b'.') { &line[1..] } else { &line });
    }
}

fn header(raw: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(raw);
    let lines = text.lines().take_while(|line| !line.is_empty());
    let found = lines.filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}
