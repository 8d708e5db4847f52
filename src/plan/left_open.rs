//! What a step may make whose own turn decides what it does.
//!
//! Such a step plans no operations. What it may make is left open for the steps
//! after it: none of them is refused because that is missing, and none takes for
//! certain what was found there.

use super::apt;
use super::op::ANYTHING;
use crate::observe::{Part, PathState, PredictedState};
use crate::values::{AbsPath, UnitName};

/// Where a step may change something, as far as that is known before its turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MayMake {
    /// What stands at these paths and below them, and the directories above that
    /// are missing.
    pub paths: Vec<AbsPath>,
    /// These units.
    pub units: Vec<UnitName>,
    /// Whether there are other places, which are not known.
    pub elsewhere: bool,
}

/// Plays on the state what a step of a kind may make.
pub(super) fn play(kind: &str, may_make: &MayMake, host: &mut PredictedState) {
    match kind {
        "check" | "flush" => {}
        "user" | "group" => host.may_bring(false),
        "sysctl" => host.count_change(),
        "kernel_module" => {
            host.count_change();
            host.module_will_load();
        }
        "hostname" => fact("hostname", host),
        "timezone" => fact("timezone", host),
        _ if !may_make.elsewhere => {
            host.count_change();
            let missing = |above: &AbsPath| host.path(above) == Ok(&PathState::Absent);
            let above: Vec<AbsPath> = may_make.paths.iter().flat_map(AbsPath::ancestors).filter(missing).collect();
            above.iter().chain(&may_make.paths).for_each(|path| host.leave_open(path));
            may_make.units.iter().for_each(|unit| host.leave_unit_open(unit));
            if may_make.paths.iter().any(apt::reads) {
                host.apt_may_change();
            }
        }
        _ => {
            host.may_bring(true);
            host.apt_may_change();
            host.may_change(ANYTHING);
        }
    }
}

fn fact(name: &'static str, host: &mut PredictedState) {
    host.count_change();
    host.may_change(&[Part::Fact(name)]);
}
