//! Records in a file of this machine: redb, mode 0600.
//!
//! redb locks its file while it is open. So it is open for one transaction at
//! a time, and who finds it locked tries again, for a while.

use super::{KEPT, RecordsError, Run, Store, read, written};
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, Error, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition,
};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

const RUNS: TableDefinition<&str, &[u8]> = TableDefinition::new("runs");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// How long others may keep the file to themselves. Each needs milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);
const CACHE_BYTES: usize = 4 << 20;

/// The records of this user on this machine.
#[derive(Debug)]
pub struct LocalStore {
    path: PathBuf,
    name: String,
}

impl LocalStore {
    /// The store at a path; nothing is opened yet.
    pub fn new(path: PathBuf) -> LocalStore {
        LocalStore { name: path.display().to_string(), path }
    }

    fn error(&self, why: impl std::fmt::Display) -> RecordsError {
        RecordsError::Store { store: self.name.clone(), why: why.to_string() }
    }

    fn file(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow);
        let file = open.open(&self.path)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
    }

    /// The database, as soon as nobody else has it open.
    fn open(&self) -> Result<Database, RecordsError> {
        let end = Instant::now() + LOCK_TIMEOUT;
        loop {
            let backend = FileBackend::new(self.file().map_err(|error| self.error(error))?);
            let opened = backend.and_then(|backend| {
                let mut builder = Database::builder();
                builder.set_cache_size(CACHE_BYTES);
                builder.create_with_backend(backend)
            });
            match opened {
                Ok(database) => return Ok(database),
                Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < end => sleep(PAUSE),
                Err(DatabaseError::DatabaseAlreadyOpen) => {
                    return Err(self.error(format!("others have had it open for {} s", LOCK_TIMEOUT.as_secs())));
                }
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    fn write(&self, run: Option<(&str, &[u8])>) -> Result<(), RecordsError> {
        let database = self.open()?;
        let work = || -> Result<(), Error> {
            let write = database.begin_write()?;
            {
                // A check writes too: a full disk shows here, not after the hosts were changed.
                let mut meta = write.open_table(META)?;
                let count = meta.get("writes")?.map_or(0, |count| count.value());
                meta.insert("writes", count.wrapping_add(1))?;
                let mut runs = write.open_table(RUNS)?;
                if let Some((id, bytes)) = run {
                    runs.insert(id, bytes)?;
                }
                while runs.len()? > KEPT as u64 {
                    runs.pop_first()?;
                }
            }
            Ok(write.commit()?)
        };
        work().map_err(|error| self.error(error))
    }
}

impl Store for LocalStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), RecordsError> {
        self.write(None)
    }

    fn add(&self, run: &Run) -> Result<(), RecordsError> {
        self.write(Some((&run.id, &written(&self.name, run)?)))
    }

    fn runs(&self) -> Result<Vec<Run>, RecordsError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let database = self.open()?;
        let work = || -> Result<Vec<Vec<u8>>, Error> {
            let table = match database.begin_read()?.open_table(RUNS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                table => table?,
            };
            table.iter()?.map(|entry| Ok(entry?.1.value().to_vec())).collect()
        };
        let found = work().map_err(|error| self.error(error))?;
        found.iter().map(|bytes| read(&self.name, bytes)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "local_tests.rs"]
mod tests;
