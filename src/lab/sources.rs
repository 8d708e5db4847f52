//! Finds this machine's own mirror for a suite, so that a base is built from
//! where the machine is known to reach.
//!
//! Reads the one-line and the deb822 form of sources.list(5). Only the address
//! is taken: keys are mmdebstrap's business.

use std::fs;
use std::path::Path;

/// The first http or https mirror that the apt sources under `etc_apt`
/// (normally `/etc/apt`) name for exactly `suite`, or `None`.
pub(crate) fn mirror(etc_apt: &Path, suite: &str) -> Option<String> {
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc_apt.join("sources.list.d")) {
        let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        found.sort();
        files.extend(found);
    }
    files.iter().find_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        match file.extension()?.to_str()? {
            "list" => in_lines(&text, suite),
            "sources" => in_deb822(&text, suite),
            _ => None,
        }
    })
}

fn usable(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}

/// The one-line form: `deb [options] uri suite components…`.
fn in_lines(text: &str, suite: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next()?.trim();
        let mut rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
        if rest.starts_with('[') {
            rest = rest.split_once(']')?.1.trim_start();
        }
        let mut words = rest.split_whitespace();
        let (uri, found) = (words.next()?, words.next()?);
        (found == suite && usable(uri)).then(|| uri.to_owned())
    })
}

/// The deb822 form: stanzas of `Field: value`, continued by leading blanks.
fn in_deb822(text: &str, suite: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).find_map(|stanza| {
        if field(stanza, "Enabled").iter().any(|value| value.eq_ignore_ascii_case("no")) {
            return None;
        }
        let has = |name, wanted: &str| field(stanza, name).iter().any(|value| value == wanted);
        if !has("Types", "deb") || !has("Suites", suite) {
            return None;
        }
        field(stanza, "URIs").into_iter().find(|uri| usable(uri))
    })
}

/// The words of a field of a stanza; field names ignore case.
fn field(stanza: &[&str], name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut inside = false;
    for line in stanza {
        let value = if line.starts_with([' ', '\t']) {
            if !inside {
                continue;
            }
            line
        } else {
            let Some((key, value)) = line.split_once(':') else { continue };
            inside = key.trim().eq_ignore_ascii_case(name);
            if !inside {
                continue;
            }
            value
        };
        words.extend(value.split_whitespace().map(str::to_owned));
    }
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_line_sources_are_read_with_their_options() {
        let text = "# deb http://no.example/ bookworm main\n\
            deb-src http://src.example/debian bookworm main\n\
            deb cdrom:[Debian]/ bookworm main\n\
            deb http://upd.example/debian bookworm-updates main\n\
            deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian bookworm main # note\n";
        assert_eq!(in_lines(text, "bookworm").as_deref(), Some("https://mirror.example/debian"));
        assert_eq!(in_lines(text, "trixie"), None);
    }

    #[test]
    fn deb822_sources_are_read_stanza_by_stanza() {
        let text = "Types: deb\nEnabled: no\nURIs: http://off.example/\nSuites: noble\n\n\
            Types: deb-src\nURIs: http://src.example/\nSuites: noble\n\n\
            types: deb\n# a comment\nURIs: mirror+file:/etc/x\n http://mirror.example/ubuntu\n\
            Suites: noble noble-updates\nComponents: main\n";
        assert_eq!(in_deb822(text, "noble").as_deref(), Some("http://mirror.example/ubuntu"));
        assert_eq!(in_deb822(text, "jammy"), None);
    }

    #[test]
    fn both_forms_are_found_on_disk_and_other_files_ignored() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(mirror(dir.path(), "bookworm"), None);
        let parts = dir.path().join("sources.list.d");
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join("a.list.save"), "deb http://old.example bookworm main\n").unwrap();
        fs::write(parts.join("b.sources"), "Types: deb\nURIs: http://b.example\nSuites: bookworm\n").unwrap();
        assert_eq!(mirror(dir.path(), "bookworm").as_deref(), Some("http://b.example"));
        fs::write(dir.path().join("sources.list"), "deb http://a.example bookworm main\n").unwrap();
        assert_eq!(mirror(dir.path(), "bookworm").as_deref(), Some("http://a.example"));
    }
}
