//! Reads a tar stream entry by entry: POSIX pax and ustar, GNU long names, and
//! the old format, in constant memory. Fields are parsed by the `tar` crate;
//! the walk is here because that crate reads a long name of any length into
//! memory and takes the end of its input for the end of the archive.
//!
//! What Go's `archive/tar` and this reader could see differently is refused: a
//! size that contradicts itself, data with an entry that has none, sparse files.

use std::io::{self, Read};

use tar::{EntryType, Header};

const BLOCK: usize = 512;
/// Bytes of a pax header or a GNU long name.
const EXTENSION_LIMIT: u64 = 64 * 1024;
/// Bytes of a path or of a link's target.
pub const PATH_LIMIT: usize = 4096;

const CAPABILITY: &[u8] = b"SCHILY.xattr.security.capability";

/// Why reading ends early.
#[derive(Debug)]
pub enum TarError {
    /// The input failed.
    Io(io::Error),
    /// The archive is not acceptable.
    Refused(String),
}

impl From<io::Error> for TarError {
    fn from(error: io::Error) -> TarError {
        TarError::Io(error)
    }
}

pub fn refused<T>(message: impl Into<String>) -> Result<T, TarError> {
    Err(TarError::Refused(message.into()))
}

/// What an entry is. Anything else is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link and its target, as it is.
    Symlink(Vec<u8>),
    /// A hard link and its target, cleaned as a path.
    Hardlink(Vec<u8>),
}

/// An entry's header. Its data, if any, comes next in the stream.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Cleaned: no `.`, no empty part, no slash at either end. Empty for the root.
    pub path: Vec<u8>,
    pub kind: Kind,
    /// Bytes of data; none but for files.
    pub size: u64,
    /// Permissions and the set-id and sticky bits.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// The extended attribute `security.capability`.
    pub capability: Option<Vec<u8>>,
}

/// What extension headers say of the entry after them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
    capability: Option<Vec<u8>>,
    any: bool,
}

/// A tar stream.
pub struct TarReader<R> {
    input: R,
    /// Bytes of the last entry's data and padding that were not read.
    left: u64,
    padding: u64,
}

impl<R: Read> TarReader<R> {
    pub fn new(input: R) -> TarReader<R> {
        TarReader { input, left: 0, padding: 0 }
    }

    /// The next entry; none at the end of the archive, when all input was read.
    pub fn next(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                if extensions.any {
                    return refused("the archive ends after an extension header");
                }
                return self.end().map(|()| None);
            };
            let kind = header.entry_type();
            let size = field("size", &header.as_old().size, header.entry_size())?;
            match kind {
                EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink => {
                    let data = self.extension(size)?;
                    match kind {
                        EntryType::XHeader => extensions.pax(&data)?,
                        // The daemon ignores it: it may hold comments, nothing about entries.
                        EntryType::XGlobalHeader => global(&data)?,
                        EntryType::GNULongName => extensions.long_path = Some(until_nul(data)),
                        _ => extensions.long_link = Some(until_nul(data)),
                    }
                    extensions.any |= kind != EntryType::XGlobalHeader;
                }
                _ => return self.entry(&header, size, extensions).map(Some),
            }
        }
    }

    /// Reads some of the entry's data; 0 at its end.
    pub fn data(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let count = self.input.read(buffer)?;
        if count == 0 {
            return refused("the archive is cut off inside a file");
        }
        self.left -= count as u64;
        Ok(count)
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let mut rest = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        let mut buffer = [0; 4096];
        while rest > 0 {
            let most = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
            let count = self.input.read(buffer.get_mut(..most).unwrap_or_default())?;
            if count == 0 {
                return refused("the archive is cut off inside an entry");
            }
            rest -= count as u64;
        }
        Ok(())
    }

    /// A block; none at the end of the input.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest)? {
                0 if filled == 0 => return Ok(None),
                0 => return refused("the archive is cut off inside a header; is it a tar archive?"),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }

    /// A header whose checksum is right; none for the first block of the end marker.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let Some(block) = self.block()? else {
            return refused("the archive has no end marker: it is cut off, or it is no tar archive");
        };
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        let (before, after) = (block.get(..148).unwrap_or_default(), block.get(156..).unwrap_or_default());
        let sum = before.iter().chain(after).map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
        if header.cksum().ok() != Some(sum) {
            return refused("a header's checksum is wrong, or this is no tar archive");
        }
        Ok(Some(header))
    }

    /// After the end marker's first block: nothing but zeros may follow.
    fn end(&mut self) -> Result<(), TarError> {
        let mut buffer = [0; 4096];
        loop {
            match self.input.read(&mut buffer)? {
                0 => return Ok(()),
                count if buffer.iter().take(count).all(|byte| *byte == 0) => {}
                _ => return refused("data follows the archive's end marker"),
            }
        }
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > EXTENSION_LIMIT {
            return refused("an extension header is longer than 64 KiB");
        }
        self.expect(size);
        let mut data = vec![0; usize::try_from(size).unwrap_or_default()];
        let mut filled = 0;
        while filled < data.len() {
            filled += self.data(data.get_mut(filled..).unwrap_or_default())?;
        }
        Ok(data)
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn entry(&mut self, header: &Header, size: u64, extensions: Extensions) -> Result<Entry, TarError> {
        let raw = extensions.path.or(extensions.long_path).unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = shown_path(&raw);
        if extensions.size.is_some_and(|said| said != size) {
            return refused(format!("{shown}: its size is given twice; files of 8 GiB and more are not possible"));
        }
        let path = clean(&raw)?;
        let link = extensions.link.or(extensions.long_link);
        let target = || link.clone().or_else(|| header.link_name_bytes().map(|bytes| bytes.into_owned()));
        let kind = match header.entry_type() {
            EntryType::Regular if raw.ends_with(b"/") => Kind::Directory,
            EntryType::Regular => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => {
                let target = target().unwrap_or_default();
                if target.is_empty() || target.len() > PATH_LIMIT || target.contains(&0) {
                    return refused(format!("{shown}: the link's target is not acceptable"));
                }
                Kind::Symlink(target)
            }
            EntryType::Link => match clean(&target().unwrap_or_default())? {
                target if target.is_empty() => return refused(format!("{shown}: the link's target is the context")),
                target => Kind::Hardlink(target),
            },
            _ => {
                let message = "is neither a file, a directory nor a link (devices, FIFOs and sparse files are refused)";
                return refused(format!("{shown} {message}"));
            }
        };
        if kind != Kind::File && size != 0 {
            return refused(format!("{shown} has data, and is no file"));
        }
        self.expect(size);
        let old = header.as_old();
        Ok(Entry {
            path,
            kind,
            size,
            mode: u32::try_from(field("mode", &old.mode, header.mode().map(u64::from))? & 0o7777).unwrap_or_default(),
            uid: extensions.uid.map_or_else(|| field("owner", &old.uid, header.uid()), Ok)?,
            gid: extensions.gid.map_or_else(|| field("group", &old.gid, header.gid()), Ok)?,
            // Beyond what is signed are times before 1970 in the binary form.
            mtime: extensions
                .mtime
                .map_or_else(|| field("time", &old.mtime, header.mtime()), Ok)
                .map(|time| if i64::try_from(time).is_ok() { time } else { 0 })?,
            capability: extensions.capability,
        })
    }
}

