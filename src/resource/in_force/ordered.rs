//! Files that are read one after the other, where one value of a key counts:
//! the last one in limits.d (limits.conf(5)), apt.conf.d (apt.conf(5)) and the
//! environment of logins (pam_env(8), /etc/profile), the first one in
//! preferences.d (apt_preferences(5)).

use super::{ConfigFile, Said};
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;

/// What a line sets: its number, the keys, and the value.
type Statement = (usize, Vec<String>, String);
/// The same without the number.
type Setting = (Vec<String>, String);

/// How such a configuration is read.
pub(super) struct Format {
    /// The files that are read before the directory.
    before: &'static [&'static str],
    directory: &'static str,
    /// The files that are read after it.
    after: &'static [&'static str],
    /// Whether a file of this name in the directory is read.
    reads: fn(&str) -> bool,
    statements: fn(&str) -> Vec<Statement>,
    first_wins: bool,
}

pub(super) static FORMATS: [Format; 4] = [
    Format {
        before: &["/etc/security/limits.conf"],
        directory: "/etc/security/limits.d",
        after: &[],
        reads: |name| name.ends_with(".conf"),
        statements: |text| by_lines(text, limit),
        first_wins: false,
    },
    Format {
        before: &[],
        directory: "/etc/apt/apt.conf.d",
        after: &["/etc/apt/apt.conf"],
        reads: |name| !name.contains('.') || name.ends_with(".conf"),
        statements: super::apt_conf::statements,
        first_wins: false,
    },
    Format {
        before: &["/etc/apt/preferences"],
        directory: "/etc/apt/preferences.d",
        after: &[],
        reads: |name| !name.contains('.') || name.ends_with(".pref"),
        statements: pins,
        first_wins: true,
    },
    // PAM reads the first two, a login shell the scripts.
    Format {
        before: &["/etc/environment", "/etc/default/locale"],
        directory: "/etc/profile.d",
        after: &[],
        reads: |name| name.ends_with(".sh"),
        statements: |text| by_lines(text, variable),
        first_wins: false,
    },
];

impl Format {
    /// Whether a path is one of its files.
    pub(super) fn has(&self, path: &AbsPath) -> bool {
        self.single().any(|single| path.as_str() == single)
            || path.parent().is_some_and(|parent| parent.as_str() == self.directory)
    }

    fn single(&self) -> impl Iterator<Item = &'static str> {
        self.before.iter().chain(self.after).copied()
    }

    pub(super) fn ask(&self, queries: &mut Queries) {
        queries.extend(self.single().filter_map(|path| path.parse().ok()).map(Query::Content));
        queries.extend(self.directory.parse().ok().map(Query::Fragments));
    }

    fn files(&self, host: &HostState) -> Result<Vec<ConfigFile>, PlanError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let single = |paths: &[&str]| -> Result<Vec<ConfigFile>, PlanError> {
            let mut files = Vec::new();
            for path in paths.iter().filter_map(|path| path.parse::<AbsPath>().ok()) {
                if let Content::Bytes(bytes) = host.content(&path)? {
                    files.push(ConfigFile { text: text(bytes), path });
                }
            }
            Ok(files)
        };
        let mut files = single(self.before)?;
        if let Ok(directory) = self.directory.parse::<AbsPath>() {
            for (name, bytes) in host.fragments(&directory)? {
                if let (true, Some(bytes), Ok(path)) = ((self.reads)(&name), bytes, directory.join(&name)) {
                    files.push(ConfigFile { path, text: text(bytes) });
                }
            }
        }
        files.extend(single(self.after)?);
        Ok(files)
    }

    /// What overrides the values that a file, or a line of it, sets.
    pub(super) fn file(&self, host: &HostState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
        let files = self.files(host)?;
        let mut found = InForce::default();
        let Some(own) = files.iter().find(|file| file.path == *path) else { return Ok(found) };
        let all: Vec<(&ConfigFile, Statement)> = files
            .iter()
            .flat_map(|file| (self.statements)(&file.text).into_iter().map(move |one| (file, one)))
            .collect();
        let covered: Vec<usize> = own.lines().filter(|(_, line)| said.covers(line)).map(|(number, _)| number).collect();
        for (_, (_, keys, value)) in all.iter().filter(|(file, one)| file.path == *path && covered.contains(&one.0)) {
            for key in keys {
                let mut same = all.iter().filter(|(_, (_, keys, _))| keys.contains(key));
                let counts = if self.first_wins { same.next() } else { same.next_back() };
                let Some((file, (by, _, other))) = counts else { continue };
                // Another line of the file itself is its own word.
                if other == value || file.path == *path {
                    continue;
                }
                let (when, key) = (if self.first_wins { "first" } else { "later" }, key.as_str());
                let message = format!(
                    "it is read {when} and sets {key} to {other}: remove that line there, or say the same here"
                );
                let by = Override::new(&file.path, Some(*by), message);
                if !found.overridden.contains(&by) {
                    found.overridden.push(by);
                }
            }
        }
        Ok(found)
    }
}

