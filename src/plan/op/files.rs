//! Operations on files, directories and links.

use super::{Answers, Traits};
use crate::observe::{Content, FileType, Part, PathState, PredictedState, Query, Tree};
use crate::plan::obstacle::{
    immutable, in_directory, inherits_list, note_hard_links, nothing_mounted, refuse_mount_point, takes_files, writable,
};
use crate::plan::unit_files::{self, Brought};
use crate::plan::{Access, Meta, OpScript, PlanError, TreeMeta, predicted_entry, read_from};
use crate::shell::{Command, NulByte};
use crate::values::{AbsPath, Mode, Secret};

/// Operations on files, directories and links.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the fields carry the names of the tools' own arguments
pub enum FileOp {
    /// Puts a file in place at once: temporary name, fsync, rename. `validate`
    /// is an operator's command in which `%s` stands for the temporary file.
    WriteFile { path: AbsPath, content: Vec<u8>, meta: Meta, validate: Option<String> },
    /// Makes a directory; its parents must exist.
    MakeDirectory { path: AbsPath, meta: Meta },
    /// Makes or replaces a symbolic link at once.
    MakeLink { path: AbsPath, target: String },
    /// Removes a file, link or (if `recursive`) a tree.
    Remove { path: AbsPath, recursive: bool },
    /// Changes owner, group or mode of what is there; a link is not followed.
    SetMeta { path: AbsPath, owner: Option<String>, group: Option<String>, mode: Option<Mode> },
    /// Sets owner, group and modes of all that is below a directory; links
    /// are not followed, other file systems entered only if `across`.
    SetTree {
        path: AbsPath,
        across: bool,
        meta: TreeMeta,
        /// What was found below it.
        found: Tree,
    },
    /// Fetches a file: the URL (which may carry a signature) travels as a secret,
    /// the digest (SHA-256, hexadecimal) is checked before the file is visible.
    Download { url: Secret, sha256: String, path: AbsPath, meta: Meta },
}

impl FileOp {
    /// The place whose content is another one after it, which may be the source
    /// of something else.
    pub(in crate::plan) fn replaced(&self) -> Option<&AbsPath> {
        match self {
            FileOp::WriteFile { path, .. }
            | FileOp::MakeLink { path, .. }
            | FileOp::Remove { path, .. }
            | FileOp::Download { path, .. } => Some(path),
            FileOp::MakeDirectory { .. } | FileOp::SetMeta { .. } | FileOp::SetTree { .. } => None,
        }
    }

    /// The place that it is about.
    pub(in crate::plan) fn place(&self) -> &AbsPath {
        match self {
            FileOp::WriteFile { path, .. }
            | FileOp::MakeDirectory { path, .. }
            | FileOp::MakeLink { path, .. }
            | FileOp::Remove { path, .. }
            | FileOp::SetMeta { path, .. }
            | FileOp::SetTree { path, .. }
            | FileOp::Download { path, .. } => path,
        }
    }

    /// The one place that it changes, where there is no other.
    pub(in crate::plan) fn only_place(&self) -> Option<&AbsPath> {
        match self {
            FileOp::WriteFile { path, validate: None, .. }
            | FileOp::MakeDirectory { path, .. }
            | FileOp::MakeLink { path, .. }
            | FileOp::Remove { path, .. }
            | FileOp::SetMeta { path, .. }
            | FileOp::Download { path, .. } => Some(path),
            // The operator's own command sees the file, and may change anything.
            FileOp::WriteFile { validate: Some(_), .. } | FileOp::SetTree { .. } => None,
        }
    }
}

