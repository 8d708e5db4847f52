//! What a judgement stands on: the questions of a step, with what the host answered.

use super::{Evidence, Source};
use crate::observe::{HostState, Known, Package, PathState, Queries, Query, Text};
use crate::plan::Override;

/// How many lines, and how many bytes, of what the host said are kept of one thing.
const LINES: usize = 60;
const BYTES: usize = 2048;
/// How many things are kept of one control.
pub(super) const KEPT: usize = 40;

/// The beginning of a text of a host, with a mark where something was left out.
pub(super) fn short(text: &str) -> String {
    let mut kept = String::new();
    for (number, line) in text.lines().enumerate() {
        let room = BYTES.saturating_sub(kept.len() + 1);
        if number == LINES || line.len() > room {
            let end = (0..=room.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
            if number < LINES {
                kept.push_str(&line[..end]);
            }
            kept.push('…');
            break;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept.trim_end().to_owned()
}

/// What the host answered to the questions of a step. Content is never quoted:
/// it may hold secrets.
pub fn evidence(queries: &Queries, host: &HostState) -> Vec<Evidence> {
    let mut found: Vec<Evidence> = Vec::new();
    for query in queries.iter() {
        if let Some((source, at, said)) = answer(query, host)
            && !found.iter().any(|known| known.source == source && known.at == at)
        {
            found.push(Evidence { source, at: short(&at), said: short(&said) });
        }
    }
    found.sort_by_key(|known| known.source == Source::Path);
    found.truncate(KEPT);
    found
}

/// Of one question: what it is about, and what was found.
fn answer(query: &Query, host: &HostState) -> Option<(Source, String, String)> {
    match query {
        Query::Path(path) => {
            let said = match host.path(path).ok()? {
                PathState::Absent => "absent".to_owned(),
                PathState::Present(entry) => {
                    let target = entry.target.as_ref().map(|target| format!(" → {target}")).unwrap_or_default();
                    let (kind, mode) = (entry.file_type.name(), entry.mode);
                    format!("{kind} {mode} {}:{}{target}", entry.owner, entry.group)
                }
                PathState::AfterApply => return None,
            };
            Some((Source::Path, path.to_string(), said))
        }
        Query::Sysctl(key) => {
            let live = host.sysctl(key).ok()?;
            let said = live.map_or_else(|| "this kernel has none".to_owned(), |value| value.trim().to_owned());
            Some((Source::Kernel, key.to_string(), said))
        }
        Query::Unit(name) => match host.unit(name).ok()? {
            Known::Is(unit) => {
                let words = [&unit.load, &unit.active, &unit.file];
                let said: Vec<&str> = words.iter().map(|word| word.as_str()).filter(|word| !word.is_empty()).collect();
                Some((Source::Unit, name.to_string(), said.join(", ")))
            }
            Known::AfterApply => None,
        },
        Query::Package(name) => {
            let said = match host.package(name).ok()? {
                Package::Absent => "not installed".to_owned(),
                Package::ConfigFiles => "removed, its configuration is left".to_owned(),
                Package::Installed { version: Known::Is(version), .. } => version.clone(),
                Package::Installed { version: Known::AfterApply, .. } => return None,
                Package::Broken(state) => state.clone(),
            };
            Some((Source::Package, name.to_string(), said))
        }
        Query::Module(name) => {
            let module = host.module(name).ok()?;
            let said = match (module.loaded, module.builtin) {
                (_, true) => "part of the kernel",
                (true, false) => "loaded",
                (false, false) => "not loaded",
            };
            Some((Source::Kernel, format!("module {name}"), said.to_owned()))
        }
        Query::Run(run) => match host.output(run).ok()? {
            Known::Is(output) => {
                // The program's own shell texts say nothing to a reader.
                if run.text == Text::Own && run.argv.iter().any(|word| word.contains('\n')) {
                    return None;
                }
                let words: Vec<&str> = match run.argv.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                    ["sh", "-c", text] => vec![text],
                    ref words => words.to_vec(),
                };
                let said = format!("exit code {}\n{}", output.code, output.stdout);
                Some((Source::Command, words.join(" "), said))
            }
            Known::AfterApply => None,
        },
        Query::User(name) => {
            let said = if host.has_user(name).ok()? { "is there" } else { "is not there" };
            Some((Source::Accounts, format!("user {name}"), said.to_owned()))
        }
        Query::Group(name) => {
            let said = if host.has_group(name).ok()? { "is there" } else { "is not there" };
            Some((Source::Accounts, format!("group {name}"), said.to_owned()))
        }
        // What these say is judged, and too much or too private to be quoted.
        Query::Digest(_)
        | Query::Content(_)
        | Query::Names(_)
        | Query::Fragments(_)
        | Query::DropIns(_)
        | Query::Tree { .. }
        | Query::Accounts
        | Query::Candidate(_)
        | Query::Transaction(_)
        | Query::Provided(_)
        | Query::Providers(_)
        | Query::Packages
        | Query::Shipped(_)
        | Query::Sysctls(_)
        | Query::Processes
        | Query::Syntax(_)
        | Query::UnitText { .. }
        | Query::Acl(_) => None,
    }
}

/// A file, or a unit, that keeps a step from being in force.
pub(super) fn of_override(by: &Override) -> Evidence {
    let source = if by.is_file() { Source::Path } else { Source::Unit };
    Evidence { source, at: short(&by.place()), said: short(&by.message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_is_cut() {
        assert_eq!(short("a\nb\n"), "a\nb");
        let long = short(&"é".repeat(5000));
        assert!(long.len() <= BYTES + 4 && long.ends_with('…'), "{}", long.len());
        let many = short(&"x\n".repeat(5000));
        assert_eq!(many.lines().count(), LINES + 1);
    }
}
