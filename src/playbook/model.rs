//! A playbook as it was read: every key known, nothing rendered.

use super::Vars;
use super::files::Folder;
use super::probes::RawProbes;
use crate::values::{Control, Node, Source, Span, TableEntry};
use std::sync::Arc;

/// One playbook file.
#[derive(Debug)]
pub(super) struct Unit {
    pub source: Arc<Source>,
    pub folder: Folder,
    pub name: Option<String>,
    pub hosts: Vec<Node>,
    pub vars: Vars,
    pub probes: RawProbes,
    pub steps: Vec<RawStep>,
}

/// One `[[step]]`.
#[derive(Debug)]
pub(super) struct RawStep {
    pub name: Option<Node>,
    pub when: Option<Node>,
    pub each: Option<Node>,
    pub tags: Vec<String>,
    pub restart: Option<Node>,
    pub reload: Option<Node>,
    pub guard: Option<Node>,
    pub sensitive: Option<Node>,
    pub control: Option<Arc<Control>>,
    pub action: RawAction,
    pub span: Span,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum RawAction {
    /// One resource.
    Resource { kind: String, kind_span: Span, table: Node },
    /// The steps of another playbook.
    Use { unit: Arc<Unit>, with: Vec<TableEntry> },
}

impl Unit {
    /// Calls `visit` for this playbook and every one it uses.
    pub fn walk(&self, visit: &mut dyn FnMut(&Unit)) {
        visit(self);
        for step in &self.steps {
            if let RawAction::Use { unit, .. } = &step.action {
                unit.walk(visit);
            }
        }
    }
}
