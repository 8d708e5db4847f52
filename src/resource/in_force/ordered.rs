//! Files that are read one after the other, where one value of a key counts:
//! the first one in preferences.d (apt_preferences(5)), the last one in all others,
//! such as limits.d (limits.conf(5)), apt.conf.d (apt.conf(5)) and the environment
//! of logins (pam_env(8), /etc/profile).

use super::{ConfigFile, Said};
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;

/// What a line sets: its number, the keys, and the value.
type Statement = (usize, Vec<String>, String);
/// The same without the number.
type Setting = (Vec<String>, String);

/// A part of such a configuration, in the order in which they are read.
enum Part {
    File(&'static str),
    /// The files of a directory whose names are read.
    Directory(&'static str, fn(&str) -> bool),
}

use Part::{Directory, File};

/// How such a configuration is read.
pub(super) struct Format {
    parts: &'static [Part],
    statements: fn(&str) -> Vec<Statement>,
    first_wins: bool,
}

pub(super) static FORMATS: [Format; 10] = [
    Format {
        parts: &[File("/etc/security/limits.conf"), Directory("/etc/security/limits.d", conf)],
        statements: |text| by_lines(text, limit),
        first_wins: false,
    },
    Format {
        parts: &[
            Directory("/etc/apt/apt.conf.d", |name| !name.contains('.') || name.ends_with(".conf")),
            File("/etc/apt/apt.conf"),
        ],
        statements: super::apt_conf::statements,
        first_wins: false,
    },
    Format {
        parts: &[
            File("/etc/apt/preferences"),
            Directory("/etc/apt/preferences.d", |name| !name.contains('.') || name.ends_with(".pref")),
        ],
        statements: pins,
        first_wins: true,
    },
    // PAM reads the first two, a login shell the scripts.
    Format {
        parts: &[
            File("/etc/environment"),
            File("/etc/default/locale"),
            Directory("/etc/profile.d", |name| name.ends_with(".sh")),
        ],
        statements: |text| by_lines(text, variable),
        first_wins: false,
    },
    // grub-mkconfig(8): a shell sources them.
    Format {
        parts: &[File("/etc/default/grub"), Directory("/etc/default/grub.d", |name| name.ends_with(".cfg"))],
        statements: |text| by_lines(text, variable),
        first_wins: false,
    },
    // Perl, of which the main file includes the others at its end.
    Format {
        parts: &[File("/etc/needrestart/needrestart.conf"), Directory("/etc/needrestart/conf.d", conf)],
        statements: |text| by_lines(text, perl),
        first_wins: false,
    },
    // jail.conf(5), "CONFIGURATION FILES FORMAT".
    Format {
        parts: &[
            File("/etc/fail2ban/jail.conf"),
            Directory("/etc/fail2ban/jail.d", conf),
            File("/etc/fail2ban/jail.local"),
            Directory("/etc/fail2ban/jail.d", local),
        ],
        statements: sections,
        first_wins: false,
    },
    Format {
        parts: &[
            File("/etc/fail2ban/fail2ban.conf"),
            Directory("/etc/fail2ban/fail2ban.d", conf),
            File("/etc/fail2ban/fail2ban.local"),
            Directory("/etc/fail2ban/fail2ban.d", local),
        ],
        statements: sections,
        first_wins: false,
    },
    // Debian's main files of MariaDB and MySQL include these; a host has one of the last two.
    Format {
        parts: &[
            Directory("/etc/mysql/conf.d", cnf),
            Directory("/etc/mysql/mariadb.conf.d", cnf),
            Directory("/etc/mysql/mysql.conf.d", cnf),
        ],
        statements: options,
        first_wins: false,
    },
    // cloud-init merges them by top-level keys where these are plain values.
    Format {
        parts: &[File("/etc/cloud/cloud.cfg"), Directory("/etc/cloud/cloud.cfg.d", |name| name.ends_with(".cfg"))],
        statements: |text| by_lines(text, plain_key),
        first_wins: false,
    },
];

fn conf(name: &str) -> bool {
    name.ends_with(".conf")
}

fn local(name: &str) -> bool {
    name.ends_with(".local")
}

fn cnf(name: &str) -> bool {
    name.ends_with(".cnf")
}

impl Format {
    /// Whether a path is one of its files.
    pub(super) fn has(&self, path: &AbsPath) -> bool {
        self.parts.iter().any(|part| match part {
            File(file) => path.as_str() == *file,
            Directory(directory, _) => path.parent().is_some_and(|parent| parent.as_str() == *directory),
        })
    }

    pub(super) fn ask(&self, queries: &mut Queries) {
        queries.extend(self.parts.iter().filter_map(|part| match part {
            File(file) => file.parse().ok().map(Query::Content),
            Directory(directory, _) => directory.parse().ok().map(Query::Fragments),
        }));
    }

    fn files(&self, host: &HostState) -> Result<Vec<ConfigFile>, PlanError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut files = Vec::new();
        for part in self.parts {
            let (File(place) | Directory(place, _)) = part;
            let Ok(place) = place.parse::<AbsPath>() else { continue };
            match part {
                File(_) => {
                    if let Content::Bytes(bytes) = host.content(&place)? {
                        files.push(ConfigFile { text: text(bytes), path: place });
                    }
                }
                Directory(_, reads) => {
                    for (name, bytes) in host.fragments(&place)? {
                        if let (true, Some(bytes), Ok(path)) = (reads(&name), bytes, place.join(&name)) {
                            files.push(ConfigFile { path, text: text(bytes) });
                        }
                    }
                }
            }
        }
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
        let covered = said.numbers(&own.text);
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

/// `$nrconf{key} = value;`
fn perl(line: &str) -> Option<Setting> {
    let (name, value) = line.trim().strip_prefix("$nrconf{")?.split_once('=')?;
    let key = name.trim_end().strip_suffix('}')?.trim_matches(['\'', '"', ' ']);
    let value = value.split_once(';')?.0.trim();
    // What is no plain value is not compared.
    let plain = !value.starts_with(['[', '{', '(']) && !value.contains('$');
    plain.then(|| (vec![format!("$nrconf{{{key}}}")], value.trim_matches(['\'', '"']).to_owned()))
}

/// `key: value` at the left edge, of what is neither a list nor a table.
fn plain_key(line: &str) -> Option<Setting> {
    let (key, value) = line.split_once(": ")?;
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let value = value.split(" #").next()?.trim().trim_matches(['"', '\'']);
    (is_key && !value.is_empty() && !value.starts_with(['[', '{', '|', '>', '&', '*']))
        .then(|| (vec![key.to_owned()], value.to_owned()))
}

/// `key = value` below `[section]`. A value may go on in indented lines.
fn sections(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut section = String::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
        } else if !line.starts_with(['#', ';', ' ', '\t'])
            && let Some((key, value)) = line.split_once('=')
        {
            let value = value.split(" ;").next().unwrap_or_default().trim();
            found.push((at + 1, vec![format!("[{section}] {}", key.trim())], value.to_owned()));
        }
    }
    found
}

/// The same as a database server reads it: indented or not, with `-` for `_`, and
/// options without a value.
fn options(text: &str) -> Vec<Statement> {
    // Options of which every line counts.
    const EACH: [&str; 5] =
        ["plugin_load_add", "replicate_do_db", "replicate_ignore_db", "binlog_do_db", "binlog_ignore_db"];
    let mut found = Vec::new();
    let mut section = String::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
        } else if !line.is_empty() && !line.starts_with(['#', ';', '!']) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let key = key.trim().replace('-', "_").to_ascii_lowercase();
            let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            if !EACH.contains(&key.as_str()) {
                found.push((at + 1, vec![format!("[{section}] {key}")], value.to_owned()));
            }
        }
    }
    found
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
        let held = Some((vec!["$nrconf{restart}".to_owned()], "a".to_owned()));
        assert_eq!(perl("$nrconf{restart} = 'a';"), held);
        assert_eq!(perl("$nrconf{'restart'}='a'; # x"), held);
        assert_eq!(perl("#$nrconf{restart} = 'i';"), None);
        assert_eq!(plain_key("preserve_hostname: true # x"), Some((vec!["preserve_hostname".into()], "true".into())));
        assert_eq!(plain_key("users:"), None);
        let one = |key: &str, value: &str| vec![(2, vec![key.to_owned()], value.to_owned())];
        assert_eq!(sections("[sshd]\nmaxretry = 3\n  x = 1\n# y = 2\n"), one("[sshd] maxretry", "3"));
        assert_eq!(options("[mysqld]\n bind-address=127.0.0.1\n#x=1\n"), one("[mysqld] bind_address", "127.0.0.1"));
        let text = "Package: a b\nPin: release  o=X\nPin-Priority: 900\n\n# x: y\nPackage: c\nPin-Priority: 1\n";
        let key = |name: &str| format!("the priority of {name} from 'release o=X'");
        assert_eq!(pins(text), [(3, vec![key("a"), key("b")], "900".to_owned())]);
    }
}
