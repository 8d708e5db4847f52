//! What keeps sshd from letting a user in with a key (sshd_config(5), sshd(8);
//! auth.c, `allowed_user`, for the order of the lists of users and groups).
//!
//! All of it is judged for a connection from anywhere: what a list or a `Match`
//! block says of certain addresses only may let the user in from another one.

use super::sshd::{Configuration, Directive, ask_sshd};
use super::sshd_match::Client;
use super::wildcard;
use crate::observe::{Account, Content, HostState, Known, PathState, PredictedState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::resource::key_file::DesiredKeyFile;
use crate::values::{AbsPath, PublicKey, UserName};

/// The keys of a user that a step puts into a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::resource) struct Keys<'a> {
    pub user: &'a UserName,
    pub home: &'a AbsPath,
    pub file: &'a AbsPath,
    pub wanted: &'a [DesiredKeyFile],
    /// Whether the step itself says until when the account may be used.
    pub says_expiry: bool,
}

/// Shells that accounts usually have, asked for before it is known which one does.
const USUAL_SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];

/// Asks for what decides whether sshd lets a user in with keys.
pub(in crate::resource) fn ask_login(queries: &mut Queries) {
    ask_sshd(queries);
    queries.extend(USUAL_SHELLS.iter().filter_map(|shell| shell.parse().ok()).map(Query::Path));
}

/// What keeps a user from logging in with these keys.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn keys_let_in(host: &PredictedState, keys: Keys<'_>) -> Result<InForce, PlanError> {
    let user = keys.user;
    let Some(account) = host.user(user.as_str())? else { return Ok(InForce::default()) };
    let mut found = InForce::default();
    if !keys.says_expiry {
        found.overridden.extend(expired(host, user)?);
    }
    let (Some(configuration), Some(client)) = (Configuration::of(host)?, Client::anywhere(host, user.as_str())?) else {
        return Ok(found);
    };
    found.follow_up_queries.clone_from(&configuration.follow_up_queries);
    // In a chroot it is another file that counts.
    let is_chroot = configuration.for_client("chrootdirectory", &client).is_some_and(|line| line.value != "none");
    if !is_chroot && let Ok(shell) = account.shell.parse::<AbsPath>() {
        match host.path(&shell) {
            Err(_) if !host.asked(&Query::Path(shell.clone())) => found.follow_up_queries.push(Query::Path(shell)),
            Ok(PathState::Absent) if host.path_affected_by(&shell).is_none() => {
                let message = format!(
                    "the shell of {user}, {shell}, is not on the host, and sshd lets nobody in without it: install it in \
                     a step before this one, or give the user another"
                );
                found.overridden.push(Override::new("/etc/passwd", None, message));
            }
            _ => {}
        }
    }
    let sshd = Sshd { configuration: &configuration, client: &client, account, keys };
    found.overridden.extend(sshd.file());
    found.overridden.extend(sshd.public_keys());
    found.overridden.extend(sshd.algorithms());
    found.overridden.extend(sshd.methods());
    found.overridden.extend(sshd.lists());
    found.overridden.extend(sshd.root(host));
    found.overridden.extend(sshd.locked(host)?);
    Ok(found)
}

/// What a shell that ends at once means for keys: they are of use only where sshd
/// runs something else.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn shell_note(host: &HostState, user: &UserName) -> Result<Option<String>, PlanError> {
    let Some(account) = host.user(user.as_str())? else { return Ok(None) };
    let name = account.shell.rsplit('/').next().unwrap_or_default();
    if !["nologin", "false", "true"].contains(&name) {
        return Ok(None);
    }
    if let (Some(configuration), Some(client)) = (Configuration::of(host)?, Client::anywhere(host, user.as_str())?) {
        let forced = configuration.for_client("forcecommand", &client);
        if forced.is_some_and(|line| line.value.starts_with("internal-sftp")) {
            return Ok(None);
        }
    }
    Ok(Some(format!(
        "the shell of {user} is {}, so these keys open no shell and run no command, only forwardings: give the user \
         a shell such as /bin/bash, or have sshd force internal-sftp for it",
        account.shell
    )))
}

fn expired(host: &HostState, user: &UserName) -> Result<Option<Override>, PlanError> {
    let Some(day) = host.shadow(user.as_str())?.and_then(|shadow| shadow.expires) else { return Ok(None) };
    // shadow(5): from that day on; sshd without PAM takes it for the last one.
    let is_past = host.day.is_some_and(|today| day >= 0 && day <= today);
    Ok(is_past.then(|| {
        let message = format!(
            "the account {user} has expired, so nobody logs in as {user}: set 'expires' of the user to a later date or \
             to \"never\""
        );
        Override::new("/etc/shadow", None, message)
    }))
}

