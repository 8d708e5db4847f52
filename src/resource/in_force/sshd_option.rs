//! Which lines of sshd's configuration stand against an option, and what the
//! steps of a run make of it.

use super::sshd::{Configuration, Directive, MAIN, shown};
use crate::observe::PredictedState;
use crate::plan::{Override, PlanError};
use crate::values::AbsPath;

/// The values that an option has for all by a line that steps of this run write;
/// none where what sshd does at present tells.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn written(
    host: &PredictedState,
    keyword: &str,
    several: bool,
) -> Result<Option<Vec<String>>, PlanError> {
    let Some(configuration) = Configuration::of(host)? else { return Ok(None) };
    let is_written = |line: &Directive| host.written_by(&line.file).is_some();
    if !several {
        let line = configuration.first(keyword, None).filter(|line| is_written(line));
        return Ok(line.map(|line| vec![line.value.clone()]));
    }
    let lines = || configuration.directives.iter().filter(|line| line.keyword == keyword && line.matching.is_none());
    Ok(lines().any(is_written).then(|| lines().map(|line| line.value.clone()).collect()))
}

/// What stands against an option that the file at `path` gives and sshd does not
/// take: a line of another file, or what no line tells.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn against(
    host: &PredictedState,
    path: &AbsPath,
    keyword: &str,
    found: &str,
) -> Result<Override, PlanError> {
    let configuration = Configuration::of(host)?.unwrap_or_default();
    let mut others = configuration
        .directives
        .iter()
        .filter(|line| line.keyword == keyword && (line.file != *path || line.matching.is_some()));
    let Some(line) = others.next() else {
        let message = format!(
            "sshd takes the value {found} although {path} gives another: look for what gives it with 'sshd -T' and \
             'sshd -ddT' on the host"
        );
        return Ok(Override::new(MAIN, None, message));
    };
    let within =
        line.matching.as_ref().map_or_else(String::new, |criteria| format!(" in the block 'Match {criteria}'"));
    let message = format!("sshd takes the value {found}, and this line{within} says {}: remove it there", shown(line));
    let by = Override::new(&line.file, Some(line.line), message);
    Ok(if line.matching.is_some() { by.exception(&line.whole) } else { by })
}
