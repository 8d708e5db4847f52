//! Writes a tar stream: ustar headers, with a pax header before those whose
//! fields do not fit. The end marker is written only when it is asked for, so
//! that whatever ends early cannot look complete.

use std::io;

use tar::{EntryType, Header};

use super::tar_reader::{Entry, Kind};

const BLOCK: usize = 512;
/// The greatest number of eight octal digits less one, which ustar holds.
const SMALL: u64 = 0o7_777_777;
const LARGE: u64 = 0o77_777_777_777;

/// Where written bytes go.
pub trait Sink {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// An entry's header, and a pax header before it where one is needed.
pub fn header(sink: &mut dyn Sink, entry: &Entry) -> io::Result<()> {
    let mut path = entry.path.clone();
    if entry.kind == Kind::Directory {
        path.push(b'/');
    }
    let (kind, link) = match &entry.kind {
        Kind::File => (EntryType::Regular, None),
        Kind::Directory => (EntryType::Directory, None),
        Kind::Symlink(target) => (EntryType::Symlink, Some(target)),
        Kind::Hardlink(target) => (EntryType::Link, Some(target)),
    };
    let mut pax = Vec::new();
    let mut made = Header::new_ustar();
    made.set_entry_type(kind);
    made.set_mode(entry.mode);
    let name = fit(&mut made.as_old_mut().name, &path);
    record(&mut pax, !name, "path", &path);
    if let Some(link) = link {
        let whole = fit(&mut made.as_old_mut().linkname, link);
        record(&mut pax, !whole, "linkpath", link);
    }
    let mut number = |key, value: u64, most: u64| {
        record(&mut pax, value > most, key, value.to_string().as_bytes());
        value.min(most)
    };
    made.set_uid(number("uid", entry.uid, SMALL));
    made.set_gid(number("gid", entry.gid, SMALL));
    made.set_mtime(number("mtime", entry.mtime, LARGE));
    made.set_size(number("size", entry.size, LARGE));
    if let Some(capability) = &entry.capability {
        record(&mut pax, true, "SCHILY.xattr.security.capability", capability);
    }
    if !pax.is_empty() {
        let mut extension = Header::new_ustar();
        extension.set_entry_type(EntryType::XHeader);
        fit(&mut extension.as_old_mut().name, b"PaxHeaders/entry");
        extension.set_mode(0o644);
        extension.set_size(pax.len() as u64);
        extension.set_cksum();
        sink.put(extension.as_bytes())?;
        sink.put(&pax)?;
        padding(sink, pax.len() as u64)?;
    }
    made.set_cksum();
    sink.put(made.as_bytes())
}

/// Zeros up to the end of a block, after so many bytes of data.
pub fn padding(sink: &mut dyn Sink, size: u64) -> io::Result<()> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    sink.put([0; BLOCK].get(..(BLOCK - over) % BLOCK).unwrap_or_default())
}

/// The end marker.
pub fn end(sink: &mut dyn Sink) -> io::Result<()> {
    sink.put(&[0; 2 * BLOCK])
}

/// Copies as much as fits; whether that is all.
fn fit(field: &mut [u8], text: &[u8]) -> bool {
    field.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    text.len() <= field.len()
}

/// `LENGTH KEY=VALUE\n`, the length being that of the whole record.
fn record(pax: &mut Vec<u8>, needed: bool, key: &str, value: &[u8]) {
    if !needed {
        return;
    }
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    pax.extend_from_slice(format!("{length} {key}=").as_bytes());
    pax.extend_from_slice(value);
    pax.push(b'\n');
}
