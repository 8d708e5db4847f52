//! Whether what a step writes is in force, or something else on the host wins.
//!
//! Most configuration is read from several directories and merged: by the
//! order of names, by the order of directories, first or last value wins. Each
//! module here follows the reader of one kind of file and names the file and
//! the line that win. What cannot be known overrides nothing.

mod apt_conf;
mod boot_order;
mod cloud;
mod directives;
mod environment;
mod fstab;
mod login;
mod logrotate;
mod modules;
mod mounted;
mod ordered;
mod ssh_client;
mod sshd;
mod sshd_match;
mod sshd_option;
mod sudo;
mod sudo_rules;
mod sysctl;
mod systemd_conf;
mod tmpfiles;
mod units;

pub(super) use cloud::{ask_cloud, hostname};
pub(super) use environment::environment;
pub(super) use login::{Keys, ask_login, keys_let_in, shell_note};
pub(super) use modules::{ask_modules, blocked, loadable};
use sshd::ask_sshd;
pub(super) use sshd::{CUMULATIVE as KEYWORDS_OF_SEVERAL_LINES, meaning as meaning_in_sshd, same as same_in_sshd};
pub(super) use sshd_match::Client;
pub(super) use sshd_option::{against, blocks_against, written};
pub(super) use sudo::{Right, ask_sudo, user_right};
pub(super) use sysctl::{ask_sysctl, is_value, last_value, parameter, persisted_by};
pub(super) use tmpfiles::{Thing, ask_boot, at_boot};
pub(super) use units::{alias_without_link, ask_unit, of_path as unit_of, unit_file, unusable};

use crate::observe::{HostState, PathState, PredictedState, Queries, Query, StateError};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;

/// A file of a merged configuration.
#[derive(Debug)]
struct ConfigFile {
    path: AbsPath,
    text: String,
}

