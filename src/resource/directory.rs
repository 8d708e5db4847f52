//! `directory`: a directory with exact owner, group and mode.
//!
//! What is in the way is never removed, and a tree is removed only when the
//! step says `recursive` and the path cannot be one that the system lives in.

use super::ownership::Keep;
use super::tree::Below;
use super::{Args, Field, GivenTree, Kind, Resource, Type, file, in_force, ownership, parents};
use crate::observe::{FileType, PathState, PredictedState, Queries, Query};
use crate::plan::{Action, FileOp, InForce, Meta, Op, PlanError, Planned};
use crate::values::AbsPath;

pub(super) const KIND: Kind = Kind {
    name: "directory",
    summary: "A directory with exact owner, group and mode; what is in it is left alone unless the step says recursive.",
    main: "path",
    fields: &[
        Field::required("path", Type::String, "absolute path on the host"),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional(
            "owner",
            Type::String,
            "a user's name or number, or \"keep\": as it is, root where the directory is made; default \"root\"",
        ),
        Field::optional("group", Type::String, "a group's name or number, or \"keep\" as with owner; default \"root\""),
        Field::optional("mode", Type::String, "three or four octal digits; default \"0755\""),
        parents::FIELD,
        Field::optional(
            "recursive",
            Type::Bool,
            "gives all that is in it the owner and group of this step, as far as it names them, and 'file_mode' and 'directory_mode'; links are not followed; with state = \"absent\": removes the directory with all that is in it; default false: only if it is empty",
        ),
        Field::optional(
            "file_mode",
            Type::String,
            "with recursive: the mode of every regular file below; default: as it is",
        ),
        Field::optional(
            "directory_mode",
            Type::String,
            "with recursive: the mode of every directory below; default: as it is",
        ),
        Field::optional(
            "other_file_systems",
            Type::Bool,
            "with recursive: whether what is mounted below is entered too; default false",
        ),
    ],
    build,
};

/// Directories that make the system what it is: no step may take them over or
/// remove them. (`/home`, `/root`, `/tmp` and the like may get another mode.)
const SYSTEM: [&str; 14] = [
    "/", "/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr",
    "/var",
];

/// Directories below those that are never removed either.
const KEPT: [&str; 26] = [
    "/boot/efi",
    "/boot/grub",
    "/dev/pts",
    "/dev/shm",
    "/etc/apt",
    "/etc/default",
    "/etc/pam.d",
    "/etc/ssh",
    "/etc/ssl",
    "/etc/sudoers.d",
    "/etc/systemd",
    "/etc/systemd/system",
    "/run/lock",
    "/run/systemd",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local",
    "/usr/sbin",
    "/usr/share",
    "/var/cache",
    "/var/lib",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/stockade",
    "/var/log",
];

/// Whether a directory makes the system what it is.
pub(super) fn is_system(path: &AbsPath) -> bool {
    SYSTEM.contains(&path.as_str())
}

/// Whether what is in a directory is never changed as a whole.
pub(super) fn is_kept_whole(path: &AbsPath) -> bool {
    let is_one_of = |tops: &[&str]| tops.contains(&path.as_str());
    let within =
        |top: &str| path.as_str().strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_system(path)
        || is_one_of(&KEPT)
        || is_one_of(&["/boot", "/home", "/tmp", "/var/tmp"])
        || ["/dev", "/proc", "/sys"].into_iter().any(within)
}

