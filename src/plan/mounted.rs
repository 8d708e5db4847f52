//! What is mounted otherwise than it will be said: a remount takes up options
//! alone, neither another source, place nor type (mount(8), systemd.mount(5)).

use super::boot::unescaped;
use super::unit_files::{is_unit_source, mounted_at};
use super::{FileOp, Op};
use crate::observe::{Content, HostState, Known};
use crate::values::{AbsPath, UnitFile, UnitName};

/// What no remount takes up, of a section [Mount].
const KEYS: [&str; 3] = ["What", "Where", "Type"];

/// The mount point of a mount unit.
pub(crate) fn point_of(unit: &UnitName) -> Option<AbsPath> {
    unit.as_str().strip_suffix(".mount").and_then(mounted_at)
}

/// Whether something is mounted where this mount unit says.
pub(super) fn is_mounted(unit: &UnitName, host: &HostState) -> bool {
    unit.as_str().ends_with(".mount") && matches!(host.unit(unit), Ok(Known::Is(found)) if found.active == "active")
}

/// Whether an operation says what no remount takes up of a mount unit otherwise
/// than the host has it: in its file, in a drop-in, or in its line of /etc/fstab.
pub(super) fn mounts_anew(op: &Op, unit: &UnitName, host: &HostState) -> bool {
    let (path, new) = match op {
        Op::File(FileOp::WriteFile { path, content, .. }) => (path, Some(String::from_utf8_lossy(content))),
        Op::File(FileOp::Remove { path, .. }) => (path, None),
        _ => return false,
    };
    let old = match host.content(path) {
        Ok(Content::Bytes(bytes)) => Some(String::from_utf8_lossy(bytes)),
        Ok(Content::Absent | Content::Digest(_) | Content::AfterApply) | Err(_) => None,
    };
    if path.as_str() == "/etc/fstab" {
        let said = |text: &str| point_of(unit).and_then(|at| line_for(&at, text));
        let (old, new) = (old.and_then(|text| said(&text)), new.and_then(|text| said(&text)));
        return matches!((old, new), (Some(old), Some(new)) if old != new);
    }
    let Some(parent) = path.parent().filter(|_| is_unit_source(path)) else { return false };
    let name = parent.file_name().strip_suffix(".d").unwrap_or_else(|| path.file_name()).to_owned();
    name == unit.as_str() && said(old.as_deref()) != said(new.as_deref())
}

/// What a unit file or drop-in says of it; nothing where there is no such file.
fn said(text: Option<&str>) -> [Option<String>; 3] {
    let file = text.and_then(|text| UnitFile::parse(text).ok()).unwrap_or_default();
    KEYS.map(|key| file.values("Mount", key).last().map(str::to_owned))
}

/// The source and type of the line that mounts something there.
fn line_for(at: &AbsPath, text: &str) -> Option<[String; 2]> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().map(unescaped).collect::<Vec<_>>()).find_map(|fields| {
        let [source, target, sort, ..] = &fields[..] else { return None };
        let is_there = target.trim_end_matches('/') == at.as_str().trim_end_matches('/');
        is_there.then(|| [source.clone(), sort.clone()])
    })
}
