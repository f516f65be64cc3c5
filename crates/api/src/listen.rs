//! Accepting connections: so many at once, and none that stays silent for long. Whoever finds no room waits in the
//! operating system's queue.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// A connection over which nothing comes or goes for so long is ended. A watcher of the stream gets a sign of life
/// every 15 seconds.
const IDLE_MAX: Duration = Duration::from_mins(2);

/// A listener with a limit of connections.
pub(crate) struct Listener {
    tcp: TcpListener,
    free: Arc<Semaphore>,
}

impl Listener {
    /// At most `connections_max` at once.
    pub(crate) fn new(tcp: TcpListener, connections_max: usize) -> Listener {
        Listener { tcp, free: Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS))) }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let Ok(permit) = self.free.clone().acquire_owned().await else {
            // Nobody closes it.
            return std::future::pending().await;
        };
        // It waits by itself where the process has no descriptor left.
        let (stream, address) = axum::serve::Listener::accept(&mut self.tcp).await;
        let heard_at = Instant::now();
        let idle = Box::pin(sleep_until(heard_at + IDLE_MAX));
        (Connection { stream, heard_at, idle, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A connection that counts among those at once while it lives.
pub(crate) struct Connection {
    stream: TcpStream,
    heard_at: Instant,
    idle: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.heard_at = Instant::now();
            return Poll::Ready(read);
        }
        loop {
            ready!(self.idle.as_mut().poll(context));
            let until = self.heard_at + IDLE_MAX;
            if Instant::now() >= until {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.idle.as_mut().reset(until);
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.heard_at = Instant::now();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, parts));
        self.heard_at = Instant::now();
        Poll::Ready(written)
    }
}
