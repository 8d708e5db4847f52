//! Whether the settings of a unit file or drop-in are the ones that systemd
//! uses (systemd.unit(5)).
//!
//! A unit's file comes from the first directory that has one. Drop-ins come
//! from `unit.d`, from `prefix-.type.d`, from a template's `name@.type.d` and
//! from `type.d` of all directories, in the order of their names; of one name
//! the first directory wins. The last value of a setting counts, except where
//! values add up; an empty value takes away those before it.

use super::mounted::{DesiredMount, otherwise};
use super::{ConfigFile, Said, hidden_by, merged};
use crate::observe::probe::{UNIT_DIRECTORIES, drop_in_directories};
use crate::observe::{Content, HostState, Known, PathState, PredictedState, Queries, Query, StateError};
use crate::plan::{InForce, Override, PlanError, point_of};
use crate::values::{AbsPath, UnitName};
use std::collections::BTreeSet;

/// Settings whose values add up, whatever unit type or daemon they belong to.
const LISTS: &str = "
    After Alias Also AmbientCapabilities BPFProgram Before BindPaths BindReadOnlyPaths BindsTo
    CPUAffinity CacheDirectory CapabilityBoundingSet ConfigurationDirectory Conflicts DNS
    DefaultEnvironment DeviceAllow DisableControllers Documentation Domains Environment EnvironmentFile
    ExecPaths ExtensionDirectories ExtensionImages FallbackDNS FallbackNTP IPAddressAllow IPAddressDeny
    ImportCredential InaccessibleDirectories InaccessiblePaths JoinsNamespaceOf LoadCredential
    LoadCredentialEncrypted LogExtraFields LogFilterPatterns LogsDirectory ManagerEnvironment
    MountImages NTP NoExecPaths OnFailure OnSuccess OpenFile PartOf PassEnvironment PropagatesReloadTo
    PropagatesStopTo ReadOnlyDirectories ReadOnlyPaths ReadWriteDirectories ReadWritePaths
    ReloadPropagatedFrom RequiredBy Requires RequiresMountsFor Requisite RestrictAddressFamilies
    RestrictNamespaces RestrictNetworkInterfaces RuntimeDirectory SecureBits SetCredential Sockets
    StateDirectory StopPropagatedFrom SuccessExitStatus SupplementaryGroups Symlinks
    SystemCallArchitectures SystemCallFilter SystemCallLog TemporaryFileSystem UnsetEnvironment UpheldBy
    Upholds WantedBy Wants WantsMountsFor";

/// Beginnings of further such settings.
const LIST_PREFIXES: [&str; 9] = ["Assert", "Condition", "Exec", "IO", "Listen", "On", "Path", "Restart", "SocketBind"];

/// Beginnings' exceptions: these have one value.
const SINGLE: [&str; 14] = [
    "IOAccounting",
    "IOSchedulingClass",
    "IOSchedulingPriority",
    "IOWeight",
    "OnClockChange",
    "OnFailureJobMode",
    "OnTimezoneChange",
    "OOMPolicy",
    "Restart",
    "RestartSec",
    "RestartSteps",
    "RestartMaxDelaySec",
    "RestartMode",
    "RestartKillSignal",
];

/// One assignment.
pub(super) struct Assignment<'a> {
    pub(super) file: &'a AbsPath,
    pub(super) line: usize,
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) whole: &'a str,
}

/// The names under which drop-ins for a unit may stand: its own, its
/// template's, those of its dashed prefixes, and its type's.
pub(super) fn names(unit: &str) -> Vec<String> {
    let Some((stem, kind)) = unit.rsplit_once('.') else { return vec![unit.to_owned()] };
    let mut names = vec![unit.to_owned()];
    let prefixes = |stem: &str, names: &mut Vec<String>| {
        let mut rest = stem.trim_end_matches('-');
        while let Some(at) = rest.rfind('-') {
            names.push(format!("{}.{kind}", &rest[..=at]));
            rest = rest[..at].trim_end_matches('-');
        }
    };
    match stem.split_once('@') {
        Some((template, instance)) => {
            if !instance.is_empty() {
                names.push(format!("{template}@.{kind}"));
            }
            prefixes(template, &mut names);
        }
        None => prefixes(stem, &mut names),
    }
    names.push(kind.to_owned());
    names
}

