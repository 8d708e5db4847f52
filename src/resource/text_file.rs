//! Files of lines that are edited in part: read, changed, put back whole.
//!
//! Owner, group, mode and every line that is not meant stay as they are.

use super::directory::in_the_way;
use super::text::Text;
use super::{Args, Field, Type, followed, ignored, parents, rejected};
use crate::observe::{Content, FileType, PathState, PredictedState, Queries, Query};
use crate::plan::{Action, FileOp, KNOWN_AFTER_APPLY, Meta, Op, PlanError, Planned, diff_files};
use crate::values::AbsPath;
use followed::Followed;
use std::ops::ControlFlow;

pub(super) const CREATE: Field =
    Field::optional("create", Type::Bool, "makes a missing file, as root:root 0644; default false: that is an error");

pub(super) const MISSING: Field = Field::optional(
    "missing",
    Type::Enum(&["error", "skip"]),
    "what a file that is not on the host means: \"error\", or \"skip\" to leave the step out; default \"error\"",
);

/// The file that a step edits.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: AbsPath,
    pub(super) missing: Missing,
    /// Whether the directories above a file that is made are made too.
    pub(super) parents: bool,
}

/// What happens where there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Error,
    Create,
    Skip,
    /// What shall not be in it is not in it.
    Fine,
}

impl Target {
    /// From the fields `path`, `create`, `missing` and `state`.
    pub(super) fn of(args: &mut Args<'_>) -> Option<Target> {
        let create = args.bool("create").unwrap_or(false);
        if create && skips(args) {
            args.refuse("missing", "a file that 'create' makes is never missing");
        }
        if args.absent() && args.node("create").is_some() {
            args.refuse("create", "'create' has no meaning with state = \"absent\"");
        }
        let absent = args.absent();
        if absent {
            parents::refuse(args);
        }
        let target = Target { parents: parents::given(args), ..Target::existing(args)? };
        if !absent {
            ignored::refuse(args, &target.path);
        }
        Some(match target.missing {
            Missing::Error if absent => Target { missing: Missing::Fine, ..target },
            Missing::Error if create => Target { missing: Missing::Create, ..target },
            _ => target,
        })
    }

    /// From the fields `path` and `missing`.
    pub(super) fn existing(args: &mut Args<'_>) -> Option<Target> {
        let missing = if skips(args) { Missing::Skip } else { Missing::Error };
        Some(Target { path: args.parse("path")?, missing, parents: false })
    }
}

/// Whether the step is left out where its file is missing.
pub(super) fn skips(args: &Args<'_>) -> bool {
    args.string("missing").as_deref() == Some("skip")
}

/// What a plan says of a step that is left out.
pub(super) fn skipped(path: &AbsPath) -> String {
    format!("skipped: there is no {path} on the host (missing = \"skip\")")
}

/// A file of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextFile {
    path: AbsPath,
    /// The path that the step names: a link to it, or the same.
    named: AbsPath,
    pub(super) text: Text,
    /// Owner, group and mode that it keeps.
    meta: Meta,
    /// Whether it is on the host.
    there: bool,
    /// Whether the directories above it are made with it.
    parents: bool,
}

/// The questions that [`TextFile::read`] needs.
pub(super) fn queries(path: &AbsPath, queries: &mut Queries) {
    queries.ask(Query::Content(path.clone()));
    parents::queries(path, queries);
    rejected::ask_sources(queries, path);
}

/// Where only the turn of a step tells what the file holds: an earlier step of
/// the run may make it or change it in a way that cannot be predicted. `field`
/// is the step's field and what it is to be; none: it is to be taken out.
///
/// # Errors
/// What stands at the path is unreadable.
pub(super) fn left_open(
    host: &PredictedState,
    path: &AbsPath,
    field: (&str, Option<&str>),
) -> Result<Option<Planned>, PlanError> {
    let expected = |mut planned: Planned| {
        if planned.open.is_some() {
            planned.change(field.0, Some(KNOWN_AFTER_APPLY), field.1);
        }
        Ok(Some(planned))
    };
    let path = &match followed::follow(host, path, true)? {
        Followed::To(place) => place,
        Followed::Nowhere(place) if host.appears_by(&place).is_none() => return Ok(None),
        other => match followed::wait(host, path, other)? {
            ControlFlow::Continue(place) => place,
            ControlFlow::Break(planned) => return expected(planned),
        },
    };
    let on = match host.path(path)? {
        PathState::AfterApply => Some(host.uncertain_by(path)),
        PathState::Absent => host.appears_by(path),
        PathState::Present(_) if *host.content(path)? == Content::AfterApply => Some(host.uncertain_by(path)),
        PathState::Present(_) => None,
    };
    let Some(on) = on else { return Ok(None) };
    let mut planned = Planned::nothing();
    planned.leave_open(on);
    expected(planned)
}

