//! Files that are read one after the other, where one value of a key counts:
//! the first one in preferences.d (apt_preferences(5)), the last one in all others,
//! such as limits.d (limits.conf(5)), apt.conf.d (apt.conf(5)) and the environment
//! of logins (pam_env(8), /etc/profile).

use super::directives::{chrony, limit, options, perl, php, pins, plain_key, pwquality, sections, variable};
use super::{ConfigFile, Said, wildcard};
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;

/// What a line sets: its number, the keys, and the value.
pub(super) type Statement = (usize, Vec<String>, String);
/// The same without the number.
pub(super) type Setting = (Vec<String>, String);

/// A part of such a configuration, in the order in which they are read.
enum Part {
    File(&'static str),
    /// The files of a directory whose names are read.
    Directory(&'static str, fn(&str) -> bool),
    /// A file up to the line that begins with these words and has others read there.
    Before(&'static str, &'static str),
    /// The rest of that file.
    After(&'static str, &'static str),
}

use Part::{After, Before, Directory, File};

/// How such a configuration is read.
pub(super) struct Format {
    /// The directory that the parts stand in, where there are several; `*` stands for any name.
    base: &'static str,
    parts: &'static [Part],
    statements: fn(&str) -> Vec<Statement>,
    first_wins: bool,
}

pub(super) static FORMATS: [Format; 14] = [
    Format {
        base: "",
        parts: &[File("/etc/security/limits.conf"), Directory("/etc/security/limits.d", conf)],
        statements: |text| by_lines(text, limit),
        first_wins: false,
    },
    Format {
        base: "",
        parts: &[
            Directory("/etc/apt/apt.conf.d", |name| !name.contains('.') || name.ends_with(".conf")),
            File("/etc/apt/apt.conf"),
        ],
        statements: super::apt_conf::statements,
        first_wins: false,
    },
    Format {
        base: "",
        parts: &[
            File("/etc/apt/preferences"),
            Directory("/etc/apt/preferences.d", |name| !name.contains('.') || name.ends_with(".pref")),
        ],
        statements: pins,
        first_wins: true,
    },
    // PAM reads the first two, a login shell the scripts.
    Format {
        base: "",
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
        base: "",
        parts: &[File("/etc/default/grub"), Directory("/etc/default/grub.d", |name| name.ends_with(".cfg"))],
        statements: |text| by_lines(text, variable),
        first_wins: false,
    },
    // Perl, of which the main file includes the others at its end.
    Format {
        base: "",
        parts: &[File("/etc/needrestart/needrestart.conf"), Directory("/etc/needrestart/conf.d", conf)],
        statements: |text| by_lines(text, perl),
        first_wins: false,
    },
    // jail.conf(5), "CONFIGURATION FILES FORMAT".
    Format {
        base: "",
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
        base: "",
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
        base: "",
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
        base: "",
        parts: &[File("/etc/cloud/cloud.cfg"), Directory("/etc/cloud/cloud.cfg.d", |name| name.ends_with(".cfg"))],
        statements: |text| by_lines(text, plain_key),
        first_wins: false,
    },
    // pwquality.conf(5); the main file is read last (pwquality_read_config).
    Format {
        base: "",
        parts: &[Directory("/etc/security/pwquality.conf.d", conf), File("/etc/security/pwquality.conf")],
        statements: |text| by_lines(text, pwquality),
        first_wins: false,
    },
    // chrony.conf(5), confdir: what stands below that line in Debian's main file is read after the directory.
    Format {
        base: "",
        parts: &[
            Before("/etc/chrony/chrony.conf", CHRONY_DIRECTORY),
            Directory("/etc/chrony/conf.d", conf),
            After("/etc/chrony/chrony.conf", CHRONY_DIRECTORY),
        ],
        statements: |text| by_lines(text, chrony),
        first_wins: false,
    },
    // PHP_INI_SCAN_DIR of Debian's packages, for each version and way of running it.
    Format {
        base: "/etc/php/*/*",
        parts: &[File("/php.ini"), Directory("/conf.d", |name| name.ends_with(".ini"))],
        statements: php,
        first_wins: false,
    },
    // The main file of PHP-FPM includes these at its end.
    Format {
        base: "/etc/php/*/fpm",
        parts: &[File("/php-fpm.conf"), Directory("/pool.d", conf)],
        statements: sections,
        first_wins: false,
    },
];

const CHRONY_DIRECTORY: &str = "confdir /etc/chrony/conf.d";

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
    /// The directory that the parts stand in for which a path is one of the
    /// files; none where it is none of them.
    pub(super) fn base_of(&self, path: &AbsPath) -> Option<String> {
        let end = path.as_str().match_indices('/').map(|(at, _)| at).nth(self.base.matches('/').count())?;
        let (base, rest) = path.as_str().split_at(if self.base.is_empty() { 0 } else { end });
        let is_part = self.parts.iter().any(|part| match part {
            File(file) | Before(file, _) | After(file, _) => rest == *file,
            Directory(directory, _) => rest.rsplit_once('/').is_some_and(|(parent, _)| parent == *directory),
        });
        (is_part && wildcard(self.base, base)).then(|| base.to_owned())
    }

    pub(super) fn ask(&self, base: &str, queries: &mut Queries) {
        queries.extend(self.parts.iter().filter_map(|part| match part {
            File(file) | Before(file, _) | After(file, _) => format!("{base}{file}").parse().ok().map(Query::Content),
            Directory(directory, _) => format!("{base}{directory}").parse().ok().map(Query::Fragments),
        }));
    }

    fn files(&self, host: &HostState, base: &str) -> Result<Vec<ConfigFile>, PlanError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut files = Vec::new();
        for part in self.parts {
            let (File(place) | Directory(place, _) | Before(place, _) | After(place, _)) = part;
            let Ok(place) = format!("{base}{place}").parse::<AbsPath>() else { continue };
            let content = || match host.content(&place)? {
                Content::Bytes(bytes) => Ok::<_, PlanError>(Some(text(bytes))),
                Content::Absent | Content::Digest(_) | Content::AfterApply => Ok(None),
            };
            match part {
                File(_) => files.extend(content()?.map(|text| ConfigFile { path: place.clone(), text })),
                Before(_, words) | After(_, words) => {
                    let is_before = matches!(part, Before(..));
                    let text = content()?.map(|text| half(&text, words, is_before));
                    files.extend(text.map(|text| ConfigFile { path: place.clone(), text }));
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

    /// The main file, where it does not have the others read.
    fn not_included(&self, files: &[ConfigFile], path: &AbsPath) -> Option<Override> {
        let (main, words) = self.parts.iter().find_map(|part| match part {
            Before(main, words) => Some((*main, *words)),
            File(_) | Directory(..) | After(..) => None,
        })?;
        let file = files.iter().find(|file| file.path.as_str() == main && file.path != *path)?;
        let message = format!("it has no line '{words}', so this file is not read: add it there");
        let is_in = file.text.lines().any(|line| begins_with(line, words));
        (!is_in).then(|| Override::new(&file.path, None, message))
    }

    /// What overrides the values that a file, or a line of it, sets.
    pub(super) fn file(
        &self,
        host: &HostState,
        base: &str,
        path: &AbsPath,
        said: Said<'_>,
    ) -> Result<InForce, PlanError> {
        let files = self.files(host, base)?;
        let mut found = InForce::default();
        let halves: Vec<&str> = files.iter().filter(|file| file.path == *path).map(|file| file.text.as_str()).collect();
        if halves.is_empty() {
            return Ok(found);
        }
        if let Some(by) = self.not_included(&files, path) {
            found.overridden.push(by);
            return Ok(found);
        }
        let all: Vec<(&ConfigFile, Statement)> = files
            .iter()
            .flat_map(|file| (self.statements)(&file.text).into_iter().map(move |one| (file, one)))
            .collect();
        let covered = said.numbers(&whole(&halves));
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

/// Whether a line begins with these words, blanks aside.
fn begins_with(line: &str, words: &str) -> bool {
    let mut of_line = line.split_whitespace();
    words.split_whitespace().all(|word| of_line.next() == Some(word))
}

/// The lines of a text before the one that begins with these words, or those
/// behind it; the others are empty, so that each keeps its number.
fn half(text: &str, words: &str, before: bool) -> String {
    let at = text.lines().position(|line| begins_with(line, words)).unwrap_or(usize::MAX);
    // The line itself says where the others are read and nothing else.
    let kept = |(number, line)| if (number <= at) == before { line } else { "" };
    text.lines().enumerate().map(kept).collect::<Vec<_>>().join("\n")
}

/// The text whose halves these are.
fn whole(halves: &[&str]) -> String {
    let Some((first, others)) = halves.split_first() else { return String::new() };
    let other = |at: usize| others.iter().find_map(|half| half.lines().nth(at).filter(|line| !line.is_empty()));
    let line = |(at, line)| other(at).unwrap_or(line);
    first.lines().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

fn by_lines(text: &str, statement: fn(&str) -> Option<Setting>) -> Vec<Statement> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(at, line)| statement(line).map(|(keys, value)| (at + 1, keys, value))).collect()
}
