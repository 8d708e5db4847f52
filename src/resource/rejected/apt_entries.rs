//! The entries of sources.list(5) in both forms: what repository each is about,
//! and with which options. What apt cannot read is left out here.

use super::apt_sources::{is_off, without_comment};
use super::stanzas::parse;
use super::word::{quoted, words};
use std::collections::BTreeMap;

/// One repository as an entry names it.
#[derive(Debug)]
pub(super) struct Entry {
    /// The line where it begins, from 1.
    pub(super) line: usize,
    /// deb or deb-src.
    pub(super) kind: String,
    /// Ends in '/'.
    pub(super) address: String,
    pub(super) suite: String,
    /// What of it; of a suite that ends in '/', one without a name.
    pub(super) components: Vec<String>,
    /// By their names in stanzas, in small letters.
    options: BTreeMap<String, String>,
}

impl Entry {
    /// The value of an option, by its name in stanzas.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(&name.to_ascii_lowercase()).map(String::as_str)
    }
}

/// The entries of the form of one a line. Options that add to others (`name+=`)
/// set nothing that apt compares.
pub(super) fn of_lines(text: &str, arch: &str) -> Vec<Entry> {
    let entry = |(at, line): (usize, &str)| {
        let (kind, rest) = quoted(without_comment(line))?;
        let (given, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let options = given.split_whitespace().filter_map(|option| option.split_once('='));
        let options = options
            // Their names are written in small letters.
            .filter(|(name, _)| !name.ends_with(['+', '-']) && !name.contains(|c: char| c.is_ascii_uppercase()))
            .map(|(name, value)| (name.to_owned(), value.replace('"', "")));
        let words = words(rest);
        let [address, suite, components @ ..] = words.as_slice() else { return None };
        Some(Entry {
            line: at + 1,
            kind,
            address: whole(address, arch),
            suite: suite.replace("$(ARCH)", arch),
            components: parts(components.to_vec()),
            options: options.collect(),
        })
    };
    text.lines().enumerate().filter_map(entry).collect()
}

/// The entries of the form of stanzas.
pub(super) fn of_stanzas(text: &str, arch: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for stanza in parse(text).unwrap_or_default().iter().filter(|stanza| !is_off(stanza)) {
        let options: BTreeMap<String, String> = stanza.all().collect();
        for kind in stanza.words("Types") {
            for address in stanza.words("URIs") {
                for suite in stanza.words("Suites") {
                    entries.push(Entry {
                        line: stanza.line,
                        kind: kind.to_owned(),
                        address: whole(address, arch),
                        suite: suite.replace("$(ARCH)", arch),
                        components: parts(stanza.words("Components").into_iter().map(str::to_owned).collect()),
                        options: options.clone(),
                    });
                }
            }
        }
    }
    entries
}

/// An address as apt compares it.
fn whole(address: &str, arch: &str) -> String {
    let address = address.replace("$(ARCH)", arch);
    if address.ends_with('/') { address } else { format!("{address}/") }
}

fn parts(components: Vec<String>) -> Vec<String> {
    if components.is_empty() { vec![String::new()] } else { components }
}
