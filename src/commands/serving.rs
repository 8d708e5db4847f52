//! A session of `connect` while it is served, and the command that runs with it.

use super::Exit;
use crate::connect::{Access, AccessError, Context as DockerContext, Gateway, Granted, LocalSocket, Relay};
use crate::engine::RunFailed;
use crate::report::{Console, Remarks};
use anyhow::Context;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// A session that is about to be served.
pub(super) struct Serving {
    /// The gateway that it is with.
    pub(super) gateway: Gateway,
    /// Where it is served.
    pub(super) socket: LocalSocket,
    /// The session's name.
    pub(super) session: Option<String>,
    /// The host, as messages name it.
    pub(super) host: String,
    /// The name of the Docker context to make; none: no context.
    pub(super) context: Option<String>,
    /// The command that ends it when it ends; none: it is served until a signal.
    pub(super) command: Vec<OsString>,
}

/// Why serving ended.
enum Ended {
    RunResult,
    Session(String),
    Command(u8),
}

impl Serving {
    /// Serves until the session ends, the command does, or a signal says so.
    ///
    /// # Errors
    /// The session ended, or the command could not be run.
    pub(super) async fn run(mut self, granted: Granted, console: &mut Console) -> anyhow::Result<Exit> {
        let access = Arc::new(Access::new(granted, Arc::new(self.gateway.clone())));
        let result = self.serve(&access, console).await;
        // There is nothing to sign out of once the session has ended.
        if !matches!(result, Ok(Ended::Session(_))) {
            self.sign_out(&access, console.remarks()).await;
        }
        match result? {
            Ended::RunResult => Ok(Exit::Done),
            Ended::Session(why) => Err(RunFailed(format!("{}: {why}", self.host)).into()),
            Ended::Command(code) => Ok(Exit::Command(code)),
        }
    }

    async fn serve(&mut self, access: &Arc<Access>, console: &mut Console) -> anyhow::Result<Ended> {
        let listener = self.socket.listener()?;
        let relay = Relay::new(self.gateway.clone(), Arc::clone(access));
        let mut signals = Signals::new().context("signals cannot be waited for")?;
        let path = self.socket.path().to_owned();
        let context = match &self.context {
            Some(name) => DockerContext::create(name, &path)?,
            None => None,
        };
        let host = self.host.as_str();
        let remarks = console.remarks();
        let report = |error: &AccessError| {
            remarks.line(&format!("{}: {error}; open streams may end; it is tried again", host));
        };
        if self.command.is_empty() {
            console.line(&format!("DOCKER_HOST=unix://{}", path.display()));
            match &context {
                Some(context) => {
                    console.remark(&format!("docker --context {} … until this ends (Ctrl-C)", context.name()));
                }
                None => console.remark("there is no Docker client here, so no context; set DOCKER_HOST yourself"),
            }
            return Ok(tokio::select! {
                () = relay.serve(&listener) => Ended::RunResult,
                _ = signals.next() => Ended::RunResult,
                why = access.keep(report) => Ended::Session(why.to_string()),
            });
        }
        let mut child = match start(&self.command, &path) {
            Ok(child) => child,
            Err(error) => {
                let program = self.command.first().cloned().unwrap_or_default();
                remarks.line(&format!("'{}' cannot be run: {error}", program.to_string_lossy()));
                // As env(1), nohup(1) and timeout(1) have it.
                return Ok(Ended::Command(if error.kind() == ErrorKind::NotFound { 127 } else { 126 }));
            }
        };
        // The command is not ours to end: its requests are refused from now on, and it sees that.
        let session = async {
            let why = access.keep(report).await;
            remarks.line(&format!("{}: {why}", host));
            std::future::pending().await
        };
        tokio::select! {
            () = relay.serve(&listener) => Ok(Ended::RunResult),
            never = session => never,
            status = wait(&mut child, &mut signals) => Ok(Ended::Command(exit_code(status?))),
        }
    }

    async fn sign_out(&self, access: &Access, remarks: Remarks) {
        let token = access.sign_out().await;
        if let Err(why) = self.gateway.revoke(&token).await {
            let session = self.session.as_deref().unwrap_or("of this token");
            remarks.line(&format!(
                "the session {session} could not be revoked ({why}); revoke it with 'stockade token revoke', or it ends by itself"
            ));
        }
    }
}

/// The signals that tell this program to end.
struct Signals(Vec<(Signal, tokio::signal::unix::Signal)>);

impl Signals {
    fn new() -> std::io::Result<Signals> {
        let all = [
            (Signal::INT, SignalKind::interrupt()),
            (Signal::TERM, SignalKind::terminate()),
            (Signal::HUP, SignalKind::hangup()),
        ];
        Ok(Signals(all.into_iter().map(|(name, kind)| Ok((name, signal(kind)?))).collect::<std::io::Result<_>>()?))
    }

    /// The next of them.
    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            let come =
                self.0.iter_mut().find_map(|(name, signal)| signal.poll_recv(context).is_ready().then_some(*name));
            come.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

/// Starts the command with the socket as its Docker daemon.
fn start(words: &[OsString], socket: &Path) -> std::io::Result<Child> {
    let Some((program, arguments)) = words.split_first() else { return Err(ErrorKind::InvalidInput.into()) };
    let mut host = OsString::from("unix://");
    host.push(socket);
    Command::new(program)
        .args(arguments)
        .env("DOCKER_HOST", host)
        .env_remove("DOCKER_CONTEXT")
        .env_remove("DOCKER_TLS")
        .env_remove("DOCKER_TLS_VERIFY")
        .spawn()
}

/// Waits for the command. SIGTERM and SIGHUP are passed on to it; SIGINT is
/// not, for the terminal's Ctrl-C reaches it by itself: in either case it is
/// the command that decides when it ends.
async fn wait(child: &mut Child, signals: &mut Signals) -> anyhow::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    // Not collected there, so that its number is its own as long as it may be sent a signal.
    let mut ended = tokio::task::spawn_blocking(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
    });
    loop {
        tokio::select! {
            _ = &mut ended => return child.wait().context("the command cannot be waited for"),
            signal = signals.next() => {
                if signal != Signal::INT {
                    let _ = kill_process(pid, signal);
                }
            }
        }
    }
}

/// As a shell has it: 128 and the number of the signal that ended it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| signal.saturating_add(128)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_a_signal_ended_is_told_as_a_shell_does() {
        assert_eq!(exit_code(ExitStatus::from_raw(42 << 8)), 42);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }
}
