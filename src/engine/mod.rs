//! The engine: what looks at hosts, plans, carries out and goes on.
//!
//! A verb of the command line is a short pipeline over this; nothing here knows
//! of arguments or of a terminal. [`Run::prepare`] leads from a selected host to
//! its plan, [`apply_host`] carries a plan out phase by phase, [`Runs`] is what a
//! host remembers of its runs. All of it works on a [`Host`]: [`Remote`] over a
//! connection, or a scripted one in tests.

mod answers;
mod audit;
mod carry_out;
mod drift;
mod errors;
mod host;
mod outcome;
mod parallel;
mod phases;
mod prepare;
mod probed;
mod reboot;
mod rolling;
mod runs;
mod saved;
mod selection;
mod settle;
mod wanted;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod scripted;
#[cfg(test)]
mod tests;

pub use carry_out::{ApplyOptions, Replan, carry_out, look_again};
pub use errors::{InputErrors, RunFailed, is_failure, is_unreachable};
pub use host::{Host, Remote};
pub use parallel::for_each_host;
pub use phases::apply_host;
pub use prepare::{Prepared, Run};
pub use rolling::{QueuedHost, Rolling, Share, batch_size, refresh, roll};
pub use runs::Runs;
pub use saved::{SavedPlan, is_saved_plan};
pub use selection::{SelectedHost, Selection, StepAssets};
pub use wanted::{known_of, wanted};
