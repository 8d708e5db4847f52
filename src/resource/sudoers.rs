//! `sudoers`: a file in /etc/sudoers.d, checked by visudo before it is live.
//!
//! A broken or writable file there takes sudo away from everybody, so the mode
//! is always 0440, the owner root, and visudo(8) sees the file first. sudo
//! skips files whose names hold a '.' or end in '~' (sudoers(5), "Including
//! other files"): such names are refused here and encoded in [`grant_path`].

use super::file::{meta_changes, set_meta};
use super::in_force::{self, Said};
use super::ownership::Given;
use super::{Args, Field, Kind, Resource, Type, ownership};
use crate::observe::{Content, FileType, HostState, PathState, PredictedState, Queries, Query};
use crate::plan::{Action, FileOp, InForce, Meta, Op, PlanError, Planned, diff_files};
use crate::values::{AbsPath, Mode, UserName};

pub(super) const KIND: Kind = Kind {
    name: "sudoers",
    summary: "A file in /etc/sudoers.d, checked by visudo before it is live.",
    main: "name",
    fields: &[
        Field::required("name", Type::String, "the file's name: letters, digits, '_' and '-'"),
        Field::optional("content", Type::String, "sudoers(5) rules; needed unless the state is \"absent\""),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
    ],
    build,
};

const DIRECTORY: &str = "/etc/sudoers.d";

#[derive(Debug)]
struct Sudoers {
    directory: AbsPath,
    path: AbsPath,
    /// None: the file must not be there.
    content: Option<Vec<u8>>,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let name = args.string("name")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.is_empty() || name.len() > 100 || name.starts_with('-') || !name.bytes().all(plain) {
        args.refuse(
            "name",
            "the name of a sudoers file may hold letters, digits, '_' and '-' (sudo skips names with '.' or '~')",
        );
    }
    let content = args.string("content");
    let content = match (args.absent(), content) {
        (true, None) => None,
        (true, Some(_)) => {
            args.refuse("content", "'content' has no meaning with state = \"absent\"");
            return None;
        }
        (false, None) => {
            if args.node("content").is_none() {
                args.refuse("name", "a sudoers file needs 'content'");
            }
            return None;
        }
        (false, Some(text)) => Some(with_newline(text)),
    };
    let directory: AbsPath = DIRECTORY.parse().ok()?;
    Some(Box::new(Sudoers { path: directory.join(&name).ok()?, directory, content }))
}

/// Refuses an owner, group or mode of a file of sudo's that visudo(8) refuses,
/// and with it every later change to the rules of sudo.
pub(super) fn refuse_meta(args: &mut Args<'_>, path: &AbsPath, given: &Given) {
    let name = path.file_name();
    let is_included =
        path.parent().is_some_and(|above| above.as_str() == DIRECTORY) && !name.contains('.') && !name.ends_with('~');
    if path.as_str() != "/etc/sudoers" && !is_included {
        return;
    }
    let is_root = |account: &Option<String>| account.as_ref().is_none_or(|name| name == "root" || name == "0");
    let right = [
        ("owner", is_root(&given.owner), "root"),
        ("group", is_root(&given.group), "root"),
        ("mode", given.mode.is_none_or(|mode| mode == Mode::from_bits(0o440)), "0440"),
    ];
    for (field, _, word) in right.into_iter().filter(|(_, is_right, _)| !is_right) {
        let place = if args.node(field).is_some() { field } else { "path" };
        args.refuse(
            place,
            format!(
                "sudo takes {path} with the {field} {word} only: say {field} = \"{word}\", or use a 'sudoers' step, which \
                 gives its file the right owner and mode"
            ),
        );
    }
}

/// sudo ignores nothing after the last newline, but older parsers did: end in one.
fn with_newline(mut text: String) -> Vec<u8> {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.into_bytes()
}