impl ConfigFile {
    /// The lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// What one step says in a file: all of the file, or one line of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said<'a> {
    /// The whole file is the step's.
    File,
    /// The step answers for lines equal to this one, blanks aside.
    Line(&'a str),
    /// The step answers for lines equal to one of these, blanks aside.
    Lines(&'a [String]),
    /// The step answers for lines that give this key this value, whatever separates them.
    Setting(&'a str, &'a str),
    /// The step answers for the lines of these numbers, from 1.
    Numbers(&'a [usize]),
}

impl Said<'_> {
    pub(super) fn covers(self, line: &str) -> bool {
        match self {
            Said::Numbers(_) => false,
            Said::File => true,
            Said::Line(own) => own.split_whitespace().eq(line.split_whitespace()),
            Said::Lines(own) => own.iter().any(|own| own.split_whitespace().eq(line.split_whitespace())),
            Said::Setting(key, value) => line.trim().strip_prefix(key).is_some_and(|rest| {
                rest.trim_start_matches([' ', '\t', '=', ':']).split_whitespace().eq(value.split_whitespace())
            }),
        }
    }
}

impl Said<'_> {
    /// The numbers, from 1, of the lines of a text that the step answers for: of
    /// several lines those that stand together in their order, wherever there are such.
    fn numbers(self, text: &str) -> std::collections::BTreeSet<usize> {
        let lines: Vec<&str> = text.lines().collect();
        let run = match self {
            Said::Lines(own) if !own.is_empty() => lines
                .windows(own.len())
                .position(|run| own.iter().zip(run).all(|(own, line)| Said::Line(own).covers(line))),
            _ => None,
        };
        match (run, self) {
            (Some(at), Said::Lines(own)) => (at + 1..=at + own.len()).collect(),
            (_, Said::Numbers(own)) => own.iter().copied().collect(),
            _ => (1..).zip(lines).filter(|(_, line)| self.covers(line)).map(|(number, _)| number).collect(),
        }
    }
}

/// Asks what [`text`] needs to know of a file that a step writes or edits.
pub(super) fn ask(queries: &mut Queries, path: &AbsPath) {
    match Reader::of(path) {
        Some(Reader::Sysctl) => ask_sysctl(queries),
        Some(Reader::Sshd) => ask_sshd(queries),
        Some(Reader::Ssh) => ssh_client::ask(queries),
        Some(Reader::Sudo) => ask_sudo(queries),
        Some(Reader::Unit(unit)) => {
            ask_unit(queries, &unit);
            units::ask_higher(queries, path);
        }
        Some(Reader::Systemd(name)) => systemd_conf::ask(queries, &name),
        Some(Reader::Modprobe) => ask_modules(queries),
        Some(Reader::Fstab) => fstab::ask(queries),
        Some(Reader::Tmpfiles) => tmpfiles::ask(queries),
        Some(Reader::Logrotate) => logrotate::ask(queries),
        Some(Reader::Ordered(format, base)) => format.ask(&base, queries),
        None => return,
    }
    queries.ask(Query::Content(path.clone()));
}

/// Asks for the live values of what a text sets that a step writes to a file.
pub(super) fn ask_live(queries: &mut Queries, path: &AbsPath, text: &str) {
    if matches!(Reader::of(path), Some(Reader::Sysctl)) {
        sysctl::ask_live(queries, text);
    }
}

/// What overrides a file, or a line of it, that a step has written; nothing
/// where there is no such file, as for a step that is skipped without it.
///
/// # Errors
/// The state cannot tell.
pub(super) fn text(host: &PredictedState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    if matches!(host.path(path), Ok(PathState::Absent)) {
        return Ok(InForce::default());
    }
    match Reader::of(path) {
        Some(Reader::Sysctl) => sysctl::file(host, path, said),
        Some(Reader::Sshd) => sshd::file(host, path, said),
        Some(Reader::Ssh) => ssh_client::file(host, path, said),
        Some(Reader::Sudo) => sudo::file(host, path, said),
        Some(Reader::Unit(unit)) => unit_file(host, &unit, path, said, None),
        Some(Reader::Systemd(name)) => systemd_conf::file(host, &name, path, said),
        Some(Reader::Modprobe) => modules::file(host, path, said),
        Some(Reader::Fstab) => fstab::file(host, path, said),
        Some(Reader::Tmpfiles) => tmpfiles::file(host, path, said),
        Some(Reader::Logrotate) => logrotate::file(host, path, said),
        Some(Reader::Ordered(format, base)) => format.file(host, &base, path, said),
        None => Ok(InForce::default()),
    }
}

/// Whether a path is that of a unit's drop-in.
pub(super) fn is_drop_in(path: &AbsPath) -> bool {
    let in_d = path.parent().is_some_and(|parent| parent.file_name().ends_with(".d"));
    in_d && units::of_path(path).is_some()
}

/// Who reads a file.
enum Reader {
    Sysctl,
    Sshd,
    /// The client.
    Ssh,
    Sudo,
    /// systemd, for the unit, or all units, of this name.
    Unit(String),
    /// A daemon or tool of systemd, by the name of its main file.
    Systemd(String),
    Modprobe,
    /// systemd's generator of mount units.
    Fstab,
    Tmpfiles,
    Logrotate,
    /// One after the other; and the directory that they stand in where there are several.
    Ordered(&'static ordered::Format, String),
}

impl Reader {
    fn of(path: &AbsPath) -> Option<Reader> {
        let directory = path.parent()?;
        if sysctl::DIRECTORIES.contains(&directory.as_str()) || path.as_str() == sysctl::MAIN {
            return Some(Reader::Sysctl);
        }
        if path.as_str() == sshd::MAIN || directory.as_str() == sshd::FRAGMENTS {
            return Some(Reader::Sshd);
        }
        if path.as_str() == ssh_client::MAIN || directory.as_str() == ssh_client::FRAGMENTS {
            return Some(Reader::Ssh);
        }
        if path.as_str() == sudo::MAIN || directory.as_str() == sudo::FRAGMENTS {
            return Some(Reader::Sudo);
        }
        let ordered = |format: &'static ordered::Format| Some(Reader::Ordered(format, format.base_of(path)?));
        if let Some(reader) = ordered::FORMATS.iter().find_map(ordered) {
            return Some(reader);
        }
        if path.as_str() == logrotate::MAIN || directory.as_str() == logrotate::FRAGMENTS {
            return Some(Reader::Logrotate);
        }
        if path.as_str() == fstab::MAIN {
            return Some(Reader::Fstab);
        }
        if modules::DIRECTORIES.contains(&directory.as_str()) {
            return Some(Reader::Modprobe);
        }
        if tmpfiles::DIRECTORIES.contains(&directory.as_str()) {
            return Some(Reader::Tmpfiles);
        }
        systemd_conf::of_path(path).map(Reader::Systemd).or_else(|| units::of_path(path).map(Reader::Unit))
    }
}

/// The files of several directories in the order in which they are read: by
/// name, whatever the directory; of one name only the one in the directory
/// that stands first, and none if that one is masked.
fn merged(host: &HostState, directories: &[AbsPath], suffix: &str) -> Result<Vec<ConfigFile>, StateError> {
    let mut files = std::collections::BTreeMap::new();
    for directory in directories {
        for (name, bytes) in host.fragments(directory)? {
            if !name.ends_with(suffix) || files.contains_key(&name) {
                continue;
            }
            let Ok(path) = directory.join(&name) else { continue };
            files.insert(name, bytes.map(|bytes| (path, String::from_utf8_lossy(bytes).into_owned())));
        }
    }
    Ok(files.into_values().flatten().map(|(path, text)| ConfigFile { path, text }).collect())
}

/// The directories of these paths.
fn paths(directories: &[&str]) -> Vec<AbsPath> {
    directories.iter().filter_map(|path| path.parse().ok()).collect()
}

/// The file of this name that is read in place of `path`, if another one is.
fn hidden_by(files: &[ConfigFile], path: &AbsPath) -> Option<Override> {
    let read = files.iter().find(|file| file.path.file_name() == path.file_name())?;
    let message = "it has the same name in a directory that comes first, so this file is not read: remove one";
    (read.path != *path).then(|| Override::new(&read.path, None, message))
}

/// Whether a text matches a pattern of `*` and `?`.
pub(super) fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some('?') => (p, t) = (p + 1, t + 1),
            Some(c) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}
