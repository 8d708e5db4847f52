//! `reboot`: restarts the host where that is due, and goes on when it is back.
//!
//! Where a package that is installed earlier in the run may ask for a reboot or
//! not, that is decided when the step's turn comes. What proves a reboot is the kernel's boot id (proc_sys_kernel(5)), never that a
//! connection was lost.

use super::{Args, Field, Kind, Resource, Type};
use crate::observe::{PathState, PredictedState, Queries, Query};
use crate::plan::{Action, KNOWN_AFTER_APPLY, Op, PlanError, Planned, SystemOp};
use crate::values::AbsPath;

pub(super) const KIND: Kind = Kind {
    name: "reboot",
    summary: "Restarts the host where that is due; the same apply waits for it, looks again and goes on.",
    main: "if",
    fields: &[
        Field::optional(
            "if",
            Type::Enum(&["required", "changed"]),
            "\"required\" (default): packages ask for it in /run/reboot-required; \"changed\": an earlier step of this \
             run changes something, or that of a run which ended before its reboot",
        ),
        Field::optional("timeout", Type::Integer, "seconds until the host must be back, default 600"),
        Field::optional("message", Type::String, "what users who are logged in are told"),
    ],
    build,
};

/// Where Debian's and Ubuntu's packages ask for a reboot.
const REQUIRED: [&str; 2] = ["/run/reboot-required", "/var/run/reboot-required"];
const EARLIER_STEPS: &str = "earlier steps change the host";
const MESSAGE: &str = "Stockade restarts this host";

#[derive(Debug)]
struct Reboot {
    /// Only where packages ask for it; else where something has changed.
    required: bool,
    files: Vec<AbsPath>,
    timeout: u32,
    message: String,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let timeout = args.integer("timeout", 1, 86_400).unwrap_or(600);
    let message = args.string("message").unwrap_or_else(|| MESSAGE.to_owned());
    if message.chars().any(char::is_control) {
        args.wrong_value("message", "'message' must be one line without control characters");
    }
    Some(Box::new(Reboot {
        required: args.string("if").as_deref() != Some("changed"),
        files: REQUIRED.iter().filter_map(|path| path.parse().ok()).collect(),
        timeout: u32::try_from(timeout).ok()?,
        message,
    }))
}

/// Whether it is due, and why.
enum Due {
    No,
    Yes(&'static str),
    /// What it depends on, as in "step 3".
    Open(String),
}

impl Reboot {
    fn due(&self, host: &PredictedState) -> Result<Due, PlanError> {
        if !self.required {
            let this_run = host.left.resumed_at.is_some();
            return Ok(match (host.changed_since_reboot(), host.owes_reboot()) {
                (true, _) => Due::Yes(EARLIER_STEPS),
                // An earlier phase of this run has made the changes that were planned.
                (false, true) if this_run => Due::Yes(EARLIER_STEPS),
                (false, true) => Due::Yes("left pending by an earlier run"),
                (false, false) => {
                    host.perhaps_changed_since_reboot().map_or(Due::No, |step| Due::Open(step.to_owned()))
                }
            });
        }
        let mut due = host.reboot_by().map_or(Due::No, |by| Due::Open(by.to_owned()));
        for file in &self.files {
            match host.path(file)? {
                PathState::Present(_) => return Ok(Due::Yes("the host asks for it")),
                PathState::AfterApply => {
                    due = Due::Open(host.brought_by().unwrap_or("an earlier step").to_owned());
                }
                PathState::Absent => {}
            }
        }
        Ok(due)
    }
}

impl Resource for Reboot {
    fn queries(&self, queries: &mut Queries) {
        if self.required {
            self.files.iter().for_each(|file| queries.ask(Query::Path(file.clone())));
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        let because = match self.due(host)? {
            Due::No => return Ok(planned),
            Due::Yes(because) => because,
            Due::Open(on) => {
                planned.leave_open(&on);
                KNOWN_AFTER_APPLY
            }
        };
        if host.facts.init != "systemd" {
            return Err(PlanError::Refused(
                "systemd does not run here: there is nothing that could be rebooted".into(),
            ));
        }
        planned.change("reboot", None::<&str>, Some(because));
        if planned.open.is_none() {
            planned.action = Some(Action::Run);
            planned.ops.push(Op::System(SystemOp::Reboot { timeout: self.timeout, message: self.message.clone() }));
        }
        Ok(planned)
    }

    fn follows_all(&self) -> bool {
        !self.required
    }

    fn may_become_due(&self) -> bool {
        self.required
    }
}
