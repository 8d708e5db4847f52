//! `flush`: does the restarts and reloads that are pending, before what comes next.
//!
//! Without it they are done once, at the end of the run. The planner places
//! them: the step itself has nothing to find out and nothing to do.

use super::{Args, Kind, Resource};
use crate::observe::{PredictedState, Queries};
use crate::plan::{PlanError, Planned};

pub(super) const KIND: Kind = Kind {
    name: "flush",
    summary: "Restarts and reloads here what the steps before it ask for, not at the end of the run.",
    main: "",
    fields: &[],
    build,
};

#[derive(Debug)]
struct Flush;

fn build(_: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    Some(Box::new(Flush))
}

impl Resource for Flush {
    fn queries(&self, _: &mut Queries) {}

    fn plan(&self, _: &PredictedState) -> Result<Planned, PlanError> {
        Ok(Planned::nothing())
    }
}
