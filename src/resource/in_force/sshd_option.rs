//! Which lines of sshd's configuration stand against an option, and what the
//! steps of a run make of it.

use super::sshd::{Configuration, Directive, MAIN, shown};
use super::sshd_match::may_hold_for;
use crate::observe::PredictedState;
use crate::plan::{InForce, Override, PlanError};
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

/// The lines of `Match` blocks that give an option a value which is not right, for
/// whomever they are, and questions about files that are not known yet.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn blocks_against(
    host: &PredictedState,
    keyword: &str,
    is_right: impl Fn(&str) -> bool,
) -> Result<InForce, PlanError> {
    let Some(configuration) = Configuration::of(host)? else { return Ok(InForce::default()) };
    let mut found = InForce { follow_up_queries: configuration.follow_up_queries.clone(), ..InForce::default() };
    for line in configuration.directives.iter().filter(|line| line.keyword == keyword) {
        let Some(criteria) = line.matching.as_deref() else { continue };
        // Of two blocks with the same criteria the first one wins.
        let first = configuration.first(keyword, Some(criteria));
        let is_read = first.is_some_and(|first| first.file == line.file && first.line == line.line);
        // This option is about root alone.
        let is_for_nobody = keyword == "permitrootlogin" && !may_hold_for(criteria, "root");
        if !is_read || is_for_nobody || is_right(&line.value) {
            continue;
        }
        let message = format!(
            "the block 'Match {criteria}' holds for some logins, and there this line says {}: remove it there, or say \
             it as a step of the playbook",
            shown(line)
        );
        found.overridden.push(Override::new(&line.file, Some(line.line), message).exception(&line.whole));
    }
    Ok(found)
}
