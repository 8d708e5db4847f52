//! Sources of apt that cannot stand beside one another: entries for one
//! repository (address and suite) with other values of an option make every apt
//! command that looks for packages fail, as debmetaindex.cc of apt compares them.
//! The same part of a repository in two entries is read once, with a warning.
//!
//! apt reads /etc/apt/sources.list first, then the files of the directory in
//! the order of their names.

use super::apt_entries::{Entry, of_lines, of_stanzas};
use super::written;
use crate::observe::{Content, HostState, Queries, Query, StateError};
use crate::plan::{PlanError, Planned};
use crate::resource::readers;
use crate::values::AbsPath;
use std::collections::{BTreeMap, BTreeSet};

const LIST: &str = "/etc/apt/sources.list";
const PARTS: &str = "/etc/apt/sources.list.d";

/// How apt compares an option of two entries for one repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// Keys: the first entry that has any decides for all after it.
    Keys,
    /// A number, likewise; 0 is none.
    Number,
    /// yes, no or not set, which differ from one another.
    Switch,
    /// yes or no; not set is no.
    Permission,
}

/// The options that apt compares (sources.list(5)).
const OPTIONS: [(&str, Compared); 10] = [
    ("Signed-By", Compared::Keys),
    ("Trusted", Compared::Switch),
    ("Check-Valid-Until", Compared::Switch),
    ("Check-Date", Compared::Switch),
    ("Valid-Until-Min", Compared::Number),
    ("Valid-Until-Max", Compared::Number),
    ("Date-Max-Future", Compared::Number),
    ("Allow-Insecure", Compared::Permission),
    ("Allow-Weak", Compared::Permission),
    ("Allow-Downgrade-To-Insecure", Compared::Permission),
];

impl Compared {
    /// The value as apt compares it; none where the next entry may still give one.
    fn value(self, given: Option<&str>) -> Option<String> {
        let is_yes = |text: &str| {
            ["yes", "true", "with", "on", "enable", "1"].contains(&text.trim().to_ascii_lowercase().as_str())
        };
        let word = |text: &str| if is_yes(text) { "yes" } else { "no" }.to_owned();
        match self {
            Compared::Keys => given.map(keys).filter(|keys| !keys.is_empty()),
            Compared::Number => {
                let digits: String = given?.trim().chars().take_while(char::is_ascii_digit).collect();
                Some(digits.trim_start_matches('0').to_owned()).filter(|digits| !digits.is_empty())
            }
            Compared::Switch => Some(given.map_or_else(|| "not set".to_owned(), word)),
            Compared::Permission => Some(given.map_or_else(|| "no".to_owned(), word)),
        }
    }
}

/// The files and fingerprints of keys in their order, or the text of a key.
fn keys(value: &str) -> String {
    if value.contains("-----BEGIN") {
        return value.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned();
    }
    let keys = value.split(|c: char| c == ',' || c.is_whitespace()).filter(|key| !key.is_empty());
    let own = |key: &str| if key.starts_with('/') { key.to_owned() } else { key.to_ascii_uppercase() };
    keys.map(own).collect::<Vec<_>>().join(",")
}

/// Where an entry stands.
type Place = (AbsPath, usize);

/// Two entries for one repository that apt refuses together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Conflict {
    option: &'static str,
    first: Place,
    second: Place,
}

/// What is wrong with all sources together.
#[derive(Debug, Default)]
struct Found {
    conflicts: Vec<Conflict>,
    /// Entries that name what an earlier one names already.
    twice: BTreeSet<(Place, Place)>,
}

/// All files of sources in the order in which apt reads them, with their texts.
type Files = BTreeMap<(bool, AbsPath), String>;

fn judge(files: &Files, arch: &str) -> Found {
    let mut found = Found::default();
    let mut values: BTreeMap<(String, String, &str), (Option<String>, Place)> = BTreeMap::new();
    let mut parts: BTreeMap<(String, String, String, String), Place> = BTreeMap::new();
    let entries = files.iter().flat_map(|((_, path), text)| {
        let entries = if path.as_str().ends_with(".sources") { of_stanzas(text, arch) } else { of_lines(text, arch) };
        entries.into_iter().map(move |entry| (path.clone(), entry))
    });
    for (path, entry) in entries {
        let place = (path, entry.line);
        let Entry { kind, address, suite, components, .. } = &entry;
        for (option, compared) in OPTIONS {
            let value = compared.value(entry.option(option));
            match values.get_mut(&(address.clone(), suite.clone(), option)) {
                None => _ = values.insert((address.clone(), suite.clone(), option), (value, place.clone())),
                Some(first) if first.0.is_none() => *first = (value, place.clone()),
                Some((first, at)) if *first != value => {
                    found.conflicts.push(Conflict { option, first: at.clone(), second: place.clone() });
                }
                Some(_) => {}
            }
        }
        for component in components {
            let part = (kind.clone(), address.clone(), suite.clone(), component.clone());
            match parts.get(&part) {
                Some(first) => _ = found.twice.insert((first.clone(), place.clone())),
                None => _ = parts.insert(part, place.clone()),
            }
        }
    }
    found
}

