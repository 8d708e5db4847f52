//! Which line of sshd's configuration counts (sshd_config(5)).
//!
//! The main file is read from top to bottom with what it includes in place;
//! the first value of a keyword wins. Lines in a `Match` block win over those
//! outside for the connections that it matches; a block in an included file
//! ends with that file. What the command line of sshd says (`SSHD_OPTS` of
//! /etc/default/ssh) comes before the main file.

use super::sshd_match::Client;
use super::{Said, wildcard};
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;
use std::collections::BTreeSet;

pub(super) const MAIN: &str = "/etc/ssh/sshd_config";
pub(super) const FRAGMENTS: &str = "/etc/ssh/sshd_config.d";

/// Keywords of which every line counts, not only the first.
pub(in crate::resource) const CUMULATIVE: [&str; 12] = [
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "hostcertificate",
    "hostkey",
    "listenaddress",
    "port",
    "setenv",
    "subsystem",
    "hostkeyagent",
];

/// Older names of keywords, which sshd takes as the new ones (servconf.c).
const ALIASES: [(&str, &str); 8] = [
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("hostbasedacceptedkeytypes", "hostbasedacceptedalgorithms"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("hostdsakey", "hostkey"),
    ("keepalive", "tcpkeepalive"),
    ("gssapicleanupcreds", "gssapicleanupcredentials"),
];

/// Where Debian's unit of sshd takes further options from.
const OPTIONS: &str = "/etc/default/ssh";

/// Includes below includes that are followed.
const DEPTH: usize = 8;

/// One keyword with its value.
pub(super) struct Directive {
    pub(super) keyword: String,
    pub(super) value: String,
    /// The criteria of the `Match` block that it stands in.
    pub(super) matching: Option<String>,
    pub(super) file: AbsPath,
    pub(super) line: usize,
    pub(super) whole: String,
}

/// Asks for the main file and the usual directory of fragments.
pub(in crate::resource) fn ask_sshd(queries: &mut Queries) {
    queries.extend([MAIN, OPTIONS].into_iter().filter_map(|path| path.parse().ok()).map(Query::Content));
    queries.extend(FRAGMENTS.parse().ok().map(Query::Fragments));
}

/// The configuration as sshd reads it.
#[derive(Default)]
pub(super) struct Configuration {
    pub(super) directives: Vec<Directive>,
    /// The files that were read.
    files: BTreeSet<AbsPath>,
    /// What it includes: patterns of files.
    includes: Vec<AbsPath>,
    /// Directories that includes name and nobody has asked about.
    pub(super) follow_up_queries: Vec<Query>,
}

impl Configuration {
    /// None where there is no sshd, or its file is known after apply only.
    pub(super) fn of(host: &HostState) -> Result<Option<Configuration>, PlanError> {
        let Ok(main) = MAIN.parse::<AbsPath>() else { return Ok(None) };
        let Content::Bytes(bytes) = host.content(&main)? else { return Ok(None) };
        let mut configuration = Configuration { directives: command_line(host), ..Configuration::default() };
        configuration.read(host, &main, &String::from_utf8_lossy(bytes), None, 0)?;
        Ok(Some(configuration))
    }

    fn read(
        &mut self,
        host: &HostState,
        file: &AbsPath,
        text: &str,
        outer: Option<&str>,
        depth: usize,
    ) -> Result<(), PlanError> {
        self.files.insert(file.clone());
        let mut matching = outer.map(str::to_owned);
        for (index, line) in text.lines().enumerate() {
            let Some((keyword, value)) = directive(line) else { continue };
            match keyword.as_str() {
                "match" => {
                    matching = Some(outer.map_or_else(|| value.clone(), |outer| format!("{outer} {value}")));
                }
                "include" if depth < DEPTH => {
                    for pattern in value.split(' ') {
                        self.include(host, pattern, matching.as_deref(), depth + 1)?;
                    }
                }
                _ => self.directives.push(Directive {
                    keyword,
                    value,
                    matching: matching.clone(),
                    file: file.clone(),
                    line: index + 1,
                    whole: line.to_owned(),
                }),
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        host: &HostState,
        pattern: &str,
        matching: Option<&str>,
        depth: usize,
    ) -> Result<(), PlanError> {
        let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
        let Ok(pattern) = pattern.parse::<AbsPath>() else { return Ok(()) };
        let Some(directory) = pattern.parent() else { return Ok(()) };
        self.includes.push(pattern.clone());
        let query = Query::Fragments(directory.clone());
        if !host.asked(&query) {
            self.follow_up_queries.push(query);
            return Ok(());
        }
        let hidden = |name: &str| name.starts_with('.') && !pattern.file_name().starts_with('.');
        for (name, bytes) in host.fragments(&directory)? {
            let (Ok(file), Some(bytes)) = (directory.join(&name), bytes) else { continue };
            if !hidden(&name) && wildcard(pattern.file_name(), &name) {
                self.read(host, &file, &String::from_utf8_lossy(bytes), matching, depth)?;
            }
        }
        Ok(())
    }

    /// Whether a pattern of an `Include` line covers a file, there or not.
    fn includes(&self, path: &AbsPath) -> bool {
        let covers =
            |pattern: &AbsPath| pattern.parent() == path.parent() && wildcard(pattern.file_name(), path.file_name());
        self.includes.iter().any(covers)
    }

    /// The first line with a keyword in a scope; `Match all` stands over what is outside of any block.
    pub(super) fn first(&self, keyword: &str, matching: Option<&str>) -> Option<&Directive> {
        let within = |scope: Option<&str>| {
            self.directives.iter().find(|d| d.keyword == keyword && d.matching.as_deref() == scope)
        };
        match matching {
            None => within(Some("all")).or_else(|| within(None)),
            scope => within(scope),
        }
    }

    /// The line that counts for a client.
    pub(super) fn for_client(&self, keyword: &str, client: &Client<'_>) -> Option<&Directive> {
        self.exception(keyword, client).or_else(|| self.first(keyword, None))
    }

    /// All lines with a keyword that counts by all of its lines, for a client: those
    /// of the `Match` blocks that hold for it stand in place of all others (servconf.c,
    /// copy_set_server_options).
    pub(super) fn all_for_client(&self, keyword: &str, client: &Client<'_>) -> Vec<&Directive> {
        let with = |holds: &dyn Fn(&str) -> bool, blocks: bool| -> Vec<&Directive> {
            let counts = |d: &&Directive| match d.matching.as_deref() {
                Some(criteria) => blocks && holds(criteria),
                None => !blocks,
            };
            self.directives.iter().filter(|d| d.keyword == keyword).filter(counts).collect()
        };
        let holds = |criteria: &str| client.matches(criteria);
        let own = with(&holds, true);
        if own.is_empty() { with(&holds, false) } else { own }
    }

    /// The line of a `Match` block that counts for a client.
    fn exception(&self, keyword: &str, client: &Client<'_>) -> Option<&Directive> {
        let active = |d: &&Directive| {
            d.keyword == keyword && d.matching.as_deref().is_some_and(|criteria| client.matches(criteria))
        };
        self.directives.iter().find(active)
    }
}

/// What the options of the command line set.
fn command_line(host: &HostState) -> Vec<Directive> {
    let Ok(file) = OPTIONS.parse::<AbsPath>() else { return Vec::new() };
    let Ok(Content::Bytes(bytes)) = host.content(&file) else { return Vec::new() };
    let text = String::from_utf8_lossy(bytes);
    let assigned = |line: &str| line.trim().strip_prefix("SSHD_OPTS=").map(str::to_owned);
    let last = text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, assigned(line)?))).last();
    let Some((line, value)) = last else { return Vec::new() };
    let mut words = value.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned());
    let mut directives = Vec::new();
    while let Some(word) = words.next() {
        let said = match word.as_str() {
            "-4" => Some(("addressfamily".to_owned(), "inet".to_owned())),
            "-6" => Some(("addressfamily".to_owned(), "inet6".to_owned())),
            "-o" => words.next().and_then(|said| directive(&said)),
            other => other.strip_prefix("-o").and_then(directive),
        };
        directives.extend(said.map(|(keyword, value)| Directive {
            keyword,
            value,
            matching: None,
            file: file.clone(),
            line,
            whole: word,
        }));
    }
    directives
}

