//! The audit log: one JSON line for each request, who did what and by which rule.
//!
//! What must hold: no token is ever in it (a record has no field for one); a
//! line is one line, whatever a client sent (JSON escapes control characters);
//! and no request is let through while a line is owed. A line that cannot be
//! written is kept, requests are refused until it is written, and none is lost.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

use super::name::{RoleName, TenantName};

/// More than this many bytes waiting to be written count as a log that is gone:
/// some seconds of a full load, which a busy disk may take for one write.
const MAX_OWED: usize = 32 << 20;
/// Memory that the writer keeps.
const KEPT: usize = 1 << 20;
/// Lines of this span are written together.
const GATHER: Duration = Duration::from_millis(10);
/// After a failed write, the next attempt.
const RETRY: Duration = Duration::from_millis(250);

/// One line.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// When it was written, RFC 3339, UTC.
    pub time: String,
    /// `open` for a stream that begins, `done` for a request that ended.
    pub event: &'static str,
    /// `sub` of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    /// The role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// `jti`: names the token, is not the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The operation's id, or the method and path of what is none.
    pub operation: String,
    /// The object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// `allow` or `refuse`.
    pub decision: &'static str,
    /// The rule that decided.
    pub rule: String,
    /// The HTTP status the client got; 0 if it got none.
    pub status: u16,
    /// From the request's head to the end of the answer.
    pub duration_us: u64,
    /// The client's address, or `local`.
    pub client: String,
    /// Why a stream ended, if not by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
}

/// Where lines go.
pub enum Sink {
    /// A file, opened again on reload.
    File(std::path::PathBuf),
    /// Standard output, which journald reads.
    Writer(Box<dyn Write + Send>),
}

struct Shared {
    owed: Mutex<Vec<u8>>,
    wake: Condvar,
    broken: AtomicBool,
    reopen: AtomicBool,
    stop: AtomicBool,
    failures: AtomicU64,
}

/// The log. Dropping it writes what is owed.
pub struct Audit {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// Opens a log file: appended to, readable by its owner only, never through a link.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(path)
}

impl Audit {
    /// Starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened or no thread can be had.
    pub fn start(sink: Sink) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            owed: Mutex::new(Vec::new()),
            wake: Condvar::new(),
            broken: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            failures: AtomicU64::new(0),
        });
        let (path, out): (_, Box<dyn Write + Send>) = match sink {
            Sink::File(path) => {
                let file = open(&path)?;
                (Some(path), Box::new(file))
            }
            Sink::Writer(out) => (None, out),
        };
        let of_writer = Arc::clone(&shared);
        let writer =
            std::thread::Builder::new().name("audit".into()).spawn(move || of_writer.write(path.as_deref(), out))?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Whether a request may be let through: every earlier line is written or can be.
    #[must_use]
    pub fn admits(&self) -> bool {
        !self.shared.broken.load(Ordering::Acquire)
    }

    /// How many writes have failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// Adds a line, with the time of now.
    pub fn record(&self, mut record: Record) {
        record.time = jiff::Timestamp::now().to_string();
        let mut owed = self.shared.lock();
        let first = owed.is_empty();
        if serde_json::to_writer(&mut *owed, &record).is_ok() {
            owed.push(b'\n');
        }
        if owed.len() > MAX_OWED {
            self.shared.broken.store(true, Ordering::Release);
        }
        drop(owed);
        if first {
            self.shared.wake.notify_one();
        }
    }

    /// Opens the file again, after it was rotated.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, path: Option<&Path>, mut out: Box<dyn Write + Send>) {
        let mut batch: Vec<u8> = Vec::new();
        loop {
            let stopping = self.stop.load(Ordering::Acquire);
            if self.reopen.swap(false, Ordering::AcqRel)
                && let Some(file) = path.and_then(|path| open(path).ok())
            {
                out = Box::new(file);
            }
            batch.append(&mut self.lock());
            let written = write_some(&mut out, &mut batch);
            match written {
                Ok(()) => self.broken.store(false, Ordering::Release),
                Err(_) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    self.broken.store(true, Ordering::Release);
                }
            }
            if stopping {
                return;
            }
            if batch.is_empty() {
                batch.shrink_to(KEPT);
                let owed = self.lock();
                if owed.is_empty() && !self.stop.load(Ordering::Acquire) {
                    drop(self.wake.wait_timeout(owed, Duration::from_secs(1)));
                }
                std::thread::sleep(GATHER);
            } else {
                std::thread::sleep(RETRY);
            }
        }
    }
}

/// Writes and removes what could be written, so that no line is written twice.
fn write_some(out: &mut dyn Write, batch: &mut Vec<u8>) -> io::Result<()> {
    while !batch.is_empty() {
        match out.write(batch) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => drop(batch.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(operation: &str) -> Record {
        Record { operation: operation.into(), event: "done", decision: "allow", ..Record::default() }
    }

    #[test]
    fn a_line_stays_one_line_whatever_the_client_sent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let audit = Audit::start(Sink::File(path.clone())).unwrap();
        audit.record(record("GET /x\r\n{\"forged\":1}\u{1b}[2J\u{2028}"));
        drop(audit);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.contains('\r') && !text.contains('\u{1b}'), "{text:?}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_behind_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("audit")).unwrap();
        assert!(open(&dir.path().join("audit")).is_err());
    }

    /// A device that is full until it is not.
    struct Full(Arc<(AtomicBool, Mutex<Vec<u8>>)>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.0.load(Ordering::Acquire) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = bytes.len().min(7);
            self.0.1.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn while_a_line_is_owed_nothing_is_admitted_and_then_none_is_lost() {
        let device = Arc::new((AtomicBool::new(true), Mutex::new(Vec::new())));
        let audit = Audit::start(Sink::Writer(Box::new(Full(Arc::clone(&device))))).unwrap();
        assert!(audit.admits());
        audit.record(record("one"));
        while audit.admits() {
            std::thread::yield_now();
        }
        audit.record(record("two"));
        device.0.store(false, Ordering::Release);
        while !audit.admits() {
            std::thread::yield_now();
        }
        drop(audit);
        let text = String::from_utf8(device.1.lock().unwrap().clone()).unwrap();
        let operations: Vec<_> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["operation"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(operations, ["one", "two"]);
    }
}