/// What is planned where a file cannot be edited as it is now: nothing, unless
/// an earlier step of the run may change it; then its turn decides.
///
/// # Errors
/// The refusal.
pub(super) fn refuse(host: &PredictedState, path: &AbsPath, why: String) -> Result<Planned, PlanError> {
    let place = match followed::follow(host, path, true)? {
        Followed::To(place) => place,
        _ => path.clone(),
    };
    let Some(on) = host.rewritten_by(&place) else { return Err(PlanError::Refused(why)) };
    let mut planned = Planned::nothing();
    planned.leave_open(on);
    planned.notes.push(format!("as it is now it would be refused: {why}"));
    Ok(planned)
}

impl TextFile {
    /// The file as it is on the host; none if there is none and none is needed.
    ///
    /// # Errors
    /// It is missing though it must not be, is something else than a regular
    /// file of UTF-8 text, or unreadable.
    pub(super) fn read(
        host: &PredictedState,
        target: &Target,
        planned: &mut Planned,
    ) -> Result<Option<TextFile>, PlanError> {
        let path = &match followed::follow(host, &target.path, true)? {
            Followed::Nowhere(_) if target.missing == Missing::Fine => return Ok(None),
            other => match followed::wait(host, &target.path, other)? {
                ControlFlow::Continue(place) => place,
                ControlFlow::Break(waiting) => {
                    *planned = waiting;
                    return Ok(None);
                }
            },
        };
        let refuse = |why: String| Err(PlanError::Refused(format!("{path} cannot be edited: {why}")));
        let entry = match host.path(path)? {
            PathState::Absent => return missing(target, planned),
            PathState::AfterApply => return refuse("what it will hold is known after apply".to_owned()),
            PathState::Present(entry) => entry,
        };
        if entry.file_type != FileType::File {
            return refuse(format!("it is {} on the host", in_the_way(entry.file_type)));
        }
        let content = match host.content(path)? {
            Content::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text,
                Err(_) => return refuse("its content is not UTF-8 text".to_owned()),
            },
            Content::Digest(_) => return refuse("it is larger than 4 MiB".to_owned()),
            Content::Absent | Content::AfterApply => {
                return refuse("what it will hold is known after apply".to_owned());
            }
        };
        let meta = Meta { owner: entry.owner.clone(), group: entry.group.clone(), mode: entry.mode };
        let (path, named) = (path.clone(), target.path.clone());
        Ok(Some(TextFile { path, named, text: Text::parse(content), meta, there: true, parents: false }))
    }

    /// Plans to put this text in the file's place. What an earlier step of the
    /// run may put into the file meanwhile must not get lost: then the step is
    /// left open, and the text is what is expected.
    ///
    /// # Errors
    /// The directory of a new file is missing.
    pub(super) fn replace(&self, host: &PredictedState, text: Text, planned: &mut Planned) -> Result<(), PlanError> {
        if text == self.text && self.there {
            return Ok(());
        }
        followed::note(&self.named, &self.path, planned);
        let (before, after) = (self.text.render().into_bytes(), text.render().into_bytes());
        if let Some(on) = host.rewritten_by(&self.path) {
            planned.leave_open(on);
        }
        planned.action = Some(if self.there { Action::Update } else { Action::Create });
        planned.diff = Some(diff_files(self.path.as_str(), self.there.then_some(&before), Some(&after)));
        planned.ops.push(Op::File(FileOp::WriteFile {
            path: self.path.clone(),
            content: after,
            meta: self.meta.clone(),
            validate: None,
        }));
        rejected::check_edit(host, planned)?;
        rejected::check_sources(host, planned)?;
        rejected::check_units(host, rejected::Whose::Edited, planned)?;
        rejected::check_users(host, planned)?;
        ignored::note(host, planned);
        if self.there { Ok(()) } else { parents::plan(host, &self.path, self.parents, planned) }
    }
}

/// What is edited where there is no file.
fn missing(target: &Target, planned: &mut Planned) -> Result<Option<TextFile>, PlanError> {
    let path = &target.path;
    match target.missing {
        Missing::Fine => Ok(None),
        Missing::Skip => {
            planned.notes.push(skipped(path));
            Ok(None)
        }
        Missing::Create => {
            let (text, meta) = (Text::default(), Meta::root(0o644));
            let (path, named) = (path.clone(), path.clone());
            Ok(Some(TextFile { path, named, text, meta, there: false, parents: target.parents }))
        }
        Missing::Error => Err(PlanError::Refused(format!(
            "there is no {path} on the host: say create = true to make it, missing = \"skip\" to leave this step out, or \
             have a step before this one bring it"
        ))),
    }
}
