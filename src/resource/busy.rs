//! Accounts whose users run something: usermod(8) and userdel(8) refuse to
//! change the number or the home of one, or to remove it.

use super::plan_builder::PlanBuilder;
use crate::observe::{Known, Process, Query};
use crate::plan::PlanError;
use crate::values::{AbsPath, UserName};

/// Processes that a refusal names.
const SHOWN: usize = 3;

/// The processes in which systemd keeps a session: they end by themselves when
/// the user has logged out, and the runner waits for that.
const SESSION: [&str; 2] = ["systemd", "(sd-pam)"];

/// Refuses what `tool` would refuse because the user runs something; where an
/// earlier step may have ended that by then, it is noted.
///
/// # Errors
/// The user runs something that no earlier step ends.
pub(super) fn check(
    draft: &mut PlanBuilder<'_>,
    name: &UserName,
    uid: &Known<u32>,
    tool: &str,
) -> Result<(), PlanError> {
    let Known::Is(uid) = uid else { return Ok(()) };
    if !draft.answered([Query::Processes]) {
        return Ok(());
    }
    let host = draft.host();
    let busy: Vec<&Process> = host.processes_of(*uid).collect();
    if busy.is_empty() {
        return Ok(());
    }
    let mut shown: Vec<String> =
        busy.iter().take(SHOWN).map(|one| format!("{} ({})", one.pid, one.name.escape_debug())).collect();
    if busy.len() > SHOWN {
        shown.push(format!("{} more", busy.len() - SHOWN));
    }
    let runs = format!("'{name}' runs process {}", shown.join(", "));
    let of_processes = "/proc/1".parse::<AbsPath>().ok().map(Query::Path);
    let ended_by = of_processes.and_then(|query| host.affected_by(&query)).map(str::to_owned);
    if let Some(by) = ended_by {
        draft.note(format!("{runs}, and {tool} refuses while it is there: {by} must have ended it by then"));
    } else if busy.iter().all(|one| SESSION.contains(&one.name.as_str())) {
        draft.note(format!("{runs}, which must have ended by then: {tool} refuses while it is there"));
    } else {
        return Err(PlanError::Refused(format!(
            "{runs} on the host, and {tool} refuses while it is there: end it in a step before this one, by stopping its \
             service, or with a command such as 'loginctl terminate-user {name}' or 'pkill -u {name}'"
        )));
    }
    Ok(())
}