/// What sshd makes of one user's keys.
struct Sshd<'a> {
    configuration: &'a Configuration,
    client: &'a Client<'a>,
    account: &'a Account,
    keys: Keys<'a>,
}

impl Sshd<'_> {
    fn line(&self, keyword: &str) -> Option<&Directive> {
        self.configuration.for_client(keyword, self.client)
    }

    /// Whether it looks for keys where they are written.
    fn file(&self) -> Option<Override> {
        let Keys { user, home, file, .. } = self.keys;
        let line = self.line("authorizedkeysfile")?;
        let expand = |pattern: &str| {
            let text = tokens(pattern, user, self.account.uid.clone(), home);
            if text.starts_with('/') { text } else { format!("{home}/{text}") }
        };
        let looks = line.value.split(' ').any(|pattern| expand(pattern) == file.as_str());
        (!looks).then(|| {
            let message = format!(
                "sshd looks for the keys of {user} in '{}', not in {file}: change that line, or write the keys there",
                line.value
            );
            by(line, message)
        })
    }

    fn public_keys(&self) -> Option<Override> {
        let line = self.line("pubkeyauthentication").filter(|line| line.value.eq_ignore_ascii_case("no"))?;
        let user = self.keys.user;
        let message = format!("sshd takes no keys of {user} at all: say 'PubkeyAuthentication yes' there");
        Some(by(line, message))
    }

    /// Whether it takes keys of their types and sizes.
    fn algorithms(&self) -> Vec<Override> {
        let mut found = Vec::new();
        if let Some(line) = self.line("pubkeyacceptedalgorithms") {
            let refused = |wanted: &&DesiredKeyFile| !takes(&line.value, &wanted.key);
            if let Some(wanted) = self.keys.wanted.iter().find(refused) {
                let message = format!(
                    "sshd takes no keys of the type {} of {}: add '{}' to that list, or use a key of another type",
                    wanted.key.algorithm(),
                    self.keys.user,
                    signatures(&wanted.key).join(",")
                );
                found.push(by(line, message));
            }
        }
        if let Some(line) = self.line("requiredrsasize")
            && let Ok(least) = line.value.parse::<usize>()
            && let Some(bits) = self.keys.wanted.iter().filter_map(|w| w.key.rsa_bits()).find(|bits| *bits < least)
        {
            let message = format!(
                "sshd takes RSA keys from {least} bits on, and one of {} has {bits}: use a longer one, or one of the type \
                 ssh-ed25519",
                self.keys.user
            );
            found.push(by(line, message));
        }
        found
    }

    /// Whether a key is a part of any way to log in.
    fn methods(&self) -> Option<Override> {
        let line = self.line("authenticationmethods")?;
        let has_key = |way: &str| way.split(',').any(|method| method.split(':').next() == Some("publickey"));
        let value = line.value.to_ascii_lowercase();
        (value != "any" && !value.split(' ').any(has_key)).then(|| {
            let user = self.keys.user;
            let message = format!("sshd lets {user} in by '{}' only, which takes no key: add 'publickey'", line.value);
            by(line, message)
        })
    }

    /// What the lists of users and groups say of the user.
    fn lists(&self) -> Option<Override> {
        let user = self.keys.user.as_str();
        // A pattern with a host part holds for some connections only.
        let named = |pattern: &str| wildcard(pattern.rsplit_once('@').map_or(pattern, |(name, _)| name), user);
        let grouped = |pattern: &str| self.client.groups.iter().any(|group| wildcard(pattern, group));
        let all = |keyword: &str| self.configuration.all_for_client(keyword, self.client);
        let denied = |keyword: &str, hits: &dyn Fn(&str) -> bool| {
            let line = all(keyword).into_iter().find(|line| line.value.split(' ').any(hits))?;
            Some(by(line, format!("sshd does not let {user} in: take {user} out of what this line names")))
        };
        let allowed = |keyword: &str, hits: &dyn Fn(&str) -> bool, how: &str| {
            let lines = all(keyword);
            let is_in = lines.iter().any(|line| line.value.split(' ').any(hits));
            let line = lines.last().filter(|line| !is_in && !line.value.is_empty())?;
            Some(by(line, format!("sshd lets in only whom this line names, and {user} is not among them: {how}")))
        };
        denied("denyusers", &|pattern| !pattern.contains('@') && named(pattern))
            .or_else(|| allowed("allowusers", &named, &format!("add {user} to it")))
            .or_else(|| denied("denygroups", &grouped))
            .or_else(|| {
                allowed("allowgroups", &grouped, &format!("put {user} into one of these groups, or add one of its own"))
            })
    }

    /// What is said of root alone.
    fn root(&self, host: &HostState) -> Option<Override> {
        if self.account.uid != Known::Is(0) {
            return None;
        }
        let line = self.line("permitrootlogin")?;
        let has_command = |wanted: &DesiredKeyFile| {
            let given = wanted.options.as_ref().is_some_and(|options| options.as_str().contains("command="));
            // What stands before a key that is there already stays.
            let stands = || matches!(host.content(self.keys.file), Ok(Content::Bytes(text)) if text.windows(8).any(|w| w == b"command="));
            given || (wanted.options.is_none() && stands())
        };
        match line.value.to_ascii_lowercase().as_str() {
            "no" => {
                Some(by(line, "sshd does not let root in: say 'PermitRootLogin prohibit-password' there".to_owned()))
            }
            "forced-commands-only" if !self.keys.wanted.iter().all(has_command) => Some(by(
                line,
                "sshd lets root in only by keys with the option command=\"…\": give it in 'options', or say \
                 'PermitRootLogin prohibit-password' there"
                    .to_owned(),
            )),
            _ => None,
        }
    }

    /// Without PAM a locked password locks the account (sshd(8), "passwords").
    fn locked(&self, host: &HostState) -> Result<Option<Override>, PlanError> {
        let line = self.line("usepam");
        // Without such a line there is no PAM either; one may stand in what is not read yet.
        let place = match line {
            Some(line) if line.value.eq_ignore_ascii_case("no") => Override::new(&line.file, Some(line.line), ""),
            None if self.configuration.follow_up_queries.is_empty() => Override::new(super::sshd::MAIN, None, ""),
            Some(_) | None => return Ok(None),
        };
        let user = self.keys.user;
        let locked = host.shadow(user.as_str())?.is_some_and(|shadow| shadow.hash.expose().starts_with('!'));
        let message = format!(
            "without PAM sshd lets nobody in whose password is locked with '!', as that of {user} is: say 'UsePAM yes' there"
        );
        Ok(locked.then_some(Override { message, ..place }))
    }
}

