//! The shell of each operation.
//!
//! Names and paths stand in the script as quoted words; bulk data and secrets
//! stand in payload files, which travel apart from the script and live on a
//! memory file system for the time of the run only.

use super::Op;
use crate::shell::{Command, NulByte, Script};
use crate::values::AbsPath;

/// An operation as shell text, with the data it needs.
///
/// The text runs in a subshell under `set -e`, with no standard input, where
/// the functions of `apply/runner.sh` are defined; `$P` names the directory of
/// the payload files.
#[derive(Debug, Clone, Default)]
pub struct OpScript {
    /// The text.
    pub script: Script,
    /// Payload files, by number from the first that was given to [`OpScript::new`].
    pub payloads: Vec<Vec<u8>>,
    first: usize,
}

impl OpScript {
    /// The script of an operation whose first payload file has this number.
    ///
    /// # Errors
    /// [`NulByte`] if a value holds one.
    pub fn new(op: &Op, first: usize) -> Result<OpScript, NulByte> {
        let mut out = OpScript { first, ..OpScript::default() };
        op.script(&mut out)?;
        out.script.build()?;
        Ok(out)
    }

    /// Adds a payload file, and returns its number.
    pub(super) fn payload(&mut self, data: impl Into<Vec<u8>>) -> String {
        self.payloads.push(data.into());
        (self.first + self.payloads.len() - 1).to_string()
    }

    /// Adds a command.
    pub(super) fn run(&mut self, command: Command) {
        self.script.run(command);
    }

    /// A user can put a link in place of the own `.ssh` after it was looked at:
    /// keys must not land where it points.
    pub(super) fn refuse_swapped_keys(&mut self, path: &AbsPath) {
        if let Some(directory) = path.parent().filter(|parent| parent.file_name() == ".ssh") {
            self.run(Command::new("not_a_link").arg(directory));
        }
    }
}
