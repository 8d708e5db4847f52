//! What is known to hold after an operation that a plan cannot look into.
//!
//! The effect of shell text is not known, but what its step promises is: the
//! guard that decides whether it is due. Predicting exactly that keeps later
//! steps honest and makes a second plan empty.

use crate::observe::{Content, Known, Output, PathState, PredictedState, Run};
use crate::values::AbsPath;

/// One promise of an operation, kept when it has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Postcondition {
    /// Something stands at this path; what, only the apply will tell.
    Exists(AbsPath),
    /// Nothing stands at this path.
    Gone(AbsPath),
    /// This looking command succeeds.
    Succeeds(Run),
    /// This file, if the host was asked about it, holds these bytes; its owner
    /// and mode stay.
    Holds(AbsPath, Vec<u8>),
    /// The change that was noted under this name has been followed.
    Followed(String),
}

impl Postcondition {
    /// The question that stands for "an earlier operation promised this path".
    pub fn promise(path: &AbsPath) -> Run {
        Run::new(["test", "-e", path.as_str()])
    }

    /// Plays what is expected of an operator's own text on a predicted state. It
    /// may be one of several that bring it about together: whether the promise
    /// holds after it is asked again at the turn of a step that depends on it.
    pub fn is_expected(&self, host: &mut PredictedState) {
        self.effect(host);
        match self {
            Postcondition::Exists(path) | Postcondition::Gone(path) => host.leave_undecided(path),
            Postcondition::Succeeds(run) => host.leave_unasserted(run),
            Postcondition::Holds(..) | Postcondition::Followed(_) => {}
        }
    }

    /// Plays the promise on a predicted state.
    pub fn effect(&self, host: &mut PredictedState) {
        let success = Known::Is(Output { code: 0, stdout: String::new() });
        match self {
            Postcondition::Exists(path) => {
                host.set_path(path, PathState::AfterApply);
                host.set_content(path, Content::AfterApply);
                host.set_output(&Postcondition::promise(path), success);
            }
            Postcondition::Gone(path) => host.remove_tree(path),
            Postcondition::Succeeds(run) => host.set_asserted(run),
            Postcondition::Followed(pending) => host.forget_pending(pending),
            Postcondition::Holds(path, bytes) => host.set_content(path, Content::Bytes(bytes.clone())),
        }
    }
}
