//! The closed alphabet of primitive operations.
//!
//! Everything an apply does is a list of these. They come in families, one file
//! each, and a family answers all that is asked of its operations in that file:
//! [`Answers`]. An operation for which something is not decided does not compile.

mod accounts;
mod commands;
mod files;
mod packages;
mod reach;
mod system;
mod units;

use super::{Access, NamedAccounts, OpScript, PlanError};
use crate::observe::{Part, PredictedState, Query};
use crate::shell::NulByte;
use crate::values::{AbsPath, Mode};

pub use accounts::{ACCOUNT_FILES, AccountOp};
pub use commands::{Check, CommandOp, Guard};
pub use files::FileOp;
pub use packages::PackageOp;
pub(super) use reach::{ANYTHING, RESTARTS};
pub use system::SystemOp;
pub use units::{UnitOp, Verb};

/// Owner, group and mode that a file has from the moment it is visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// A user's name or number.
    pub owner: String,
    /// A group's name or number.
    pub group: String,
    /// Permission bits.
    pub mode: Mode,
}

impl Meta {
    /// Owned by root, with a mode.
    pub fn root(bits: u16) -> Meta {
        Meta { owner: "root".to_owned(), group: "root".to_owned(), mode: Mode::from_bits(bits) }
    }
}

/// One primitive operation, by its family.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// On files, directories and links.
    File(FileOp),
    /// On users and groups.
    Account(AccountOp),
    /// On packages and what apt goes by.
    Package(PackageOp),
    /// On units of systemd.
    Unit(UnitOp),
    /// On the host as a whole.
    System(SystemOp),
    /// Commands, and assertions.
    Command(CommandOp),
}

/// All that a family answers for each of its operations. Every answer is a match
/// without a wildcard arm.
pub(in crate::plan) trait Answers {
    /// Adds the shell that carries it out to a script, and the data that it needs.
    ///
    /// # Errors
    /// [`NulByte`] if a value holds one.
    fn script(&self, out: &mut OpScript) -> Result<(), NulByte>;

    /// Plays it on a predicted state.
    fn effect(&self, host: &mut PredictedState);

    /// Everything that it may change, as far as `undo` puts that back: the runner
    /// asks before the first operation and after the last, and `undo` compares.
    fn undo_scope(&self) -> Vec<Query>;

    /// The users and groups that it makes, changes or removes.
    fn named_accounts(&self) -> NamedAccounts {
        NamedAccounts::default()
    }

    /// Whether it can cut off the operator's own access to the host.
    fn can_cut(&self, access: &Access) -> bool;

    /// Refuses it where it is known to fail on this host, and notes where it is
    /// carried out otherwise than usual.
    ///
    /// # Errors
    /// What it changes cannot be changed.
    fn obstacle(&self, host: &PredictedState, notes: &mut Vec<String>) -> Result<(), PlanError>;

    /// What follows from the sort of operation that it is.
    fn traits(&self) -> Traits;
}

/// What follows from the sort of an operation. The default is the strict answer
/// for the order of operations, and the plain one for all else.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::plan) struct Traits {
    /// Nothing takes it back: packages, and what the operator's own commands did.
    outlasts_undo: bool,
    /// What it does may change what other steps describe.
    may_undo_others: bool,
    /// A guard puts it back exactly, and it takes no time.
    is_reverted_at_once: bool,
    /// A daemon-reload that comes before it may be made after it.
    may_precede_reload: bool,
    /// Where it fails, it may have changed something.
    may_fail_midway: bool,
    /// It changes nothing that a step describes.
    is_without_trace: bool,
    /// It has packages, units or the operator's own text run, which may ask for a reboot.
    may_require_reboot: bool,
    /// It has apt call dpkg(1), which first ends what it has left unfinished.
    calls_dpkg: bool,
    /// What it may change beyond its predicted effect.
    may_change: &'static [Part],
    /// What of that it may be expected to change of what others describe.
    may_undo: &'static [Part],
}

impl Traits {
    /// What may be changed beyond the effect, all of which is expected.
    const fn reaching(parts: &'static [Part]) -> Traits {
        Traits {
            outlasts_undo: false,
            may_undo_others: false,
            is_reverted_at_once: false,
            may_precede_reload: false,
            may_fail_midway: false,
            is_without_trace: false,
            may_require_reboot: false,
            calls_dpkg: false,
            may_change: parts,
            may_undo: parts,
        }
    }
}

impl Op {
    fn answers(&self) -> &dyn Answers {
        match self {
            Op::File(op) => op,
            Op::Account(op) => op,
            Op::Package(op) => op,
            Op::Unit(op) => op,
            Op::System(op) => op,
            Op::Command(op) => op,
        }
    }

    /// Adds its shell to a script.
    pub(super) fn script(&self, out: &mut OpScript) -> Result<(), NulByte> {
        self.answers().script(out)
    }