/// The unit, or the name that stands for several, that a path is a file or drop-in of.
pub(in crate::resource) fn of_path(path: &AbsPath) -> Option<String> {
    let directory = path.parent()?;
    if UNIT_DIRECTORIES.contains(&directory.as_str()) {
        let name = path.file_name();
        return name.contains('.').then(|| name.to_owned());
    }
    if !UNIT_DIRECTORIES.contains(&directory.parent()?.as_str()) || !path.file_name().ends_with(".conf") {
        return None;
    }
    directory.file_name().strip_suffix(".d").map(str::to_owned)
}

/// Asks for a unit's files and all drop-ins.
pub(in crate::resource) fn ask_unit(queries: &mut Queries, unit: &str) {
    queries.extend(names(unit).into_iter().map(Query::DropIns));
}

/// What overrides the settings of a unit file or drop-in that a step has
/// written; `content` where the state may know it by its digest only.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn unit_file(
    host: &PredictedState,
    unit: &str,
    path: &AbsPath,
    said: Said<'_>,
    content: Option<&[u8]>,
) -> Result<InForce, PlanError> {
    let mut found = InForce::default();
    if let Some(files) = files_of(host, unit, path, content, &mut found)? {
        found.overridden.extend(said_otherwise(&files, path, said));
        super::environment::of_files(host, unit, &files, path, said, &mut found)?;
        if found.overridden.is_empty() && unit.ends_with(".mount") {
            mounted(host, unit, &files, path, &mut found);
        }
    }
    Ok(found)
}

/// Says what is mounted where a file of a mount unit says otherwise.
fn mounted(host: &PredictedState, unit: &str, files: &[ConfigFile], path: &AbsPath, found: &mut InForce) {
    let all: Vec<Assignment<'_>> = files.iter().flat_map(assignments).filter(|said| said.section == "Mount").collect();
    let last = |key: &str| all.iter().rfind(|said| said.key == key);
    let value = |key: &str| last(key).map(|said| said.value.as_str()).unwrap_or_default();
    // What another file says is told of that one.
    if ["What", "Type"].iter().any(|key| last(key).is_some_and(|said| said.file == path)) {
        let target = unit.parse().ok().and_then(|unit| point_of(&unit));
        let target = target.as_ref().map(AbsPath::as_str).unwrap_or_default();
        let (source, kind, options) = (value("What"), value("Type"), value("Options"));
        otherwise(host, &DesiredMount { unit, source, target, kind, options }, found);
    }
}

/// The files of a unit that count for a file of it, in the order in which they
/// are read; none where that file itself is not read, or not known.
pub(super) fn files_of(
    host: &HostState,
    unit: &str,
    path: &AbsPath,
    content: Option<&[u8]>,
    found: &mut InForce,
) -> Result<Option<Vec<ConfigFile>>, PlanError> {
    let mut names = names(unit);
    if let Some(real) = real_name(host, unit) {
        names.splice(1..1, self::names(real.as_str()));
        let asked = |name: &String| host.asked(&Query::DropIns(name.clone()));
        found.follow_up_queries.extend(names.iter().filter(|name| !asked(name)).cloned().map(Query::DropIns));
        names.retain(asked);
    }
    let directories: Vec<AbsPath> = names.iter().flat_map(|name| drop_in_directories(name)).collect();
    // In each directory the more special names come first, but of one name the
    // order of directories decides first.
    let mut files = merged(host, &by_top(&directories), ".conf")?;
    let is_drop_in = path.parent().is_some_and(|parent| parent.file_name().ends_with(".d"));
    if is_drop_in {
        if let Some(by) = hidden_by(&files, path) {
            found.overridden.push(by);
            return Ok(None);
        }
    } else {
        if let Some(by) = higher(path).into_iter().find(|by| stands_at(host, by)) {
            let message = "systemd takes a unit's file from the first directory that has one, and this comes first: \
                           remove it there";
            found.overridden.push(Override::new(&by, None, message));
        }
        let bytes = match (content, host.content(path)) {
            (Some(bytes), _) => bytes,
            (None, Ok(Content::Bytes(bytes))) => bytes,
            _ => return Ok(None),
        };
        files.insert(0, ConfigFile { path: path.clone(), text: String::from_utf8_lossy(bytes).into_owned() });
    }
    Ok(Some(files))
}

