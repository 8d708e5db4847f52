//! What is decided of an operation by its sort alone, in one table: a new
//! operation does not compile until all of it is decided.

use super::Op;

/// What follows from the sort of an operation.
#[derive(Debug, Clone, Copy, Default)]
struct Nature {
    /// Nothing takes it back: packages, and what the operator's own commands did.
    outlasts_undo: bool,
    /// What it does may change what other steps describe.
    may_undo_others: bool,
    /// A guard puts it back exactly, and it takes no time.
    is_put_back_at_once: bool,
}

impl Op {
    /// Whether nothing takes this back: packages, and what the operator's own commands did.
    pub fn outlasts_undo(&self) -> bool {
        self.nature().outlasts_undo
    }

    /// Whether what it does may change what other steps describe, so that they
    /// differ once more although they were right before it.
    pub fn may_undo_others(&self) -> bool {
        self.nature().may_undo_others
    }

    /// Whether a guard puts this back exactly, and it takes no time, so that a
    /// guarded phase need not end before it.
    pub fn is_put_back_at_once(&self) -> bool {
        self.nature().is_put_back_at_once
    }

    fn nature(&self) -> Nature {
        match self {
            Op::WriteFile { .. }
            | Op::MakeDirectory { .. }
            | Op::MakeLink { .. }
            | Op::SetMeta { .. }
            | Op::Remove { recursive: false, .. }
            | Op::Sysctl { .. }
            | Op::DaemonReload => Nature { is_put_back_at_once: true, ..Nature::default() },
            Op::AptInstall { .. }
            | Op::AptRemove { .. }
            | Op::AptUpgrade { .. }
            | Op::AptAutoremove { .. }
            | Op::Run { .. } => Nature { outlasts_undo: true, may_undo_others: true, ..Nature::default() },
            Op::AptUpdate { .. } | Op::AptMark { .. } | Op::Debconf { .. } => {
                Nature { outlasts_undo: true, ..Nature::default() }
            }
            Op::Systemctl { .. } | Op::Pending { .. } | Op::Exec { .. } => {
                Nature { may_undo_others: true, ..Nature::default() }
            }
            Op::SetTree { .. }
            | Op::Remove { recursive: true, .. }
            | Op::Download { .. }
            | Op::GroupAdd { .. }
            | Op::GroupChange { .. }
            | Op::GroupRemove { .. }
            | Op::UserAdd { .. }
            | Op::UserChange { .. }
            | Op::UserRemove { .. }
            | Op::SetPasswordHash { .. }
            | Op::LockPassword { .. }
            | Op::SetExpiry { .. }
            | Op::Join { .. }
            | Op::Leave { .. }
            | Op::Module { .. }
            | Op::SetHostname { .. }
            | Op::SetTimezone { .. }
            | Op::Forget { .. }
            | Op::Check(_)
            | Op::Reboot { .. } => Nature::default(),
        }
    }
}
