//! Files of lines that are edited in part: read, changed, put back whole.
//!
//! Owner, group, mode and every line that is not meant stay as they are.

use super::directory::in_the_way;
use crate::observe::{Content, FileType, HostState, PathState, Queries, Query};
use crate::plan::{Action, KNOWN_AFTER_APPLY, Meta, Op, PlanError, Planned, diff_files};
use crate::values::AbsPath;

/// A file of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextFile {
    path: AbsPath,
    /// The lines, without their ends.
    pub(super) lines: Vec<String>,
    /// Whether the last line has an end.
    ended: bool,
    /// Owner, group and mode that it keeps.
    meta: Meta,
    /// Whether it is on the host.
    there: bool,
}

/// The questions that [`TextFile::read`] needs.
pub(super) fn queries(path: &AbsPath, queries: &mut Queries) {
    queries.ask(Query::Content(path.clone()));
}

/// Where only the turn of a step tells what the file holds: an earlier step of
/// the run may make it or change it in a way that cannot be predicted. `field`
/// is the step's field and what it is to be; none: it is to be taken out.
///
/// # Errors
/// What stands at the path is unreadable.
pub(super) fn left_open(
    host: &HostState,
    path: &AbsPath,
    field: (&str, Option<&str>),
) -> Result<Option<Planned>, PlanError> {
    let on = match host.path(path)? {
        PathState::AfterApply => Some(host.brought_by().unwrap_or("an earlier step")),
        PathState::Absent => host.rewritten_by(path),
        PathState::Present(_) if *host.content(path)? == Content::AfterApply => {
            Some(host.brought_by().unwrap_or("an earlier step"))
        }
        PathState::Present(_) => None,
    };
    let Some(on) = on else { return Ok(None) };
    let mut planned = Planned::nothing();
    planned.leave_open(on);
    planned.change(field.0, Some(KNOWN_AFTER_APPLY), field.1);
    Ok(Some(planned))
}

impl TextFile {
    /// The file as it is on the host; none if there is none.
    ///
    /// # Errors
    /// It is something else than a regular file of UTF-8 text, or unreadable.
    pub(super) fn read(host: &HostState, path: &AbsPath) -> Result<Option<TextFile>, PlanError> {
        let refuse = |why: String| Err(PlanError::Refused(format!("{path} cannot be edited: {why}")));
        let entry = match host.path(path)? {
            PathState::Absent => return Ok(None),
            PathState::AfterApply => return refuse("what it will hold is known after apply".to_owned()),
            PathState::Present(entry) => entry,
        };
        if let (FileType::Link, Some(target)) = (entry.file_type, &entry.target) {
            return refuse(format!("it is a link on the host; name the file it points to ({})", target.escape_debug()));
        }
        if entry.file_type != FileType::File {
            return refuse(format!("it is {} on the host", in_the_way(entry.file_type)));
        }
        let text = match host.content(path)? {
            Content::Bytes(bytes) => match String::from_utf8(bytes.clone()) {
                Ok(text) => text,
                Err(_) => return refuse("its content is not UTF-8 text".to_owned()),
            },
            Content::Digest(_) => return refuse("it is larger than 4 MiB".to_owned()),
            Content::Absent | Content::AfterApply => {
                return refuse("what it will hold is known after apply".to_owned());
            }
        };
        let meta = Meta { owner: entry.owner.clone(), group: entry.group.clone(), mode: entry.mode };
        let ended = text.is_empty() || text.ends_with('\n');
        let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned);
        let lines = if text.is_empty() { Vec::new() } else { lines.collect() };
        Ok(Some(TextFile { path: path.clone(), lines, ended, meta, there: true }))
    }

    /// The file as it is on the host, or an empty one if `create`.
    ///
    /// # Errors
    /// As for [`TextFile::read`], or there is no file.
    pub(super) fn read_or_create(host: &HostState, path: &AbsPath, create: bool) -> Result<TextFile, PlanError> {
        match TextFile::read(host, path)? {
            Some(file) => Ok(file),
            None if create => Ok(TextFile {
                path: path.clone(),
                lines: Vec::new(),
                ended: true,
                meta: Meta::root(0o644),
                there: false,
            }),
            None => Err(PlanError::Refused(format!(
                "there is no {path} on the host: say create = true to make it, or have a step before this one bring it"
            ))),
        }
    }

    /// Plans to put these lines in the file's place. What an earlier step of the
    /// run may put into the file meanwhile must not get lost: then the step is
    /// left open, and the lines are what is expected.
    pub(super) fn replace(&self, host: &HostState, lines: Vec<String>, planned: &mut Planned) {
        if lines == self.lines && self.there {
            return;
        }
        let before = self.bytes();
        // A line added after one without an end gives that one its end.
        let ended = self.ended || lines.last() != self.lines.last();
        let after = TextFile { lines, ended, ..self.clone() }.bytes();
        if let Some(on) = host.rewritten_by(&self.path) {
            planned.leave_open(on);
        }
        planned.action = Some(if self.there { Action::Update } else { Action::Create });
        planned.diff = Some(diff_files(self.path.as_str(), self.there.then_some(&before), Some(&after)));
        planned.ops.push(Op::WriteFile {
            path: self.path.clone(),
            content: after,
            meta: self.meta.clone(),
            validate: None,
        });
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = self.lines.join("\n");
        if self.ended && !self.lines.is_empty() {
            text.push('\n');
        }
        text.into_bytes()
    }
}