/// A number of a header; an empty field is 0, as for Go's reader.
fn field(what: &str, bytes: &[u8], parsed: io::Result<u64>) -> Result<u64, TarError> {
    if bytes.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(0);
    }
    parsed.map_err(|_| bad(what))
}

fn bad(what: &str) -> TarError {
    TarError::Refused(format!("a header's {what} is not a number"))
}

/// A path for a message.
pub fn shown_path(path: &[u8]) -> String {
    format!("{:?}", crate::shown::shown(&String::from_utf8_lossy(path)))
}

fn until_nul(mut data: Vec<u8>) -> Vec<u8> {
    data.truncate(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    data
}

/// The path's parts joined by single slashes.
fn clean(path: &[u8]) -> Result<Vec<u8>, TarError> {
    let shown = || shown_path(path);
    if path.is_empty() || path.len() > PATH_LIMIT || path.contains(&0) {
        return refused(format!("the path {} is not acceptable", shown()));
    }
    if path.starts_with(b"/") {
        return refused(format!("the path {} is absolute; paths are relative to the context", shown()));
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) {
        return refused(format!("the path {} contains \"..\"", shown()));
    }
    Ok(parts.join(&b'/'))
}

/// A key and its value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// The records of a pax header: `LENGTH KEY=VALUE\n`.
fn records(data: &[u8]) -> Result<Vec<Record<'_>>, TarError> {
    let bad = || TarError::Refused("a pax header is malformed".to_owned());
    let (mut rest, mut all) = (data, Vec::new());
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
        let length = number(rest.get(..space).unwrap_or_default()).and_then(|length| usize::try_from(length).ok());
        let (record, after) = length.and_then(|length| rest.split_at_checked(length)).ok_or_else(bad)?;
        let record = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(bad)?;
        let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0).ok_or_else(bad)?;
        let (key, value) = record.split_at_checked(equals).ok_or_else(bad)?;
        all.push((key, value.get(1..).unwrap_or_default()));
        rest = after;
    }
    Ok(all)
}

/// Digits alone.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn global(data: &[u8]) -> Result<(), TarError> {
    let about = |key: &[u8]| [&b"path"[..], b"linkpath", b"size"].contains(&key) || key.starts_with(b"GNU.sparse");
    if records(data)?.iter().any(|(key, _)| about(key)) {
        return refused("a global pax header describes entries");
    }
    Ok(())
}

impl Extensions {
    fn pax(&mut self, data: &[u8]) -> Result<(), TarError> {
        for (key, value) in records(data)? {
            if key.starts_with(b"GNU.sparse") {
                return refused("sparse files are refused; make the archive without sparse files");
            }
            // An empty value leaves the header's own, as Go's reader does.
            if value.is_empty() {
                continue;
            }
            let text = || value.to_vec();
            match key {
                b"path" => self.path = Some(text()),
                b"linkpath" => self.link = Some(text()),
                b"size" => self.size = Some(number(value).ok_or_else(|| bad("size"))?),
                b"uid" => self.uid = Some(number(value).ok_or_else(|| bad("owner"))?),
                b"gid" => self.gid = Some(number(value).ok_or_else(|| bad("group"))?),
                b"mtime" => self.mtime = Some(seconds(value).ok_or_else(|| bad("time"))?),
                CAPABILITY => self.capability = Some(text()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whole seconds of a pax time; times before 1970 become 1970.
fn seconds(value: &[u8]) -> Option<u64> {
    let whole = value.split(|byte| *byte == b'.').next()?;
    if let Some(before) = whole.strip_prefix(b"-") {
        return number(before).map(|_| 0);
    }
    number(whole).filter(|_| !whole.is_empty())
}
