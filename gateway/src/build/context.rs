//! The build context on its way to the daemon: read, and written anew.
//!
//! Nothing of the client's archive is passed on but the contents of files and
//! the fields of [`Entry`]: paths, modes, owners, times, link targets, file
//! capabilities. The archive written is never compressed, and it begins with an
//! entry for the root that is always the same: the daemon takes an archive
//! whose first bytes look like a compressor's for compressed, and these bytes
//! are the name of the first entry.
//!
//! The last entry is the Dockerfile. It is an ordinary file, and extracting it
//! removes whatever has its path. It is called `Dockerfile` even if the client's
//! is called `dockerfile`, as the daemon prefers the former.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use flate2::read::MultiGzDecoder;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::tar_reader::{Entry, Kind, PATH_LIMIT, TarError, TarReader, refused, shown_path};
use super::tar_writer::{self, Sink};

/// Bytes of a Dockerfile.
const DOCKERFILE_LIMIT: u64 = 1 << 20;
/// Bytes of one piece of output, and of one read.
const PIECE: usize = 64 * 1024;
/// Pieces under way in each direction.
const UNDER_WAY: usize = 4;
const DEFAULT: &str = "Dockerfile";
const FALLBACK: &[u8] = b"dockerfile";

/// Where in the context the Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerfilePath(String);

impl DockerfilePath {
    /// Reads the query's `dockerfile`; `Dockerfile` where it is not given or
    /// empty. None for a path that leaves the context.
    pub fn read(given: Option<&str>) -> Option<DockerfilePath> {
        let given = given.filter(|given| !given.is_empty()).unwrap_or(DEFAULT);
        let parts: Vec<&str> = given.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let fits = given.len() <= PATH_LIMIT && !parts.is_empty() && !parts.contains(&"..");
        (fits && !given.contains(char::is_control)).then(|| DockerfilePath(parts.join("/")))
    }

    /// Relative to the context, without `.` and doubled slashes. The query's
    /// `dockerfile` is to be replaced by it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a context may be.
#[derive(Debug, Clone)]
pub struct ContextOptions {
    /// Where the Dockerfile is. If it is `Dockerfile` and no such file is there,
    /// `dockerfile` is read instead, as the daemon does.
    pub dockerfile: DockerfilePath,
    /// The most bytes of the archive, decompressed.
    pub limit: u64,
    /// The most entries of the archive.
    pub entries: u64,
}

/// Why a context does not get through. `E` is the error of the caller's own
/// look at the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextError<E> {
    /// The archive is not acceptable; the message is for the client.
    Refused(String),
    /// It is larger than [`ContextOptions::limit`].
    TooLarge,
    /// The client's body ended before [`ContextInput::finish`].
    Aborted,
    /// What the caller answered to the Dockerfile's bytes.
    Dockerfile(E),
    /// The rewriter itself ended without a result.
    Lost,
}