impl Resource for Sudoers {
    fn queries(&self, queries: &mut Queries) {
        ask(queries, &self.directory, &self.path);
        if self.content.is_some() {
            in_force::ask_sudo(queries);
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        plan_file(host, &self.path, self.content.as_deref(), &mut planned)?;
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match &self.content {
            Some(_) => in_force::text(host, &self.path, Said::File),
            None => Ok(InForce::default()),
        }
    }
}

fn ask(queries: &mut Queries, directory: &AbsPath, path: &AbsPath) {
    queries.ask(Query::Path(directory.clone()));
    queries.ask(Query::Content(path.clone()));
}

/// Asks what [`plan_file`] needs to know of a file in /etc/sudoers.d.
pub(super) fn ask_file(queries: &mut Queries, path: &AbsPath) {
    if let Some(directory) = path.parent() {
        ask(queries, &directory, path);
    }
}

/// Plans a file in /etc/sudoers.d: with this content, or (none) gone.
pub(super) fn plan_file(
    host: &PredictedState,
    path: &AbsPath,
    content: Option<&[u8]>,
    planned: &mut Planned,
) -> Result<(), PlanError> {
    let found = host.path(path)?;
    if let PathState::Present(entry) = found
        && entry.file_type == FileType::Directory
    {
        return Err(PlanError::Refused(format!("{path} is a directory on the host; remove it first")));
    }
    let Some(content) = content else {
        if *found != PathState::Absent {
            planned.action = Some(Action::Delete);
            planned.change("state", Some("present"), Some("absent"));
            planned.diff = old_text(host, path)?.map(|old| diff_files(path.as_str(), Some(&old), None));
            planned.ops.push(Op::File(FileOp::Remove { path: path.clone(), recursive: false }));
        }
        return Ok(());
    };
    if let Some(directory) = path.parent()
        && *host.path(&directory)? == PathState::Absent
        && !host.accounts_may_appear()
    {
        return Err(PlanError::Refused(format!(
            "there is no {directory} on the host: sudo is not installed; add a step before this one: package = {{ name = \"sudo\" }}"
        )));
    }
    let meta = Meta::root(0o440);
    let PathState::Present(entry) = found else {
        planned.action = Some(Action::Create);
        planned.change("mode", None::<&str>, Some(meta.mode.to_string()));
        planned.diff = Some(diff_files(path.as_str(), None, Some(content)));
        planned.ops.push(write(path, content, meta));
        return Ok(());
    };
    let changes = planned.changes.len();
    let meta = ownership::as_found(host, &meta, entry);
    meta_changes(planned, entry, &meta);
    let old = old_text(host, path)?;
    if entry.file_type != FileType::File {
        planned.change("type", Some(format!("{:?}", entry.file_type).to_lowercase()), Some("file"));
    }
    if old.as_deref() != Some(content) {
        planned.diff = Some(diff_files(path.as_str(), old.as_deref(), Some(content)));
        planned.ops.push(write(path, content, meta));
    } else if planned.changes.len() > changes {
        planned.ops.push(set_meta(path, entry, &meta));
    }
    Ok(())
}

fn old_text(host: &HostState, path: &AbsPath) -> Result<Option<Vec<u8>>, PlanError> {
    Ok(match host.content(path)? {
        Content::Bytes(bytes) => Some(bytes.clone()),
        Content::Absent | Content::Digest(_) | Content::AfterApply => None,
    })
}

fn write(path: &AbsPath, content: &[u8], meta: Meta) -> Op {
    Op::File(FileOp::WriteFile {
        path: path.clone(),
        content: content.to_vec(),
        meta,
        validate: Some("visudo -cf %s".to_owned()),
    })
}

/// The right that a `user` step gives: all commands as anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// None: the file that an earlier grant left is removed.
    None,
    /// After the user's own password.
    Password,
    /// Without one.
    NoPassword,
}

impl Grant {
    /// The rules for a user; none where there are to be none.
    pub(super) fn rules(self, user: &UserName) -> Option<Vec<u8>> {
        let rule = match self {
            Grant::None => return None,
            Grant::Password => "ALL=(ALL:ALL) ALL",
            Grant::NoPassword => "ALL=(ALL:ALL) NOPASSWD: ALL",
        };
        // sudoers(5): what has a meaning of its own stands behind a backslash.
        let name = user.as_str().replace('\\', "\\\\").replace(' ', "\\ ");
        Some(format!("# Managed by stockade: a step for the user {user}.\n{name} {rule}\n").into_bytes())
    }
}

/// Where a user's grant stands. '.' and others may be in a user name but not in
/// the file's, and '%' cannot be in a user name: no two users share a file.
pub(super) fn grant_path(user: &UserName) -> Option<AbsPath> {
    format!("{DIRECTORY}/90-stockade-{}", user.as_str().replace('.', "%2E").replace('\\', "%5C").replace(' ', "%20"))
        .parse()
        .ok()
}

/// Whether sudoers(5) would read a user's name as something else: `ALL`, an
/// alias (capitals only) or a keyword.
pub(super) fn is_sudoers_word(user: &UserName) -> bool {
    let name = user.as_str();
    let alias = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_uppercase());
    alias
        || name.starts_with("Defaults")
        || ["User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias", "Cmd_Alias"].contains(&name)
}
