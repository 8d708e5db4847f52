//! Commands of the operator's, programs with exact arguments, and assertions.

use super::reach::ANYTHING;
use super::{Answers, Traits};
use crate::observe::{Environment, Part, PredictedState, Query, Run};
use crate::plan::harmless::may_configure_apt;
use crate::plan::{Access, OpScript, PlanError, Postcondition};
use crate::shell::{Command, NulByte, STRICT, quote};
use crate::values::{AbsPath, UserName};

/// An assertion that is awaited: the script is run until it succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Shell text; exit code 0 means that the assertion holds.
    pub script: String,
    /// The question that asked the same at plan time.
    pub asks: Run,
    /// How often it is tried at the most, at least 1.
    pub tries: u32,
    /// Seconds between two tries.
    pub pause: u32,
}

/// What is asked right before a command: whether it is due at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    /// A path; where it exists there is nothing to do.
    pub creates: Option<AbsPath>,
    /// A path; where it does not exist there is nothing to do.
    pub removes: Option<AbsPath>,
    /// Shell text of the command's user; where it succeeds there is nothing to do.
    pub unless: Option<String>,
    /// The name under which the host notes that a change asks for the command;
    /// where it is not noted there is nothing to do.
    pub pending: Option<String>,
    /// What was noted before it was known for which commands, and the names of these.
    pub hands_on: Vec<(String, Vec<String>)>,
}

/// Commands of the operator's, programs with exact arguments, and assertions.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the fields carry the names of the tools' own arguments
pub enum CommandOp {
    /// Runs shell text, unless its guard says that it is not due; after success,
    /// what `achieves` says holds.
    Run {
        script: String,
        /// None: it is due.
        guard: Option<Guard>,
        /// What it and its guard are run with.
        environment: Environment,
        user: Option<UserName>,
        directory: Option<AbsPath>,
        postconditions: Vec<Postcondition>,
    },
    /// Runs a program with exact arguments, as root; after success, what
    /// `achieves` says holds.
    Exec { argv: Vec<String>, postconditions: Vec<Postcondition> },
    /// Waits until an assertion holds.
    Check(Check),
}

impl Answers for CommandOp {
    fn script(&self, out: &mut OpScript) -> Result<(), NulByte> {
        match self {
            CommandOp::Run { .. } => self.run(out)?,
            CommandOp::Exec { argv, .. } => out.run(Command::new("env").arg("--").args(argv)),
            CommandOp::Check(check) => {
                let number = out.payload(format!("{STRICT}{}\n", check.script));
                let (tries, pause) = (check.tries.to_string(), check.pause.to_string());
                out.run(Command::new("await_check").args([&number, &tries, &pause]));
            }
        }
        Ok(())
    }

    fn effect(&self, host: &mut PredictedState) {
        match self {
            CommandOp::Run { postconditions, .. } => {
                host.command_will_run();
                postconditions.iter().for_each(|outcome| outcome.is_expected(host));
            }
            CommandOp::Exec { postconditions, .. } => postconditions.iter().for_each(|outcome| outcome.effect(host)),
            CommandOp::Check(check) => host.set_asserted(&check.asks),
        }
    }

    fn undo_scope(&self) -> Vec<Query> {
        match self {
            CommandOp::Exec { postconditions, .. } | CommandOp::Run { postconditions, .. } => {
                let held = postconditions.iter().filter_map(|outcome| match outcome {
                    Postcondition::Holds(path, _) => Some(Query::Content(path.clone())),
                    _ => None,
                });
                held.collect()
            }
            CommandOp::Check(_) => Vec::new(),
        }
    }

    fn can_cut(&self, access: &Access) -> bool {
        match self {
            CommandOp::Exec { argv, .. } => argv
                .iter()
                .any(|word| word == "ufw" || word.parse().is_ok_and(|path: AbsPath| access.depends_on(&path))),
            // The operator says `guard = true` where a command needs it.
            CommandOp::Run { .. } => false,
            CommandOp::Check(_) => false,
        }
    }

    fn obstacle(&self, _host: &PredictedState, _notes: &mut Vec<String>) -> Result<(), PlanError> {
        match self {
            CommandOp::Run { .. } | CommandOp::Exec { .. } | CommandOp::Check(_) => Ok(()),
        }
    }

    fn traits(&self) -> Traits {
        match self {
            CommandOp::Run { .. } => Traits {
                outlasts_undo: true,
                may_undo_others: true,
                may_fail_midway: true,
                may_require_reboot: true,
                ..Traits::reaching(ANYTHING)
            },
            // ufw(8), the one program that is run by its own words.
            CommandOp::Exec { .. } => Traits {
                may_undo_others: true,
                may_fail_midway: true,
                may_require_reboot: true,
                ..Traits::reaching(&[
                    Part::Paths("/etc/ufw/"),
                    Part::Paths("/etc/default/ufw"),
                    Part::Paths("/run/"),
                    Part::Paths("/etc/systemd/"),
                    Part::Units,
                ])
            },
            CommandOp::Check(_) => Traits { is_without_trace: true, ..Traits::default() },
        }
    }
}

impl CommandOp {
    fn run(&self, out: &mut OpScript) -> Result<(), NulByte> {
        let CommandOp::Run { script, guard, environment, user, directory, postconditions } = self else {
            return Ok(());
        };
        if let Some(guard) = guard {
            guard.script(out, user.as_ref(), environment)?;
        }
        if user.is_some() || directory.is_some() {
            let user = user.as_ref().map_or("", UserName::as_str);
            let directory = directory.as_ref().map_or("", AbsPath::as_str);
            out.run(Command::new("may_run").args([user, directory]));
        }
        let mut text = String::new();
        if let Some(directory) = directory {
            text.push_str(&format!("cd -- {}\n", quote(directory.as_str())?));
        }
        text.push_str(script);
        text.push('\n');
        let number = out.payload(environment.around(&text)?);
        let user = user.as_ref().map_or("", UserName::as_str);
        out.run(Command::new("run_payload").args([number.as_str(), user]));
        for outcome in postconditions {
            if let Postcondition::Followed(pending) = outcome {
                out.run(Command::new("clear_pending").arg(pending));
            }
        }
        Ok(())
    }

    /// Whether it may change what apt offers.
    pub(super) fn may_bring_repositories(&self) -> bool {
        match self {
            CommandOp::Run { script, user, directory, .. } => {
                may_configure_apt(script, user.as_ref(), directory.as_ref())
            }
            CommandOp::Exec { .. } | CommandOp::Check(_) => false,
        }
    }
}

impl Guard {
    /// Ends the operation, as one that was not due, where this says so.
    fn script(&self, out: &mut OpScript, user: Option<&UserName>, environment: &Environment) -> Result<(), NulByte> {
        let path = |path: &Option<AbsPath>| path.as_ref().map_or(String::new(), ToString::to_string);
        let unless = match &self.unless {
            Some(text) => out.payload(environment.around(&format!("{text}\n"))?),
            None => String::new(),
        };
        let user = user.map_or("", UserName::as_str);
        let (creates, removes) = (path(&self.creates), path(&self.removes));
        for (noted, names) in &self.hands_on {
            out.run(Command::new("hand_on").arg(noted).args(names));
        }
        let pending = self.pending.as_deref().unwrap_or_default();
        out.run(Command::new("if_due").args([creates.as_str(), &removes, &unless, user, pending]));
        Ok(())
    }
}
