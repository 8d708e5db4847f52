//! What the steps of a run may change beyond what their plans predict.
//!
//! A service that starts writes files, a package's scripts make accounts, a
//! command may do anything. What was found on the host holds at a later step's
//! turn only where nothing before it may have changed it, or where a step after
//! that decides it exactly. Probes, facts and the borders between phases ask here.

use super::PredictedState;
use crate::observe::Query;
use crate::values::{AbsPath, UnitName};
use std::collections::BTreeSet;

/// A part of a host that an operation may change in a way that is not predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What stands at any path, and in it.
    AnyPath,
    /// What stands at the paths that begin with this text, and in it.
    Paths(&'static str),
    /// What systemd knows of any unit.
    Units,
    /// Whether any package is installed, and in which version.
    Packages,
    /// Users and groups.
    Accounts,
    /// A fact, by its dotted name.
    Fact(&'static str),
}

impl Part {
    /// Whether the answer to a question may become another one.
    pub fn covers(self, query: &Query) -> bool {
        match query {
            Query::Path(path)
            | Query::Digest(path)
            | Query::Content(path)
            | Query::Names(path)
            | Query::Fragments(path)
            | Query::Acl(path)
            | Query::Tree { top: path, .. } => self.covers_path(path),
            Query::DropIns(_) | Query::Unit(_) => self == Part::Units,
            Query::Accounts | Query::User(_) | Query::Group(_) => self == Part::Accounts,
            Query::Package(_) | Query::Provided(_) | Query::Packages => self == Part::Packages,
            // What repositories offer is fetched by a step of its own, and live
            // values and outputs have rules of their own.
            Query::Candidate(_)
            | Query::Transaction(_)
            | Query::Providers(_)
            | Query::Sysctl(_)
            | Query::Sysctls(_)
            | Query::Module(_)
            | Query::Processes
            | Query::Shipped(_)
            | Query::Syntax(_)
            | Query::UnitText { .. }
            | Query::Run(_) => false,
        }
    }

    fn covers_path(self, path: &AbsPath) -> bool {
        match self {
            Part::AnyPath => true,
            Part::Paths(start) => path.as_str().starts_with(start),
            Part::Units | Part::Packages | Part::Accounts | Part::Fact(_) => false,
        }
    }
}

/// Whether a dotted name is another one or a part of it.
fn is_within(name: &str, whole: &str) -> bool {
    name.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What may have been changed on a predicted state, by which step.
#[derive(Debug, Clone, Default)]
pub(super) struct Affected {
    parts: Vec<(Part, String)>,
    /// What a step has decided after everything that may have changed it.
    exact: BTreeSet<Query>,
}

impl Affected {
    fn add(&mut self, part: Part, step: String) {
        self.exact.retain(|query| !part.covers(query));
        self.parts.retain(|(known, _)| *known != part);
        self.parts.push((part, step));
    }

    pub(super) fn decide(&mut self, query: Query) {
        if self.parts.iter().any(|(part, _)| part.covers(&query)) {
            self.exact.insert(query);
        }
    }
}

impl PredictedState {
    /// Notes what the step that is being planned may change beyond its prediction.
    pub fn may_change(&mut self, parts: &[Part]) {
        let step = self.this_step();
        self.may_be_changed_by(parts, &step);
    }

    /// As [`PredictedState::may_change`], by something that has another name.
    pub fn may_be_changed_by(&mut self, parts: &[Part], by: &str) {
        parts.iter().for_each(|part| self.affected.add(*part, by.to_owned()));
    }

    /// The last step that may have changed what stands at a path in a way that
    /// is not predicted; none where what is known of the path holds.
    pub fn path_affected_by(&self, path: &AbsPath) -> Option<&str> {
        let by = self.affected_by(&Query::Path(path.clone()));
        by.or_else(|| self.rewritten_by(path))
    }

    /// As [`PredictedState::path_affected_by`], for a unit.
    pub fn unit_affected_by(&self, unit: &UnitName) -> Option<&str> {
        self.affected_by(&Query::Unit(unit.clone()))
    }

    /// The last step that may have changed the answer to a question in a way
    /// that is not predicted.
    pub fn affected_by(&self, query: &Query) -> Option<&str> {
        if self.affected.exact.contains(query) {
            return None;
        }
        self.affected.parts.iter().rev().find(|(part, _)| part.covers(query)).map(|(_, by)| by.as_str())
    }

    /// A fact, by its dotted name, will have the value that is predicted.
    pub fn fact_is_decided(&mut self, name: &str) {
        self.affected.parts.retain(|(part, _)| !matches!(part, Part::Fact(known) if is_within(known, name)));
    }

    /// The facts whose values are not known here, by their dotted names, with
    /// the last step that may have changed each.
    pub fn affected_facts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.affected.parts.iter().filter_map(|(part, by)| match part {
            Part::Fact(name) => Some((*name, by.as_str())),
            _ => None,
        })
    }
}
