//! Home, `.ssh` and `authorized_keys` of a user, exactly as sshd wants them.
//!
//! With StrictModes (sshd_config(5)) sshd ignores the keys of a user whose
//! home, `.ssh` or key file others can write. Wrong owners and modes are
//! repaired; what looks like an attack, a link in place of `.ssh` or of the
//! key file, is refused: root would write where the user pointed.

use super::file::set_meta;
use super::key_file::{DesiredKeyFile, merge};
use super::plan_builder::PlanBuilder;
use super::{in_force, ownership};
use crate::observe::{Content, Entry, FileType, PathState, PredictedState, Queries, Query};
use crate::plan::{AccountOp, FileOp, InForce, KNOWN_AFTER_APPLY, Meta, Op, PlanError, diff_files};
use crate::values::{AbsPath, Mode, UserName};

/// The keys that a step wants for a user.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub wanted: Vec<DesiredKeyFile>,
    /// Whether no other line may be in the file.
    pub exclusive: bool,
}

/// Where a user's home is unless the host says otherwise.
pub(super) fn default_home(user: &UserName) -> Option<AbsPath> {
    if user.as_str() == "root" { "/root".parse().ok() } else { format!("/home/{user}").parse().ok() }
}

/// Whether a home stands for "none": it is never made, whatever is to go in it.
pub(super) fn is_no_home(home: &AbsPath) -> bool {
    let within = |top: &str| top.parse().is_ok_and(|top| home.is_within(&top));
    home.as_str() == "/" || ["/nonexistent", "/run/nonexistent", "/dev", "/proc", "/sys"].into_iter().any(within)
}

/// The questions about a home and all that is above it.
pub(super) fn home_queries(home: &AbsPath) -> Vec<Query> {
    std::iter::once(home.clone()).chain(home.ancestors()).map(Query::Path).collect()
}

/// The questions about a home and the keys in it.
pub(super) fn key_queries(home: &AbsPath) -> Vec<Query> {
    let mut queries = home_queries(home);
    if let Some((directory, file)) = key_paths(home) {
        queries.push(Query::Path(directory));
        queries.push(Query::Path(file.clone()));
        queries.push(Query::Content(file));
    }
    queries
}

/// Asks all of it up front, for the home where it most likely is.
pub(super) fn ask(queries: &mut Queries, home: &AbsPath) {
    queries.extend(key_queries(home));
}

fn key_paths(home: &AbsPath) -> Option<(AbsPath, AbsPath)> {
    let directory = home.join(".ssh").ok()?;
    let file = directory.join("authorized_keys").ok()?;
    Some((directory, file))
}

/// The user's home, group and name as the state has them.
struct Owner {
    user: UserName,
    group: String,
    home: AbsPath,
}

impl Owner {
    fn of(draft: &PlanBuilder<'_>, user: &UserName) -> Result<Owner, PlanError> {
        let Some(account) = draft.host().user(user.as_str())? else {
            return Err(PlanError::Refused(format!(
                "there is no user '{user}' on the host; add a step before this one: user = {{ name = \"{user}\" }}"
            )));
        };
        let home = account.home.parse().map_err(|why| {
            PlanError::Refused(format!("the home of '{user}' cannot hold keys: {why}; give the user another home"))
        })?;
        Ok(Owner { user: user.clone(), group: account.group.clone(), home })
    }

    /// Refuses a home that stands for "none".
    fn has_home(&self) -> Result<(), PlanError> {
        if !is_no_home(&self.home) {
            return Ok(());
        }
        Err(PlanError::Refused(format!(
            "the home of '{0}' is {1}, which stands for none and is never made: give the user another home, \
             such as home = \"/home/{0}\"",
            self.user, self.home
        )))
    }

    fn meta(&self, bits: u16) -> Meta {
        Meta { owner: self.user.to_string(), group: self.group.clone(), mode: Mode::from_bits(bits) }
    }
}