/// The drop-ins of a unit in the order in which they are read.
pub(super) fn drop_ins(host: &HostState, unit: &str) -> Result<Vec<ConfigFile>, StateError> {
    let directories: Vec<AbsPath> = names(unit).iter().flat_map(|name| drop_in_directories(name)).collect();
    merged(host, &by_top(&directories), ".conf")
}

/// The unit's own name, where the one that a step gives is an alias.
fn real_name<'a>(host: &'a HostState, unit: &str) -> Option<&'a UnitName> {
    match host.unit(&unit.parse().ok()?) {
        Ok(Known::Is(unit)) => unit.real.as_ref(),
        _ => None,
    }
}

/// What keeps systemd from reading drop-ins by a unit's alias: the links of an
/// alias are there only while the unit is enabled.
pub(in crate::resource) fn alias_without_link(host: &HostState, unit: &UnitName, path: &AbsPath) -> Option<Override> {
    let Ok(Known::Is(found)) = host.unit(unit) else { return None };
    let real = found.real.as_ref().filter(|_| found.load == "not-found")?;
    let message = format!(
        "systemd does not read it: {unit} is an alias of {real} that has no link while {real} is not enabled; \
         say unit = \"{real}\""
    );
    Some(Override::new(path, None, message))
}

/// What keeps systemd from using a unit at all: it could not read its files, or
/// refuses what they say.
pub(in crate::resource) fn unusable(host: &HostState, name: &UnitName) -> Option<Override> {
    let Ok(Known::Is(unit)) = host.unit(name) else { return None };
    let message = match unit.load.as_str() {
        _ if unit.needs_reload => return None,
        "bad-setting" => "systemd refuses to use it (bad-setting): a setting of its files is wrong or one is missing",
        "error" => "systemd cannot load it: its files cannot be read",
        _ => return None,
    };
    Some(Override::new(name, None, format!("{message}; 'systemctl status {name}' there tells which")))
}

/// Where a unit's file would stand before this one.
fn higher(path: &AbsPath) -> Vec<AbsPath> {
    let above = UNIT_DIRECTORIES.iter().take_while(|top| path.parent().is_none_or(|own| own.as_str() != **top));
    // On a host with one /usr, /lib is /usr/lib.
    let other = above.filter(|top| !(path.as_str().starts_with("/lib/") && **top == "/usr/lib/systemd/system"));
    other.filter_map(|top| format!("{top}/{}", path.file_name()).parse().ok()).collect()
}

fn stands_at(host: &HostState, path: &AbsPath) -> bool {
    matches!(host.path(path), Ok(PathState::Present(_)))
}

/// Asks for unit files of the same name in directories that come before.
pub(super) fn ask_higher(queries: &mut Queries, path: &AbsPath) {
    queries.extend(higher(path).into_iter().map(Query::Path));
}

