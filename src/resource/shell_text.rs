//! Shell text of the operator's: what no shell can read is refused in the plan.

use crate::observe::{HostState, Queries, Query};
use crate::plan::PlanError;

/// The question that [`check`] needs.
pub(super) fn ask(queries: &mut Queries, text: &str) {
    queries.ask(Query::Syntax(text.to_owned()));
}

/// Refuses a text that the host's shell cannot read.
///
/// # Errors
/// It cannot, with its own words.
pub(super) fn check(host: &HostState, field: &str, text: &str) -> Result<(), PlanError> {
    match host.syntax(text)? {
        None => Ok(()),
        Some(why) => Err(PlanError::Refused(format!("'{field}' cannot be read by the host's shell: {why}"))),
    }
}
