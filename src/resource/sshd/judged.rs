//! What sshd of a host does, by its own extended test mode (sshd(8), `-T`).

use super::super::in_force::{KEYWORDS_OF_SEVERAL_LINES, wildcard};
use crate::observe::{Run, StateError};
use std::collections::BTreeMap;

/// The question that all steps share. The word after the text names it in tables and errors.
pub(super) fn look() -> Run {
    Run::new(["sh", "-c", include_str!("look.sh"), "sshd -T"])
}

/// The question about algorithms.
pub(super) fn algorithms() -> Run {
    Run::new(["sh", "-c", include_str!("algorithms.sh"), "ssh -Q"])
}

/// The question about host keys.
pub(super) fn host_keys() -> Run {
    Run::new(["sh", "-c", include_str!("host_keys.sh"), "ssh-keygen -l"])
}

/// In the place of a user: whoever no `Match` block names.
pub(super) const ANYBODY: &str = "*";

/// What sshd does.
#[derive(Debug)]
pub(super) enum Found {
    /// It is not installed.
    Absent,
    /// It reads its configuration.
    Judged(Judged),
}

/// What sshd does for those who are judged.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// The values of each keyword, in small letters, by user.
    pub(super) users: Vec<(String, BTreeMap<String, Vec<String>>)>,
    /// Who logs in.
    pub(super) login: String,
    /// Their groups, the primary one first.
    pub(super) groups: Vec<String>,
}

/// An answer that cannot be used.
fn unreadable(why: impl Into<String>) -> StateError {
    StateError::Unreadable { what: "what sshd does (sshd -T)".to_owned(), why: why.into() }
}

/// Reads the answer to [`look`].
///
/// # Errors
/// sshd refuses its configuration, or the answer is not one.
pub(super) fn read(text: &str) -> Result<Found, StateError> {
    let mut judged = Judged::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let mut body = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("== ")) {
            body.push(line);
        }
        match line.strip_prefix("== ").map(|head| head.split_once(' ').unwrap_or((head, ""))) {
            Some(("absent", "")) => return Ok(Found::Absent),
            Some(("failed", "")) => return Err(unreadable(body.join("; "))),
            Some(("user", user)) if !user.is_empty() => judged.users.push((user.to_owned(), keywords(&body)?)),
            Some(("login", user)) if !user.is_empty() => {
                user.clone_into(&mut judged.login);
                judged.groups = body.into_iter().map(str::to_owned).collect();
            }
            Some(_) | None => return Err(unreadable(format!("unexpected line '{}'", line.escape_debug()))),
        }
    }
    match judged.users.iter().any(|(user, _)| *user == judged.login) {
        true => Ok(Found::Judged(judged)),
        false => Err(unreadable("the answer has no end")),
    }
}

/// The values by keyword.
fn keywords(lines: &[&str]) -> Result<BTreeMap<String, Vec<String>>, StateError> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        if keyword.is_empty() || !keyword.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(unreadable(format!("unexpected line '{}'", line.escape_debug())));
        }
        values.entry(keyword.to_owned()).or_default().push(value.trim().to_owned());
    }
    match values.contains_key("port") {
        true => Ok(values),
        false => Err(unreadable("it names no port")),
    }
}

impl Judged {
    /// Whether sshd of this host knows a keyword: one that it does not tell may have no value.
    pub(super) fn knows(&self, keyword: &str) -> bool {
        KEYWORDS_OF_SEVERAL_LINES.contains(&keyword)
            || self.users.iter().any(|(_, values)| values.contains_key(keyword))
    }

    /// Whether lists of users and groups, of which one at least is given, let in who logs in.
    pub(super) fn lets_login_in(&self, users: &[String], groups: &[String], also: &[String]) -> bool {
        (!users.is_empty() || !groups.is_empty())
            && (users.is_empty() || self.names_login(users))
            && (groups.is_empty() || self.names_group_of_login(groups, also))
    }

    /// Whether a list of users names who logs in.
    pub(super) fn names_login(&self, users: &[String]) -> bool {
        // What follows '@' is where a connection comes from.
        words(users).any(|word| wildcard(word.rsplit_once('@').map_or(word, |(name, _)| name), &self.login))
    }

    /// Whether a list of groups names one of who logs in; `also`: those that the run puts them into.
    pub(super) fn names_group_of_login(&self, groups: &[String], also: &[String]) -> bool {
        words(groups).any(|word| self.groups.iter().chain(also).any(|group| wildcard(word, group)))
    }
}

fn words(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().flat_map(|value| value.split_whitespace())
}

/// The algorithms of a type in the answer to [`algorithms`].
///
/// # Errors
/// Why the host cannot tell.
pub(super) fn known_algorithms<'a>(text: &'a str, kind: &str) -> Result<Vec<&'a str>, String> {
    if text.trim() == "== absent" {
        return Err(
            "the host has no ssh to ask which algorithms it knows: install openssh-client in a step before".into()
        );
    }
    let head = format!("== {kind}");
    let after = text.lines().skip_while(|line| *line != head).skip(1);
    let found: Vec<&str> = after.take_while(|line| !line.starts_with("== ")).map(str::trim).collect();
    match found.is_empty() {
        true => Err(format!("'ssh -Q {kind}' of the host names no algorithm")),
        false => Ok(found),
    }
}

/// The files of host keys of the type ed25519, or RSA of at least so many bits, in
/// the answer to [`host_keys`]: ed25519 first.
pub(super) fn acceptable_keys(text: &str, least: u64) -> Vec<String> {
    let mut found: Vec<(bool, String)> = Vec::new();
    for (file, said) in text.lines().filter_map(|line| line.split_once('\t')) {
        let bits = said.split(' ').next().and_then(|bits| bits.parse::<u64>().ok());
        let is_rsa = said.ends_with("(RSA)");
        let is_good = said.ends_with("(ED25519)") || is_rsa && bits.is_some_and(|bits| bits >= least);
        if is_good && !found.iter().any(|(_, known)| known == file) {
            found.push((is_rsa, file.to_owned()));
        }
    }
    found.sort_by_key(|(is_rsa, _)| *is_rsa);
    found.into_iter().map(|(_, file)| file).collect()
}
