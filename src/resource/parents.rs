//! The directories above what a step writes: they are there, the step makes
//! them (`parents = true`), or the plan is refused.

use super::directory::in_the_way;
use super::{Args, Field, Type};
use crate::observe::{FileType, PathState, PredictedState, Queries, Query};
use crate::plan::{FileOp, Meta, Op, PlanError, Planned};
use crate::values::AbsPath;

/// The field that has a step make them.
pub(super) const FIELD: Field = Field::optional(
    "parents",
    Type::Bool,
    "makes missing directories above it too, as root:root 0755; default false: that is an error",
);

/// What [`FIELD`] says.
pub(super) fn given(args: &Args<'_>) -> bool {
    args.bool("parents").unwrap_or(false)
}

/// Refuses [`FIELD`] where nothing is made.
pub(super) fn refuse(args: &mut Args<'_>) {
    if args.node("parents").is_some() {
        args.refuse("parents", "'parents' has no meaning with state = \"absent\"");
    }
}

/// The questions that [`plan`] needs.
pub(super) fn queries(path: &AbsPath, queries: &mut Queries) {
    queries.extend(path.ancestors().filter(|above| above.as_str() != "/").map(Query::Path));
}

/// Plans that the directories above a path that is to be made are there:
/// those that `make` makes come before what is planned already.
///
/// # Errors
/// One is missing, or something else stands in its place.
pub(super) fn plan(host: &PredictedState, path: &AbsPath, make: bool, planned: &mut Planned) -> Result<(), PlanError> {
    let mut missing = Vec::new();
    for directory in path.ancestors().filter(|above| above.as_str() != "/") {
        match host.path(&directory)? {
            PathState::Absent => missing.push(directory),
            PathState::Present(entry) if matches!(entry.file_type, FileType::File | FileType::Other) => {
                return Err(PlanError::Refused(format!(
                    "{path} cannot be made: {directory} is {} on the host, not a directory",
                    in_the_way(entry.file_type)
                )));
            }
            PathState::Present(entry) if entry.file_type == FileType::Link => {
                leads_to_directory(host, path, &directory, planned)?;
                break;
            }
            PathState::Present(_) | PathState::AfterApply => break,
        }
    }
    let Some(nearest) = missing.first() else { return Ok(()) };
    match host.made_by(nearest) {
        // Nor is what may be there by then given to root.
        Some(on) => {
            planned.leave_open(on);
            let any = host.brought_by_any().unwrap_or_else(|| on.to_owned());
            planned.notes.push(format!("{nearest} is not there now: whether {any} makes it is not known"));
        }
        None if make => {}
        None => {
            return Err(PlanError::Refused(format!(
                "{path} cannot be made: there is no {nearest} on the host; make it with a step before this one, \
                 or say parents = true"
            )));
        }
    }
    if make {
        for (at, directory) in missing.iter().rev().enumerate() {
            planned.change("parents", None::<&str>, Some(directory.as_str()));
            planned
                .ops
                .insert(at, Op::File(FileOp::MakeDirectory { path: directory.clone(), meta: Meta::root(0o755) }));
        }
    }
    Ok(())
}

/// Refuses a link in the place of a directory that leads to none: not even
/// `mkdir -p` makes what it points to.
fn leads_to_directory(
    host: &PredictedState,
    path: &AbsPath,
    link: &AbsPath,
    planned: &mut Planned,
) -> Result<(), PlanError> {
    let (end, found) = host.followed(link);
    let what = match found {
        Some(PathState::Absent) => match host.made_by(&end) {
            Some(on) => {
                planned.leave_open(on);
                planned.notes.push(format!("{link} is a link to {end}, which is not there now"));
                return Ok(());
            }
            None => format!("is a link to {end}, which is not there; make it with a step before this one"),
        },
        Some(PathState::Present(entry)) if entry.file_type == FileType::Link => {
            "is a link that leads to itself".to_owned()
        }
        Some(PathState::Present(entry)) if entry.file_type != FileType::Directory => {
            format!("is a link to {end}, which is {}, not a directory", in_the_way(entry.file_type))
        }
        Some(PathState::Present(_) | PathState::AfterApply) | None => return Ok(()),
    };
    Err(PlanError::Refused(format!("{path} cannot be made: {link} {what}")))
}