/// A line's keyword in small letters and its value with single blanks; none for comments.
pub(super) fn directive(line: &str) -> Option<(String, String)> {
    let text = line.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (keyword, value) = text.split_once([' ', '\t', '=']).unwrap_or((text, ""));
    let value = value.trim_start().strip_prefix('=').unwrap_or(value);
    let words = value.split_whitespace().map(|word| word.trim_matches('"'));
    // What follows a '#' that begins a word is a comment.
    let words: Vec<&str> = words.take_while(|word| !word.starts_with('#')).collect();
    let keyword = keyword.to_ascii_lowercase();
    let known_as = ALIASES.iter().find(|(old, _)| *old == keyword).map_or(keyword.as_str(), |(_, new)| *new);
    Some((known_as.to_owned(), words.join(" ")))
}

/// What overrides the settings that a file, or a line of it, gives to sshd.
pub(super) fn file(host: &HostState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let Some(configuration) = Configuration::of(host)? else { return Ok(InForce::default()) };
    let mut found = InForce { follow_up_queries: configuration.follow_up_queries.clone(), ..InForce::default() };
    if !configuration.files.contains(path) {
        if path.file_name().ends_with(".conf") && found.follow_up_queries.is_empty() && !configuration.includes(path) {
            let message = format!(
                "it has no Include line for {path}, so sshd does not read it: add the line \
                 'Include {FRAGMENTS}/*.conf' at its top"
            );
            found.overridden.push(Override::new(MAIN, None, message));
        }
        return Ok(found);
    }
    let numbers = match host.content(path) {
        Ok(Content::Bytes(bytes)) => Some(said.numbers(&String::from_utf8_lossy(bytes))),
        _ => None,
    };
    let is_own = |d: &&Directive| {
        d.file == *path && numbers.as_ref().map_or_else(|| said.covers(&d.whole), |own| own.contains(&d.line))
    };
    let mut own: Vec<&Directive> = configuration.directives.iter().filter(is_own).collect();
    // Of equal lines one outside of any block says most.
    if matches!(said, Said::Line(_) | Said::Setting(..)) && own.iter().any(|d| d.matching.is_none()) {
        own.retain(|d| d.matching.is_none());
    }
    // Whom a Match block is for is told by the groups.
    let has_blocks = configuration.directives.iter().any(|d| d.matching.is_some());
    let client = match has_blocks {
        true if host.asked(&Query::Accounts) => Client::connected(host)?,
        true => {
            found.follow_up_queries.push(Query::Accounts);
            None
        }
        false => None,
    };
    let mut told = BTreeSet::new();
    for directive in own.into_iter().filter(|d| !CUMULATIVE.contains(&d.keyword.as_str())) {
        let Directive { keyword, value, matching, .. } = directive;
        let first = configuration.first(keyword, matching.as_deref());
        if let Some(first) = first.filter(|first| !same(keyword, &first.value, value)) {
            if told.insert((keyword, matching)) {
                found.overridden.push(Override::new(&first.file, Some(first.line), read_first(directive, first)));
            }
            continue;
        }
        // Whoever runs this is let in by another rule than the one that was written.
        let exception = client.as_ref().filter(|_| matching.is_none()).and_then(|client| {
            let by = configuration.exception(keyword, client)?;
            Some((client, by, by.matching.as_deref().filter(|criteria| !is_for_all(criteria))?))
        });
        if let Some((client, by, criteria)) = exception.filter(|(_, by, _)| !same(keyword, &by.value, value))
            && by.file != *path
            && told.insert((keyword, &by.matching))
        {
            let message = format!(
                "the block 'Match {criteria}' holds for {}, who connects from {}, and there this line says {}: remove \
                 it there, or say it as a step of the playbook",
                client.user,
                client.from,
                shown(by)
            );
            found.overridden.push(Override::new(&by.file, Some(by.line), message).exception(&by.whole));
        }
    }
    Ok(found)
}

