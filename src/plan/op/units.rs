//! Operations on units of systemd.

use super::reach::{SERVICE, SERVICES_WRITE, UNIT_LINKS};
use super::{Answers, Traits};
use crate::observe::{Part, PredictedState, Query};
use crate::plan::access::is_access_unit;
use crate::plan::{Access, OpScript, PlanError, unit_files};
use crate::shell::{Command, NulByte};
use crate::values::UnitName;

/// A verb of systemctl(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Enable,
    Disable,
    Start,
    Stop,
    Restart,
    Reload,
    Mask,
    Unmask,
}

impl Verb {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Verb::Enable => "enable",
            Verb::Disable => "disable",
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
            Verb::Reload => "reload",
            Verb::Mask => "mask",
            Verb::Unmask => "unmask",
        }
    }

    /// Whether a service begins, ends or takes up its configuration by it.
    const fn acts_on_service(self) -> bool {
        match self {
            Verb::Start | Verb::Stop | Verb::Restart | Verb::Reload => true,
            Verb::Enable | Verb::Disable | Verb::Mask | Verb::Unmask => false,
        }
    }

    /// What a service that is restarted or started may change, or the links of
    /// one that is enabled.
    const fn traits(self) -> Traits {
        if self.acts_on_service() {
            Traits { may_undo_others: true, may_undo: SERVICES_WRITE, ..Traits::reaching(SERVICE) }
        } else {
            Traits { may_undo_others: true, ..Traits::reaching(UNIT_LINKS) }
        }
    }
}

/// Operations on units of systemd.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the fields carry the names of the tools' own arguments
pub enum UnitOp {
    DaemonReload,
    Systemctl {
        verb: Verb,
        unit: UnitName,
    },
    /// Restarts or reloads a unit if that is pending still when its turn comes.
    Pending {
        verb: Verb,
        unit: UnitName,
        /// Left by an earlier run: where it fails it is tried again at the end.
        first: bool,
    },
    /// Nothing asks any more for what is noted as pending under this name.
    Forget {
        pending: String,
    },
}

impl Answers for UnitOp {
    fn script(&self, out: &mut OpScript) -> Result<(), NulByte> {
        match self {
            UnitOp::DaemonReload => out.run(Command::new("daemon_reload")),
            UnitOp::Systemctl { verb, unit } => out.run(Command::new("unit_verb").args([verb.word(), unit.as_str()])),
            UnitOp::Pending { verb, unit, first } => {
                let when = if *first { "first" } else { "" };
                out.run(Command::new("pending").args([verb.word(), unit.as_str(), when]));
            }
            UnitOp::Forget { pending } => out.run(Command::new("clear_pending").arg(pending)),
        }
        Ok(())
    }

    fn effect(&self, host: &mut PredictedState) {
        match self {
            UnitOp::DaemonReload => host.units_reloaded(),
            UnitOp::Systemctl { verb, unit } | UnitOp::Pending { verb, unit, .. } => {
                unit_files::told(host, *verb, unit);
            }
            UnitOp::Forget { pending } => host.forget_pending(pending),
        }
    }

    fn undo_scope(&self) -> Vec<Query> {
        match self {
            UnitOp::Systemctl { unit, .. } | UnitOp::Pending { unit, .. } => vec![Query::Unit(unit.clone())],
            UnitOp::DaemonReload | UnitOp::Forget { .. } => Vec::new(),
        }
    }

    fn can_cut(&self, _access: &Access) -> bool {
        match self {
            UnitOp::Systemctl { unit, .. } => is_access_unit(unit.as_str()),
            // What a unit takes up was changed by an operation of its own, and
            // confirmed live.
            UnitOp::Pending { .. } | UnitOp::Forget { .. } | UnitOp::DaemonReload => false,
        }
    }

    fn obstacle(&self, _host: &PredictedState, _notes: &mut Vec<String>) -> Result<(), PlanError> {
        match self {
            // The 'service' kind itself refuses what systemd would (see `resource::service`).
            UnitOp::DaemonReload | UnitOp::Systemctl { .. } | UnitOp::Pending { .. } | UnitOp::Forget { .. } => Ok(()),
        }
    }

    fn traits(&self) -> Traits {
        match self {
            // Generators make units of what they find.
            UnitOp::DaemonReload => Traits {
                is_reverted_at_once: true,
                is_without_trace: true,
                ..Traits::reaching(&[Part::Paths("/run/systemd/")])
            },
            UnitOp::Systemctl { verb, .. } => Traits { may_require_reboot: verb.acts_on_service(), ..verb.traits() },
            UnitOp::Pending { verb, .. } => verb.traits(),
            UnitOp::Forget { .. } => Traits::default(),
        }
    }
}
