//! From a rendered step to what is wanted of a host.

use super::selection::StepAssets;
use crate::plan::{DesiredStep, PendingNames};
use crate::playbook::{Follower, Step};
use crate::resource;
use crate::stage::Stage;
use crate::values::Diagnostic;

/// The names under which commands that follow a change are pending.
pub(super) fn pending_names(followers: &[Follower]) -> Vec<String> {
    let name = |follower: &Follower| match follower {
        Follower::Known(identity) => PendingNames::own(identity),
        Follower::Named { stem, word } => PendingNames::provisional(stem, word),
    };
    followers.iter().map(name).collect()
}

/// The resource of a rendered step.
///
/// # Errors
/// All that is wrong with its table.
pub fn wanted(step: Step, stage: Option<&Stage>) -> Result<DesiredStep, Vec<Diagnostic>> {
    let Some(kind) = resource::kind(&step.kind) else {
        return Err(vec![Diagnostic::new(step.kind_span.clone(), format!("unknown kind '{}'", step.kind))]);
    };
    let assets = StepAssets { files: &step.files, stage };
    let mut resource = resource::build(kind, &step.table, &assets)?;
    let has_followed = step.table.get("when_changed").is_some();
    let pending = has_followed.then(|| PendingNames::new(&step.identity, &step.stem, &step.follows));
    if let Some(names) = &pending {
        resource.identify(names);
    }
    Ok(DesiredStep {
        id: step.id,
        name: step.name,
        kind: kind.name,
        resource,
        restart: step.restart,
        reload: step.reload,
        followed_by: pending_names(&step.followed_by),
        pending,
        sensitive: step.sensitive,
        guard: step.guard,
        span: Some(step.span),
    })
}

/// What is certain to be wrong with a step of which not all is known yet.
pub fn known_of(kind: &'static resource::Kind, step: &Step, stage: Option<&Stage>) -> Vec<Diagnostic> {
    resource::check_known(kind, &step.table, &StepAssets { files: &step.files, stage })
}