fn is_for_all(criteria: &str) -> bool {
    criteria.split(' ').all(|word| word.eq_ignore_ascii_case("all"))
}

fn read_first(own: &Directive, first: &Directive) -> String {
    if first.file.as_str() == OPTIONS {
        let said = format!("{}={}", first.keyword, first.value);
        return format!("SSHD_OPTS gives sshd the option {said}, which wins over all files: remove it there");
    }
    let word = |line: &Directive| line.whole.split_whitespace().next().map(str::to_ascii_lowercase);
    let also = if word(own) == word(first) { "" } else { ", which is the same setting by another name" };
    format!(
        "sshd takes the first value that it reads, and this line says {}{also}: remove it there, or put this setting \
         into a file that is read before it, such as {FRAGMENTS}/00-stockade.conf",
        shown(first)
    )
}

/// Whether two values of a keyword mean the same.
pub(in crate::resource) fn same(keyword: &str, one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || meaning(keyword, one) == meaning(keyword, other)
}

/// A value in one of the spellings that sshd_config(5) has for it.
pub(in crate::resource) fn meaning(keyword: &str, value: &str) -> String {
    let value = value.to_ascii_lowercase();
    let time = |text: &str| seconds(text).map_or_else(|| text.to_owned(), |seconds| seconds.to_string());
    match (keyword, value.as_str()) {
        ("permitrootlogin", "without-password") => "prohibit-password".to_owned(),
        ("compression", "delayed") => "yes".to_owned(),
        ("allowtcpforwarding" | "allowstreamlocalforwarding", "all") => "yes".to_owned(),
        ("logingracetime" | "clientaliveinterval", text) => time(text),
        ("rekeylimit", text) => {
            let (bytes, interval) = text.split_once(' ').unwrap_or((text, "none"));
            let interval = time(interval);
            format!("{bytes} {}", if interval == "0" { "none" } else { &interval })
        }
        _ => value,
    }
}

/// A time as numbers with their units, such as `1h30m` (sshd_config(5), TIME FORMATS).
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..end].parse().ok()?;
        let mut unit = rest[end..].chars();
        let factor = match unit.next() {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = unit.as_str();
    }
    (!text.is_empty()).then_some(total)
}

pub(super) fn shown(line: &Directive) -> String {
    let name = line.whole.split([' ', '\t', '=']).find(|word| !word.is_empty()).unwrap_or(&line.keyword);
    format!("'{name} {}'", line.value)
}

#[cfg(test)]
#[path = "sshd_tests.rs"]
mod tests;