#[derive(Debug)]
enum Directory {
    Present { path: AbsPath, meta: Meta, keep: Keep, parents: bool, below: Option<Below> },
    Absent { path: AbsPath, recursive: bool },
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let path: Option<AbsPath> = args.parse("path");
    if args.absent() {
        for field in ["owner", "group", "mode", "parents", "file_mode", "directory_mode", "other_file_systems"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        let path = path?;
        let one_part = path.parent().is_none_or(|parent| parent.as_str() == "/");
        if one_part || KEPT.contains(&path.as_str()) || path.is_within(&"/proc".parse().ok()?) {
            args.refuse("path", format!("{path} is part of the system: it is never removed"));
        }
        return Some(Box::new(Directory::Absent { path, recursive: args.bool("recursive").unwrap_or(false) }));
    }
    let (meta, keep) = ownership::meta_or_kept(args, 0o755);
    let below = Below::of(args, &meta);
    let path = path?;
    if is_system(&path) {
        args.refuse("path", format!("{path} is part of the system: its owner and mode are not a playbook's to set"));
    }
    Some(Box::new(Directory::Present {
        path,
        meta: meta?,
        keep,
        parents: args.bool("parents").unwrap_or(false),
        below,
    }))
}

impl Resource for Directory {
    fn queries(&self, queries: &mut Queries) {
        match self {
            Directory::Present { path, meta, below, .. } => {
                queries.ask(Query::Path(path.clone()));
                if let Some(below) = below {
                    below.queries(path, queries);
                }
                parents::queries(path, queries);
                // What a new directory inherits.
                queries.extend(path.ancestors().filter(|above| above.as_str() != "/").map(Query::Acl));
                ownership::queries(meta, queries);
                in_force::ask_boot(queries, path);
            }
            Directory::Absent { path, .. } => queries.ask(Query::Names(path.clone())),
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        match self {
            Directory::Present { path, meta, keep, parents, below } => {
                let mut planned = present(host, path, &keep.meta(meta, host.path(path)?), *parents)?;
                ownership::check(host, meta, &mut planned)?;
                if let Some(below) = below {
                    below.plan(host, path, &mut planned)?;
                }
                Ok(planned)
            }
            Directory::Absent { path, recursive } => absent(host, path, *recursive),
        }
    }

    fn tree(&self) -> Option<GivenTree<'_>> {
        match self {
            Directory::Present { path, below, .. } => below.as_ref().map(|below| below.given(path)),
            Directory::Absent { .. } => None,
        }
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match self {
            Directory::Present { path, meta, keep, .. } => {
                in_force::at_boot(host, path, &keep.given(meta), in_force::Thing::Directory)
            }
            Directory::Absent { .. } => Ok(InForce::default()),
        }
    }
}

fn present(host: &PredictedState, path: &AbsPath, meta: &Meta, make_parents: bool) -> Result<Planned, PlanError> {
    let mut planned = Planned::nothing();
    match host.path(path)? {
        PathState::Absent | PathState::AfterApply => {
            planned.action = Some(Action::Create);
            parents::plan(host, path, make_parents, &mut planned)?;
            planned.change("mode", None::<&str>, Some(meta.mode.to_string()));
            planned.change("owner", None::<&str>, Some(format!("{}:{}", meta.owner, meta.group)));
            planned.ops.push(Op::File(FileOp::MakeDirectory { path: path.clone(), meta: meta.clone() }));
        }
        PathState::Present(entry) if entry.file_type == FileType::Directory => {
            let meta = &ownership::as_found(host, meta, entry);
            file::meta_changes(&mut planned, entry, meta);
            if !planned.changes.is_empty() {
                planned.ops.push(file::set_meta(path, entry, meta));
            }
        }
        PathState::Present(entry) => {
            return Err(PlanError::Refused(format!(
                "{path} is {} on the host, not a directory: remove it first with a '{}' step (state = \"absent\"), \
                 or name another path",
                in_the_way(entry.file_type),
                if entry.file_type == FileType::Link { "link" } else { "file" },
            )));
        }
    }
    Ok(planned)
}

fn absent(host: &PredictedState, path: &AbsPath, recursive: bool) -> Result<Planned, PlanError> {
    let mut planned = Planned::nothing();
    match host.path(path)? {
        PathState::Absent => {
            planned.absent_unless_brought(host.rewritten_by(path));
            return Ok(planned);
        }
        PathState::AfterApply => {}
        PathState::Present(entry) if entry.file_type == FileType::Directory => {
            let names = host.names(path)?;
            if !recursive && !names.is_empty() {
                let shown: Vec<String> = names.iter().take(3).map(|name| name.escape_debug().to_string()).collect();
                return Err(PlanError::Refused(format!(
                    "{path} is not empty on the host ({}{}): say recursive = true to remove it with all that is in it",
                    shown.join(", "),
                    if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() }
                )));
            }
            if !names.is_empty() {
                let count = names.len();
                planned.notes.push(format!("{count} name{} in it go with it", if count == 1 { "" } else { "s" }));
            }
        }
        PathState::Present(entry) => {
            return Err(PlanError::Refused(format!(
                "{path} is {} on the host, not a directory: a 'directory' step does not remove it",
                in_the_way(entry.file_type)
            )));
        }
    }
    planned.action = Some(Action::Delete);
    planned.change("state", Some("present"), Some("absent"));
    planned.ops.push(Op::File(FileOp::Remove { path: path.clone(), recursive }));
    Ok(planned)
}

/// A type of file as sentences name it.
pub(super) fn in_the_way(file_type: FileType) -> &'static str {
    match file_type {
        FileType::File => "a regular file",
        FileType::Directory => "a directory",
        FileType::Link => "a symbolic link",
        FileType::Other => "neither a file nor a directory nor a link",
    }
}
