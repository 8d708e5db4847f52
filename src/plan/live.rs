//! Live kernel parameters that steps want: a later step that writes another one
//! sets them again where the kernel changes them with it.

use super::{DesiredStep, KNOWN_AFTER_APPLY, Op, PlanError, Planned, SystemOp};
use crate::observe::{PredictedState, WantedSysctl};
use crate::values::{Secret, SetTo, SysctlKey};

/// Notes the live value that a step wants, for the steps after it.
pub(super) fn keep_live(step: &DesiredStep, host: &mut PredictedState) {
    let Some((key, value)) = step.resource.live_parameter() else { return };
    let place = step.span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default();
    host.want_sysctl(WantedSysctl {
        key: key.clone(),
        value: value.to_owned(),
        step: format!("step {} ({}){place}", step.id, step.name),
        sensitive: step.sensitive,
    });
}

/// Refuses a value of a parameter that no kernel can have together with what
/// an earlier step wants of another one.
///
/// # Errors
/// There is such a step.
pub fn check_excluded(host: &PredictedState, key: &SysctlKey, value: &str) -> Result<(), PlanError> {
    let excluded = |wanted: &&WantedSysctl| key.excludes(value, &wanted.key, &wanted.value);
    let Some(WantedSysctl { key: other, step, .. }) = host.wanted_sysctls().iter().find(excluded) else {
        return Ok(());
    };
    Err(PlanError::Refused(format!(
        "{step} wants a value of {other} that no kernel has together with this one of {key}: it sets each with the \
         other; remove one of the two, or make them agree"
    )))
}

/// Sets again what earlier steps want, where the kernel changes it with this
/// parameter.
pub fn set_again(planned: &mut Planned, host: &PredictedState, key: &SysctlKey, value: &str) {
    for wanted in host.wanted_sysctls() {
        let other = &wanted.key;
        let is_settable = matches!(host.sysctl(other), Ok(Some(_))) && !host.sysctl_is_read_only(other);
        let Some(to) = key.set_to(value, other).filter(|_| is_settable) else { continue };
        let before = match &to {
            SetTo::Value(set) | SetTo::Perhaps(set) if *set == wanted.value => continue,
            SetTo::Value(set) => set.clone(),
            SetTo::Perhaps(_) | SetTo::Unknown => KNOWN_AFTER_APPLY.to_owned(),
        };
        let shown = if wanted.sensitive { Secret::MASK } else { wanted.value.as_str() };
        planned.change(format!("live {other}"), Some(before), Some(shown));
        planned.ops.push(Op::System(SystemOp::Sysctl { key: other.clone(), value: wanted.value.clone() }));
        planned.notes.push(format!(
            "this writes {key}, {}: it is set again, as {} wants it",
            to.when_written(other),
            wanted.step
        ));
    }
}
