//! A TCP port of the host, as a Unix socket of this machine.
//!
//! An `ssh -L` of OpenSSH carries it: one SSH session, one channel for each
//! connection, each direction ending for itself. libssh2 carries everything
//! else here, but not this: on a non-blocking session a write that the socket
//! took in part stops for good when the server asks for new keys at that
//! moment (libssh2 issue 2110, in 1.11.1), which sshd does each gigabyte with
//! chacha20-poly1305, and between two calls that finish such a write no other
//! channel may send. Long streams beside each other meet both. (OpenSSH 9.2 at
//! both ends stalled once in some 800 key exchanges that were forced each 4 MB;
//! so ciphers that need few of them come first, and keepalives end a session
//! that is stuck.)
//!
//! The host and the hops before it are those of the login: the same address,
//! keys and known_hosts files, and host keys strictly checked.

use super::jump::{self, Proxy};
use super::route::{self, Route, Via};
use super::{Policy, Target, TransportError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// What the host runs for as long as the forwarding lasts. Its output says that
/// the session is there; the end of its input, also when this process dies,
/// ends it and with it the forwarding. Any login shell knows these words.
const HOLD: &str = "echo ready; cat";

/// Without the signals of the terminal, which go to its whole foreground group:
/// Ctrl-C ends the command that uses the forwarding, and the session is signed
/// out of through it afterwards. ssh(1) leaves signals alone that are ignored.
const SHIELD: &str = "trap '' INT QUIT HUP; exec \"$@\"";

/// Beyond the limit of ssh itself, which knows why.
const GRACE: Duration = Duration::from_secs(5);

/// A forwarding that lasts until this is dropped.
pub struct Forward {
    // First: the process ends before its socket's directory goes.
    proxy: Proxy,
    _hold: ChildStdin,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Forward {
    /// Forwards to `port` of `host`, both as the target sees them. With
    /// `batch`, ssh asks nothing on the terminal.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] with what ssh(1) said: there is none, the
    /// login failed, or no session within the policy's time limit.
    pub fn open(
        target: &Target,
        policy: &Policy,
        (host, port): (&str, u16),
        batch: bool,
    ) -> Result<Forward, TransportError> {
        let route = route::find(target, policy)?;
        let failed = |why: String| TransportError::Unreachable {
            host: route.name.clone(),
            address: format!("{}:{} by 'ssh -L'", route.host, route.port),
            why,
        };
        if target.local_root.is_some() {
            return Err(failed("this host is not reached by SSH".to_owned()));
        }
        let directory = private_directory().map_err(|error| failed(format!("no temporary directory: {error}")))?;
        let socket = directory.path().join("gateway.sock");
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let ssh = command(&route, policy, batch).map_err(failed)?;
        let mut shielded = Command::new("/bin/sh");
        shielded.args(["-c", SHIELD, "sh"]).arg(ssh.get_program()).args(ssh.get_args());
        shielded.arg("-L").arg(format!("{}:{host}:{port}", socket.display()));
        shielded.arg("--").arg(&target.address).arg(HOLD);
        let mut child = shielded
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("/bin/sh: {error}")))?;
        let (Some(hold), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("no pipe to ssh".to_owned()));
        };
        let mut proxy = Proxy::watch(child);
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let first = matches!(output.read(&mut [0; 64]), Ok(1..));
            let _ = tell.send(first);
            // Whatever more a login shell prints must not stop it.
            let _ = std::io::copy(&mut output, &mut std::io::sink());
        });
        match told.recv_timeout(policy.connect_timeout + GRACE) {
            Ok(true) => Ok(Forward { proxy, _hold: hold, socket, _directory: directory }),
            Ok(false) | Err(RecvTimeoutError::Disconnected) => Err(failed(match proxy.said() {
                said if said.is_empty() => "ssh ended without a word".to_owned(),
                said if said.contains("ssh: not found") => {
                    "there is no ssh(1) on this machine, which carries the connection; install openssh-client"
                        .to_owned()
                }
                said => said,
            })),
            Err(RecvTimeoutError::Timeout) => {
                let said = proxy.said();
                Err(failed(format!("no session within {} s. {said}", (policy.connect_timeout + GRACE).as_secs())))
            }
        }
    }

    /// The socket that leads to the port.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether the SSH session is there.
    pub fn is_alive(&mut self) -> bool {
        self.proxy.is_running()
    }

    /// The last of what ssh said: why a connection was not let through, say.
    pub fn said(&self) -> String {
        self.proxy.said_so_far()
    }
}

/// A directory for this user alone, whose path ssh takes as it is: a colon, a
/// percent or a dollar sign would mean something in `-L`.
fn private_directory() -> std::io::Result<tempfile::TempDir> {
    let usual = std::env::temp_dir();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let fits = usual.is_absolute() && usual.to_str().is_some_and(|path| path.len() <= 60 && path.chars().all(plain));
    tempfile::Builder::new().prefix("stockade-").tempdir_in(if fits { usual } else { PathBuf::from("/tmp") })
}

/// `ssh` with all options but the forwarding.
fn command(route: &Route, policy: &Policy, batch: bool) -> Result<Command, String> {
    let mut ssh = Command::new("ssh");
    if !policy.use_ssh_config {
        ssh.args(["-F", "none"]);
    }
    let mut option = |text: String| _ = ssh.args(["-o", &text]);
    for plain in [
        "StrictHostKeyChecking=yes",
        // Not another's connection, and not one that others may use.
        "ControlMaster=no",
        "ControlPath=none",
        "ForwardAgent=no",
        "ForwardX11=no",
        "PermitLocalCommand=no",
        "RequestTTY=no",
        "RemoteCommand=none",
        "StreamLocalBindMask=0177",
        // AES-GCM first: new keys are due each 64 GB and not each gigabyte (ssh_config(5), RekeyLimit).
        "Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,\
         aes128-ctr",
        // Why a channel was refused is said at this level.
        "LogLevel=INFO",
    ] {
        option(plain.to_owned());
    }
    if batch || !jump::can_ask() {
        option("BatchMode=yes".to_owned());
    }
    option(format!("ConnectTimeout={}", policy.connect_timeout.as_secs().max(1)));
    option(format!("ServerAliveInterval={}", policy.keepalive.as_secs()));
    option("ServerAliveCountMax=4".to_owned());
    option(format!("HostName={}", route.host.replace('%', "%%")));
    if route.identities_only {
        option("IdentitiesOnly=yes".to_owned());
    }
    option(jump::known_hosts_option(route)?);
    match &route.via {
        Via::Direct => {
            option("ProxyCommand=none".to_owned());
            option("ProxyJump=none".to_owned());
        }
        Via::Jump(hops) => option(format!("ProxyCommand={}", words(&jump::ssh(route, policy, hops)?)?)),
        Via::Command(text) => option(format!("ProxyCommand={}", text.replace('%', "%%"))),
    }
    ssh.arg("-p").arg(route.port.to_string()).arg("-l").arg(&route.user);
    for key in &route.keys {
        ssh.arg("-i").arg(key);
    }
    Ok(ssh)
}

/// A command as shell text without ssh_config's tokens.
fn words(command: &Command) -> Result<String, String> {
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = all.map(|word| {
        let word = word.to_str().ok_or_else(|| format!("{word:?} is not UTF-8"))?;
        crate::shell::quote(word).map(|word| word.replace('%', "%%")).map_err(|error| error.to_string())
    });
    // ssh(1) puts `exec` before it.
    Ok(quoted.collect::<Result<Vec<_>, String>>()?.join(" "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "forward_tests.rs"]
mod tests;
