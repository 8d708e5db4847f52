//! A plan in the making, with the state as it will be so far.
//!
//! A kind that does several things to one account decides each on the state
//! that the things before it leave: what it adds here is played at once. The
//! host's state is copied only when there is something to do.

use crate::observe::{PredictedState, Query};
use crate::plan::{Op, Planned};
use std::borrow::Cow;

/// What is planned so far, and the host as it will be then.
pub(super) struct PlanBuilder<'a> {
    host: Cow<'a, PredictedState>,
    /// The plan.
    pub planned: Planned,
}

impl<'a> PlanBuilder<'a> {
    /// Nothing planned yet.
    pub(super) fn new(host: &'a PredictedState) -> PlanBuilder<'a> {
        PlanBuilder { host: Cow::Borrowed(host), planned: Planned::nothing() }
    }

    /// The host as it will be.
    pub(super) fn host(&self) -> &PredictedState {
        &self.host
    }

    /// Adds an operation.
    pub(super) fn push(&mut self, op: Op) {
        op.effect(self.host.to_mut());
        self.planned.ops.push(op);
    }

    /// Notes a field that differs.
    pub(super) fn change(&mut self, field: &str, before: Option<impl Into<String>>, after: Option<impl Into<String>>) {
        self.planned.change(field, before, after);
    }

    /// Adds a remark.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.planned.notes.push(text.into());
    }

    /// Adds a diff below those that are there.
    pub(super) fn diff(&mut self, diff: String) {
        self.planned.diff.get_or_insert_default().push_str(&diff);
    }

    /// Whether all of these are answered; those that are not become wishes of the plan.
    pub(super) fn answered(&mut self, queries: impl IntoIterator<Item = Query>) -> bool {
        let open: Vec<Query> = queries.into_iter().filter(|query| !self.host.asked(query)).collect();
        let all = open.is_empty();
        self.planned.follow_up_queries.extend(open);
        all
    }
}
