//! Whether what a looking text finds still holds when its step's turn comes.

use super::PredictedState;
use crate::observe::{FileType, Known, Output, PathState, Run, files_read};
use crate::values::AbsPath;
use std::collections::BTreeSet;

/// Where programs and what they are linked with stand: a change there may make
/// another program of a name.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so", "/dev"];

impl PredictedState {
    /// Whether a looking command that succeeds here still does when its step's
    /// turn comes: nothing is changed between its last success and that step.
    pub fn still_holds(&self, run: &Run) -> bool {
        self.asserted.get(run).copied().unwrap_or(0) == self.changes
    }

    /// Notes that a looking command has succeeded at this point.
    pub fn set_asserted(&mut self, run: &Run) {
        self.set_output(run, Known::Is(Output { code: 0, stdout: String::new() }));
        self.asserted.insert(run.clone(), self.changes);
    }

    /// What a looking command gives is expected, and not certain.
    pub fn leave_unasserted(&mut self, run: &Run) {
        self.asserted.remove(run);
    }

    /// Whether what a looking text finds here still holds when the turn of the
    /// step at hand comes: nothing was changed since, or only files that it does
    /// not read.
    pub fn still_answers(&self, run: &Run) -> bool {
        if self.still_holds(run) {
            return true;
        }
        let since = self.asserted.get(run).copied().unwrap_or(0);
        let changes = usize::try_from(since).ok().and_then(|since| self.confined.get(since..));
        let (Some(changes), Some(read)) = (changes, run.argv.last().and_then(|text| files_read(text))) else {
            return false;
        };
        read.iter().all(|path| self.is_plain(path))
            && changes.iter().all(|place| self.leaves_alone(place.as_ref(), &read))
    }

    /// The last step that changes a file which a looking text reads, since it gave
    /// what is known of it.
    pub fn rereads(&self, run: &Run) -> Option<&str> {
        let since = usize::try_from(self.asserted.get(run).copied().unwrap_or(0)).ok()?;
        let read = run.argv.last().and_then(|text| files_read(text))?;
        let is_read = |place: &AbsPath| read.iter().any(|file| file.is_within(place) || place.is_within(file));
        let mut changes = self.confined.get(since..)?.iter().flatten();
        let changed = changes.rfind(|place| is_read(place) || is_read(&self.real_place(place)))?;
        self.written_by(changed).or_else(|| self.changed_by())
    }

    /// Whether a path is known to lead to itself alone: through no link, and as
    /// the only name of its file.
    fn is_plain(&self, path: &AbsPath) -> bool {
        let is_plain = |path: &AbsPath| match self.path(path) {
            Ok(PathState::Present(entry)) => entry.file_type != FileType::Link,
            Ok(PathState::Absent) => true,
            Ok(PathState::AfterApply) | Err(_) => path.as_str() == "/",
        };
        self.hard_links(path) == 1 && std::iter::once(path.clone()).chain(path.ancestors()).all(|path| is_plain(&path))
    }

    /// Whether a change is confined to a place where none of these files is.
    fn leaves_alone(&self, place: Option<&AbsPath>, files: &BTreeSet<AbsPath>) -> bool {
        let Some(place) = place else { return false };
        [place.clone(), self.real_place(place)].iter().all(|place| {
            !SYSTEM.iter().any(|top| place.as_str().starts_with(top))
                && self.hard_links(place) == 1
                && !files.iter().any(|file| file.is_within(place) || place.is_within(file))
        })
    }
}