fn by(line: &Directive, message: String) -> Override {
    Override::new(&line.file, Some(line.line), message)
}

/// The algorithms by which a key of this type signs, as sshd has them by default.
fn signatures(key: &PublicKey) -> Vec<&str> {
    match key.algorithm() {
        "ssh-rsa" => vec!["rsa-sha2-512", "rsa-sha2-256"],
        other => vec![other],
    }
}

/// Whether a value of PubkeyAcceptedAlgorithms lets a key in.
fn takes(list: &str, key: &PublicKey) -> bool {
    let algorithms = signatures(key);
    match list.split_at_checked(1) {
        // What is added to the default, or put before it.
        Some(("+" | "^", _)) => true,
        Some(("-", rest)) => {
            algorithms.iter().any(|algorithm| !rest.split(',').any(|pattern| wildcard(pattern, algorithm)))
        }
        _ => {
            let all = algorithms.iter().chain([&key.algorithm()]).copied().collect::<Vec<_>>();
            list.split(',').any(|pattern| all.iter().any(|algorithm| wildcard(pattern, algorithm)))
        }
    }
}

/// The tokens of AuthorizedKeysFile (sshd_config(5), TOKENS).
fn tokens(pattern: &str, user: &UserName, uid: Known<u32>, home: &AbsPath) -> String {
    let uid = match uid {
        Known::Is(uid) => uid.to_string(),
        Known::AfterApply => "%U".to_owned(),
    };
    let mut text = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match (c, if c == '%' { rest.next() } else { None }) {
            ('%', Some('h')) => text.push_str(home.as_str()),
            ('%', Some('u')) => text.push_str(user.as_str()),
            ('%', Some('U')) => text.push_str(&uid),
            ('%', Some('%')) => text.push('%'),
            ('%', Some(other)) => text.extend(['%', other]),
            (other, _) => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_algorithms_are_taken_as_sshd_takes_them() {
        let key: PublicKey =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v".parse().unwrap();
        for (list, holds) in [
            ("ssh-ed25519", true),
            ("rsa-sha2-512,ssh-ed25519", true),
            ("rsa-sha2-512,rsa-sha2-256", false),
            ("ecdsa-*,ssh-ed*", true),
            ("+ssh-rsa", true),
            ("^rsa-sha2-512", true),
            ("-ssh-rsa", true),
            ("-ssh-*", false),
            ("ssh-ed25519-cert-v01@openssh.com", false),
        ] {
            assert_eq!(takes(list, &key), holds, "{list}");
        }
    }
}
