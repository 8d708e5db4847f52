//! What an audit found, as data.

use crate::values::Severity;
use serde::{Deserialize, Serialize};

/// The version of the form of a report; a baseline of another is refused.
pub const FORMAT_VERSION: u32 = 1;

/// An audit of one or more hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The program that made it, with its version: `stockade 0.1.0`.
    pub tool: String,
    /// When it began (RFC 3339, UTC).
    pub time: String,
    /// The playbook, as the operator named it.
    pub playbook: String,
    /// The stage, where all hosts have the same.
    pub stage: Option<String>,
    /// The level that was asked for; none: the playbook's own.
    pub level: Option<u8>,
    /// What was compared with, where a baseline was given: when that audit began.
    pub baseline: Option<String>,
    /// The controls of the playbook, in its order.
    pub controls: Vec<ControlInfo>,
    /// The hosts, in the order of the inventory.
    pub hosts: Vec<HostReport>,
    /// Waivers that expired and still name a host of this audit, a sentence each.
    pub expired_waivers: Vec<String>,
}

/// A control, as the playbook describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlInfo {
    /// Its id, such as `S4`.
    pub id: String,
    /// What it demands, in a line.
    pub title: String,
    /// How bad it is where it does not hold.
    pub severity: Severity,
    /// From which level on it applies, 1 or 2.
    pub level: u8,
    /// The playbook that it belongs to: `harden/ssh`.
    pub group: String,
    /// Its sources.
    pub refs: Vec<String>,
    /// Why it is demanded.
    pub rationale: Option<String>,
    /// What putting it in force may break.
    pub breaks: Option<String>,
    /// Why it is reported and never changed; none: an apply puts it in force.
    pub report_only: Option<String>,
    /// Where it is described.
    pub place: Place,
}

/// A place in a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The file, as diagnostics name it: a path, or `bundled:harden/ssh`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// What an audit found on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostReport {
    /// The host's name in the inventory.
    pub name: String,
    /// Its system: `Ubuntu 24.04.1 LTS`; empty where it could not be looked at.
    pub os: String,
    /// Why it could not be audited; then there are no results.
    pub error: Option<String>,
    /// Whether that is because it could not be reached.
    pub unreachable: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// From 0 to 100, over applicable, unwaived controls, weighted by severity;
    /// none where there is no such control.
    pub score: Option<f64>,
    /// How many results have each status.
    pub counts: Counts,
    /// The results of controls, in the order of [`Report::controls`].
    pub results: Vec<ControlResult>,
    /// The results of steps that belong to no control and are not as they should be.
    pub drift: Vec<ControlResult>,
    /// Scores of earlier audits of the same playbook, the oldest first.
    pub trend: Vec<Trend>,
}

impl HostReport {
    /// A host of which nothing is known yet.
    pub fn empty(name: &str) -> HostReport {
        HostReport {
            name: name.to_owned(),
            os: String::new(),
            error: None,
            unreachable: false,
            seconds: 0.0,
            score: None,
            counts: Counts::default(),
            results: Vec::new(),
            drift: Vec::new(),
            trend: Vec::new(),
        }
    }

    /// Whether there is a finding of this severity or a worse one.
    pub fn has_finding(&self, least: Severity) -> bool {
        self.results.iter().chain(&self.drift).any(|found| found.status.is_finding() && found.severity >= least)
    }
}

/// The score of an earlier audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trend {
    /// When it began (RFC 3339, UTC).
    pub time: String,
    /// Its score.
    pub score: f64,
}

/// How many results have each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Counts {
    pub pass: usize,
    pub fail: usize,
    pub not_live: usize,
    pub error: usize,
    pub waived: usize,
    pub not_applicable: usize,
}

/// How a control stands on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It holds.
    Pass,
    /// It does not belong to this host, or the playbook leaves it out.
    NotApplicable,
    /// It does not hold, and a waiver says that this is accepted.
    Waived,
    /// What is written is right and not in effect yet, or in effect and not written.
    NotLive,
    /// It does not hold.
    Fail,
    /// It could not be judged; never a pass.
    Error,
}

impl Status {
    /// All of them, the best first.
    pub const ALL: [Status; 6] =
        [Status::Pass, Status::NotApplicable, Status::Waived, Status::NotLive, Status::Fail, Status::Error];

    /// Its words, for people.
    pub fn words(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::NotApplicable => "not applicable",
            Status::Waived => "waived",
            Status::NotLive => "not live",
            Status::Fail => "fail",
            Status::Error => "error",
        }
    }

    /// Whether somebody must do something about it.
    pub fn is_finding(self) -> bool {
        match self {
            Status::Pass | Status::NotApplicable | Status::Waived => false,
            Status::NotLive | Status::Fail | Status::Error => true,
        }
    }
}

/// How one control stands on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlResult {
    /// The control's id; of a step without a control, the step's.
    pub id: String,
    /// The control's title; of a step without a control, the step's name.
    pub title: String,
    /// The control's severity; of a step without a control, medium.
    pub severity: Severity,
    /// How it stands.
    pub status: Status,
    /// What is demanded.
    pub expected: String,
    /// What was found. From the host: shown with care.
    pub actual: String,
    /// What the judgement stands on. From the host: shown with care.
    pub evidence: Vec<Evidence>,
    /// What puts it in force, a sentence each: what an apply would do, or what
    /// the operator has to do where it is reported only.
    pub remedy: Vec<String>,
    /// Why it is not applicable, or could not be judged.
    pub reason: Option<String>,
    /// The waiver that covers it, or covered it until it expired.
    pub waiver: Option<WaiverUse>,
    /// Against the baseline, where there is one.
    pub change: Option<Change>,
    /// The step that the judgement comes from.
    pub place: Option<Place>,
}

/// One thing that a judgement stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What was looked at.
    pub source: Source,
    /// The path (with `:line` where one line is meant), command, parameter, package or unit.
    pub at: String,
    /// What it said; may be empty, may have several lines.
    pub said: String,
}

/// What sort of thing evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file, or what stands at a path.
    Path,
    /// A command.
    Command,
    /// A kernel parameter, live.
    Kernel,
    /// A package.
    Package,
    /// A systemd unit.
    Unit,
    /// The databases of users and groups.
    Accounts,
}

impl Source {
    /// Its words, for people.
    pub fn words(self) -> &'static str {
        match self {
            Source::Path => "file",
            Source::Command => "command",
            Source::Kernel => "kernel parameter",
            Source::Package => "package",
            Source::Unit => "unit",
            Source::Accounts => "accounts",
        }
    }
}

/// The waiver of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverUse {
    /// Why it is accepted.
    pub reason: String,
    /// Who accepts it.
    pub owner: String,
    /// The last day on which it holds (`2027-03-31`).
    pub expires: String,
    /// Whether that day has passed: the result is a failure then.
    pub expired: bool,
    /// Where it stands.
    pub place: Place,
}

/// A result against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is as it was.
    Same,
    /// It was no finding and is one.
    Worse,
    /// It was a finding and is none.
    Better,
    /// The baseline knows nothing of it.
    New,
}
