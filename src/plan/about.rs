//! What an audit has to know of a step beside its plan.

use crate::values::{Control, Secret};
use std::sync::Arc;

/// What a step is about, in an auditor's terms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepAbout {
    /// The control that it is part of.
    pub control: Option<Arc<Control>>,
    /// Its table in a line, such as `sysctl: key = kernel.sysrq, value = 0`; its
    /// name where values must not be shown.
    pub described: String,
}

/// What a look found that no operation is planned for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was found.
    pub verdict: Verdict,
    /// What is demanded.
    pub expected: String,
    /// What there is instead, in a line.
    pub actual: String,
    /// What was asked, as an operator would run it.
    pub command: String,
    /// What it said.
    pub said: String,
    /// What the operator has to do.
    pub remedy: Vec<String>,
}

impl Finding {
    /// Hides all but the verdict: what is demanded and how it is asked may be made of
    /// secrets as well as what the host says.
    pub(super) fn mask(&mut self) {
        for text in [&mut self.expected, &mut self.actual, &mut self.command, &mut self.said] {
            Secret::MASK.clone_into(text);
        }
        self.remedy.clear();
        match &mut self.verdict {
            Verdict::Holds | Verdict::Fails => {}
            Verdict::NotApplicable(why) => "it does not belong to this host".clone_into(why),
            Verdict::Unreadable(why) => "why is not shown: the step is sensitive".clone_into(why),
        }
    }
}

/// Whether what is demanded holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Fails,
    /// It does not belong to this host; why.
    NotApplicable(String),
    /// It could not be judged; why.
    Unreadable(String),
}
