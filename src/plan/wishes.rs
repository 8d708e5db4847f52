//! Packages that one step wants and another does not, where that shows only in
//! what apt brings or takes besides.
//!
//! `jq` that shall be there and `libjq1` that shall not contradict each other
//! although no step names both: the host would never be as both say.

use super::{DesiredStep, Op, PackageOp, StepPlan};
use crate::observe::{PackageChange, Transaction};
use crate::values::PackageName;

/// What the steps of a plan want of packages, by the indices of their plans.
#[derive(Default)]
pub(super) struct Wishes {
    wanted: Vec<(usize, PackageName)>,
    unwanted: Vec<(usize, PackageName)>,
}

impl Wishes {
    pub(super) fn of(planned: &[(usize, &DesiredStep)], plans: &[StepPlan]) -> Wishes {
        let mut wishes = Wishes::default();
        // A step that became others at its turn has no plan of its own.
        let own = planned.iter().filter(|(at, step)| plans.get(*at).is_some_and(|plan| plan.id == step.id));
        for (at, step) in own {
            wishes.wanted.extend(step.resource.named_packages().iter().map(|name| (*at, name.clone())));
            wishes.unwanted.extend(step.resource.unwanted_packages().iter().map(|name| (*at, name.clone())));
        }
        wishes
    }

    /// The first step that wants one of these packages, with its name.
    pub(super) fn wants_one_of<'a>(&self, gone: &[&'a PackageChange], arch: &str) -> Option<(usize, &'a str)> {
        self.wanted.iter().find_map(|(at, name)| {
            let change = gone.iter().find(|change| name.names(&change.name, arch))?;
            Some((*at, change.name.as_str()))
        })
    }

    /// The steps that want a package gone which a call of apt brings, and which
    /// is not removed by that call itself; with those packages.
    pub(super) fn brought<'a>(
        &'a self,
        found: &'a Transaction,
        steps: &'a [StepPlan],
        arch: &'a str,
    ) -> impl Iterator<Item = (usize, &'a PackageName)> + 'a {
        let comes = move |name: &PackageName| {
            let is_it = |change: &PackageChange| change.after.is_some() && name.names(&change.name, arch);
            found.changes.iter().any(is_it)
        };
        let removes = |at: usize, name: &PackageName| {
            let ops = steps.get(at).map(|step| step.ops.as_slice()).unwrap_or_default();
            ops.iter()
                .any(|op| matches!(op, Op::Package(PackageOp::AptRemove { packages, .. }) if packages.contains(name)))
        };
        let open = self.unwanted.iter().filter(move |(at, name)| !removes(*at, name) && comes(name));
        open.map(|(at, name)| (*at, name))
    }
}

/// A step and its place, as an error names them.
pub(super) fn place(step: &StepPlan) -> String {
    let place = step.span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default();
    format!("step {} ({}){place}", step.id, step.name)
}

/// What is wrong with two steps of which one brings what the other does not want.
pub(super) fn contradiction(installer: &StepPlan, name: &PackageName) -> String {
    format!(
        "{} brings {name}, which this step wants to be absent: the host would never be as both say; remove one of \
         the two, or make them agree",
        place(installer)
    )
}
