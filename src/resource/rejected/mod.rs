//! Texts that their readers reject: one wrong line, and apt stops or cron
//! passes over the whole file. Each module here reads a text as its reader does.
//!
//! What is wrong is said by line and sort, never in the text's own words: it
//! may hold secrets.

mod apt_conf;
mod apt_conflicts;
mod apt_entries;
mod apt_pins;
mod apt_sources;
mod crontab;
mod stanzas;
mod unit_text;
mod word;

use super::in_force::wildcard;
use super::{Args, readers};
use crate::observe::{Content, HostState, PredictedState, Queries, Query};
use crate::plan::{FileOp, Op, PlanError, Planned};
use crate::values::{AbsPath, UserName};

pub(super) use apt_conflicts::{ask_sources, check_sources};
pub(super) use unit_text::{Whose, check_units};
pub(super) use word::words;

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    /// The line, from 1.
    line: usize,
    why: String,
    /// Whether the reader rejects the text; otherwise it passes over this part of it.
    fatal: bool,
}

impl Fault {
    fn fatal(line: usize, why: impl Into<String>) -> Fault {
        Fault { line, why: why.into(), fatal: true }
    }

    fn passed_over(line: usize, why: impl Into<String>) -> Fault {
        Fault { line, why: why.into(), fatal: false }
    }
}

/// How a file is read.
struct Grammar {
    /// Its files; `*` stands for any text without '/'.
    files: &'static [&'static str],
    /// Whether a name in a directory is read.
    reads: fn(&str) -> bool,
    who: &'static str,
    /// What it does with a text that it rejects.
    then: &'static str,
    faults: fn(&str) -> Vec<Fault>,
}

static GRAMMARS: [Grammar; 6] = [
    Grammar {
        files: &["/etc/apt/apt.conf", "/etc/apt/apt.conf.d/*"],
        reads: readers::apt_conf,
        who: "apt",
        then: "every apt command on the host fails (apt.conf(5))",
        faults: apt_conf::faults,
    },
    Grammar {
        files: &["/etc/apt/preferences", "/etc/apt/preferences.d/*"],
        reads: readers::apt_pins,
        who: "apt",
        then: "every apt command on the host that looks for packages fails (apt_preferences(5))",
        faults: apt_pins::faults,
    },
    Grammar {
        files: &["/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list"],
        reads: readers::sources,
        who: "apt",
        then: "every apt command on the host that looks for packages fails (sources.list(5))",
        faults: apt_sources::of_lines,
    },
    Grammar {
        files: &["/etc/apt/sources.list.d/*.sources"],
        reads: readers::sources,
        who: "apt",
        then: "every apt command on the host that looks for packages fails (sources.list(5))",
        faults: apt_sources::of_stanzas,
    },
    Grammar {
        files: &["/etc/crontab", "/etc/cron.d/*"],
        reads: readers::run_parts,
        who: "cron",
        then: "it runs nothing of the file (crontab(5))",
        faults: |text| crontab::faults(text, true),
    },
    Grammar {
        files: &["/var/spool/cron/crontabs/*"],
        reads: |_| true,
        who: "cron",
        then: "it runs nothing of the file (crontab(5))",
        faults: |text| crontab::faults(text, false),
    },
];

impl Grammar {
    fn of(path: &AbsPath) -> Option<&'static Grammar> {
        let is_it = |file: &str| {
            file.matches('/').count() == path.as_str().matches('/').count() && wildcard(file, path.as_str())
        };
        let found = GRAMMARS.iter().find(|grammar| grammar.files.iter().any(|file| is_it(file)))?;
        // What nobody reads nobody rejects: 'ignored' tells of it.
        let is_whole = found.files.contains(&path.as_str());
        (is_whole || (found.reads)(path.file_name()) && !path.file_name().starts_with('.')).then_some(found)
    }

    fn first_fatal(&self, content: &[u8]) -> Option<Fault> {
        (self.faults)(&String::from_utf8_lossy(content)).into_iter().find(|fault| fault.fatal)
    }
}

/// Refuses a file's content that its reader rejects.
pub(super) fn refuse(args: &mut Args<'_>, field: &str, path: &AbsPath, content: &[u8]) {
    let Some(grammar) = Grammar::of(path) else { return };
    if let Some(fault) = grammar.first_fatal(content) {
        let Grammar { who, then, .. } = grammar;
        args.wrong_value(field, format!("{who} cannot read this content: line {}: {}; {then}", fault.line, fault.why));
    }
}

