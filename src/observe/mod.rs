//! What must be known of a host, and what was found.
//!
//! Resources state [`Query`]s; the union of all queries of a run is answered
//! by one program with a constant number of processes (see [`probe`]), into a
//! [`HostState`]. Absent, unreadable, not asked and *known after apply* are
//! four different things here, and none of them is ever taken for another.
//!
//! What planning makes of a host is another type, [`PredictedState`].

mod acl;
mod alias;
mod apt;
mod environment;
mod facts;
mod fingerprint;
mod found;
mod mounts;
mod numbers;
mod predicted;
pub mod probe;
mod processes;
mod query;
mod reads;
mod reply;
mod reply_accounts;
mod reply_packages;
mod reply_units;
mod setters;
mod shared;
mod shipped;
mod state;
mod syntax;
mod sysctl;
mod sysv;
mod tree;
mod unfinished;
mod verify;

pub use apt::{InstalledPackage, PackageChange, Transaction};
pub use environment::Environment;
pub use facts::{Apt, Disk, Facts, Os, Sshd, UnfinishedWork};
pub use fingerprint::salted;
pub use found::{
    Account, Candidate, Content, Entry, FileType, Group, Known, Module, Output, Package, PathState, Shadow, StateError,
    Unit,
};
pub use mounts::Mount;
pub use numbers::AccountNumbers;
pub use predicted::{Part, PredictedState, REBOOT_PENDING, SetWith, WantedSysctl};
pub use processes::Process;
pub use query::{Queries, Query, Run, Text};
pub use reads::files_read;
pub use reply::Malformed;
use shared::Shared;
pub use shipped::ShippedFiles;
pub use state::HostState;
pub use sysv::RcLinks;
pub use tree::Tree;
pub use unfinished::Unfinished;
pub use verify::UnitFault;