impl Answers for FileOp {
    fn script(&self, out: &mut OpScript) -> Result<(), NulByte> {
        match self {
            FileOp::WriteFile { path, content, meta, validate } => {
                out.refuse_swapped_keys(path);
                let number = out.payload(content.clone());
                let check = match validate {
                    Some(text) => out.payload(text.replace("%s", "\"$1\"")),
                    None => String::new(),
                };
                let words = [&number, path.as_str(), &meta.owner, &meta.group, &meta.mode.to_string(), &check];
                out.run(Command::new("put").args(words));
            }
            FileOp::Download { url, sha256, path, meta } => {
                // curl reads the URL from a configuration file: it never is an argument.
                let escaped = url.expose().replace('\\', r"\\").replace('"', "\\\"").replace(['\n', '\r'], "");
                let number = out.payload(format!("url = \"{escaped}\"\n"));
                let words = [&number, sha256, path.as_str(), &meta.owner, &meta.group, &meta.mode.to_string()];
                out.run(Command::new("download").args(words));
            }
            FileOp::MakeDirectory { path, meta } => {
                let words = [path.as_str(), &meta.owner, &meta.group, &meta.mode.to_string()];
                out.run(Command::new("make_directory").args(words));
            }
            FileOp::MakeLink { path, target } => out.run(Command::new("make_link").arg(path).arg(target)),
            FileOp::Remove { path, recursive } => {
                // -d takes an empty directory too; a tree is not followed into what is mounted in it.
                let flags: &[&str] = if *recursive { &["-rf", "--one-file-system"] } else { &["-fd"] };
                out.run(Command::new("rm").args(flags).args(["--", path.as_str()]));
            }
            FileOp::SetMeta { path, owner, group, mode } => set_meta(out, path, owner, group, *mode),
            FileOp::SetTree { path, across, meta, found } => {
                out.run(Command::new("not_a_link").arg(path));
                let chowns = meta.owner.is_some() || meta.group.is_some();
                if chowns {
                    out.run(Command::new("note_capabilities").arg(path));
                }
                meta.commands(path, *across, &found.mounts).into_iter().for_each(|command| out.run(command));
                if chowns {
                    out.run(Command::new("give_capabilities"));
                }
            }
        }
        Ok(())
    }

    fn effect(&self, host: &mut PredictedState) {
        match self {
            FileOp::WriteFile { path, content, meta, .. } => {
                host.will_be_written(path);
                host.set_path(path, predicted_entry(FileType::File, meta, None));
                host.set_content(path, Content::Bytes(content.clone()));
                unit_files::changed(host, path, Brought::Text(content));
                read_from::changed(host, path, Brought::Text(content));
            }
            FileOp::Download { sha256, path, meta, .. } => {
                host.will_be_written(path);
                host.set_path(path, predicted_entry(FileType::File, meta, None));
                host.set_content(path, Content::Digest(sha256.to_ascii_lowercase()));
                unit_files::changed(host, path, Brought::Unread);
            }
            FileOp::MakeDirectory { path, meta } => {
                host.set_path(path, predicted_entry(FileType::Directory, meta, None));
            }
            FileOp::MakeLink { path, target } => {
                host.will_be_written(path);
                host.set_path(path, predicted_entry(FileType::Link, &Meta::root(0o777), Some(target.clone())));
                unit_files::changed(host, path, Brought::Link(target));
                read_from::changed(host, path, Brought::Link(target));
            }
            FileOp::Remove { path, .. } => {
                host.remove_tree(path);
                unit_files::changed(host, path, Brought::Nothing);
                read_from::changed(host, path, Brought::Nothing);
            }
            FileOp::SetMeta { path, owner, group, mode } => meta_will_be(host, path, owner, group, *mode),
            FileOp::SetTree { path, meta, found, .. } => meta.effect(host, path, found),
        }
    }

    fn undo_scope(&self) -> Vec<Query> {
        match self {
            FileOp::SetTree { path, across, .. } => {
                vec![Query::Path(path.clone()), Query::Tree { top: path.clone(), across: *across }]
            }
            FileOp::WriteFile { path, .. }
            | FileOp::MakeLink { path, .. }
            | FileOp::MakeDirectory { path, .. }
            | FileOp::Remove { path, .. }
            | FileOp::SetMeta { path, .. }
            | FileOp::Download { path, .. } => vec![Query::Content(path.clone())],
        }
    }

    fn can_cut(&self, access: &Access) -> bool {
        match self {
            FileOp::WriteFile { path, meta, .. } | FileOp::MakeDirectory { path, meta } => {
                access.depends_on(path) && !access.is_anothers(path, &meta.owner)
            }
            FileOp::MakeLink { path, .. }
            | FileOp::Remove { path, .. }
            | FileOp::Download { path, .. }
            | FileOp::SetMeta { path, .. }
            | FileOp::SetTree { path, .. } => access.depends_on(path),
        }
    }

