//! From a plan to a changed host.
//!
//! The plan is compiled to one program of small operations ([`Program`]); the
//! host carries it out on its own, detached from the connection, and writes a
//! journal that the controller only reads ([`execute`]). A dropped connection
//! stops nothing. Restarts that are due are written down on the host before
//! the change that makes them due, and struck out when they have happened.
//! What can cut off access is done under a guard: the host puts it back by
//! itself unless a new login confirms it ([`Phase`]).

mod account_files;
mod confirm;
mod execute;
mod follow;
mod found;
mod guard;
mod guarded;
mod named_accounts;
mod program;
mod record;
mod schedule;
mod undo;
mod undo_accounts;
mod undo_carriers;
mod undo_files;
mod undo_objections;
mod undo_packages;
mod undo_sysctl;
mod undo_units;

pub use execute::{ApplyError, ApplyReport, Reboot, RunId, StepFailure, execute};
pub use follow::{Failing, HostConnection, Line, Question, RunResult, Watch, follow};
pub use guard::Phase;
pub use program::{LOCK, Program};
pub use record::{Record, RunMetadata};
pub use schedule::{Scheduled, one_phase, schedule};
pub use undo::{States, UndoPackages, UndoPlan, plan_undo};