/// Plans keys into a user's `authorized_keys`, and all that sshd asks of the way to it;
/// says whether the file will be new.
///
/// # Errors
/// There is no such user, something on the way is refused, or the state cannot tell.
pub(super) fn plan(draft: &mut PlanBuilder<'_>, user: &UserName, keys: &Keys) -> Result<bool, PlanError> {
    let owner = Owner::of(draft, user)?;
    owner.has_home()?;
    if !draft.answered(key_queries(&owner.home)) {
        return Ok(false);
    }
    if keys.exclusive && keys.wanted.is_empty() && draft.host().facts.login_user == user.as_str() {
        return Err(PlanError::Refused(format!(
            "this would take every key from '{user}', as whom you are logged in; give at least one key"
        )));
    }
    let Some((directory, file)) = key_paths(&owner.home) else { return Ok(false) };
    home(draft, user)?;
    let old = old_content(draft, &directory, &file)?;
    let merged = merge(old.as_deref().unwrap_or_default(), &keys.wanted, keys.exclusive);
    if old.is_none() && merged.content.is_empty() {
        return Ok(false);
    }
    let directory_meta = owner.meta(0o700);
    match draft.host().path(&directory)?.clone() {
        PathState::Present(entry) => repair(draft, &directory, ".ssh", &entry, &directory_meta),
        _ => {
            draft.change(".ssh mode", None::<&str>, Some(directory_meta.mode.to_string()));
            draft.push(Op::File(FileOp::MakeDirectory { path: directory, meta: directory_meta }));
        }
    }
    let meta = owner.meta(0o600);
    for (before, after) in merged.changes {
        draft.change("authorized_keys", before, after);
    }
    let entry = draft.host().path(&file)?.entry().cloned();
    if old.as_deref() == Some(merged.content.as_slice()) {
        if let Some(entry) = entry {
            repair(draft, &file, "authorized_keys", &entry, &meta);
        }
        return Ok(false);
    }
    if let Some(entry) = entry {
        differences(draft, "authorized_keys", &entry, &meta);
    }
    // Keys that a command of the run may add meanwhile must not get lost.
    let is_new = draft.planned.ops.iter().any(|op| matches!(op, Op::Account(AccountOp::UserAdd { .. })));
    if let Some(on) = draft.host().commanded_by(&file).filter(|_| !is_new).map(str::to_owned) {
        draft.planned.leave_open(&on);
    }
    if let Some(note) = in_force::shell_note(draft.host(), user)?.filter(|_| !keys.wanted.is_empty()) {
        draft.note(note);
    }
    draft.diff(diff_files(file.as_str(), old.as_deref(), Some(&merged.content)));
    draft.push(Op::File(FileOp::WriteFile { path: file, content: merged.content, meta, validate: None }));
    Ok(old.is_none())
}

/// What keeps a user from logging in with these keys; `says_expiry`: whether the
/// step itself says until when the account may be used.
///
/// # Errors
/// The state cannot tell.
pub(super) fn in_force(
    host: &PredictedState,
    user: &UserName,
    keys: &Keys,
    says_expiry: bool,
) -> Result<InForce, PlanError> {
    let home: Option<AbsPath> = host.user(user.as_str())?.and_then(|account| account.home.parse().ok());
    let Some((home, (_, file))) = home.and_then(|home| Some((home.clone(), key_paths(&home)?))) else {
        return Ok(InForce::default());
    };
    if keys.wanted.is_empty() {
        return Ok(InForce::default());
    }
    let keys = in_force::Keys { user, home: &home, file: &file, wanted: &keys.wanted, says_expiry };
    in_force::keys_let_in(host, keys)
}

