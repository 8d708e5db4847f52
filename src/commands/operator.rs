//! Who runs a verb, whether they agree, and how it ends for them.

use super::Exit;
use crate::report::{self, Console, HostOutcome, HostStatus, Reporter};
use crate::transport::Ask;

/// The operator, as records and locks name them.
pub(super) fn who() -> String {
    format!("{}@{}", login_name(), rustix::system::uname().nodename().to_string_lossy())
}

/// The login name of whoever runs the program, before sudo(8).
pub(super) fn login_name() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|key| std::env::var(key).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Asks whether the plan is to be applied.
///
/// # Errors
/// There is nobody to ask, or the answer is no.
pub(super) fn confirm(console: &Console, reporter: &dyn Reporter, hosts: usize) -> anyhow::Result<()> {
    anyhow::ensure!(
        console.interactive,
        "there is no terminal to ask on; give --yes to apply without a question. Nothing was touched"
    );
    let question = format!("Apply this to {hosts} host{}?", if hosts == 1 { "" } else { "s" });
    let mut agreed = false;
    reporter.pause(&mut || agreed = report::TerminalAsk::new().confirm(&question));
    anyhow::ensure!(agreed, "not confirmed; nothing was touched");
    Ok(())
}

/// The worst ending decides: a failed host over an unreachable one.
pub(super) fn exit(outcomes: &[HostOutcome]) -> Exit {
    let any = |test: fn(HostStatus) -> bool| outcomes.iter().any(|outcome| test(outcome.ending));
    if any(|e| matches!(e, HostStatus::Failed | HostStatus::NotConverged | HostStatus::NotBegun)) {
        Exit::Failed
    } else if any(|e| e == HostStatus::Unreachable) {
        Exit::Unreachable
    } else if any(|e| e == HostStatus::Undone) {
        Exit::Undone
    } else {
        Exit::Done
    }
}
