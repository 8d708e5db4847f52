//! The admin socket: a unix socket of mode 0600, one JSON object a line each way.
//!
//! Whoever may connect may issue any token: besides the mode, the peer's user
//! must be root or the gateway's own.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::Service;

/// Where the socket is unless it is configured otherwise.
pub const DEFAULT_PATH: &str = "/run/stockade-gateway/admin.sock";

/// The longest line, in bytes.
const LONGEST_LINE: u64 = 64 << 10;
/// How long a peer may take for a line, or to read the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Binds the socket. A socket that nobody listens on is replaced.
///
/// # Errors
/// Another gateway listens on it, something else is at the path, or the folder
/// cannot be written.
pub async fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        let taken = |reason: &str| io::Error::new(io::ErrorKind::AddrInUse, format!("{}: {reason}", path.display()));
        if !meta.file_type().is_socket() {
            return Err(taken("it is there and is no socket"));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(taken("another gateway listens on it"));
        }
        std::fs::remove_file(path)?;
    }
    // Made under a name of its own and closed to others before it gets its name.
    let folder = path.parent().ok_or_else(|| io::Error::other("the admin socket needs a folder"))?;
    let private =
        tempfile::Builder::new().prefix(".admin").permissions(PermissionsExt::from_mode(0o700)).tempdir_in(folder)?;
    let made = private.path().join("s");
    let listener = UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, PermissionsExt::from_mode(0o600))?;
    std::fs::rename(&made, path)?;
    Ok(listener)
}

/// Serves the socket until it is dropped.
pub async fn serve(listener: UnixListener, service: Arc<Service>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = Arc::clone(&service);
                tokio::spawn(async move {
                    // A peer that goes away is no event.
                    let _ = converse(stream, &service).await;
                });
            }
            // No descriptor left, mostly: others will end.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(stream: UnixStream, service: &Service) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let (read, mut write) = stream.into_split();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        let refusal = b"{\"ok\":false,\"error\":\"only root and the gateway's own user may ask\"}\n";
        return write.write_all(refusal).await;
    }
    let mut read = BufReader::new(read);
    loop {
        let Some(line) = line(&mut read).await? else { return Ok(()) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let answer = format!("{}\n", service.admin_line(&line, now).await);
        tokio::time::timeout(PATIENCE, write.write_all(answer.as_bytes())).await??;
    }
}

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