/// The bytes of the key file; none if there is no file. Refuses links and
/// whatever else is not what it should be.
fn old_content(draft: &PlanBuilder<'_>, directory: &AbsPath, file: &AbsPath) -> Result<Option<Vec<u8>>, PlanError> {
    must_be(draft, directory, FileType::Directory)?;
    must_be(draft, file, FileType::File)?;
    match draft.host().content(file)? {
        Content::Absent => Ok(None),
        Content::Bytes(bytes) => Ok(Some(bytes.clone())),
        Content::Digest(_) => {
            Err(PlanError::Refused(format!("{file} is too large to be a list of keys; look at it and make it smaller")))
        }
        Content::AfterApply => {
            Err(PlanError::Refused(format!("what {file} holds is known after an earlier step; apply that step first")))
        }
    }
}

fn must_be(draft: &PlanBuilder<'_>, path: &AbsPath, wanted: FileType) -> Result<(), PlanError> {
    let refuse = |why: String| Err(PlanError::Refused(why));
    match draft.host().path(path)? {
        PathState::Absent => Ok(()),
        PathState::Present(entry) if entry.file_type == wanted => Ok(()),
        PathState::Present(entry) if entry.file_type == FileType::Link => refuse(format!(
            "{path} is a symbolic link to '{}': what root writes there would land where {} pointed it; \
             look at it and replace it by a real {}",
            entry.target.as_deref().unwrap_or("?").escape_debug(),
            entry.owner,
            if wanted == FileType::File { "file" } else { "directory" },
        )),
        PathState::Present(_) => refuse(format!(
            "{path} is not a {}; look at it and remove it",
            if wanted == FileType::File { "file" } else { "directory" }
        )),
        PathState::AfterApply => {
            refuse(format!("what {path} is is known after an earlier step; apply that step first"))
        }
    }
}

/// Plans a user's home: there, the user's own, and written by nobody else.
///
/// # Errors
/// It or a directory above it is refused, or the state cannot tell.
pub(super) fn home(draft: &mut PlanBuilder<'_>, user: &UserName) -> Result<(), PlanError> {
    let owner = Owner::of(draft, user)?;
    owner.has_home()?;
    let home = owner.home.clone();
    if !draft.answered(home_queries(&home)) {
        return Ok(());
    }
    ancestors(draft, &owner)?;
    match draft.host().path(&home)?.clone() {
        PathState::Present(entry) => {
            must_be(draft, &home, FileType::Directory)?;
            refuse_foreign(draft, &owner, &entry)?;
            let kept = entry.mode.bits() & !0o022;
            // The group of a home is the user's business.
            let mut meta = Meta { group: entry.group.clone(), ..owner.meta(kept) };
            // sshd takes a home of root's as well, and wants it so where it is the
            // ChrootDirectory; homes of services are directories of the system.
            let is_usual = home.parent().is_some_and(|above| above.as_str() == "/home");
            if entry.owner == "root" && !is_usual && kept & 0o001 != 0 {
                meta.owner.clone_from(&entry.owner);
                draft.note(format!("{home} belongs to root, which sshd accepts: its owner is left as it is"));
            }
            repair(draft, &home, "home", &entry, &meta);
        }
        PathState::Absent => make(draft, &owner),
        PathState::AfterApply => draft.note(format!("what {home} is: {KNOWN_AFTER_APPLY}; it is left as it is")),
    }
    Ok(())
}

/// Plans that a home exists; leaves alone what is there.
pub(super) fn home_exists(draft: &mut PlanBuilder<'_>, user: &UserName) -> Result<(), PlanError> {
    let owner = Owner::of(draft, user)?;
    if draft.answered(home_queries(&owner.home)) && *draft.host().path(&owner.home)? == PathState::Absent {
        make(draft, &owner);
    }
    Ok(())
}

/// Makes a home, and the directories above it that are missing.
fn make(draft: &mut PlanBuilder<'_>, owner: &Owner) {
    make_above(draft, &owner.home);
    let meta = owner.meta(0o750);
    draft.change("home mode", None::<&str>, Some(meta.mode.to_string()));
    draft.push(Op::File(FileOp::MakeDirectory { path: owner.home.clone(), meta }));
}

