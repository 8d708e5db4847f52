//! Whether logrotate takes the entries of a file (logrotate(8)).
//!
//! A log may stand in one entry only: of the second one logrotate reports an
//! error, passes over the whole file that holds it, and fails. The main file
//! includes those of the directory, which are read in the order of their names.

use super::{ConfigFile, Said, wildcard};
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::resource::{readers, rejected};
use crate::values::AbsPath;

pub(super) const MAIN: &str = "/etc/logrotate.conf";
pub(super) const FRAGMENTS: &str = "/etc/logrotate.d";

/// Words that begin a script, which ends with `endscript`.
const SCRIPTS: [&str; 5] = ["prerotate", "postrotate", "firstaction", "lastaction", "preremove"];

pub(super) fn ask(queries: &mut Queries) {
    queries.extend(MAIN.parse().ok().map(Query::Content));
    queries.extend(FRAGMENTS.parse().ok().map(Query::Fragments));
}

fn files(host: &HostState) -> Result<Vec<ConfigFile>, PlanError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut files = Vec::new();
    if let Ok(directory) = FRAGMENTS.parse::<AbsPath>() {
        for (name, bytes) in host.fragments(&directory)? {
            if let (true, Some(bytes), Ok(path)) = (readers::no_backup(&name), bytes, directory.join(&name)) {
                files.push(ConfigFile { path, text: text(bytes) });
            }
        }
    }
    if let Ok(path) = MAIN.parse::<AbsPath>()
        && let Content::Bytes(bytes) = host.content(&path)?
    {
        files.push(ConfigFile { text: text(bytes), path });
    }
    Ok(files)
}

/// What keeps logrotate from taking a file, or the entry that a line of it begins.
pub(super) fn file(host: &HostState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let files = files(host)?;
    let mut found = InForce::default();
    let Some(at) = files.iter().position(|file| file.path == *path) else { return Ok(found) };
    let own = files.get(at).map(|file| (said.numbers(&file.text), logs(&file.text)));
    for (number, log) in
        own.into_iter().flat_map(|(covered, logs)| logs.into_iter().filter(move |(number, _)| covered.contains(number)))
    {
        for (other, file) in files.iter().enumerate().filter(|(other, _)| *other != at) {
            let Some((line, _)) = logs(&file.text).into_iter().find(|(_, by)| is_same(&log, by)) else { continue };
            let passed_over = if other < at { path } else { &file.path };
            let message = format!(
                "it rotates {log} too, as line {number} of {path} does: logrotate fails on the second one that it reads \
                 and passes over all of {passed_over}. Take that log out of one of the two"
            );
            let by = Override::new(&file.path, Some(line), message);
            if !found.overridden.iter().any(|one| one.place() == by.place()) {
                found.overridden.push(by);
            }
        }
    }
    Ok(found)
}

/// Whether two names may be those of one log; what two patterns share is not known.
fn is_same(one: &str, other: &str) -> bool {
    let is_pattern = |name: &str| name.contains(['*', '?', '[', '{']);
    let fits = |pattern: &str, name: &str| {
        pattern.matches('/').count() == name.matches('/').count() && wildcard(pattern, name)
    };
    one == other
        || (!is_pattern(one) && !other.contains(['[', '{']) && fits(other, one))
        || (!is_pattern(other) && !one.contains(['[', '{']) && fits(one, other))
}

/// The logs that a text's entries name, with their lines.
fn logs(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut open, mut in_entry, mut in_script) = (Vec::new(), Vec::new(), false, false);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        if in_script {
            in_script = first != "endscript";
        } else if in_entry {
            in_script = SCRIPTS.contains(&first);
            in_entry = !line.contains('}');
        } else if line.starts_with(['/', '"', '\'', '{']) || !open.is_empty() {
            let (names, rest) = line.split_once('{').map_or((line, None), |(names, rest)| (names, Some(rest)));
            open.extend(rejected::words(&names.replace('\'', "\"")).into_iter().map(|name| (at + 1, name)));
            if let Some(rest) = rest {
                found.append(&mut open);
                in_entry = !rest.contains('}');
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_of_all_entries_are_found() {
        let text = "# /x {\nweekly\n/var/log/a.log /var/log/b.log\n\"/var/log/c d.log\" {\n  postrotate\n    f() { x; }\n  endscript\n}\n/var/log/e/*.log { daily }\n/f\n{\n}\n";
        let shown: Vec<String> = logs(text).iter().map(|(line, log)| format!("{line} {log}")).collect();
        assert_eq!(
            shown,
            ["3 /var/log/a.log", "3 /var/log/b.log", "4 /var/log/c d.log", "9 /var/log/e/*.log", "10 /f"]
        );
    }

    #[test]
    fn a_pattern_may_stand_for_a_log() {
        assert!(is_same("/var/log/a.log", "/var/log/*.log") && is_same("/var/log/*.log", "/var/log/*.log"));
        assert!(!is_same("/var/log/x/a.log", "/var/log/*.log") && !is_same("/var/log/a*", "/var/log/*.log"));
    }
}
