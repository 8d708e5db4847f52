//! Reports of audits, the same that the unit tests use.

#[path = "../../src/report/audit/samples.rs"]
mod samples;

pub use samples::*;
use stockade::{audit as model, values};