/// Makes the directories above a path that are missing.
pub(super) fn make_above(draft: &mut PlanBuilder<'_>, home: &AbsPath) {
    let missing: Vec<AbsPath> =
        home.ancestors().filter(|path| matches!(draft.host().path(path), Ok(PathState::Absent))).collect();
    for path in missing.into_iter().rev().filter(|path| path.parent().is_some()) {
        draft.push(Op::File(FileOp::MakeDirectory { path, meta: Meta::root(0o755) }));
    }
}

/// A home that is somebody else's, or a directory of the system, is not taken over.
fn refuse_foreign(draft: &PlanBuilder<'_>, owner: &Owner, entry: &Entry) -> Result<(), PlanError> {
    let home = &owner.home;
    if draft.host().is_same_user(&entry.owner, owner.user.as_str()) {
        return Ok(());
    }
    let top = home.parent().is_some_and(|parent| parent.parent().is_none());
    if top && entry.owner == "root" {
        return Err(PlanError::Refused(format!(
            "the home of '{}' is {home}, a directory of the system that belongs to root; give the user another home",
            owner.user
        )));
    }
    if entry.owner != "root" && draft.host().user(&entry.owner)?.is_some() {
        return Err(PlanError::Refused(format!(
            "{home}, the home of '{}', belongs to the user '{}'; give the user another home, or change its owner",
            owner.user, entry.owner
        )));
    }
    Ok(())
}

/// Nobody but root and the user may be able to put another directory in the home's place.
fn ancestors(draft: &mut PlanBuilder<'_>, owner: &Owner) -> Result<(), PlanError> {
    for path in owner.home.ancestors() {
        let PathState::Present(entry) = draft.host().path(&path)?.clone() else { continue };
        let bits = entry.mode.bits();
        if entry.file_type != FileType::Directory || bits & 0o022 == 0 {
            continue;
        }
        let refuse = |why: &str| {
            Err(PlanError::Refused(format!(
                "{path} (mode {}, owner {}) lies above the home {} and others can write to it; {why}",
                entry.mode, entry.owner, owner.home
            )))
        };
        if bits & 0o1000 != 0 {
            return refuse("it is a directory for everybody (sticky): give the user a home elsewhere");
        }
        let is_own = |name: &str| draft.host().is_same_user(&entry.owner, name);
        if !is_own("root") && !is_own(owner.user.as_str()) {
            return refuse(
                "it is not root's, so its mode is not changed here: repair it or give the user another home",
            );
        }
        let mode = Mode::from_bits(bits & !0o022);
        draft.change("ancestor mode", Some(format!("{path} {}", entry.mode)), Some(format!("{path} {mode}")));
        draft.push(Op::File(FileOp::SetMeta { path, owner: None, group: None, mode: Some(mode) }));
    }
    Ok(())
}

/// Notes in which of owner, group and mode something differs.
fn differences(draft: &mut PlanBuilder<'_>, what: &str, entry: &Entry, meta: &Meta) -> bool {
    let meta = &ownership::as_found(draft.host(), meta, entry);
    let before = draft.planned.changes.len();
    if entry.owner != meta.owner {
        draft.change(&format!("{what} owner"), Some(&entry.owner), Some(&meta.owner));
    }
    if entry.group != meta.group {
        draft.change(&format!("{what} group"), Some(&entry.group), Some(&meta.group));
    }
    if entry.mode != meta.mode {
        draft.change(&format!("{what} mode"), Some(entry.mode.to_string()), Some(meta.mode.to_string()));
    }
    draft.planned.changes.len() > before
}

fn repair(draft: &mut PlanBuilder<'_>, path: &AbsPath, what: &str, entry: &Entry, meta: &Meta) {
    if differences(draft, what, entry, meta) {
        let meta = ownership::as_found(draft.host(), meta, entry);
        draft.push(set_meta(path, entry, &meta));
    }
}
