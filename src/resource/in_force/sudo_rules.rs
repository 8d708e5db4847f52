//! sudoers(5) as rules: what is read of /etc/sudoers and what it includes, in
//! the order in which sudo reads it. Which rule decides is not told here.

use super::sudo::MAIN;
use crate::observe::{Content, HostState, Query};
use crate::plan::PlanError;
use crate::values::AbsPath;
use std::collections::{BTreeMap, BTreeSet};

/// Includes below includes that are followed.
const DEPTH: usize = 8;

/// One command of one rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) users: Vec<String>,
    pub(super) hosts: Vec<String>,
    /// Whom the command may be run as; empty: root.
    pub(super) runas: Vec<String>,
    pub(super) command: String,
    /// Whether the command is allowed, not forbidden.
    pub(super) allowed: bool,
    pub(super) password: bool,
    pub(super) file: AbsPath,
    pub(super) line: usize,
    pub(super) whole: String,
}

/// One setting of a `Defaults` line.
#[derive(Debug)]
pub(super) struct DefaultsEntry {
    /// Such as `:deploy` or `@host`; empty for all.
    pub(super) scope: String,
    pub(super) name: String,
    /// None: switched off by '!'.
    pub(super) value: Option<String>,
    pub(super) file: AbsPath,
    pub(super) line: usize,
    pub(super) whole: String,
}

#[derive(Default)]
pub(super) struct Sudoers {
    pub(super) rules: Vec<Rule>,
    pub(super) defaults: Vec<DefaultsEntry>,
    pub(super) aliases: BTreeMap<String, Vec<String>>,
    pub(super) files: BTreeSet<AbsPath>,
    pub(super) follow_up_queries: Vec<Query>,
}

impl Sudoers {
    /// None where sudo is not there.
    pub(super) fn of(host: &HostState) -> Result<Option<Sudoers>, PlanError> {
        let Ok(main) = MAIN.parse::<AbsPath>() else { return Ok(None) };
        let Content::Bytes(bytes) = host.content(&main)? else { return Ok(None) };
        let mut sudoers = Sudoers::default();
        sudoers.read(host, &main, &String::from_utf8_lossy(bytes), 0)?;
        Ok(Some(sudoers))
    }

    fn read(&mut self, host: &HostState, file: &AbsPath, text: &str, depth: usize) -> Result<(), PlanError> {
        self.files.insert(file.clone());
        for (line, whole) in whole_lines(text) {
            let text = whole.trim();
            let include = ["@include ", "#include ", "@includedir ", "#includedir "];
            if let Some(word) = include.iter().find(|word| text.starts_with(**word)) {
                if depth < DEPTH {
                    let path = text[word.len()..].trim().trim_matches('"');
                    self.include(host, file, path, word.contains("dir"), depth + 1)?;
                }
                continue;
            }
            let text = without_comment(text);
            if text.is_empty() {
                continue;
            }
            if let Some(rest) = text.strip_prefix("Defaults") {
                self.defaults(rest, file, line, &whole);
            } else if let Some(rest) = alias(&text) {
                for definition in split(rest, ':') {
                    if let Some((name, members)) = definition.split_once('=') {
                        self.aliases.insert(name.trim().to_owned(), list(members));
                    }
                }
            } else {
                self.rules(&text, file, line, &whole);
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        host: &HostState,
        from: &AbsPath,
        path: &str,
        whole_directory: bool,
        depth: usize,
    ) -> Result<(), PlanError> {
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", from.parent().map(|parent| parent.to_string()).unwrap_or_default())
        };
        let Ok(path) = path.parse::<AbsPath>() else { return Ok(()) };
        let Some(directory) = (if whole_directory { Some(path.clone()) } else { path.parent() }) else {
            return Ok(());
        };
        let query = Query::Fragments(directory.clone());
        if !host.asked(&query) {
            self.follow_up_queries.push(query);
            return Ok(());
        }
        for (name, bytes) in host.fragments(&directory)? {
            let (Ok(file), Some(bytes)) = (directory.join(&name), bytes) else { continue };
            let read = if whole_directory { !name.contains('.') && !name.ends_with('~') } else { file == path };
            if read {
                self.read(host, &file, &String::from_utf8_lossy(bytes), depth)?;
            }
        }
        Ok(())
    }

    fn defaults(&mut self, rest: &str, file: &AbsPath, line: usize, whole: &str) {
        let (scope, settings) = match rest.split_once(char::is_whitespace) {
            Some((scope, settings)) => (scope.to_owned(), settings),
            None => return,
        };
        for setting in split(settings, ',') {
            let setting = setting.trim();
            // What is added to or taken from a list stands beside the rest of it.
            if setting.contains("+=") || setting.contains("-=") {
                continue;
            }
            let (name, value) = match setting.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"').to_owned())),
                None if setting.starts_with('!') => (setting.trim_start_matches('!'), None),
                None => (setting, Some("on".to_owned())),
            };
            self.defaults.push(DefaultsEntry {
                scope: scope.clone(),
                name: name.to_owned(),
                value,
                file: file.clone(),
                line,
                whole: whole.to_owned(),
            });
        }
    }

