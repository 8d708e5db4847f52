//! Controls: what a step of a hardening profile is about, in an auditor's terms.

use super::Span;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How bad it is where a control does not hold. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good practice.
    Low,
    /// Makes an attack easier.
    Medium,
    /// Opens a known way of attack.
    High,
    /// Opens the host.
    Critical,
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// What a control of this severity counts in a score.
    pub fn weight(self) -> u32 {
        match self {
            Severity::Low => 1,
            Severity::Medium => 3,
            Severity::High => 6,
            Severity::Critical => 10,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Severity, String> {
        Severity::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| "a severity is \"low\", \"medium\", \"high\" or \"critical\"".to_owned())
    }
}

/// A control, as the playbook describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Its id, such as `S4`: unique in a playbook, letters, digits, `.`, `_` and `-`.
    pub id: String,
    /// What it demands, in a line; none where a step names an id and nothing else.
    pub title: Option<String>,
    /// How bad it is where it does not hold.
    pub severity: Severity,
    /// From which level on it applies: 1 is safe anywhere, 2 is stricter.
    pub level: u8,
    /// Its sources, such as `CIS Ubuntu 24.04 5.1.19`.
    pub refs: Vec<String>,
    /// Why it is demanded.
    pub rationale: Option<String>,
    /// What putting it in force may break.
    pub breaks: Option<String>,
    /// Why it is reported and never changed; none: an apply puts it in force.
    pub report_only: Option<String>,
    /// The playbook that it belongs to, by its name: `harden/ssh`.
    pub group: String,
    /// Where it is described.
    pub span: Span,
}

impl Control {
    /// Its title, else its id.
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.id)
    }
}

/// A control of a playbook, and under which conditions a host has steps of it.
#[derive(Debug, Clone)]
pub struct Demand {
    /// The control.
    pub control: Arc<Control>,
    /// The `when` of its first step, with those of the `use` steps around it.
    pub conditions: Vec<String>,
}
