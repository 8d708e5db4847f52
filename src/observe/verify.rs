//! What systemd of the host finds wrong with the texts of unit files and
//! drop-ins (systemd-analyze(1), verify). Each stands alone in a directory of
//! the memory file system, under its unit's name, and is loaded, never started.

use super::reply::{Malformed, Section};
use super::{HostState, Queries, Query, StateError};

/// What systemd says of each text, ended by a NUL. A shell's own printf writes
/// the texts, so that they stand in no argument list.
pub(super) const PROBE: &str = include_str!("probes/verify.sh");

const PLACE: &str = "/run/stockade-verify.";

/// Something in the text of a unit that systemd cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFault {
    /// The line, from 1.
    pub line: usize,
    /// What systemd says, without the value that it is about.
    pub why: String,
}

/// The names and texts, in the order in which they are asked and answered.
pub(super) fn texts(queries: &Queries) -> Vec<(String, String)> {
    let pair = |query: &Query| match query {
        Query::UnitText { name, text } => Some((name.to_string(), text.clone())),
        _ => None,
    };
    queries.iter().filter_map(pair).collect()
}

pub(super) fn read(host: &mut HostState, queries: &Queries, section: &Section) -> Result<(), Malformed> {
    let said = section.fields();
    let texts: Vec<&Query> = queries.iter().filter(|query| matches!(query, Query::UnitText { .. })).collect();
    if said.len() != texts.len() {
        return Err(Malformed::missing("verify"));
    }
    for (query, said) in texts.into_iter().zip(said) {
        let Query::UnitText { name, .. } = query else { continue };
        let faults = said.lines().filter_map(|line| fault(line, name.as_str())).collect();
        host.set_unit_text(query, faults);
    }
    Ok(())
}

/// A line such as `/run/…/app.service:6: Failed to parse service type, ignoring: fork`.
fn fault(line: &str, name: &str) -> Option<UnitFault> {
    let (_, rest) = line.strip_prefix(PLACE)?.split_once('/')?;
    let (number, said) = rest.strip_prefix(name)?.strip_prefix(':')?.split_once(": ")?;
    // Advice about what systemd uses all the same is none.
    let lower = said.to_ascii_lowercase();
    let is_fault = lower.contains("ignoring")
        || ["Failed ", "Neither ", "Invalid ", "Executable "].iter().any(|word| said.starts_with(word));
    let end = [lower.find(", ignoring"), lower.find(". ignoring"), said.find(": ")].into_iter().flatten().min();
    let why = said.get(..end.unwrap_or(said.len()))?.to_owned();
    is_fault.then_some(UnitFault { line: number.parse().ok()?, why })
}

impl HostState {
    /// What systemd finds wrong with the text of a unit ([`Query::UnitText`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn unit_text(&self, query: &Query) -> Result<&[UnitFault], StateError> {
        Ok(self.look(query.clone(), self.unit_texts.get(query))?)
    }

    /// What systemd finds wrong with the text of a unit.
    pub fn set_unit_text(&mut self, query: &Query, faults: Vec<UnitFault>) {
        self.mark_asked(query.clone());
        self.unit_texts.insert(query.clone(), faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_cannot_use_is_told_without_the_value() {
        for (said, why) in [
            (
                "6: Failed to parse service restart specifier, ignoring: allways",
                "Failed to parse service restart specifier",
            ),
            ("3: Unknown key 'Foo' in section [Unit], ignoring.", "Unknown key 'Foo' in section [Unit]"),
            ("3: Unknown section 'Srv'. Ignoring.", "Unknown section 'Srv'"),
            (
                "15: Neither a valid executable name nor an absolute path: bin/foo",
                "Neither a valid executable name nor an absolute path",
            ),
        ] {
            let found = fault(&format!("{PLACE}aBc123/app.service:{said}"), "app.service");
            assert_eq!(found.map(|found| found.why).as_deref(), Some(why));
        }
        for other in [
            "Unit app.service has a bad unit file setting.",
            "/usr/lib/systemd/system/x.service:3: Failed to parse x, ignoring: y",
            "/run/stockade-verify.aB/app.service:12: Unit uses KillMode=none. This is unsafe",
        ] {
            assert_eq!(fault(other, "app.service"), None, "{other}");
        }
    }
}
