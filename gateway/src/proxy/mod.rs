//! The way of a request: head, token, revocation, policy, daemon, audit line.
//!
//! What must hold: `exchange` is reached only with a [`Forward`], which only the
//! policy makes, for an [`Identity`], which only verification makes; every way
//! out of `request` writes one audit line; every doubt is a refusal.

mod answer;
mod body;
mod deadline;
mod exchange;
mod hijack;
mod identify;
mod lease;
mod ports;
mod rebuild;
mod relay;
mod request;
mod upload;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use super::audit::Audit;
use super::config::Limits;
use super::http1::{self, BadHead, Head, MAX_HEAD};
use super::limits::Rate;
use super::metrics::Metrics;
use super::services::Services;
use super::upstream::Upstream;
use identify::Known;

/// Buffer that an idle connection may keep.
const IDLE_BUFFER: usize = 8 * 1024;
/// How long the end of our side may take to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long and how much of what a client still sends is read away before its
/// connection is closed. Closing over unread bytes resets the connection, and a
/// client that is busy sending then loses the answer (RFC 9112, 9.6). A client
/// may be slow, and a refused upload large: generous, but bounded.
const LINGER: (Duration, usize) = (Duration::from_secs(30), 64 << 20);

/// Everything that connections share.
pub struct Proxy {
    services: RwLock<Arc<Services>>,
    limits: RwLock<Limits>,
    known: Known,
    per_client: Rate<IpAddr>,
    per_token: Rate<String>,
    attempts: Rate<IpAddr>,
    /// The daemon.
    pub upstream: Upstream,
    /// The audit log.
    pub audit: Audit,
    /// Counters.
    pub metrics: Metrics,
}

/// A client's connection.
struct Client<S> {
    io: S,
    buffer: BytesMut,
    address: Option<IpAddr>,
}

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It serves another.
    Again,
    /// It is closed after what is still under way was read away.
    Close,
    /// It is gone, or must go without a proper end.
    Gone,
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Proxy {
    /// A proxy that serves no connection yet.
    #[must_use]
    pub fn new(services: Services, limits: Limits, upstream: Upstream, audit: Audit) -> Self {
        upstream.set_answer_seconds(limits.answer_seconds);
        Self {
            services: RwLock::new(Arc::new(services)),
            limits: RwLock::new(limits),
            known: Known::default(),
            per_client: Rate::default(),
            per_token: Rate::default(),
            attempts: Rate::default(),
            upstream,
            audit,
            metrics: Metrics::default(),
        }
    }

    /// Puts new keys, roles and limits in place; requests under way keep the old ones.
    pub fn reload(&self, services: Services, limits: Limits) {
        self.upstream.set_answer_seconds(limits.answer_seconds);
        *self.services.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(services);
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
        self.known.forget();
    }

    /// Keys, store, policy and service as they are now.
    #[must_use]
    pub fn services(&self) -> Arc<Services> {
        Arc::clone(&self.services.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The limits as they are now.
    #[must_use]
    pub fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a connection until it ends, or is idle when `stop` turns true.
    pub async fn serve<S>(&self, io: S, address: Option<IpAddr>, mut stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut client = Client { io, buffer: BytesMut::new(), address };
        let mut idle = Duration::from_secs(self.limits().head_seconds);
        let next = loop {
            let next = match self.next_head(&mut client, idle, &mut stop).await {
                Ok(Some(head)) => self.request(&mut client, head).await,
                Ok(None) => Next::Gone,
                Err(refused) => self.refuse_head(&mut client, refused).await,
            };
            if next != Next::Again || *stop.borrow() {
                break next;
            }
            idle = Duration::from_secs(self.limits().idle_seconds);
        };
        if next == Next::Gone {
            // Without a proper end of the body the client sees that it was cut.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, client.io.shutdown()).await;
        } else {
            let _ = tokio::time::timeout(LINGER.0, client.linger()).await;
        }
    }

    /// Reads the next head; none when the client has no more.
    async fn next_head<S>(
        &self,
        client: &mut Client<S>,
        idle: Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Head>, BadHead>
    where
        S: AsyncRead + Unpin,
    {
        if client.buffer.is_empty() {
            if client.buffer.capacity() > IDLE_BUFFER {
                client.buffer = BytesMut::new();
            }
            client.buffer.reserve(4096);
            let read = tokio::select! {
                biased;
                read = client.io.read_buf(&mut client.buffer) => read,
                () = tokio::time::sleep(idle) => return Ok(None),
                _ = stop.wait_for(|stop| *stop) => return Ok(None),
            };
            if read.unwrap_or(0) == 0 {
                return Ok(None);
            }
        }
        if let Some(end) = http1::head_end(&client.buffer) {
            return take_head(&mut client.buffer, end);
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(self.limits().head_seconds);
        loop {
            if client.buffer.len() > MAX_HEAD {
                return Err(BadHead { status: 431, message: "the request head is too large", rule: "http.head_size" });
            }
            client.buffer.reserve(4096);
            match tokio::time::timeout_at(deadline, client.io.read_buf(&mut client.buffer)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return Ok(None),
                Err(_) => {
                    return Err(BadHead {
                        status: 408,
                        message: "the request head took too long",
                        rule: "http.head_time",
                    });
                }
            }
            if let Some(end) = http1::head_end(&client.buffer) {
                return take_head(&mut client.buffer, end);
            }
        }
    }
}

fn take_head(buffer: &mut BytesMut, end: usize) -> Result<Option<Head>, BadHead> {
    if end > MAX_HEAD {
        return Err(BadHead { status: 431, message: "the request head is too large", rule: "http.head_size" });
    }
    let head = buffer.split_to(end);
    http1::parse(&head).map(Some)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Writes all of `bytes` to the wire.
    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Ends our side and reads away what the client still sends.
    async fn linger(&mut self) {
        if !matches!(tokio::time::timeout(CLOSE_TIMEOUT, self.io.shutdown()).await, Ok(Ok(()))) {
            return;
        }
        let mut left = LINGER.1;
        while left > 0 {
            self.buffer.clear();
            self.buffer.reserve(8192);
            match self.io.read_buf(&mut self.buffer).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                _ => return,
            }
        }
    }
}
