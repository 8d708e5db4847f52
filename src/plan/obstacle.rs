//! What stands in an operation's way on the host: files that are immutable,
//! and files that are themselves mount points; and what a change of a mode
//! means for a file with an access control list.

use super::{FileOp, Op, PlanError, Planned};
use crate::observe::{FileType, PathState, PredictedState, Query, probe::ACCOUNT_DATABASES};
use crate::values::AbsPath;

/// Notes what a change of a file that has other names, or is a mount point, means.
pub(super) fn note_hard_links(host: &PredictedState, path: &AbsPath, is_replaced: bool, notes: &mut Vec<String>) {
    if is_replaced && host.is_mounted(path) {
        say(notes, format!("{path} is a mount point: it is written in its place, not replaced at once"));
        return;
    }
    let Some(count) = links(host, path) else { return };
    // rename(2) leaves the old file to its other names.
    let what = if is_replaced {
        "it is replaced by a file of its own, and the old content, owner and mode stay under the others"
    } else {
        "owner and mode change under the others too"
    };
    say(notes, format!("{path} is one of {count} hard links to a file: {what}"));
}

/// What is mounted at a path cannot be replaced or removed.
pub(super) fn refuse_mount_point(host: &PredictedState, path: &AbsPath) -> Result<(), PlanError> {
    if host.is_mounted(path) {
        return Err(PlanError::Refused(format!(
            "{path} is a mount point on the host and cannot be removed or replaced: unmount it first"
        )));
    }
    Ok(())
}

fn say(notes: &mut Vec<String>, note: String) {
    if !notes.contains(&note) {
        notes.push(note);
    }
}

/// How many names a file has, where these are several.
fn links(host: &PredictedState, path: &AbsPath) -> Option<u32> {
    Some(host.hard_links(path)).filter(|count| *count > 1)
}

/// A directory that is made in one with a default access control list gets the
/// entries of that list, and the group digit of its mode is their mask (acl(5),
/// "Object creation and default ACLs"). A file gets the mode alone.
pub(super) fn inherits_list(host: &PredictedState, path: &AbsPath, notes: &mut Vec<String>) {
    let is_new = matches!(host.path(path), Ok(PathState::Absent));
    if let Some(above) = path.parent().filter(|above| is_new && host.has_acl(above)) {
        say(
            notes,
            format!(
                "{above} has an access control list: what it holds for new directories, {path} gets beside its mode \
                 (getfacl {above})"
            ),
        );
    }
}

/// What has a flag of chattr(1) can be neither changed nor replaced, not even by root.
pub(super) fn immutable(host: &PredictedState, path: &AbsPath) -> Result<(), PlanError> {
    let Some(flag) = host.flag(path) else { return Ok(()) };
    let what = if flag == 'i' { "immutable" } else { "append-only" };
    Err(PlanError::Refused(format!(
        "{path} is {what} on the host (chattr +{flag}), so that not even root can change it: if that is not meant \
         to be, take the flag off there (chattr -{flag} {path})"
    )))
}

/// The tools for accounts replace all files of the databases.
pub(super) fn databases(host: &PredictedState) -> Result<(), PlanError> {
    ACCOUNT_DATABASES.iter().filter_map(|path| path.parse().ok()).try_for_each(|path| {
        immutable(host, &path)?;
        writable(host, &path)
    })
}

/// On a file system that is mounted read-only nothing can be changed.
pub(super) fn writable(host: &PredictedState, path: &AbsPath) -> Result<(), PlanError> {
    match host.read_only_at(path) {
        None => Ok(()),
        Some(at) => Err(PlanError::Refused(format!(
            "{path} cannot be changed: the file system at {at} is mounted read-only on the host; have it mounted for \
             writing (mount -o remount,rw {at}), or name another path"
        ))),
    }
}

/// As [`writable`]; and where the kernel makes the files, nobody else can make or replace one.
pub(super) fn takes_files(host: &PredictedState, path: &AbsPath) -> Result<(), PlanError> {
    match host.kernel_made_at(path) {
        None => writable(host, path),
        Some(at) => Err(PlanError::Refused(format!(
            "{path} cannot be made or replaced: the files below {at} are the kernel's own; set a kernel parameter with a \
             'sysctl' step, and write to other such files with a 'command' step"
        ))),
    }
}

/// rm(1) would remove one half of a tree before it meets what is mounted in it.
pub(super) fn nothing_mounted(host: &PredictedState, path: &AbsPath) -> Result<(), PlanError> {
    match host.mounted_below(path) {
        None => Ok(()),
        Some(at) => Err(PlanError::Refused(format!(
            "{path} cannot be removed with all that is in it: {at} below it is a mount point on the host; unmount it first"
        ))),
    }
}

/// In an immutable directory no name can be made, replaced or removed.
pub(super) fn in_directory(host: &PredictedState, path: &AbsPath) -> Result<(), PlanError> {
    match path.parent() {
        Some(parent) if host.flag(&parent) == Some('i') => immutable(host, &parent),
        _ => Ok(()),
    }
}

/// The group bits of the mode of a file with an access control list are the
/// list's mask, and chmod(1) changes that (acl(5), "Correspondence between ACL
/// entries and file permission bits"): the plan says so.
pub(super) fn masks(planned: &mut Planned, host: &PredictedState) {
    let mut masks = Vec::new();
    for op in &planned.ops {
        let (path, mode) = match op {
            Op::File(FileOp::WriteFile { path, meta, .. } | FileOp::Download { path, meta, .. }) => (path, meta.mode),
            Op::File(FileOp::SetMeta { path, mode: Some(mode), .. }) => (path, *mode),
            _ => continue,
        };
        let Some(entry) = host.path(path).ok().and_then(PathState::entry) else { continue };
        let (before, after) = (entry.mode.bits() >> 3 & 7, mode.bits() >> 3 & 7);
        if before == after || !matches!(entry.file_type, FileType::File | FileType::Directory) {
            continue;
        }
        if host.has_acl(path) {
            masks.push((path.clone(), before, after));
        }
        planned.follow_up_queries.push(Query::Acl(path.clone()));
    }
    for (path, before, after) in masks {
        planned.change("acl mask", Some(letters(before)), Some(letters(after)));
        planned.notes.push(format!(
            "{path} has an access control list: the group digit of its mode is the list's mask, so that the users and \
             groups that the list names have no more than {}",
            letters(after)
        ));
    }
}

fn letters(bits: u16) -> String {
    [(4, 'r'), (2, 'w'), (1, 'x')].iter().map(|(bit, letter)| if bits & bit == 0 { '-' } else { *letter }).collect()
}
