//! What whoever reads a directory passes over: a file of such a name, mode,
//! owner or form is written and never in force.

use super::in_force::wildcard;
use super::readers::{Needs, READERS, Reader};
use super::{Args, private_files, rejected};
use crate::observe::{HostState, PathState};
use crate::plan::{FileOp, Op, Planned};
use crate::values::{AbsPath, Mode};

/// Refuses a file whose name sudo passes over (sudoers(5), "Including other
/// files"): rights or limits that are written there would not hold.
pub(super) fn refuse(args: &mut Args<'_>, path: &AbsPath) {
    let name = path.file_name();
    if is_in(path, "/etc/sudoers.d") && (name.contains('.') || name.ends_with('~')) {
        args.wrong_value(
            "path",
            format!("sudo ignores {path}: the name of a file in /etc/sudoers.d may not hold '.' nor end in '~'"),
        );
    }
}

/// A file as a plan leaves it; what is not known is none.
struct PlannedFile<'a> {
    path: &'a AbsPath,
    owner: Option<&'a str>,
    mode: Option<Mode>,
    content: Option<&'a [u8]>,
}

/// An owner by the name that readers go by: who has root's number is root.
fn named<'a>(host: &HostState, owner: &'a str) -> &'a str {
    if host.is_same_user(owner, "root") { "root" } else { owner }
}

impl<'a> PlannedFile<'a> {
    fn by(op: &'a Op, host: &'a HostState) -> Option<PlannedFile<'a>> {
        Some(match op {
            Op::File(FileOp::WriteFile { path, content, meta, .. }) => {
                let owner = Some(named(host, &meta.owner));
                PlannedFile { path, owner, mode: Some(meta.mode), content: Some(content) }
            }
            Op::File(FileOp::Download { path, meta, .. }) => {
                PlannedFile { path, owner: Some(named(host, &meta.owner)), mode: Some(meta.mode), content: None }
            }
            Op::File(FileOp::MakeLink { path, .. }) => PlannedFile { path, owner: None, mode: None, content: None },
            Op::File(FileOp::SetMeta { path, owner, mode, .. }) => {
                let entry = match host.path(path) {
                    Ok(PathState::Present(entry)) if entry.file_type == crate::observe::FileType::File => entry,
                    _ => return None,
                };
                let owner = owner.as_deref().unwrap_or(&entry.owner);
                PlannedFile {
                    path,
                    owner: Some(named(host, owner)),
                    mode: Some(mode.unwrap_or(entry.mode)),
                    content: None,
                }
            }
            _ => return None,
        })
    }

    /// What the reader of its directory passes it over for.
    fn ignored(&self, reader: &Reader) -> Option<String> {
        let Reader { who, source, rule, .. } = reader;
        let path = self.path;
        if !(reader.reads)(path.file_name()) {
            return Some(format!("{who} ignores {path}: a name there {rule} ({source})"));
        }
        let bits = self.mode.map_or(0o755, Mode::bits);
        let (foreign, shown) =
            (self.owner.filter(|owner| *owner != "root"), self.mode.unwrap_or(Mode::from_bits(0o755)));
        let is_program = bits & 0o111 != 0;
        let why = match reader.needs {
            Needs::Executable | Needs::Script | Needs::RootsProgram if !is_program => {
                format!("it must be executable, and its mode is {shown}: say mode = \"0755\"")
            }
            Needs::RootsProgram | Needs::Roots | Needs::Crontab if bits & 0o022 != 0 => {
                format!("others than its owner can write to it (mode {shown}): say mode = \"0644\"")
            }
            Needs::Read(by) if bits & by == 0 => {
                format!("its reader is not root and cannot read it (mode {shown}): say mode = \"0644\"")
            }
            Needs::Key if bits & 0o004 == 0 => {
                format!("apt's own user cannot read it (mode {shown}): say mode = \"0644\"")
            }
            Needs::Private if self.mode.is_some() && bits & 0o077 != 0 => {
                format!("others than root can read it (mode {shown}): say mode = \"0600\"")
            }
            Needs::RootsProgram | Needs::Roots | Needs::Crontab | Needs::Private if foreign.is_some() => {
                format!("it must belong to root, and its owner is {}", foreign.unwrap_or_default())
            }
            Needs::Crontab if self.content.is_some_and(|text| !text.is_empty() && !text.ends_with(b"\n")) => {
                "its last line does not end in a newline".to_owned()
            }
            Needs::Key => wrong_form(path.file_name(), self.content?)?.to_owned(),
            Needs::Script if self.content.is_some_and(|text| !text.is_empty() && !is_runnable(text)) => {
                "the kernel cannot run it: it is no program, and its first line does not begin with '#!', such as \
                 #!/bin/sh"
                    .to_owned()
            }
            Needs::Executable
            | Needs::Script
            | Needs::RootsProgram
            | Needs::Roots
            | Needs::Crontab
            | Needs::Private
            | Needs::Read(_)
            | Needs::Nothing => {
                return None;
            }
        };
        Some(format!("{who} ignores {path}: {why} ({source})"))
    }
}

/// Whether the kernel knows how to run a file (execve(2)).
fn is_runnable(content: &[u8]) -> bool {
    content.starts_with(b"#!") || content.starts_with(b"\x7fELF")
}

/// apt takes keys in the form that the name of their file says (apt-secure(8)).
fn wrong_form(name: &str, key: &[u8]) -> Option<&'static str> {
    let armored = key.trim_ascii_start().starts_with(b"-----BEGIN");
    match (name.rsplit_once('.')?.1, armored) {
        ("gpg", true) => Some("its key is in the ASCII form, so its name must end in .asc"),
        ("asc", false) if !key.is_empty() => Some("its key is in the binary form, so its name must end in .gpg"),
        _ => None,
    }
}

/// Tells of the files that a step writes which are passed over. Names that
/// begin with a dot are meant to be.
pub(super) fn note(host: &HostState, planned: &mut Planned) {
    let mut notes: Vec<String> = Vec::new();
    for left in planned.ops.iter().filter_map(|op| PlannedFile::by(op, host)) {
        let reader = READERS.iter().find(|reader| is_in(left.path, reader.directory));
        let note = reader.filter(|_| !left.path.file_name().starts_with('.')).and_then(|reader| left.ignored(reader));
        let too_open = left.mode.and_then(|mode| private_files::note(host, left.path, mode, left.owner));
        notes.extend(note.into_iter().chain(too_open).filter(|note| !planned.notes.contains(note)));
    }
    planned.notes.extend(notes);
    rejected::note(planned);
}

fn is_in(path: &AbsPath, directory: &str) -> bool {
    path.as_str() == directory || path.parent().is_some_and(|parent| wildcard(directory, parent.as_str()))
}

#[cfg(test)]
#[path = "ignored_tests.rs"]
mod tests;
