//! The audit: the plan of a playbook, reported control by control.
//!
//! Nothing here talks to a host. [`Report`] is what all formats are made from;
//! its JSON form is a contract (`schema/audit.json`), and what a baseline is read from.

mod baseline;
mod evidence;
mod judge;
mod report;
mod waivers;

pub use baseline::{compare, read_baseline};
pub use evidence::evidence;
pub use judge::{JudgedStep, counts, info, judge, place, score};
pub use report::{
    Change, ControlInfo, ControlResult, Counts, Evidence, FORMAT_VERSION, HostReport, Place, Report, Source, Status,
    Trend, WaiverUse,
};
pub use waivers::{Waiver, check_waivers, read_waivers, waive};
