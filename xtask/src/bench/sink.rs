//! An SMTP sink that only notes when each recipient's mail was complete. It answers everything with yes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

use super::figure::Timer;

/// A listening sink.
#[derive(Clone)]
pub struct Sink {
    /// `host:port`.
    pub address: String,
    timer: Timer,
    taken: Arc<Mutex<HashMap<String, Duration>>>,
}

impl Sink {
    /// Listens; instants are taken since `timer` started.
    pub fn start(timer: Timer) -> Result<Sink> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sink = Sink { address: listener.local_addr()?.to_string(), timer, taken: Arc::default() };
        let shared = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = shared.clone();
                std::thread::spawn(move || sink.session(stream));
            }
        });
        Ok(sink)
    }

    /// When the mail to a recipient was complete.
    pub fn taken(&self) -> HashMap<String, Duration> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn session(&self, stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut out = stream.try_clone().ok()?;
        let mut lines = BufReader::with_capacity(64 << 10, stream);
        out.write_all(b"220 sink\r\n").ok()?;
        let (mut line, mut to, mut in_body) = (Vec::new(), String::new(), false);
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            if in_body {
                if line == b".\r\n" {
                    in_body = false;
                    let at = self.timer.elapsed();
                    self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(to.clone(), at);
                    out.write_all(b"250 taken\r\n").ok()?;
                }
                continue;
            }
            let text = String::from_utf8_lossy(&line);
            let answer: &[u8] = match text.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
                "RCPT" => {
                    to = text.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    b"250 ok\r\n"
                }
                "DATA" => {
                    in_body = true;
                    b"354 go on\r\n"
                }
                "QUIT" => {
                    out.write_all(b"221 bye\r\n").ok()?;
                    return None;
                }
                _ => b"250 ok\r\n",
            };
            out.write_all(answer).ok()?;
        }
    }
}
