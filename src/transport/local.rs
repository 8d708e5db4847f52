//! This machine, or a root directory on it: for image builds.
//!
//! A child process runs the bootstrap shell; its three pipes are pumped
//! without blocking, as a session channel would be.

use super::jump::keep_last;
use super::wire::wait_for;
use super::{BOOTSTRAP, Link, TransportError, deadline};
use rustix::event::{PollFd, PollFlags};
use std::io::{ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// A shell that is a child of ours.
pub(super) struct LocalLink {
    host: String,
    child: Option<Child>,
    input: Option<ChildStdin>,
    output: ChildStdout,
    errors: Option<ChildStderr>,
    buffer: Vec<u8>,
    said: Vec<u8>,
    established: bool,
}

/// A root shell in `root`: by `sudo -n` if we are not root ourselves, by
/// chroot(8) unless it is `/`.
///
/// # Errors
/// The programs for it cannot be started.
pub(super) fn connect(host: &str, root: &Path) -> Result<LocalLink, TransportError> {
    if !root.is_dir() {
        return Err(TransportError::Unreachable {
            host: host.to_owned(),
            address: root.display().to_string(),
            why: "it is not a directory".to_owned(),
        });
    }
    let mut words: Vec<&std::ffi::OsStr> = Vec::new();
    if !rustix::process::geteuid().is_root() {
        words.extend(["sudo", "-n", "--"].map(std::ffi::OsStr::new));
    }
    if root != Path::new("/") {
        words.extend([std::ffi::OsStr::new("chroot"), root.as_os_str()]);
    }
    words.extend(["/bin/sh", "-c", BOOTSTRAP].map(std::ffi::OsStr::new));
    let mut command = Command::new(words[0]);
    // chroot(8) is in /usr/sbin, which a user's PATH may lack.
    command
        .args(&words[1..])
        .env("LC_ALL", "C")
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    start(host, command)
}

/// Runs a command that becomes the bootstrap shell.
pub(super) fn start(host: &str, mut command: Command) -> Result<LocalLink, TransportError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| TransportError::Unreachable {
        host: host.to_owned(),
        address: program.clone(),
        why: error.to_string(),
    };
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed(ErrorKind::BrokenPipe.into()));
    };
    for fd in [input.as_fd(), output.as_fd(), errors.as_fd()] {
        unblock(fd).map_err(failed)?;
    }
    Ok(LocalLink {
        host: host.to_owned(),
        child: Some(child),
        input: Some(input),
        output,
        errors: Some(errors),
        buffer: vec![0; BUFFER],
        said: Vec::new(),
        established: false,
    })
}

fn unblock(fd: std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK)?)
}

/// What one try to read or write gave.
enum Moved {
    Some(usize),
    Nothing,
    Ended,
}

fn moved(result: std::io::Result<usize>) -> Moved {
    match result {
        Ok(0) => Moved::Ended,
        Ok(count) => Moved::Some(count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Moved::Nothing,
        Err(_) => Moved::Ended,
    }
}

impl Link for LocalLink {
    fn exchange(
        &mut self,
        input: &[u8],
        idle: Duration,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), TransportError> {
        let mut sent = 0;
        let mut moved_at = Instant::now();
        loop {
            let mut progress = false;
            if let Some(pipe) = self.input.as_mut().filter(|_| sent < input.len()) {
                match moved(pipe.write(&input[sent..])) {
                    Moved::Some(count) => {
                        sent += count;
                        progress = true;
                    }
                    Moved::Nothing => {}
                    Moved::Ended => self.input = None,
                }
            }
            progress |= self.hear();
            match moved(self.output.read(&mut self.buffer)) {
                Moved::Some(count) => {
                    progress = true;
                    if sink(&self.buffer[..count]).is_break() {
                        self.established = true;
                        if sent < input.len() {
                            // The rest would be read as programs: no more of them.
                            self.input = None;
                        }
                        return Ok(());
                    }
                }
                Moved::Nothing => {}
                Moved::Ended => return Err(self.closed(idle)),
            }
            if progress {
                moved_at = Instant::now();
                continue;
            }
            let Some(left) = idle.checked_sub(moved_at.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(deadline::timeout(&self.host, idle, "waiting for the answer of the local shell"));
            };
            self.rest(sent < input.len(), left);
        }
    }
}

impl LocalLink {
    /// Keeps the last of standard error; whether there was any.
    fn hear(&mut self) -> bool {
        let Some(pipe) = self.errors.as_mut() else { return false };
        match moved(pipe.read(&mut self.buffer)) {
            Moved::Some(count) => {
                keep_last(&mut self.said, &self.buffer[..count]);
                true
            }
            Moved::Nothing => false,
            Moved::Ended => {
                self.errors = None;
                false
            }
        }
    }

    fn rest(&self, outbound: bool, left: Duration) {
        let mut fds = vec![PollFd::new(&self.output, PollFlags::IN)];
        if let Some(pipe) = &self.errors {
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        if let Some(pipe) = self.input.as_ref().filter(|_| outbound) {
            fds.push(PollFd::new(pipe, PollFlags::OUT));
        }
        wait_for(&mut fds, left);
    }

    fn closed(&mut self, idle: Duration) -> TransportError {
        // Its last words may come after the end of its output.
        let until = Instant::now() + idle.min(Duration::from_secs(1));
        while self.errors.is_some() && Instant::now() < until {
            if let (false, Some(pipe)) = (self.hear(), &self.errors) {
                wait_for(&mut [PollFd::new(pipe, PollFlags::IN)], until.saturating_duration_since(Instant::now()));
            }
        }
        let said = String::from_utf8_lossy(&self.said).trim().to_owned();
        if !self.established && super::sudo::is_refusal(&said) {
            return super::sudo::error(&self.host, "this user", &said);
        }
        TransportError::Closed { host: self.host.clone(), said }
    }
}

impl Drop for LocalLink {
    fn drop(&mut self) {
        // The end of its input ends the shell. Where it is sudo's child it is
        // not ours to kill, so nobody waits for it here.
        self.input = None;
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            if !matches!(child.try_wait(), Ok(Some(_))) {
                std::thread::spawn(move || child.wait());
            }
        }
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
