//! How a host is reached, with every default filled in.
//!
//! What the target says wins over ssh_config. `ssh -G` costs some ten
//! milliseconds and is skipped when it could not add anything.

use super::ssh_config::{self, Options, Tokens};
use super::{Policy, Target, TransportError};
use std::net::IpAddr;
use std::path::PathBuf;

/// What carries the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Via {
    /// TCP from here.
    Direct,
    /// `ssh -W` through these hosts, `a,b`: first a, from there b.
    Jump(String),
    /// A ProxyCommand, tokens replaced.
    Command(String),
}

/// Everything that a connection needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The host's name in the inventory, for messages.
    pub(super) name: String,
    /// The name or address that is connected to.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// Login name.
    pub(super) user: String,
    /// Keys that the operator named; one that cannot be read is an error.
    pub(super) keys: Vec<PathBuf>,
    /// Keys of ssh_config or at the usual places; they need not exist.
    pub(super) usual_keys: Vec<PathBuf>,
    /// Whether only these keys may be offered.
    pub(super) identities_only: bool,
    /// IdentityAgent.
    pub(super) agent: Option<String>,
    /// known_hosts files.
    pub(super) known_hosts: Vec<PathBuf>,
    /// The host's name in known_hosts.
    pub(super) known_as: String,
    /// What carries the connection.
    pub(super) via: Via,
}

/// Fills in what the target leaves open.
///
/// # Errors
/// An address that would be read as an option, a login name that cannot be
/// found out, or a configuration that ssh(1) refuses.
pub(super) fn find(target: &Target, policy: &Policy) -> Result<Route, TransportError> {
    let error =
        |why: String| TransportError::Unreachable { host: target.name.clone(), address: target.address.clone(), why };
    check_words(target).map_err(error)?;
    let options = if policy.use_ssh_config && !is_complete(target) {
        ssh_config::ask_ssh(&target.address, target.port, target.user.as_deref()).map_err(error)?
    } else {
        None
    };
    let route = fill_in(target, options.unwrap_or_default()).map_err(error)?;
    Ok(Route { port: policy.moved_to.unwrap_or(route.port), ..route })
}

/// Whether ssh_config has nothing to add.
fn is_complete(target: &Target) -> bool {
    target.address.parse::<IpAddr>().is_ok()
        && target.user.is_some()
        && target.port.is_some()
        && !target.keys.is_empty()
        && !target.known_hosts.is_empty()
}

/// These become arguments of ssh(1); none may look like an option or hold
/// what no host or login name holds (OpenSSH refuses the same since 9.6).
fn check_words(target: &Target) -> Result<(), String> {
    let words =
        [("address", Some(&target.address)), ("user", target.user.as_ref()), ("jump host", target.jump.as_ref())];
    for (what, word) in words {
        let Some(word) = word else { continue };
        check_word(what, word)?;
    }
    Ok(())
}

fn check_word(what: &str, word: &str) -> Result<(), String> {
    if word.is_empty() || word.starts_with('-') {
        return Err(format!("the {what} {word:?} is empty or starts with '-'"));
    }
    if let Some(bad) = word.chars().find(|c| c.is_control() || c.is_whitespace() || "'\"`$\\;&<>|(){}".contains(*c)) {
        return Err(format!("the {what} {word:?} holds {bad:?}, which no {what} has"));
    }
    Ok(())
}

fn fill_in(target: &Target, options: Options) -> Result<Route, String> {
    if let Some(file) = options.revoked_host_keys {
        // To pass it over could be to trust a key that is revoked.
        return Err(format!(
            "RevokedHostKeys {file} of ssh_config is not supported: mark the keys @revoked in known_hosts instead"
        ));
    }
    let host = options.hostname.unwrap_or_else(|| target.address.clone());
    check_word("host name", &host)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = target.port.or(options.port).unwrap_or(22);
    let user = target
        .user
        .clone()
        .or(options.user)
        .or_else(ssh_config::local_user)
        .ok_or_else(|| "no login name: set user in the inventory or give user@address".to_owned())?;
    let tokens = Tokens { given: &target.address, host: &host, port, user: &user };
    let plain = |text: &str| text.to_owned();
    let known_hosts = if !target.known_hosts.is_empty() {
        target.known_hosts.clone()
    } else if options.known_hosts.is_empty() {
        vec![ssh_config::path("~/.ssh/known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")]
    } else {
        options
            .known_hosts
            .iter()
            .map(|text| tokens.expand(text, plain).map(|text| ssh_config::path(&text)))
            .collect::<Result<_, _>>()?
    };
    let usual_keys = if options.identity_files.is_empty() {
        ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"].iter().map(|text| ssh_config::path(text)).collect()
    } else {
        options
            .identity_files
            .iter()
            .map(|text| tokens.expand(text, plain).map(|text| ssh_config::path(&text)))
            .collect::<Result<_, _>>()?
    };
    let via = match (&target.jump, options.proxy_jump, options.proxy_command) {
        (Some(jump), _, _) if jump == "none" => Via::Direct,
        (Some(jump), _, _) => Via::Jump(jump.clone()),
        (None, Some(jump), _) => Via::Jump(jump),
        (None, None, Some(command)) => {
            Via::Command(tokens.expand(&command, |word| crate::shell::quote(word).unwrap_or_default())?)
        }
        (None, None, None) => Via::Direct,
    };
    Ok(Route {
        name: target.name.clone(),
        known_as: options.host_key_alias.unwrap_or_else(|| super::known_hosts::host_field(&host, port)),
        keys: target.keys.clone(),
        usual_keys: if target.keys.is_empty() { usual_keys } else { Vec::new() },
        identities_only: options.identities_only,
        agent: options.identity_agent,
        host,
        port,
        user,
        known_hosts,
        via,
    })
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
