//! Plans: values that say what differs and what will be done about it.
//!
//! Planning is pure. It begins a [`PredictedState`](crate::observe::PredictedState)
//! with what was found. A resource turns it into a [`Planned`]; the operations of
//! each step are then played on it, so that later steps are planned against what
//! will be. Planning the predicted state again gives
//! nothing: idempotence is a property of values, tested without a host.

mod about;
mod access;
mod apt;
pub(crate) mod blame;
mod boot;
mod border;
mod calls;
mod contradicted_tree;
mod contradiction;
mod desired;
mod due;
mod harmless;
mod left_open;
mod live;
mod mounted;
mod named_accounts;
mod needed;
mod obstacle;
mod op;
mod own_group;
mod pending;
mod planner;
mod planning;
mod postcondition;
mod predicted;
mod questions;
mod read_from;
mod relations;
mod resource;
mod resting;
mod script;
mod step;
mod taken;
mod transaction;
mod tree;
mod turn;
mod unified;
mod unit_files;
mod whole;
mod wishes;

pub use about::{Finding, StepAbout, Verdict};
pub use access::Access;
pub(crate) use apt::with_released;
pub use apt::{AptOptions, AptTarget, Mark};
pub use desired::{DesiredAtTurn, DesiredStep, Forecast, StepError};
pub use left_open::MayMake;
pub use live::{check_excluded, set_again};
pub(crate) use mounted::point_of;
pub use named_accounts::NamedAccounts;
pub(crate) use needed::carries;
pub use op::{ACCOUNT_FILES, AccountOp, Check, CommandOp, FileOp, Guard, Meta, Op, PackageOp, SystemOp, UnitOp, Verb};
pub use own_group::{LOGIN_DEFS, goes_with_user, own_groups_go};
pub use pending::PendingNames;
pub use planner::plan_host;
pub use postcondition::Postcondition;
use predicted::{moved_tree, predicted_entry};
pub use questions::queries;
pub(crate) use relations::{also, names};
pub use resource::{GivenTree, Resource};
pub use script::OpScript;
pub use step::{
    Action, Dormant, FieldChange, HostPlan, InForce, Override, PlanError, Planned, StepPlan, Summary,
    decided_at_its_turn,
};
pub(crate) use transaction::{LISTS_ARE_OLD, OTHER_PACKAGES};
pub use tree::TreeMeta;
pub use unified::{KNOWN_AFTER_APPLY, diff_files, diff_unread};
pub(crate) use unit_files::is_unit_source;