    /// `users hosts = (runas) TAG: command, command : hosts = …`
    fn rules(&mut self, text: &str, file: &AbsPath, line: usize, whole: &str) {
        let joined = join_lists(text);
        let Some((users, rest)) = joined.split_once(char::is_whitespace) else { return };
        for part in split_hosts(rest) {
            let Some((hosts, commands)) = part.split_once('=') else { continue };
            let (mut runas, mut password) = (Vec::new(), true);
            for command in split(commands, ',') {
                let mut rest = command.trim();
                if let Some(inner) = rest.strip_prefix('(')
                    && let Some((list_of, after)) = inner.split_once(')')
                {
                    runas = list(list_of.split(':').next().unwrap_or_default());
                    rest = after.trim();
                }
                while let Some((word, after)) = tag(rest) {
                    match word {
                        "NOPASSWD" => password = false,
                        "PASSWD" => password = true,
                        _ => {}
                    }
                    rest = after;
                }
                let allowed = !rest.starts_with('!');
                self.rules.push(Rule {
                    users: list(users),
                    hosts: list(hosts),
                    runas: runas.clone(),
                    command: rest.trim_start_matches('!').trim().to_owned(),
                    allowed,
                    password,
                    file: file.clone(),
                    line,
                    whole: whole.to_owned(),
                });
            }
        }
    }

    /// Whether a list names something, by `is` or by an alias; the last member that does decides.
    pub(super) fn lists(&self, members: &[String], is: &dyn Fn(&str) -> bool, depth: usize) -> Option<bool> {
        members.iter().rev().find_map(|member| {
            let name = member.trim_start_matches('!');
            let denied = member.len().wrapping_sub(name.len()) % 2 == 1;
            let hit = match self.aliases.get(name) {
                Some(inner) if depth < DEPTH => self.lists(inner, is, depth + 1),
                _ => is(name).then_some(true),
            };
            hit.map(|hit| hit != denied)
        })
    }

    pub(super) fn as_root(&self, rule: &Rule) -> bool {
        rule.runas.is_empty() || self.lists(&rule.runas, &|name| ["ALL", "root", "#0"].contains(&name), 0) == Some(true)
    }
}

/// The lines of a text with those that a last backslash continues, and the number of the first of each.
fn whole_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let (number, mut whole) = open.take().unwrap_or((index + 1, String::new()));
        match line.strip_suffix('\\') {
            Some(start) => {
                whole.push_str(start);
                open = Some((number, whole));
            }
            None => {
                whole.push_str(line);
                lines.push((number, whole));
            }
        }
    }
    lines.extend(open);
    lines
}

/// A '#' begins a comment, unless a number follows it: that is a user's.
fn without_comment(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut quoted = false;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'#' if !quoted => {
                let number = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                let escaped = at > 0 && bytes[at - 1] == b'\\';
                if !number && !escaped {
                    return text[..at].trim().to_owned();
                }
            }
            _ => {}
        }
    }
    text.trim().to_owned()
}

fn alias(text: &str) -> Option<&str> {
    ["User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias", "Cmd_Alias"]
        .iter()
        .find_map(|word| text.strip_prefix(word).filter(|rest| rest.starts_with(char::is_whitespace)))
}

/// A tag such as `NOPASSWD:` or an option such as `CWD=/x` before a command, and what follows.
fn tag(text: &str) -> Option<(&str, &str)> {
    const TAGS: [&str; 15] = [
        "EXEC",
        "NOEXEC",
        "FOLLOW",
        "NOFOLLOW",
        "INTERCEPT",
        "NOINTERCEPT",
        "LOG_INPUT",
        "NOLOG_INPUT",
        "LOG_OUTPUT",
        "NOLOG_OUTPUT",
        "MAIL",
        "NOMAIL",
        "NOPASSWD",
        "PASSWD",
        "SETENV",
    ];
    if let Some((word, after)) = text.split_once(':')
        && (TAGS.contains(&word.trim()) || word.trim() == "NOSETENV")
    {
        return Some((word.trim(), after.trim_start()));
    }
    let (word, after) = text.split_once(char::is_whitespace)?;
    let option = ["CWD=", "CHROOT=", "ROLE=", "TYPE=", "TIMEOUT=", "NOTBEFORE=", "NOTAFTER=", "APPARMOR_PROFILE="];
    option.iter().any(|option| word.starts_with(option)).then(|| (word, after.trim_start()))
}

/// The items of a list between commas.
fn list(text: &str) -> Vec<String> {
    split(text, ',').into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// Splits at a sign that is neither escaped, quoted nor in parentheses.
fn split(text: &str, sign: char) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_u32, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            c if c == sign && !quoted && depth == 0 => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Lists without blanks around their commas up to the first '=', so that a
/// blank ends the list of users.
fn join_lists(text: &str) -> String {
    let (left, right) = text.split_once('=').map_or((text, None), |(left, right)| (left, Some(right)));
    let mut joined = left.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    if let Some(right) = right {
        joined = format!("{}={right}", joined.trim_end());
    }
    joined
}

/// The parts `hosts = commands` of a rule. A ':' after a tag does not end one.
fn split_hosts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for piece in split(text, ':') {
        let begins = piece
            .split_once('=')
            .is_some_and(|(hosts, _)| !hosts.trim().is_empty() && !hosts.trim().contains(['/', '(', ' ']));
        match parts.last_mut() {
            Some(last) if !begins => {
                last.push(':');
                last.push_str(piece);
            }
            _ => parts.push(piece.to_owned()),
        }
    }
    parts
}
#[cfg(test)]
#[path = "sudo_rules_tests.rs"]
mod tests;
