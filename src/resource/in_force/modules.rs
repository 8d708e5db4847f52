//! Whether a kernel module can be loaded, as modprobe(8) and
//! systemd-modules-load(8) read modprobe.d(5).
//!
//! All directories together are read in the order of the files' names. Of
//! several `install` lines for a module the first one counts, of several
//! `options` lines the last one of each option; `blacklist` keeps systemd-modules-load from loading it at boot.

use super::{ConfigFile, Said, hidden_by, merged, paths, wildcard};
use crate::observe::{HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;

pub(super) const DIRECTORIES: [&str; 5] =
    ["/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];

/// Asks for the files in all directories.
pub(in crate::resource) fn ask_modules(queries: &mut Queries) {
    queries.extend(paths(&DIRECTORIES).into_iter().map(Query::Fragments));
}

/// What keeps a module from being loaded at boot.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn loadable(host: &HostState, name: &str) -> Result<InForce, PlanError> {
    let files = merged(host, &paths(&DIRECTORIES), ".conf")?;
    let mut found = InForce::default();
    let says = |word| lines(&files, word, name).next();
    if let Some((file, line, command)) = says("install").filter(|(_, _, command)| !loads(command)) {
        let message = format!("it runs '{command}' in place of loading {name}: remove that line there");
        found.overridden.push(Override::new(&file.path, Some(line), message));
    }
    if let Some((file, line, _)) = says("blacklist") {
        let message = format!("it keeps systemd from loading {name} at boot: remove that line there");
        found.overridden.push(Override::new(&file.path, Some(line), message));
    }
    Ok(found)
}

/// What lets a module be loaded that shall be blocked.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn blocked(host: &HostState, name: &str) -> Result<InForce, PlanError> {
    let files = merged(host, &paths(&DIRECTORIES), ".conf")?;
    let mut found = InForce::default();
    let first = lines(&files, "install", name).next();
    if let Some((file, line, command)) = first.filter(|(_, _, command)| !refuses(command)) {
        let message = format!(
            "it is read first and runs '{command}' whenever {name} is asked for, so the module is not blocked: \
             remove that line there"
        );
        found.overridden.push(Override::new(&file.path, Some(line), message));
    }
    Ok(found)
}

/// What overrides the lines with `install` and `options` that a file, or a line of it, has.
pub(super) fn file(host: &HostState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let files = merged(host, &paths(&DIRECTORIES), ".conf")?;
    let mut found = InForce::default();
    if let Some(by) = hidden_by(&files, path) {
        found.overridden.push(by);
        return Ok(found);
    }
    let Some(own) = files.iter().find(|file| file.path == *path) else { return Ok(found) };
    for (_, line) in own.lines().filter(|(_, line)| said.covers(line)) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["options", name, options @ ..] = words.as_slice() {
            found.overridden.extend(set_otherwise(&files, path, &name.replace('-', "_"), options));
        }
        let ["install", name, command @ ..] = words.as_slice() else { continue };
        let name = name.replace('-', "_");
        let first = lines(&files, "install", &name).next();
        if let Some((by, number, other)) =
            first.filter(|(by, _, other)| by.path != *path && *other != command.join(" "))
        {
            let message =
                format!("modprobe takes the first line for {name}, and this one runs '{other}': remove it there");
            found.overridden.push(Override::new(&by.path, Some(number), message));
        }
    }
    Ok(found)
}

/// The lines that set options of a module otherwise: modprobe(8) gives it those
/// of all lines in their order, and the module takes the last one.
fn set_otherwise(files: &[ConfigFile], path: &AbsPath, name: &str, options: &[&str]) -> Vec<Override> {
    let mut found = Vec::new();
    for option in options {
        let key = option.split('=').next().unwrap_or_default();
        let sets = |other: &str| other.split('=').next() == Some(key);
        let last = lines(files, "options", name)
            .filter_map(|(by, line, all)| Some((by, line, all.split(' ').rfind(|other| sets(other))?.to_owned())))
            .last();
        if let Some((by, line, other)) = last.filter(|(by, _, other)| by.path != *path && other != option) {
            let message = format!("it is read later and gives {name} the option {other}: remove it there");
            found.push(Override::new(&by.path, Some(line), message));
        }
    }
    found
}

/// Lines of a word that speak of a module: the file, the number and the rest of the line.
fn lines<'a>(
    files: &'a [ConfigFile],
    word: &'static str,
    name: &'a str,
) -> impl Iterator<Item = (&'a ConfigFile, usize, String)> {
    let of_file = move |file: &'a ConfigFile| {
        file.lines().filter_map(move |(number, line)| {
            let mut words = line.split_whitespace();
            if words.next()? != word || !wildcard(&words.next()?.replace('-', "_"), name) {
                return None;
            }
            Some((file, number, words.collect::<Vec<_>>().join(" ")))
        })
    };
    files.iter().flat_map(of_file)
}

/// Whether an install command fails without doing anything.
fn refuses(command: &str) -> bool {
    ["/bin/false", "/usr/bin/false", "/bin/true", "/usr/bin/true", "false", "true"].contains(&command)
}

/// Whether an install command loads the module too, beside what else it does.
fn loads(command: &str) -> bool {
    command.contains("--ignore-install") || command.contains("modprobe -i") || command.contains("insmod")
}
