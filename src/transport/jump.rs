//! A connection through a jump host or a ProxyCommand.
//!
//! The hop is a process: `ssh -W host:port jump` on one end of a socket pair,
//! our own session on the other. So the whole of ssh_config (Match, FIDO keys,
//! certificates) serves the hop, and the host behind it is still verified here.

use super::route::{Route, Via};
use super::ssh_config;
use super::{HostKeyChecking, Policy, TransportError};
use std::io::{IsTerminal, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much of a process's standard error is kept.
const KEPT: usize = 8 * 1024;

/// The process that carries a connection. It ends with this value.
pub(super) struct Proxy {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    silent: Receiver<()>,
}

impl Proxy {
    /// Keeps the last of a process's standard error, and ends it at the end.
    pub(super) fn watch(mut child: Child) -> Proxy {
        let said = Arc::new(Mutex::new(Vec::new()));
        let (done, silent) = mpsc::channel();
        if let Some(mut errors) = child.stderr.take() {
            let kept = Arc::clone(&said);
            std::thread::spawn(move || {
                let mut buffer = [0u8; 1024];
                while let Ok(count @ 1..) = errors.read(&mut buffer) {
                    keep_last(&mut kept.lock().unwrap_or_else(PoisonError::into_inner), &buffer[..count]);
                }
                let _ = done.send(());
            });
        }
        Proxy { child, said, silent }
    }

    /// Whether the process has not ended.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The last of its standard error by now.
    pub(super) fn said_so_far(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    /// Ends the process and gives the last of its standard error.
    pub(super) fn said(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A grandchild may hold the pipe open; what has come by then must do.
        let _ = self.silent.recv_timeout(Duration::from_millis(500));
        self.said_so_far()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the hop.
pub(super) fn start(route: &Route, policy: &Policy) -> Result<Option<(UnixStream, Proxy)>, TransportError> {
    let command = match &route.via {
        Via::Direct => return Ok(None),
        Via::Jump(jump) => ssh(route, policy, jump),
        Via::Command(text) => shell(text),
    };
    command.and_then(spawn).map(Some).map_err(|why| TransportError::Unreachable {
        host: route.name.clone(),
        address: format!("{}:{}", route.host, route.port),
        why,
    })
}

/// A ProxyCommand is shell text by definition (ssh_config(5)).
fn shell(text: &str) -> Result<Command, String> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("exec {text}"));
    Ok(command)
}

/// Whether somebody is there to answer a question of ssh(1).
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

pub(super) fn ssh(route: &Route, policy: &Policy, jumps: &str) -> Result<Command, String> {
    let (before, last) = jumps.rsplit_once(',').map_or((None, jumps), |(before, last)| (Some(before), last));
    let hop = Hop::parse(last)?;
    let mut command = Command::new("ssh");
    if !policy.use_ssh_config {
        command.args(["-F", "none"]);
    }
    if !can_ask() {
        command.args(["-o", "BatchMode=yes"]);
    }
    if policy.host_keys == HostKeyChecking::AcceptNew {
        command.args(["-o", "StrictHostKeyChecking=accept-new"]);
    }
    command.arg("-o").arg(format!("ConnectTimeout={}", policy.connect_timeout.as_secs().max(1)));
    for key in &route.keys {
        command.arg("-i").arg(key);
    }
    command.arg("-o").arg(known_hosts_option(route)?);
    if let Some(port) = hop.port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(user) = &hop.user {
        command.arg("-l").arg(user);
    }
    if let Some(before) = before {
        command.arg("-J").arg(before);
    }
    let host = if route.host.contains(':') { format!("[{}]", route.host) } else { route.host.clone() };
    command.arg("-W").arg(format!("{host}:{}", route.port)).arg("--").arg(&hop.host);
    Ok(command)
}

/// The hop may be known where the host is, or where ssh(1) looks by default.
pub(super) fn known_hosts_option(route: &Route) -> Result<String, String> {
    let usual = [ssh_config::path("~/.ssh/known_hosts"), ssh_config::path("~/.ssh/known_hosts2")];
    let mut value = "UserKnownHostsFile=".to_owned();
    for file in route.known_hosts.iter().chain(&usual) {
        let file = file.to_string_lossy();
        if file.contains(['"', '\n']) {
            return Err(format!("{file:?} cannot be given to ssh: it holds a quote or a newline"));
        }
        value.push_str(&format!("\"{file}\" "));
    }
    Ok(value)
}

/// `[user@]host[:port]` or `ssh://[user@]host[:port]`.
#[derive(Debug, PartialEq, Eq)]
struct Hop {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Hop {
    fn parse(text: &str) -> Result<Hop, String> {
        let bad = || format!("the jump host {text:?} is not of the form user@address:port");
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user.to_owned()), rest));
        let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or_else(bad)?;
            (host, after.strip_prefix(':'))
        } else if rest.matches(':').count() == 1 {
            rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)))
        } else {
            (rest, None)
        };
        let port = port.map(str::parse).transpose().map_err(|_| bad())?;
        let words = [Some(host), user.as_deref()];
        if words.iter().flatten().any(|word| word.is_empty() || word.starts_with('-')) {
            return Err(bad());
        }
        Ok(Hop { user, host: host.to_owned(), port })
    }
}

fn spawn(mut command: Command) -> Result<(UnixStream, Proxy), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| format!("the jump host cannot be used: {program}: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let input: OwnedFd = theirs.try_clone().map_err(failed)?.into();
    let output: OwnedFd = theirs.into();
    let child =
        command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::piped()).spawn().map_err(failed)?;
    Ok((ours, Proxy::watch(child)))
}

/// Adds to what was said, keeping the last 8 KiB.
pub(super) fn keep_last(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    let over = kept.len().saturating_sub(KEPT);
    kept.drain(..over);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_jump_host_is_read_with_and_without_user_and_port() {
        let hop =
            |user: Option<&str>, host: &str, port| Hop { user: user.map(str::to_owned), host: host.to_owned(), port };
        for (text, expected) in [
            ("bastion", hop(None, "bastion", None)),
            ("me@bastion:2200", hop(Some("me"), "bastion", Some(2200))),
            ("ssh://me@bastion:2200", hop(Some("me"), "bastion", Some(2200))),
            ("me@[2001:db8::1]:22", hop(Some("me"), "2001:db8::1", Some(22))),
            ("2001:db8::1", hop(None, "2001:db8::1", None)),
        ] {
            assert_eq!(Hop::parse(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "-x", "me@-x", "@host", "host:port", "host:70000", "[::1"] {
            assert!(Hop::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_eight_kilobytes_are_kept() {
        let mut kept = vec![b'a'; KEPT];
        keep_last(&mut kept, b"end");
        assert_eq!((kept.len(), kept.ends_with(b"end")), (KEPT, true));
    }
}
