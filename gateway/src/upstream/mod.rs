//! The daemon's socket: connections, requests and the heads of answers.
//!
//! Written for one well-behaved peer on a local socket. A connection goes back
//! to the pool only when its request and its answer are both complete.

mod inspect;
mod known;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::LookupError;
use super::config::api_version;
use super::http1::Decoder;

/// How long the daemon has to answer where the configuration does not say.
const ANSWER_SECONDS: u64 = 20;
/// Idle connections that are kept.
const MAX_IDLE: usize = 64;
/// Rows that are kept though nobody stands in them.
const MAX_ROWS: usize = 1024;
/// Room for an ordinary answer, head and body.
const FIRST_READ: usize = 16 * 1024;
/// Largest head of an answer.
const MAX_ANSWER_HEAD: usize = 64 * 1024;
/// How long a daemon may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A daemon whose backlog is full is tried again after this long.
const CONNECT_INTERVAL: Duration = Duration::from_millis(20);
/// Seconds that `stop` gives a container which says nothing else (moby:
/// `container.DefaultStopTimeout`).
const DEFAULT_STOP_TIMEOUT: i64 = 10;
/// Buffer of a connection in the pool; larger ones are given back.
const IDLE_BUFFER: usize = 32 * 1024;

/// The daemon.
pub struct Upstream {
    path: PathBuf,
    idle: Mutex<Vec<Link>>,
    newest: (u16, u16),
    pinned: OnceLock<String>,
    quota_locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    known: Arc<known::Known>,
    answer_seconds: AtomicU64,
}

/// One connection.
pub struct Link {
    /// The socket.
    pub stream: UnixStream,
    /// What was read and not yet used.
    pub buffer: BytesMut,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header lines to pass on, each with its line end; framing is not among them.
    pub lines: Vec<u8>,
    /// The body that follows.
    pub body: Decoder,
    /// The connection may serve again.
    pub keep: bool,
    /// The lines say which builder to use.
    pub builder: bool,
}

impl Upstream {
    /// A daemon behind `path`. `newest` bounds the version it tells clients.
    #[must_use]
    pub fn new(path: PathBuf, newest: (u16, u16), pinned: Option<String>) -> Self {
        let of_config = OnceLock::new();
        if let Some(pinned) = pinned {
            let _ = of_config.set(pinned);
        }
        Self {
            path,
            idle: Mutex::default(),
            newest,
            pinned: of_config,
            quota_locks: Mutex::default(),
            known: Arc::default(),
            answer_seconds: AtomicU64::new(ANSWER_SECONDS),
        }
    }