/// Refuses an edit by which a file becomes one that its reader rejects; of one
/// that it rejects already there is a note.
///
/// # Errors
/// The reader rejects what the edit leaves, and not what is there.
pub(super) fn check_edit(host: &HostState, planned: &mut Planned) -> Result<(), PlanError> {
    // What is decided at its turn may still become another text.
    if planned.open.is_some() {
        return Ok(());
    }
    let mut notes = Vec::new();
    for (path, content) in planned.ops.iter().filter_map(written) {
        let Some((grammar, fault)) = Grammar::of(path).and_then(|it| Some((it, it.first_fatal(content)?))) else {
            continue;
        };
        let said = format!("{path}:{}: {} cannot read this: {}; {}", fault.line, grammar.who, fault.why, grammar.then);
        let before = match host.content(path) {
            Ok(Content::Bytes(before)) => grammar.first_fatal(before),
            _ => None,
        };
        if before.is_none() {
            return Err(PlanError::Refused(said));
        }
        notes.push(said);
    }
    planned.notes.extend(notes);
    Ok(())
}

/// Tells of the parts of the files which a step writes that their readers pass over.
pub(super) fn note(planned: &mut Planned) {
    let mut notes = Vec::new();
    for (path, content) in planned.ops.iter().filter_map(written) {
        let Some(grammar) = Grammar::of(path) else { continue };
        let faults = (grammar.faults)(&String::from_utf8_lossy(content)).into_iter().filter(|fault| !fault.fatal);
        notes.extend(faults.map(|Fault { line, why, .. }| format!("{path}:{line}: {why}")));
    }
    notes.retain(|note| !planned.notes.contains(note));
    planned.notes.extend(notes);
}

fn written(op: &Op) -> Option<(&AbsPath, &[u8])> {
    match op {
        Op::File(FileOp::WriteFile { path, content, .. }) => Some((path, content)),
        _ => None,
    }
}

/// Asks for the users that a file's content names, of which each must exist.
pub(super) fn ask_users(queries: &mut Queries, path: &AbsPath, content: &[u8]) {
    queries.extend(users(path, content).into_iter().map(|(_, user)| Query::User(user.to_string())));
}

/// Refuses a crontab that names a user who will not exist, whom cron rejects it for.
///
/// # Errors
/// There is no such user, and nothing before this step can bring it.
pub(super) fn check_users(host: &PredictedState, planned: &mut Planned) -> Result<(), PlanError> {
    if planned.open.is_some() {
        return Ok(());
    }
    let named: Vec<(String, UserName)> = planned
        .ops
        .iter()
        .filter_map(written)
        .flat_map(|(path, content)| {
            users(path, content).into_iter().map(move |(line, user)| (format!("{path}:{line}"), user))
        })
        .collect();
    for (place, user) in named {
        let query = Query::User(user.to_string());
        if !host.asked(&query) && !matches!(host.has_user(user.as_str()), Ok(true)) {
            planned.follow_up_queries.push(query);
        } else if !host.has_user(user.as_str())? {
            let Some(on) = host.brought_by() else {
                return Err(PlanError::Refused(format!(
                    "{place}: there is no user '{user}' on the host, and cron then runs nothing of the file \
                     (crontab(5)): correct the name, or add a step before this one: user = {{ name = \"{user}\" }}"
                )));
            };
            let any = host.brought_by_any().unwrap_or_else(|| on.to_owned());
            planned.notes.push(format!("{place}: there is no user '{user}' yet: {any} must bring it"));
        }
    }
    Ok(())
}

/// The users of a system's crontab, with their lines; root is always there.
fn users(path: &AbsPath, content: &[u8]) -> Vec<(usize, UserName)> {
    let names_users = Grammar::of(path).is_some_and(|grammar| grammar.files.contains(&"/etc/crontab"));
    let found = if names_users { crontab::users(&String::from_utf8_lossy(content)) } else { Vec::new() };
    found.into_iter().filter(|(_, user)| user.as_str() != "root").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(path: &str, text: &str) -> Option<(usize, String)> {
        let path: AbsPath = path.parse().unwrap();
        Grammar::of(&path)?.first_fatal(text.as_bytes()).map(|fault| (fault.line, fault.why))
    }

    #[test]
    fn only_files_that_are_read_are_judged() {
        for path in ["/etc/apt/apt.conf.d/99x", "/etc/apt/apt.conf.d/x.conf", "/etc/apt/apt.conf"] {
            assert!(first(path, "APT::A \"1\"\n").is_some(), "{path}");
        }
        for path in ["/etc/apt/apt.conf.d/x.bak", "/etc/apt/apt.conf.d/a/b", "/etc/cron.d/x.sh", "/srv/x"] {
            assert_eq!(first(path, "APT::A \"1\"\n"), None, "{path}");
        }
    }
}