/// What later files say otherwise of what a file, or a line of it, sets.
pub(super) fn said_otherwise(files: &[ConfigFile], path: &AbsPath, said: Said<'_>) -> Vec<Override> {
    let mut found = Vec::new();
    let all: Vec<Assignment<'_>> = files.iter().flat_map(assignments).collect();
    let mut told = BTreeSet::new();
    for (at, own) in all.iter().enumerate().filter(|(_, own)| own.file == path && said.covers(own.whole)) {
        // systemd takes no [Install] from drop-ins.
        if own.section == "Install" {
            continue;
        }
        let after = all[at + 1..].iter().filter(|a| a.section == own.section && a.key == own.key);
        let Some(by) = winner(own, after.collect()) else { continue };
        // What the file itself says later is its own last word.
        if by.file == path || !told.insert((by.file, by.line)) {
            continue;
        }
        let what = if by.value.is_empty() && is_list(&own.key) { "takes away what this says for" } else { "sets" };
        let message = format!(
            "this drop-in is read later and {what} {} in [{}]: remove that line there, or give this step a drop-in \
             whose name sorts after it",
            own.key, own.section
        );
        found.push(Override::new(by.file, Some(by.line), message));
    }
    found
}

/// Directories in the order of what they stand below.
fn by_top(directories: &[AbsPath]) -> Vec<AbsPath> {
    let top = |path: &AbsPath| {
        let parent = path.parent();
        UNIT_DIRECTORIES.iter().position(|top| parent.as_ref().is_some_and(|parent| parent.as_str() == *top))
    };
    let types = |path: &AbsPath| !path.file_name().trim_end_matches(".d").contains('.');
    let mut sorted = directories.to_vec();
    // Those for a whole type are the most general: they come last.
    sorted.sort_by_key(|path| (types(path), top(path)));
    sorted
}

/// The later assignment that takes an assignment's effect away, if one does.
fn winner<'a, 'b>(own: &Assignment<'_>, after: Vec<&'b Assignment<'a>>) -> Option<&'b Assignment<'a>> {
    if !is_list(&own.key) {
        return after.last().copied().filter(|last| last.value != own.value);
    }
    if own.value.is_empty() {
        return None;
    }
    if let Some(reset) = after.iter().rposition(|a| a.value.is_empty()) {
        let again = after[reset..].iter().any(|a| a.value == own.value);
        return if again { None } else { after.get(reset).copied() };
    }
    if own.key == "Environment" {
        let wanted = variables(&own.value);
        let other = |a: &&&Assignment<'_>| {
            let said = variables(&a.value);
            wanted.iter().any(|(name, value)| said.iter().any(|(other, given)| other == name && given != value))
        };
        return after.iter().rev().find(other).copied();
    }
    None
}

fn is_list(key: &str) -> bool {
    let prefixed = LIST_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    LISTS.split_whitespace().any(|list| list == key) || (prefixed && !SINGLE.contains(&key))
}

/// The variables of an `Environment=` line; quotes are taken off roughly: they
/// stand around whole assignments.
pub(super) fn variables(value: &str) -> Vec<(String, String)> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in value.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.iter().filter_map(|word| word.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The assignments of a file as systemd reads it: what it cannot use is left out.
pub(super) fn assignments(file: &ConfigFile) -> Vec<Assignment<'_>> {
    let (mut section, mut found) = (String::new(), Vec::new());
    let mut open: Option<(usize, &str, String)> = None;
    for (number, raw) in file.lines() {
        let trimmed = raw.trim();
        if trimmed.starts_with(['#', ';']) || (trimmed.is_empty() && open.is_none()) {
            continue;
        }
        let (line, first, mut whole) = open.take().unwrap_or((number, raw, String::new()));
        if let Some(start) = raw.strip_suffix('\\') {
            whole.push_str(start);
            whole.push(' ');
            open = Some((line, first, whole));
            continue;
        }
        whole.push_str(raw);
        let text = whole.trim();
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = text.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            found.push(Assignment { file: &file.path, line, section: section.clone(), key, value, whole: first });
        }
    }
    found
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