    /// An idle connection that is still open, or a new one.
    ///
    /// # Errors
    /// When the daemon does not listen.
    pub async fn link(&self) -> io::Result<Link> {
        while let Some(link) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            // Anything readable on an idle connection is its end.
            if matches!(link.stream.try_read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                return Ok(link);
            }
        }
        self.new_link().await
    }

    /// A new connection, for one that will be taken over.
    ///
    /// # Errors
    /// When the daemon does not listen, or does not accept in time.
    pub async fn new_link(&self) -> io::Result<Link> {
        let deadline = tokio::time::Instant::now() + CONNECT_TIMEOUT;
        loop {
            match UnixStream::connect(&self.path).await {
                Ok(stream) => return Ok(Link { stream, buffer: BytesMut::new() }),
                // A full backlog: connect(2) does not wait for room on a socket that does not block.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if tokio::time::Instant::now() >= deadline {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "it accepts no connections"));
                    }
                    tokio::time::sleep(CONNECT_INTERVAL).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the daemon answers anything at all: a ping on a connection of its own.
    pub async fn responds(&self, within: Duration) -> bool {
        let asked = async {
            let mut link = self.new_link().await?;
            link.stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").await?;
            read_answer(&mut link.stream, &mut link.buffer, false, self.newest()).await
        };
        matches!(tokio::time::timeout(within, asked).await, Ok(Ok(_)))
    }

    /// The seconds that a container has to stop; negative for no limit.
    ///
    /// # Errors
    /// When the daemon cannot be asked, or knows no such container.
    pub async fn stop_timeout(&self, container: &str) -> Result<i64, LookupError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if container.is_empty() || container.starts_with('.') || !container.bytes().all(plain) {
            return Err(LookupError("the container has no name that can be asked for".into()));
        }
        let found = self.get(&format!("/containers/{container}/json")).await?;
        let found = found.ok_or_else(|| LookupError("it knows no such container".into()))?;
        Ok(found.pointer("/Config/StopTimeout").and_then(Value::as_i64).unwrap_or(DEFAULT_STOP_TIMEOUT))
    }

    /// Gives a connection back whose answer is complete.
    pub fn give_back(&self, mut link: Link) {
        if !link.buffer.is_empty() {
            return;
        }
        if link.buffer.capacity() > IDLE_BUFFER {
            link.buffer = BytesMut::new();
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(link);
        }
    }

    /// The row of those who count what carries a label.
    fn row(&self, label: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut quota_locks = self.quota_locks.lock().unwrap_or_else(PoisonError::into_inner);
        if quota_locks.len() >= MAX_ROWS {
            quota_locks.retain(|_, row| Arc::strong_count(row) > 1);
        }
        Arc::clone(quota_locks.entry(label.to_owned()).or_default())
    }

    /// How long the daemon has for a question of the gateway's own.
    #[must_use]
    pub fn answer_seconds(&self) -> u64 {
        self.answer_seconds.load(Ordering::Relaxed)
    }

    /// Sets that.
    pub fn set_answer_seconds(&self, seconds: u64) {
        self.answer_seconds.store(seconds, Ordering::Relaxed);
    }

    /// Forgets what was remembered of containers: one was just made, renamed,
    /// updated or removed through this gateway.
    pub fn forget_containers(&self) {
        self.known.forget();
    }

    /// The newest version that clients are told of.
    #[must_use]
    pub fn newest(&self) -> (u16, u16) {
        self.newest
    }
}

/// Reads the head of an answer; `head_only` for answers to HEAD.
///
/// # Errors
/// When the daemon closes before, or speaks something else.
pub async fn read_answer<R: AsyncRead + Unpin>(
    stream: &mut R,
    buffer: &mut BytesMut,
    head_only: bool,
    newest: (u16, u16),
) -> io::Result<Answer> {
    loop {
        if let Some(answer) = parse_answer(buffer, head_only, newest)? {
            // 100 Continue and its like announce another head.
            if answer.status >= 200 || answer.status == 101 {
                return Ok(answer);
            }
            continue;
        }
        if buffer.len() > MAX_ANSWER_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the daemon's answer has no end of its head"));
        }
        buffer.reserve(FIRST_READ);
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon closed the connection"));
        }
    }
}

