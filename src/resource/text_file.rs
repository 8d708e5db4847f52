//! Files of lines that are edited in part: read, changed, put back whole.
//!
//! Owner, group, mode and every line that is not meant stay as they are.

use super::directory::in_the_way;
use crate::observe::{Content, FileType, HostState, PathState, Queries, Query};
use crate::plan::{Action, KNOWN_AFTER_APPLY, LineEdit, Meta, Op, PlanError, Planned, diff_files};
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

/// Plans an edit that is made on the host, if what the file will hold is known
/// after apply only: an earlier step changes it in a way that cannot be
/// predicted, or a package of this run may bring it.
///
/// # Errors
/// What stands at the path is unreadable.
pub(super) fn deferred(
    host: &HostState,
    path: &AbsPath,
    edit: LineEdit,
    create: bool,
) -> Result<Option<Planned>, PlanError> {
    let unknown = match host.path(path)? {
        PathState::AfterApply => true,
        PathState::Absent => host.accounts_may_appear(),
        PathState::Present(_) => *host.content(path)? == Content::AfterApply,
    };
    if !unknown {
        return Ok(None);
    }
    let mut planned = Planned::nothing();
    if !host.edit_is_promised(path, &format!("{edit:?}")) {
        let (field, after) = match &edit {
            LineEdit::Put { line, .. } => ("line", Some(line.clone())),
            LineEdit::Drop { .. } => ("line", None),
            LineEdit::Set { value, .. } => ("value", Some(value.clone())),
            LineEdit::Unset { .. } => ("value", None),
        };
        planned.action = Some(Action::Unknown);
        planned.change(field, Some(KNOWN_AFTER_APPLY), after);
        planned.notes.push(format!("what {path} will hold is known after apply: it is edited then"));
        planned.ops.push(Op::EditFile { path: path.clone(), edit, create });
    }
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

    /// Plans to put these lines in the file's place.
    pub(super) fn replace(&self, lines: Vec<String>, planned: &mut Planned) {
        if lines == self.lines && self.there {
            return;
        }
        let before = self.bytes();
        // A line added after one without an end gives that one its end.
        let ended = self.ended || lines.last() != self.lines.last();
        let after = TextFile { lines, ended, ..self.clone() }.bytes();
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
