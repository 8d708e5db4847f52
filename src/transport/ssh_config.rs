//! What ssh_config(5) says about a host, asked of `ssh -G`: the exact reading
//! of Match, Include, tokens and canonical names is OpenSSH's own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The options that matter here, as `ssh -G` prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// HostName.
    pub(super) hostname: Option<String>,
    /// Port.
    pub(super) port: Option<u16>,
    /// User.
    pub(super) user: Option<String>,
    /// IdentityFile, `~` and tokens not yet expanded.
    pub(super) identity_files: Vec<String>,
    /// UserKnownHostsFile, then GlobalKnownHostsFile.
    pub(super) known_hosts: Vec<String>,
    /// ProxyJump, unless `none`.
    pub(super) proxy_jump: Option<String>,
    /// ProxyCommand, unless `none`, tokens not expanded.
    pub(super) proxy_command: Option<String>,
    /// HostKeyAlias.
    pub(super) host_key_alias: Option<String>,
    /// IdentitiesOnly.
    pub(super) identities_only: bool,
    /// RevokedHostKeys, unless `none`.
    pub(super) revoked_host_keys: Option<String>,
    /// IdentityAgent: a path, `none` or `SSH_AUTH_SOCK`.
    pub(super) identity_agent: Option<String>,
}

/// Asks `ssh -G`. None if there is no ssh(1) on this machine.
///
/// # Errors
/// What ssh said, when it does not accept its configuration or the address.
pub(super) fn ask_ssh(address: &str, port: Option<u16>, user: Option<&str>) -> Result<Option<Options>, String> {
    let mut command = Command::new("ssh");
    command.arg("-G");
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(user) = user {
        command.arg("-l").arg(user);
    }
    command.arg("--").arg(address).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("ssh cannot be started: {error}")),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("ssh_config cannot be used: ssh -G {address} said: {}", said.trim()));
    }
    Ok(Some(parse(&String::from_utf8_lossy(&output.stdout))))
}

/// Reads the output of `ssh -G`: an option and its value a line.
pub(super) fn parse(text: &str) -> Options {
    let mut options = Options::default();
    let (mut users, mut globals) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((name, value)) = line.trim().split_once(char::is_whitespace) else { continue };
        let value = value.trim();
        let unless_none = || (!value.is_empty() && !value.eq_ignore_ascii_case("none")).then(|| value.to_owned());
        let words = || value.split_ascii_whitespace().filter(|word| *word != "none").map(str::to_owned);
        match name.to_ascii_lowercase().as_str() {
            "hostname" => options.hostname = Some(value.to_owned()),
            "port" => options.port = value.parse().ok(),
            "user" => options.user = Some(value.to_owned()),
            "identityfile" => options.identity_files.extend(unless_none()),
            "userknownhostsfile" => users.extend(words()),
            "globalknownhostsfile" => globals.extend(words()),
            "proxyjump" => options.proxy_jump = unless_none(),
            "proxycommand" => options.proxy_command = unless_none(),
            "hostkeyalias" => options.host_key_alias = unless_none(),
            "revokedhostkeys" => options.revoked_host_keys = unless_none(),
            "identitiesonly" => options.identities_only = value == "yes",
            "identityagent" => options.identity_agent = Some(value.to_owned()),
            _ => {}
        }
    }
    options.known_hosts = users;
    options.known_hosts.append(&mut globals);
    options
}

/// What the tokens of ssh_config(5), TOKENS, stand for.
pub(super) struct Tokens<'a> {
    /// `%n`: the host as given.
    pub(super) given: &'a str,
    /// `%h`: the host that is connected to.
    pub(super) host: &'a str,
    /// `%p`.
    pub(super) port: u16,
    /// `%r`: the login name.
    pub(super) user: &'a str,
}

impl Tokens<'_> {
    /// Replaces the tokens; each value goes through `word` first.
    ///
    /// # Errors
    /// A token that is not known here.
    pub(super) fn expand(&self, text: &str, word: impl Fn(&str) -> String) -> Result<String, String> {
        let mut out = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            match letters.next() {
                Some('%') => out.push('%'),
                Some('h') => out.push_str(&word(self.host)),
                Some('n') => out.push_str(&word(self.given)),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(&word(self.user)),
                Some('d') => out.push_str(&word(&home().to_string_lossy())),
                Some('u') => out.push_str(&word(&local_user().unwrap_or_default())),
                other => {
                    let token = other.map(String::from).unwrap_or_default();
                    return Err(format!("the token %{token} of ssh_config is not supported in: {text}"));
                }
            }
        }
        Ok(out)
    }
}

/// A path of ssh_config with `~/` replaced.
pub(super) fn path(text: &str) -> PathBuf {
    text.strip_prefix("~/").map_or_else(|| PathBuf::from(text), |rest| home().join(rest))
}

/// The operator's home directory; `/` if there is none.
pub(super) fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"))
}

/// The operator's own user name.
pub(super) fn local_user() -> Option<String> {
    ["LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

#[cfg(test)]
#[path = "ssh_config_tests.rs"]
mod tests;
