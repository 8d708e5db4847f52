//! The client's side of the admin socket: one JSON object a line each way.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// Where the socket is unless it is configured otherwise.
pub const DEFAULT_PATH: &str = "/run/stockade-gateway/admin.sock";

/// The longest line, in bytes.
const LONGEST_LINE: u64 = 64 << 10;
/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

async fn line(read: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = read.take(LONGEST_LINE);
    tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await??;
    match line.last() {
        Some(b'\n') => Ok(Some(line)),
        None => Ok(None),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is cut off or too long")),
    }
}

/// Asks a running gateway: one request, its answer.
///
/// # Errors
/// Nobody listens, or the answer is no JSON object. A refusal is no error; it
/// is in the answer.
pub async fn ask(path: &Path, request: &Value) -> io::Result<Value> {
    let stream = UnixStream::connect(path).await?;
    let (read, mut write) = stream.into_split();
    write.write_all(format!("{request}\n").as_bytes()).await?;
    let answer = line(&mut BufReader::new(read)).await?;
    let answer = answer.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the gateway gave no answer"))?;
    serde_json::from_slice(&answer).map_err(io::Error::other)
}
