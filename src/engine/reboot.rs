//! A restart of the host within an apply.
//!
//! A run on the host ends where the host restarts. Its boot id is what proves
//! the restart: as long as it is the old one, the host has not gone down yet.
//! When it is back, it is looked at and planned for anew, so that what is left
//! is decided by what is there. That is a second run on the host, with a record
//! of its own, and taken back on its own.

use super::carry_out::Replan;
use super::{Host, InputErrors, Prepared, is_unreachable};
use crate::apply::Reboot;
use crate::plan::{HostPlan, StepPlan};
use crate::report::{Event, HostStatus, Reporter};
use crate::shell::Script;
use crate::transport::{Connector, Dial, Session, TransportError};
use crate::values::Diagnostic;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two attempts to reach a host that restarts.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one attempt may take: a host that is down may drop all packets.
const ATTEMPT: Duration = Duration::from_secs(15);

/// A machine cannot carry on with an apply after it has restarted itself.
///
/// # Errors
/// The target is this machine or a root directory on it, and a step restarts it.
pub(super) fn refuse_local(host: &dyn Host, steps: &[StepPlan]) -> Result<(), InputErrors> {
    if !host.is_local() {
        return Ok(());
    }
    let wrong = steps.iter().filter(|step| step.kind == "reboot").filter_map(|step| {
        let text = format!("'{}' is this machine, which cannot be rebooted from within an apply", host.name());
        step.span.clone().map(|span| Diagnostic::new(span, text).with_help("reach it over SSH, from another machine"))
    });
    let wrong: Vec<Diagnostic> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(InputErrors(wrong)) }
}

/// Waits for another boot, then looks and plans again over a new connection.
pub(super) fn come_back(
    host: &mut Prepared,
    reboot: &Reboot,
    reporter: &dyn Reporter,
) -> Result<HostPlan, (HostStatus, String)> {
    let name = host.plan.name.clone();
    let began = Instant::now();
    let text = format!("restarting; it must be back within {} s", reboot.timeout);
    reporter.event(&Event::Notice { host: Some(&name), text: &text });
    let limit = Duration::from_secs(u64::from(reboot.timeout));
    host.host.await_boot(&reboot.from, limit).map_err(|why| {
        let text = format!("the host did not come back within {} s after its reboot: {why}", reboot.timeout);
        (HostStatus::Unreachable, text)
    })?;
    let text = format!("back after {:.0} s, with another boot id", began.elapsed().as_secs_f64());
    reporter.event(&Event::Notice { host: Some(&name), text: &text });
    let plan = host.plan_again().map_err(|error| {
        let ending = if is_unreachable(&error) { HostStatus::Unreachable } else { HostStatus::Failed };
        (ending, format!("{error:#}"))
    })?;
    reporter.event(&Event::Planned { plan: &plan });
    Ok(plan)
}

/// A connection to the host after it has started with another boot id than `from`.
///
/// # Errors
/// There is none by `end`: why.
pub(super) fn await_boot(connector: &Connector, from: &str, end: Instant) -> Result<Session, String> {
    let mut connector = connector.clone();
    loop {
        let why = match boot(&mut connector) {
            Ok((mut session, id)) if id != from => {
                // Services that are still starting would look as if they had failed.
                let left = end.saturating_duration_since(Instant::now()).max(PAUSE);
                if session.run(&started(left), &[], left + ATTEMPT).is_ok() {
                    return Ok(session);
                }
                "the connection was lost while it started".to_owned()
            }
            Ok(_) => "it has not gone down: its boot id is still the old one".to_owned(),
            // A host that came back with another key is not asked again.
            Err(error @ TransportError::HostKey { .. }) => return Err(error.to_string()),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= end {
            return Err(why);
        }
        sleep(PAUSE);
    }
}

/// A connection and the boot id at its other end.
fn boot(connector: &mut Connector) -> Result<(Session, String), TransportError> {
    let mut session = connector.dial(None, ATTEMPT)?;
    let mut script = Script::new();
    script.line("cat /proc/sys/kernel/random/boot_id");
    let reply = session.run(&script, &[], ATTEMPT)?;
    let id = String::from_utf8_lossy(&reply.output).trim().to_owned();
    if reply.code == 0 && !id.is_empty() {
        return Ok((session, id));
    }
    Err(TransportError::Protocol { host: connector.target.name.clone(), why: "returned no boot ID".to_owned() })
}

/// Waits until systemd has started everything, well or not.
fn started(limit: Duration) -> Script {
    let mut script = Script::new();
    script.set("LIMIT", &limit.as_secs().max(1).to_string());
    script.line("timeout \"$LIMIT\" systemctl is-system-running --wait || :");
    script
}