impl<E: fmt::Display> fmt::Display for ContextError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContextError::Refused(message) => write!(f, "build context: {message}"),
            ContextError::TooLarge => f.write_str("build context: it is too large"),
            ContextError::Aborted => f.write_str("build context: the client did not send all of it"),
            ContextError::Dockerfile(error) => error.fmt(f),
            ContextError::Lost => f.write_str("build context: it could not be read"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for ContextError<E> {}

/// Where the client's body goes. Dropped without [`ContextInput::finish`], it
/// says that the body was cut off, and the output ends with an error.
#[derive(Debug)]
pub struct ContextInput(mpsc::Sender<Option<Bytes>>);

impl ContextInput {
    /// Passes a piece of any size on; waits while the rewriter is behind.
    ///
    /// Returns false when nothing more is read: the output has ended with an
    /// error, which [`ContextOutput::next`] gives, or was dropped.
    pub async fn send(&self, piece: Bytes) -> bool {
        self.0.send(Some(piece)).await.is_ok()
    }

    /// The body ended as it should. Returns false as [`ContextInput::send`].
    pub async fn finish(self) -> bool {
        self.0.send(None).await.is_ok()
    }
}

#[derive(Debug)]
enum Message<E> {
    Piece(Bytes),
    Done,
    Failed(ContextError<E>),
}

/// Where the daemon's body comes from.
#[derive(Debug)]
pub struct ContextOutput<E> {
    pieces: mpsc::Receiver<Message<E>>,
    ended: bool,
}

impl<E> ContextOutput<E> {
    /// The next piece of the archive, of at most 64 KiB. None after the last:
    /// only then is the archive whole. After an error nothing more comes.
    ///
    /// Can be cancelled without a loss, in `tokio::select!`.
    pub async fn next(&mut self) -> Option<Result<Bytes, ContextError<E>>> {
        if self.ended {
            return None;
        }
        let message = self.pieces.recv().await;
        self.ended = !matches!(message, Some(Message::Piece(_)));
        match message {
            Some(Message::Piece(piece)) => Some(Ok(piece)),
            Some(Message::Done) => None,
            Some(Message::Failed(error)) => Some(Err(error)),
            None => Some(Err(ContextError::Lost)),
        }
    }
}

/// Begins to rewrite a context. Called within a Tokio runtime; the work is done
/// on one of its blocking threads, which waits for the client, the daemon and
/// the callback in turn, and ends soon after either side is dropped.
///
/// Input and output have to be driven at the same time, by two tasks or by
/// `tokio::select!`: each holds four pieces, and a `send` that waits for room
/// ends only when output is taken. Memory is those pieces and less than 2 MiB
/// more, whatever the size of the context.
///
/// When the client's archive has ended, `on_dockerfile` gets the bytes of the
/// Dockerfile, of 1 MiB at most, and answers with those for the last entry, or
/// with an error that ends the output. Before that, output has already been
/// given, but never an end marker: after an error the connection to the daemon
/// has to be closed without ending the request's body.
pub fn rewrite<F, Fut, E>(options: ContextOptions, on_dockerfile: F) -> (ContextInput, ContextOutput<E>)
where
    F: FnOnce(Vec<u8>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Vec<u8>, E>>,
    E: Send + 'static,
{
    let (input, chunks) = mpsc::channel(UNDER_WAY);
    let (sender, pieces) = mpsc::channel(UNDER_WAY);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let body = Body { chunks, current: Bytes::new(), ended: false };
        let mut out = Pieces { buffer: Vec::with_capacity(PIECE), sender };
        let last = match copy(&options, body, &mut out, |bytes| runtime.block_on(on_dockerfile(bytes))) {
            Ok(()) => Message::Done,
            Err(error) => Message::Failed(error),
        };
        // Fails only if nobody listens any more.
        let _ = out.sender.blocking_send(last);
    });
    (ContextInput(input), ContextOutput { pieces, ended: false })
}

/// The client's body as a reader.
struct Body {
    chunks: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    ended: bool,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.chunks.blocking_recv() {
                Some(Some(chunk)) => self.current = chunk,
                Some(None) => self.ended = true,
                None => return Err(io::Error::other(Stop::Aborted)),
            }
        }
        let count = buffer.len().min(self.current.len());
        if let Some(buffer) = buffer.get_mut(..count) {
            self.current.copy_to_slice(buffer);
        }
        Ok(count)
    }
}

/// What ends reading and is not the archive's fault.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Stop {
    #[error("the body was cut off")]
    Aborted,
    #[error("there is too much")]
    TooLarge,
}

/// Gives up after so many bytes.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(Stop::TooLarge))?;
        Ok(count)
    }
}

/// Output in pieces of [`PIECE`] bytes.
struct Pieces<E> {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Message<E>>,
}

impl<E> Pieces<E> {
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        let sent = self.sender.blocking_send(Message::Piece(piece.into()));
        sent.map_err(|_| io::Error::other(Stop::Aborted))
    }
}

impl<E> Sink for Pieces<E> {
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            if self.buffer.len() == PIECE {
                self.flush()?;
            }
            bytes = later;
        }
        Ok(())
    }
}

impl<E> From<TarError> for ContextError<E> {
    fn from(error: TarError) -> ContextError<E> {
        let error = match error {
            TarError::Refused(message) => return ContextError::Refused(message),
            TarError::Io(error) => error,
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Stop>()) {
            Some(Stop::Aborted) => ContextError::Aborted,
            Some(Stop::TooLarge) => ContextError::TooLarge,
            // The decompressor's own.
            None => ContextError::Refused(format!("it cannot be decompressed: {error}")),
        }
    }
}

impl<E> From<io::Error> for ContextError<E> {
    fn from(error: io::Error) -> ContextError<E> {
        TarError::Io(error).into()
    }
}

