//! The audit: the plan of a playbook, reported control by control.
//!
//! Nothing here talks to a host. [`Report`] is what all formats are made from;
//! its JSON form is a contract (`schema/audit.json`), and what a baseline is read from.

mod report;

pub use report::{
    Change, ControlInfo, ControlResult, Counts, Evidence, FORMAT_VERSION, HostReport, Place, Report, Source, Status,
    Trend, WaiverUse,
};
