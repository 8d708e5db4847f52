//! The administrator's socket: one JSON object a line each way, after a nonce.
//!
//! The gateway speaks first: `{"nonce":"…"}`, 128 random bits for this connection.
//! Every request is an object that has it as a member beside `command`. What
//! only writes to the socket, as the Docker daemon's syslog driver does with
//! lines that the creator of a container chooses, has not read it, and its
//! connection is closed at its first line. Who may connect at all is told by
//! [`super::peer`].

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::store::fresh_id;

/// Where the socket is unless it is configured otherwise.
pub const DEFAULT_PATH: &str = "/run/stockade-gateway/admin.sock";

/// The longest line, in bytes.
const LONGEST_LINE: u64 = 64 << 10;
/// How long the other side may take for a line.
const LINE_TIMEOUT: Duration = Duration::from_secs(30);

/// The answer to a request, later.
pub type Answer<'a> = Pin<Box<dyn Future<Output = String> + Send + 'a>>;

/// Why a connection to the socket was closed, in words for the log. Holds
/// nothing of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Closed {
    /// The rule, as the audit log has it.
    pub rule: &'static str,
    /// What was wrong.
    pub reason: String,
}

impl Closed {
    pub(super) fn new(rule: &'static str, reason: impl Into<String>) -> Closed {
        Closed { rule, reason: reason.into() }
    }
}

async fn line(read: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = read.take(LONGEST_LINE);
    tokio::time::timeout(LINE_TIMEOUT, limited.read_until(b'\n', &mut line)).await??;
    match line.last() {
        Some(b'\n') => Ok(Some(line)),
        None => Ok(None),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is cut off or too long")),
    }
}

/// The gateway's side: serves a connection until its end. `answer` is given a
/// request without its nonce, and its answer is one line.
///
/// # Errors
/// A line did not carry the connection's nonce, or was none; nothing was done
/// for it. A connection that ends is no error.
pub async fn serve<'a>(
    stream: UnixStream,
    answer: impl Fn(Map<String, Value>) -> Answer<'a> + Send,
) -> Result<(), Closed> {
    let nonce = fresh_id("").map_err(|error| Closed::new("admin.nonce", error.to_string()))?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let mut hello = write.write_all(format!("{}\n", json!({ "nonce": nonce })).as_bytes()).await;
    while hello.is_ok() {
        let sent = match line(&mut lines).await {
            Ok(Some(sent)) => sent,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Closed::new("admin.nonce", error.to_string()));
            }
            Ok(None) | Err(_) => return Ok(()),
        };
        let Ok(Value::Object(mut request)) = serde_json::from_slice(&sent) else {
            return Err(Closed::new("admin.nonce", "a line is not a JSON object with the connection's nonce"));
        };
        let given = request.shift_remove("nonce");
        if !given.as_ref().and_then(Value::as_str).is_some_and(|given| same(given, &nonce)) {
            return Err(Closed::new("admin.nonce", "a request does not carry the connection's nonce"));
        }
        let answer = answer(request).await;
        hello = write.write_all(format!("{answer}\n").as_bytes()).await;
    }
    Ok(())
}

fn same(one: &str, other: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// Tells a client that its connection is closed, and why.
pub async fn refuse(mut stream: UnixStream, closed: &Closed) {
    let told = format!("{}\n", json!({ "ok": false, "error": closed.to_string() }));
    let _ = tokio::time::timeout(LINE_TIMEOUT, stream.write_all(told.as_bytes())).await;
}

/// Asks a running gateway: one request, its answer.
///
/// # Errors
/// Nobody listens, the gateway does not take this program for an administrator,
/// the request is no object, or the answer is none. A refusal of the request
/// itself is no error; it is in the answer.
pub async fn ask(path: &Path, request: &Value) -> io::Result<Value> {
    let (read, mut write) = UnixStream::connect(path).await?.into_split();
    let mut lines = BufReader::new(read);
    let gave_none = || io::Error::new(io::ErrorKind::UnexpectedEof, "the gateway gave no answer");
    let hello: Value = serde_json::from_slice(&line(&mut lines).await?.ok_or_else(gave_none)?)?;
    let Some(nonce) = hello.get("nonce") else {
        let reason = hello.get("error").and_then(Value::as_str).unwrap_or("the gateway sent no nonce");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    };
    let Value::Object(mut request) = request.clone() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a request is a JSON object"));
    };
    request.insert("nonce".to_owned(), nonce.clone());
    write.write_all(format!("{}\n", Value::Object(request)).as_bytes()).await?;
    let answer = line(&mut lines).await?.ok_or_else(gave_none)?;
    serde_json::from_slice(&answer).map_err(io::Error::other)
}