fn parse_answer(buffer: &mut BytesMut, head_only: bool, newest: (u16, u16)) -> io::Result<Option<Answer>> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the daemon's answer is not HTTP");
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut lines);
    let httparse::Status::Complete(used) = response.parse(buffer).map_err(|_| malformed())? else { return Ok(None) };
    let status = response.code.ok_or_else(malformed)?;
    let mut answer = Answer {
        status,
        lines: Vec::with_capacity(used),
        body: Decoder::UntilEof,
        keep: response.version == Some(1),
        builder: false,
    };
    let (mut length, mut chunked) = (None, false);
    for line in response.headers.iter() {
        let is = |name: &str| line.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let this = std::str::from_utf8(line.value).ok().and_then(|text| text.parse::<u64>().ok());
            let this = this.ok_or_else(malformed)?;
            if length.replace(this).is_some_and(|other| other != this) {
                return Err(malformed());
            }
        } else if is("transfer-encoding") {
            if !line.value.eq_ignore_ascii_case(b"chunked") {
                return Err(malformed());
            }
            chunked = true;
        } else if is("connection") {
            answer.keep &= !line.value.eq_ignore_ascii_case(b"close");
        } else if is("keep-alive")
            || is("te")
            || is("trailer")
            || is("upgrade")
            || is("proxy-connection")
            || is("alt-svc")
        {
        } else {
            answer.lines.extend_from_slice(line.name.as_bytes());
            answer.lines.extend_from_slice(b": ");
            if is("api-version") {
                answer.lines.extend_from_slice(clamped(line.value, newest).as_bytes());
            } else if is("builder-version") {
                answer.lines.push(b'1');
                answer.builder = true;
            } else {
                answer.lines.extend_from_slice(line.value);
            }
            answer.lines.extend_from_slice(b"\r\n");
        }
    }
    match length {
        // RFC 9112, 6.3: chunks win over a length.
        _ if chunked => answer.body = Decoder::chunked(),
        Some(length) => answer.body = Decoder::Length(length),
        None => answer.keep &= status < 200 || status == 204 || status == 304,
    }
    if head_only || status == 204 || status == 304 || status < 200 {
        answer.body = Decoder::Done;
        // A body sent all the same would be taken for the next answer.
        answer.keep &= !head_only;
    }
    buffer.advance(used);
    Ok(Some(answer))
}

/// The daemon's version, or the newest that is modelled if that is older.
fn clamped(value: &[u8], (major, minor): (u16, u16)) -> String {
    match std::str::from_utf8(value).ok().and_then(api_version) {
        Some(daemon) if daemon <= (major, minor) => format!("{}.{}", daemon.0, daemon.1),
        _ => format!("{major}.{minor}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parsed(text: &str, head_only: bool) -> Answer {
        parse_answer(&mut BytesMut::from(text), head_only, (1, 45)).unwrap().unwrap()
    }

    #[test]
    fn the_version_told_is_never_newer_than_what_is_modelled() {
        let lines = |version: &str| {
            String::from_utf8(
                parsed(&format!("HTTP/1.1 200 OK\r\nApi-Version: {version}\r\nContent-Length: 2\r\n\r\nOK"), false)
                    .lines,
            )
            .unwrap()
        };
        assert_eq!(lines("1.52"), "Api-Version: 1.45\r\n");
        assert_eq!(lines("1.41"), "Api-Version: 1.41\r\n");
        assert_eq!(lines("2.0 x"), "Api-Version: 1.45\r\n");
    }

    #[test]
    fn framing_and_connection_headers_are_the_proxys_own() {
        let answer = parsed(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nKeep-Alive: 5\r\nOstype: linux\r\n\r\n",
            false,
        );
        assert_eq!(
            (answer.lines.as_slice(), answer.body, answer.keep),
            (&b"Ostype: linux\r\n"[..], Decoder::chunked(), false)
        );
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true).body, Decoder::Done);
        assert_eq!(parsed("HTTP/1.1 304 Not Modified\r\n\r\n", false).body, Decoder::Done);
        // One that is sent all the same is not there for the next request.
        assert!(!parsed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true).keep);
        assert!(parsed("HTTP/1.1 204 No Content\r\n\r\n", false).keep);
    }

    #[test]
    fn an_answer_with_two_lengths_is_malformed() {
        let read = |text: &str| parse_answer(&mut BytesMut::from(text), false, (1, 45)).is_ok();
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n"));
        assert!(!read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n"));
    }

    #[test]
    fn clients_are_told_to_use_the_classic_builder() {
        let answer = parsed("HTTP/1.1 200 OK\r\nBuilder-Version: 2\r\nContent-Length: 2\r\n\r\n", false);
        assert_eq!((answer.lines.as_slice(), answer.builder), (&b"Builder-Version: 1\r\n"[..], true));
    }
}