fn by_lines(text: &str, statement: fn(&str) -> Option<Setting>) -> Vec<Statement> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(at, line)| statement(line).map(|(keys, value)| (at + 1, keys, value))).collect()
}

/// `domain type item value`; the type `-` means both.
fn limit(line: &str) -> Option<Setting> {
    let words: Vec<&str> = line.split('#').next()?.split_whitespace().collect();
    let [domain, kind, item, value] = words[..] else { return None };
    let kinds = if kind == "-" { vec!["soft", "hard"] } else { vec![kind] };
    Some((kinds.iter().map(|kind| format!("{domain} {kind} {item}")).collect(), value.to_owned()))
}

/// `NAME=value` or `export NAME=value`. What is indented may be conditional, and
/// what a shell makes of `$` is not known.
fn variable(line: &str) -> Option<Setting> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let value = match value.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'']).next()?,
        None => value.split([' ', '\t', ';', '#']).next()?,
    };
    (is_name && !value.contains(['$', '`', '\\'])).then(|| (vec![name.to_owned()], value.to_owned()))
}

/// The records of apt_preferences(5), by each package and what is pinned of it.
fn pins(text: &str) -> Vec<Statement> {
    let mut pins = Vec::new();
    let (mut packages, mut pin) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            (packages, pin) = (Vec::new(), None);
        }
        let Some((field, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) else { continue };
        let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
        match field.to_ascii_lowercase().as_str() {
            "package" => packages = words,
            "pin" => pin = Some(words.join(" ")),
            "pin-priority" => {
                if let Some(pin) = &pin {
                    let keys = packages.iter().map(|package| format!("the priority of {package} from '{pin}'"));
                    pins.push((at + 1, keys.collect(), words.join(" ")));
                }
            }
            _ => {}
        }
    }
    pins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_their_readers_do() {
        let both = Some((vec!["* soft nofile".to_owned(), "* hard nofile".to_owned()], "4096".to_owned()));
        assert_eq!(limit("*  -  nofile 4096 # x"), both);
        assert_eq!(limit("# * - nofile 1"), None);
        let plain = Some((vec!["LANG".to_owned()], "C.UTF-8".to_owned()));
        for line in ["LANG=C.UTF-8", "export LANG=\"C.UTF-8\"", "LANG='C.UTF-8'; export LANG"] {
            assert_eq!(variable(line), plain, "{line}");
        }
        for line in ["  LANG=C", "PATH=$PATH:/x", "# LANG=C", "if [ a = b ]"] {
            assert_eq!(variable(line), None, "{line}");
        }
        let text = "Package: a b\nPin: release  o=X\nPin-Priority: 900\n\n# x: y\nPackage: c\nPin-Priority: 1\n";
        let key = |name: &str| format!("the priority of {name} from 'release o=X'");
        assert_eq!(pins(text), [(3, vec![key("a"), key("b")], "900".to_owned())]);
    }
}
