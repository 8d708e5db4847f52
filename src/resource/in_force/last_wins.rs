//! Directories of fragments that are read in the order of their names, where
//! the last value of a key counts: limits.d (limits.conf(5)) and apt.conf.d
//! (apt.conf(5)).

use super::{ConfigFile, Said};
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;

/// The keys that a line sets, and the value.
type Statement = (Vec<String>, String);

/// How such a configuration is read.
pub(super) struct Format {
    directory: &'static str,
    /// The main file, and whether it is read after the directory.
    main: &'static str,
    main_is_last: bool,
    /// Whether a file of this name in the directory is read.
    reads: fn(&str) -> bool,
    statement: fn(&str) -> Option<Statement>,
}

pub(super) static LIMITS: Format = Format {
    directory: "/etc/security/limits.d",
    main: "/etc/security/limits.conf",
    main_is_last: false,
    reads: |name| name.ends_with(".conf"),
    statement: limit,
};

pub(super) static APT: Format = Format {
    directory: "/etc/apt/apt.conf.d",
    main: "/etc/apt/apt.conf",
    main_is_last: true,
    reads: |name| !name.contains('.') || name.ends_with(".conf"),
    statement: apt_setting,
};

impl Format {
    /// Whether a path is one of its files.
    pub(super) fn has(&self, path: &AbsPath) -> bool {
        path.as_str() == self.main || path.parent().is_some_and(|parent| parent.as_str() == self.directory)
    }

    pub(super) fn ask(&self, queries: &mut Queries) {
        queries.extend(self.main.parse().ok().map(Query::Content));
        queries.extend(self.directory.parse().ok().map(Query::Fragments));
    }

    fn files(&self, host: &HostState) -> Result<Vec<ConfigFile>, PlanError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut files = Vec::new();
        if let Ok(directory) = self.directory.parse::<AbsPath>() {
            for (name, bytes) in host.fragments(&directory)? {
                if let (true, Some(bytes), Ok(path)) = ((self.reads)(&name), bytes, directory.join(&name)) {
                    files.push(ConfigFile { path, text: text(bytes) });
                }
            }
        }
        if let Ok(path) = self.main.parse::<AbsPath>()
            && let Content::Bytes(bytes) = host.content(&path)?
        {
            let at = if self.main_is_last { files.len() } else { 0 };
            files.insert(at, ConfigFile { path, text: text(bytes) });
        }
        Ok(files)
    }

    /// What overrides the values that a file, or a line of it, sets.
    pub(super) fn file(&self, host: &HostState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
        let files = self.files(host)?;
        let mut found = InForce::default();
        let Some(at) = files.iter().position(|file| file.path == *path) else { return Ok(found) };
        for (number, line) in files[at].lines().filter(|(_, line)| said.covers(line)) {
            let Some((keys, value)) = (self.statement)(line) else { continue };
            for key in keys {
                let statements = files[at..].iter().flat_map(|file| file.lines().map(move |line| (file, line)));
                let last = statements
                    .filter_map(|(file, (number, line))| Some((file, number, (self.statement)(line)?)))
                    .filter(|(_, _, (keys, _))| keys.contains(&key))
                    .last();
                let Some((file, by, (_, other))) = last else { continue };
                // What the file itself says later is its own last word.
                if other != value && (file.path != *path || by < number) {
                    let message = format!(
                        "it is read later and sets {key} to {other}: remove that line there, or say the same here"
                    );
                    let by = Override::new(&file.path, Some(by), message);
                    if !found.overridden.contains(&by) {
                        found.overridden.push(by);
                    }
                }
            }
        }
        Ok(found)
    }
}

/// `domain type item value`; the type `-` means both.
fn limit(line: &str) -> Option<Statement> {
    let words: Vec<&str> = line.split('#').next()?.split_whitespace().collect();
    let [domain, kind, item, value] = words[..] else { return None };
    let kinds = if kind == "-" { vec!["soft", "hard"] } else { vec![kind] };
    Some((kinds.iter().map(|kind| format!("{domain} {kind} {item}")).collect(), value.to_owned()))
}

/// `Name::Of::Setting "value";` on one line; lists and blocks are left out.
fn apt_setting(line: &str) -> Option<Statement> {
    let (name, rest) = line.trim().split_once(char::is_whitespace)?;
    let value = match rest.trim_start().strip_prefix('"') {
        Some(quoted) => quoted.split_once("\";")?.0,
        None => rest.split_once(';')?.0.trim(),
    };
    let plain = name.contains("::") && !name.ends_with("::") && !name.starts_with(['#', '/']);
    plain.then(|| (vec![name.to_ascii_lowercase()], value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_their_readers_do() {
        let both = Some((vec!["* soft nofile".to_owned(), "* hard nofile".to_owned()], "4096".to_owned()));
        assert_eq!(limit("*  -  nofile 4096 # x"), both);
        assert_eq!(limit("# * - nofile 1"), None);
        let periodic = Some((vec!["apt::periodic::enable".to_owned()], "1".to_owned()));
        assert_eq!(apt_setting("APT::Periodic::Enable \"1\"; // x"), periodic);
        assert_eq!(apt_setting("Unattended-Upgrade::Origins-Pattern:: \"x\";"), None);
        assert_eq!(apt_setting("APT::Periodic {"), None);
        assert_eq!(apt_setting("// APT::Periodic::Enable \"1\";"), None);
        let proxy = Some((vec!["acquire::http::proxy".to_owned()], "http://proxy:80".to_owned()));
        assert_eq!(apt_setting("Acquire::http::Proxy \"http://proxy:80\";"), proxy);
    }
}