    /// Plays the operation on a predicted state.
    pub fn effect(&self, host: &mut PredictedState) {
        if !matches!(self, Op::Command(CommandOp::Check(_))) {
            host.count_change_at(self.only_place());
        }
        host.may_change(self.may_change());
        if self.answers().traits().may_require_reboot {
            host.reboot_may_become_required();
        }
        if self.configures_apt() {
            host.forget_candidates();
        }
        if self.changes_sources() {
            host.facts_mut().apt.lists_age = None;
        }
        if self.may_bring_repositories() {
            host.apt_may_change();
        }
        if self.calls_dpkg() {
            host.dpkg_will_be_whole();
        }
        self.answers().effect(host);
        if let Op::Account(op) = self {
            super::read_from::accounts_changed(host, op);
        }
    }

    /// Everything that this operation may change, as far as it can be put
    /// back. What the operator's own commands do is not known.
    pub fn undo_scope(&self) -> Vec<Query> {
        self.answers().undo_scope()
    }

    /// The users and groups that it makes, changes or removes.
    pub fn named_accounts(&self) -> NamedAccounts {
        self.answers().named_accounts()
    }

    /// Whether this can cut off the operator's own access to the host.
    pub fn can_cut(&self, access: &Access) -> bool {
        self.answers().can_cut(access)
    }

    /// Refuses an operation that is known to fail, and notes one that is carried
    /// out otherwise than usual.
    ///
    /// # Errors
    /// What it changes cannot be changed.
    pub(super) fn obstacle(&self, host: &PredictedState, notes: &mut Vec<String>) -> Result<(), PlanError> {
        self.answers().obstacle(host, notes)
    }

    /// Whether nothing takes this back: packages, and what the operator's own commands did.
    pub fn outlasts_undo(&self) -> bool {
        self.answers().traits().outlasts_undo
    }

    /// Whether what it does may change what other steps describe, so that they
    /// differ once more although they were right before it.
    pub fn may_undo_others(&self) -> bool {
        self.answers().traits().may_undo_others
    }

    /// Whether a guard puts this back exactly, and it takes no time, so that a
    /// guarded phase need not end before it.
    pub fn is_reverted_at_once(&self) -> bool {
        self.answers().traits().is_reverted_at_once
    }

    /// Whether a daemon-reload that comes before it may be made after it.
    pub fn may_precede_reload(&self) -> bool {
        self.answers().traits().may_precede_reload
    }

    /// Whether it may have changed something where it fails.
    pub fn may_fail_midway(&self) -> bool {
        self.answers().traits().may_fail_midway
    }

    /// Whether it changes nothing that a step describes.
    pub fn is_without_trace(&self) -> bool {
        self.answers().traits().is_without_trace
    }

    /// Whether it has apt call dpkg(1), which first ends what it has left unfinished.
    pub fn calls_dpkg(&self) -> bool {
        self.answers().traits().calls_dpkg
    }

    /// What it may change beyond [`Op::effect`]. What was found on the host is
    /// taken for what a later step's turn finds only where nothing before it may
    /// have changed it.
    pub fn may_change(&self) -> &'static [Part] {
        self.answers().traits().may_change
    }

    /// What it may be expected to change of what others describe, for which a
    /// run stops to look: less than what it could change.
    pub(super) fn may_undo(&self) -> &'static [Part] {
        self.answers().traits().may_undo
    }

    /// Whether it runs what was not written here: the operator's text, scripts
    /// of packages, services.
    pub fn is_opaque(&self) -> bool {
        self.may_change().contains(&Part::AnyPath)
    }

    /// Whether the host is certain to restart here, so that its run ends.
    pub fn reboots(&self) -> bool {
        matches!(self, Op::System(SystemOp::Reboot { .. }))
    }

    /// The file operation that this is.
    pub(crate) fn file(&self) -> Option<&FileOp> {
        if let Op::File(op) = self { Some(op) } else { None }
    }

    /// The operation on packages that this is.
    pub(super) fn package(&self) -> Option<&PackageOp> {
        if let Op::Package(op) = self { Some(op) } else { None }
    }

    /// The place whose content is another one after it.
    pub(super) fn replaced(&self) -> Option<&AbsPath> {
        self.file().and_then(FileOp::replaced)
    }

    /// The one place that it changes, where there is no other.
    fn only_place(&self) -> Option<&AbsPath> {
        self.file().and_then(FileOp::only_place)
    }

    /// Whether it may change which packages apt offers, and in which versions:
    /// sources, preferences and settings.
    pub(crate) fn configures_apt(&self) -> bool {
        self.replaced().is_some_and(super::apt::reads)
    }

    /// Whether it changes the sources themselves, which are read anew before the
    /// next package is installed.
    fn changes_sources(&self) -> bool {
        self.replaced().is_some_and(super::apt::reads_sources)
    }

    /// Whether it may change which packages apt offers in a way that nobody can
    /// know before: operators' commands, and package files, which may hold the
    /// sources of a repository.
    fn may_bring_repositories(&self) -> bool {
        match self {
            Op::Command(op) => op.may_bring_repositories(),
            Op::Package(op) => op.may_bring_repositories(),
            Op::File(_) | Op::Account(_) | Op::Unit(_) | Op::System(_) => false,
        }
    }

    /// Whether this is part of apt's work (see `schedule`: such steps that follow each other are brought together).
    pub fn is_apt(&self) -> bool {
        matches!(
            self,
            Op::Package(PackageOp::AptUpdate { .. } | PackageOp::AptInstall { .. } | PackageOp::AptRemove { .. })
        )
    }
}