fn is_source(path: &AbsPath) -> bool {
    path.as_str() == LIST
        || path.parent().is_some_and(|parent| parent.as_str() == PARTS) && readers::sources(path.file_name())
}

fn questions() -> impl Iterator<Item = Query> {
    let list = LIST.parse().ok().map(Query::Content);
    list.into_iter().chain(PARTS.parse().ok().map(Query::Fragments))
}

/// Asks for all sources where a step writes one.
pub(in crate::resource) fn ask_sources(queries: &mut Queries, path: &AbsPath) {
    if is_source(path) {
        queries.extend(questions());
    }
}

/// The sources of the host.
fn on_host(host: &HostState) -> Result<Files, StateError> {
    let mut files = Files::new();
    if let Ok(list) = LIST.parse::<AbsPath>()
        && let Content::Bytes(bytes) = host.content(&list)?
    {
        files.insert((false, list), String::from_utf8_lossy(bytes).into_owned());
    }
    if let Ok(parts) = PARTS.parse::<AbsPath>() {
        for (name, bytes) in host.fragments(&parts)? {
            let (Ok(path), Some(bytes)) = (parts.join(&name), bytes) else { continue };
            if readers::sources(&name) {
                files.insert((true, path), String::from_utf8_lossy(bytes).into_owned());
            }
        }
    }
    Ok(files)
}

/// Refuses a file of sources that cannot stand beside the others; what was so
/// before, and what is named twice, is told.
///
/// # Errors
/// apt would refuse all sources.
pub(in crate::resource) fn check_sources(host: &HostState, planned: &mut Planned) -> Result<(), PlanError> {
    let writes: Vec<(AbsPath, String)> = planned
        .ops
        .iter()
        .filter_map(written)
        .filter(|(path, _)| is_source(path))
        .map(|(path, content)| (path.clone(), String::from_utf8_lossy(content).into_owned()))
        .collect();
    // What is decided at its turn may still become another text.
    if writes.is_empty() || planned.open.is_some() {
        return Ok(());
    }
    let open: Vec<Query> = questions().filter(|query| !host.asked(query)).collect();
    if !open.is_empty() {
        planned.follow_up_queries.extend(open);
        return Ok(());
    }
    let arch = host.facts.arch.as_str();
    let mut files = on_host(host)?;
    let before = judge(&files, arch);
    let own: BTreeSet<AbsPath> = writes.iter().map(|(path, _)| path.clone()).collect();
    files.extend(writes.into_iter().map(|(path, text)| ((path.as_str() != LIST, path), text)));
    let after = judge(&files, arch);
    let is_own = |one: &Place, other: &Place| own.contains(&one.0) || own.contains(&other.0);
    let at = |(path, line): &Place| format!("{path}:{line}");
    for Conflict { option, first, second } in after.conflicts.iter().filter(|found| is_own(&found.first, &found.second))
    {
        let said = format!(
            "{} and {} are entries for the same address and suite with other values of '{option}', and every apt \
             command on the host that looks for packages fails with both",
            at(first),
            at(second)
        );
        let stood = |old: &Conflict| old.option == *option && old.first.0 == first.0 && old.second.0 == second.0;
        if !before.conflicts.iter().any(stood) {
            return Err(PlanError::Refused(format!(
                "{said} (sources.list(5)): give both the same value, or take one of them out in a step before this one"
            )));
        }
        planned.notes.push(said);
    }
    for (first, second) in after.twice.iter().filter(|(first, second)| is_own(first, second)) {
        planned.notes.push(format!(
            "{} names what {} names already: apt reads it once, and warns at every update",
            at(second),
            at(first)
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "apt_conflicts_tests.rs"]
mod tests;