/// A reader of the archive itself, after its first bytes.
fn decompressed(body: Body, limit: u64) -> Result<Box<dyn Read>, TarError> {
    let mut body = Limited { inner: body, left: limit };
    let mut first = Vec::new();
    body.by_ref().take(6).read_to_end(&mut first)?;
    let other = [
        (&b"BZh"[..], "bzip2"),
        (&b"\xfd7zXZ\0"[..], "xz"),
        (&b"\x28\xb5\x2f\xfd"[..], "zstd"),
        (&b"\x04\x22\x4d\x18"[..], "lz4"),
    ];
    if let Some((_, name)) = other.iter().find(|(magic, _)| first.starts_with(magic)) {
        return refused(format!("it is compressed with {name}; only gzip is possible, or no compression"));
    }
    let gzip = first.starts_with(b"\x1f\x8b");
    let whole = Read::chain(io::Cursor::new(first), body);
    if gzip {
        return Ok(Box::new(Limited { inner: MultiGzDecoder::new(whole), left: limit }));
    }
    Ok(Box::new(whole))
}

/// What is known of a file that may be the Dockerfile.
enum Found {
    Nothing,
    File { bytes: Vec<u8>, mtime: u64 },
    Other,
}

fn copy<E>(
    options: &ContextOptions,
    body: Body,
    out: &mut Pieces<E>,
    on_dockerfile: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, E>,
) -> Result<(), ContextError<E>> {
    let path = options.dockerfile.as_str();
    let mut archive = TarReader::new(decompressed(body, options.limit)?);
    tar_writer::header(out, &plain(".", Kind::Directory, 0o755))?;
    let (mut named, mut fallback) = (Found::Nothing, Found::Nothing);
    let mut buffer = vec![0; PIECE];
    let mut count = 0;
    while let Some(entry) = archive.next()? {
        count += 1;
        if count > options.entries {
            return Err(ContextError::Refused(format!("it has more than {} entries", options.entries)));
        }
        if entry.path.is_empty() {
            if entry.kind == Kind::Directory {
                continue;
            }
            return Err(ContextError::Refused("an entry that is no directory has the context's own path".to_owned()));
        }
        let below = path.as_bytes().strip_prefix(&entry.path[..]).is_some_and(|rest| rest.starts_with(b"/"));
        if below && entry.kind != Kind::Directory {
            let message = "is no directory, but the Dockerfile is below it; name its real path";
            return Err(ContextError::Refused(format!("{} {message}", shown_path(&entry.path))));
        }
        let keep = if entry.path == path.as_bytes() {
            Some(&mut named)
        } else if path == DEFAULT && entry.path == FALLBACK {
            Some(&mut fallback)
        } else {
            None
        };
        tar_writer::header(out, &entry)?;
        match keep {
            Some(found) => *found = capture(&mut archive, &entry, &mut buffer, out)?,
            None => loop {
                let count = archive.data(&mut buffer)?;
                if count == 0 {
                    break;
                }
                out.put(buffer.get(..count).unwrap_or_default())?;
            },
        }
        tar_writer::padding(out, entry.size)?;
    }
    let found = if matches!(named, Found::Nothing) { fallback } else { named };
    let (bytes, mtime) = match found {
        Found::File { bytes, mtime } => (bytes, mtime),
        Found::Nothing => return Err(ContextError::Refused(format!("there is no Dockerfile {path:?} in it"))),
        Found::Other => {
            let message = "is a link or a directory; the Dockerfile has to be a file of its own";
            return Err(ContextError::Refused(format!("{path:?} {message}")));
        }
    };
    // What there is goes on while the caller looks at the Dockerfile.
    out.flush()?;
    let bytes = on_dockerfile(bytes).map_err(ContextError::Dockerfile)?;
    let last = Entry { size: bytes.len() as u64, mtime, ..plain(path, Kind::File, 0o644) };
    tar_writer::header(out, &last)?;
    out.put(&bytes)?;
    tar_writer::padding(out, last.size)?;
    tar_writer::end(out)?;
    Ok(out.flush()?)
}

/// An entry of the gateway's own.
fn plain(path: &str, kind: Kind, mode: u32) -> Entry {
    Entry { path: path.into(), kind, size: 0, mode, uid: 0, gid: 0, mtime: 0, capability: None }
}

/// Passes a possible Dockerfile on and keeps it.
fn capture<R: Read, E>(
    archive: &mut TarReader<R>,
    entry: &Entry,
    buffer: &mut [u8],
    out: &mut Pieces<E>,
) -> Result<Found, ContextError<E>> {
    if entry.kind != Kind::File {
        return Ok(Found::Other);
    }
    if entry.size > DOCKERFILE_LIMIT {
        return Err(ContextError::Refused("the Dockerfile is larger than 1 MiB".to_owned()));
    }
    let mut bytes = Vec::new();
    loop {
        let count = archive.data(buffer)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    out.put(&bytes)?;
    Ok(Found::File { bytes, mtime: entry.mtime })
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