    fn obstacle(&self, host: &PredictedState, notes: &mut Vec<String>) -> Result<(), PlanError> {
        match self {
            FileOp::WriteFile { path, .. } | FileOp::Download { path, .. } => {
                immutable(host, path)?;
                takes_files(host, path)?;
                note_hard_links(host, path, true, notes);
                in_directory(host, path)
            }
            FileOp::MakeLink { path, .. } | FileOp::Remove { path, .. } => {
                immutable(host, path)?;
                takes_files(host, path)?;
                if let FileOp::Remove { recursive: true, .. } = self {
                    nothing_mounted(host, path)?;
                }
                refuse_mount_point(host, path)?;
                in_directory(host, path)
            }
            FileOp::MakeDirectory { path, .. } => {
                takes_files(host, path)?;
                inherits_list(host, path, notes);
                in_directory(host, path)
            }
            FileOp::SetMeta { path, .. } => {
                immutable(host, path)?;
                note_hard_links(host, path, false, notes);
                writable(host, path)
            }
            FileOp::SetTree { path, .. } => {
                immutable(host, path)?;
                writable(host, path)
            }
        }
    }

    fn traits(&self) -> Traits {
        // A link among the units is an alias of one, or masks it.
        let reach: &[Part] = match self {
            FileOp::MakeLink { path, .. } if path.as_str().starts_with("/etc/systemd/") => &[Part::Units],
            FileOp::WriteFile { path, .. }
            | FileOp::MakeLink { path, .. }
            | FileOp::Remove { path, .. }
            | FileOp::Download { path, .. } => read_from_file(path.as_str()),
            FileOp::MakeDirectory { .. } | FileOp::SetMeta { .. } | FileOp::SetTree { .. } => &[],
        };
        let traits = Traits::reaching(reach);
        match self {
            FileOp::WriteFile { .. }
            | FileOp::MakeDirectory { .. }
            | FileOp::MakeLink { .. }
            | FileOp::SetMeta { .. }
            | FileOp::Remove { recursive: false, .. } => {
                Traits { is_reverted_at_once: true, may_precede_reload: true, ..traits }
            }
            FileOp::Remove { recursive: true, .. } => {
                Traits { may_precede_reload: true, may_fail_midway: true, ..traits }
            }
            FileOp::SetTree { .. } => Traits { may_fail_midway: true, ..traits },
            FileOp::Download { .. } => traits,
        }
    }
}

/// The facts that are read from a file which a step may write itself.
fn read_from_file(path: &str) -> &'static [Part] {
    match path {
        "/etc/localtime" | "/etc/timezone" => &[Part::Fact("timezone")],
        "/etc/passwd" => &[Part::Accounts, Part::Fact("login_shell"), Part::Fact("login_home")],
        "/run/reboot-required" | "/var/run/reboot-required" => &[Part::Fact("apt.reboot_required")],
        _ => &[],
    }
}

fn set_meta(out: &mut OpScript, path: &AbsPath, owner: &Option<String>, group: &Option<String>, mode: Option<Mode>) {
    out.refuse_swapped_keys(path);
    if owner.is_some() || group.is_some() {
        let group = group.as_ref().map(|group| format!(":{group}")).unwrap_or_default();
        let who = format!("{}{group}", owner.as_deref().unwrap_or(""));
        out.run(Command::new("note_capabilities").arg(path));
        out.run(Command::new("chown").args(["-h", "--", &who, path.as_str()]));
        out.run(Command::new("give_capabilities"));
    }
    // After chown, which clears the set-id bits.
    // Five digits: with fewer, chmod(1) keeps the set-id bits of a directory.
    if let Some(mode) = mode {
        // chmod(1) would follow it.
        out.run(Command::new("not_a_link").arg(path));
        out.run(Command::new("chmod").args(["--", &format!("0{mode}"), path.as_str()]));
    }
}

fn meta_will_be(
    host: &mut PredictedState,
    path: &AbsPath,
    owner: &Option<String>,
    group: &Option<String>,
    mode: Option<Mode>,
) {
    let Ok(PathState::Present(mut entry)) = host.path(path).cloned() else { return };
    let content = host.content(path).ok().cloned();
    let (size, links) = (host.size(path), host.hard_links(path));
    if let Some(owner) = owner {
        entry.owner.clone_from(owner);
    }
    if let Some(group) = group {
        entry.group.clone_from(group);
    }
    entry.mode = mode.unwrap_or(entry.mode);
    host.set_path(path, PathState::Present(entry));
    host.set_size(path, size);
    host.set_hard_links(path, links);
    if let Some(content) = content {
        host.set_content(path, content);
    }
}
