//! A root shell over SSH: one connection, one session channel.
//!
//! Round trips are what a plan pays for, so there are no more than needed:
//! key exchange, one login that succeeds, channel, exec (sshd opens its window
//! only when the command runs, so input cannot go with it). Whether root can be
//! had shows with the first answer.

use super::deadline::{self, Deadline};
use super::host_key::{self, Expected};
use super::jump::{self, keep_last};
use super::known_hosts::KnownHosts;
use super::route::{self, Route};
use super::sudo;
use super::wire::{Socket, Wire, dial, would_block};
use super::{Ask, Link, Policy, Target, TransportError};
use crate::values::Secret;
use std::io::{ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes the host may send before we have read them. Large enough that an
/// answer seldom waits for a window adjustment.
const WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes in one packet (RFC 4253, 6.1).
const PACKET: u32 = 32 * 1024;
/// Keepalive messages without an answer, after which a connection is dead: a
/// network may drop it without a word to either end.
const UNANSWERED: u32 = 4;
/// When a connection that ended in its key exchange is made anew.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];
/// How long that may take.
const SECOND_TRY: Duration = Duration::from_secs(5);
/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// The link over SSH. `wire` comes first: it closes the socket before the
/// channel is given up, which then cannot block.
struct SshLink {
    wire: Wire,
    channel: ssh2::Channel,
    route: Route,
    ask: Arc<dyn Ask>,
    limit: Duration,
    keepalive: Duration,
    /// When the other end last gave a sign of life.
    heard: Instant,
    buffer: Vec<u8>,
    /// The last of standard error.
    said: Vec<u8>,
    /// The command whose start the host has not confirmed yet.
    starting: Option<String>,
    /// Whether the root shell has answered once.
    established: bool,
    /// A sink broke off while input was left: the stream is out of step.
    out_of_step: bool,
}

/// Connects, verifies the host, logs in and starts the root shell.
///
/// # Errors
/// Whatever ended it; all within the policy's time limit.
pub(super) fn connect(target: &Target, policy: &Policy, ask: &Arc<dyn Ask>) -> Result<Box<dyn Link>, TransportError> {
    let route = route::find(target, policy)?;
    let mut deadline = Deadline::new(&route.name, policy.connect_timeout);
    let known = KnownHosts::load(&route.known_hosts)
        .map_err(|why| TransportError::HostKey { host: route.name.clone(), why })?;
    let mut wire = reach_and_agree(&route, policy, &known, &deadline)?;
    let proof = verify(&mut wire, &route, policy, &known, &mut deadline, ask.as_ref())?;
    super::auth::authenticate(&mut wire, &proof, &route, &mut deadline, ask.as_ref())?;
    let command = sudo::command(&route.user, None);
    let (channel, starting) = open_channel(&mut wire, &route, &deadline, command)?;
    let seconds = u32::try_from(policy.keepalive.as_secs()).unwrap_or(u32::MAX);
    wire.session.set_keepalive(true, seconds);
    Ok(Box::new(SshLink {
        wire,
        channel,
        route,
        ask: Arc::clone(ask),
        limit: policy.connect_timeout,
        keepalive: policy.keepalive,
        heard: Instant::now(),
        buffer: vec![0; BUFFER],
        said: Vec::new(),
        starting,
        established: false,
        out_of_step: false,
    }))
}

/// A socket to the host, directly or through a jump host.
fn reach(route: &Route, policy: &Policy, deadline: &Deadline) -> Result<Wire, TransportError> {
    let (socket, proxy) = match jump::start(route, policy)? {
        Some((stream, proxy)) => (Socket::Process(stream), Some(proxy)),
        None => (Socket::Tcp(dial(&route.name, &route.host, route.port, deadline)?), None),
    };
    Wire::new(socket, proxy).map_err(|why| unreachable(route, why))
}

/// A socket with the key exchange behind it. An sshd that is reloaded or
/// stopped at that very moment ends a connection before it is its own: that
/// is no answer, so it is asked again, and the first reason told if it stays so.
fn reach_and_agree(
    route: &Route,
    policy: &Policy,
    known: &KnownHosts,
    deadline: &Deadline,
) -> Result<Wire, TransportError> {
    let mut wire = reach(route, policy, deadline)?;
    let Some(first) = shake_hands(&mut wire, route, known, deadline)? else { return Ok(wire) };
    drop(wire);
    if !policy.insist {
        return Err(first);
    }
    for pause in AGAIN_AFTER {
        let left = deadline.left("connecting again")?;
        std::thread::sleep(pause.min(left));
        let short = Deadline::new(&route.name, left.saturating_sub(pause).min(SECOND_TRY));
        let Ok(mut wire) = reach(route, policy, &short) else { continue };
        match shake_hands(&mut wire, route, known, &short) {
            Ok(None) => return Ok(wire),
            Ok(Some(_)) => {}
            // Who says nothing now has not been an sshd before.
            Err(_) => break,
        }
    }
    Err(first)
}

/// Banner and key exchange; what the other end made of it, if it failed.
fn shake_hands(
    wire: &mut Wire,
    route: &Route,
    known: &KnownHosts,
    deadline: &Deadline,
) -> Result<Option<TransportError>, TransportError> {
    let algorithms = host_key::preference(&known.types(&route.known_as));
    wire.session
        .method_pref(ssh2::MethodType::HostKey, &algorithms)
        .map_err(|error| unreachable(route, error.message().to_owned()))?;
    let done = wire.drive(deadline, "waiting for the SSH banner and key exchange", ssh2::Session::handshake)?;
    Ok(done.err().map(|error| handshake_failed(wire, route, &error)))
}

/// The host key against what is known.
fn verify(
    wire: &mut Wire,
    route: &Route,
    policy: &Policy,
    known: &KnownHosts,
    deadline: &mut Deadline,
    ask: &dyn Ask,
) -> Result<host_key::HostKeyVerified, TransportError> {
    let Some((blob, _)) = wire.session.host_key() else {
        return Err(unreachable(route, "the host showed no host key".to_owned()));
    };
    let blob = blob.to_vec();
    let expected = Expected {
        host: &route.name,
        field: &route.known_as,
        known,
        remember_in: route.known_hosts.first(),
        policy: policy.host_keys,
    };
    host_key::verify(&expected, &blob, |question| deadline.paused(|| ask.confirm(question)))
}

fn handshake_failed(wire: &mut Wire, route: &Route, error: &ssh2::Error) -> TransportError {
    let said = wire.proxy_said();
    let why = match error.code() {
        _ if !said.is_empty() => format!("through the jump host: {said}"),
        ssh2::ErrorCode::Session(
            libssh2_sys::LIBSSH2_ERROR_KEX_FAILURE | libssh2_sys::LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE,
        ) => format!(
            "the key exchange failed: {}. The host may offer no algorithm that this program has; compare \
             KexAlgorithms, HostKeyAlgorithms and Ciphers of its `sshd -T`",
            error.message()
        ),
        _ => format!("no SSH server answers there, or it ended the connection: {}", error.message()),
    };
    unreachable(route, why)
}

/// Opens a channel and asks for the command. What is written to it follows at
/// once: whether the command has been started is the first of what comes back,
/// and waiting for it would cost a round trip.
fn open_channel(
    wire: &mut Wire,
    route: &Route,
    deadline: &Deadline,
    command: String,
) -> Result<(ssh2::Channel, Option<String>), TransportError> {
    let doing = "opening a session";
    let mut channel = wire
        .drive(deadline, doing, |session| session.channel_open("session", WINDOW, PACKET, None))?
        .map_err(|error| no_session(&route.name, &error))?;
    loop {
        match channel.exec(&command) {
            Ok(()) => return Ok((channel, None)),
            Err(error) if !would_block(&error) => return Err(no_session(&route.name, &error)),
            // The request is sent whole.
            Err(_) if !wire.wants_out() => return Ok((channel, Some(command))),
            Err(_) => {
                wire.wait(true, deadline.left(doing)?);
            }
        }
    }
}

fn no_session(host: &str, error: &ssh2::Error) -> TransportError {
    let said = format!("the host gave no session to run a command in: {}", error.message());
    TransportError::Closed { host: host.to_owned(), said }
}

fn unreachable(route: &Route, why: String) -> TransportError {
    TransportError::Unreachable { host: route.name.clone(), address: format!("{}:{}", route.host, route.port), why }
}

/// Why the pump stopped.
enum Stop {
    /// The sink broke off.
    Done,
    /// The far end closed.
    Closed,
    /// What came on standard error is a reason to stop.
    Halted,
}

impl Link for SshLink {
    fn exchange(
        &mut self,
        input: &[u8],
        idle: Duration,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), TransportError> {
        if self.out_of_step {
            return Err(TransportError::Protocol {
                host: self.route.name.clone(),
                why: "the program before this one ended without reading all of its data".to_owned(),
            });
        }
        if let Stop::Closed = self.pump(input, idle, sink, &|_| false)? {
            if self.established {
                return Err(self.closed());
            }
            // The shell never spoke: sudo may want a password.
            let password = self.sudo_password()?;
            self.start_with(&password, idle)?;
            if let Stop::Closed = self.pump(input, idle, sink, &|_| false)? {
                return Err(self.closed());
            }
        }
        self.established = true;
        Ok(())
    }
}

impl SshLink {
    /// Moves bytes both ways until the sink breaks off, `halt` finds a reason
    /// in standard error, or the other end closes.
    fn pump(
        &mut self,
        input: &[u8],
        idle: Duration,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
        halt: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Stop, TransportError> {
        let mut sent = 0;
        let mut moved_at = Instant::now();
        // Nobody has listened since the exchange before this one.
        self.heard = moved_at;
        loop {
            let mut moved = false;
            let mut outbound = false;
            if let Some(command) = &self.starting {
                match self.channel.exec(command) {
                    Ok(()) => {
                        self.starting = None;
                        moved = true;
                    }
                    Err(error) if would_block(&error) => outbound |= self.wire.wants_out(),
                    Err(error) => return Err(no_session(&self.route.name, &error)),
                }
            }
            // One packet, then a look at what came: a packet of which the
            // socket took a part keeps libssh2 from widening our own window.
            if sent < input.len() {
                match self.channel.write(&input[sent..]) {
                    Ok(count) => {
                        sent += count;
                        moved |= count > 0;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => outbound |= self.wire.wants_out(),
                    Err(_) => {
                        // What the other end said before it went away is worth reading.
                        sent = input.len();
                        self.out_of_step = true;
                    }
                }
            }
            match self.channel.read(&mut self.buffer) {
                Ok(0) => {}
                Ok(count) => {
                    moved = true;
                    if sink(&self.buffer[..count]).is_break() {
                        self.out_of_step |= sent < input.len();
                        return Ok(Stop::Done);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => outbound |= self.wire.wants_out(),
                Err(error) => return Err(self.broken(&error)),
            }
            match self.channel.stderr().read(&mut self.buffer) {
                Ok(0) => {}
                Ok(count) => {
                    moved = true;
                    keep_last(&mut self.said, &self.buffer[..count]);
                    if halt(&self.said) {
                        return Ok(Stop::Halted);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => outbound |= self.wire.wants_out(),
                Err(error) => return Err(self.broken(&error)),
            }
            if self.channel.eof() {
                return Ok(Stop::Closed);
            }
            if moved {
                moved_at = Instant::now();
                self.heard = moved_at;
                continue;
            }
            let Some(left) = idle.checked_sub(moved_at.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(deadline::timeout(&self.route.name, idle, "waiting for the host's answer"));
            };
            self.rest(outbound, left)?;
        }
    }

    /// Waits for the socket, keeping the connection alive meanwhile.
    fn rest(&mut self, outbound: bool, left: Duration) -> Result<(), TransportError> {
        let mut limit = left.min(self.keepalive.max(Duration::from_secs(1)));
        // A keepalive that is sent in part could never be finished: only on a
        // socket with room, and with nothing else under way.
        if !outbound && !self.keepalive.is_zero() && self.wire.writable() {
            match self.wire.session.keepalive_send() {
                Ok(next) => limit = limit.min(Duration::from_secs(u64::from(next.max(1)))),
                Err(error) if would_block(&error) => {}
                Err(error) => return Err(self.broken(&error.into())),
            }
        }
        if self.wire.wait(outbound, limit) {
            self.heard = Instant::now();
        } else if !self.keepalive.is_zero() && self.heard.elapsed() > self.keepalive * UNANSWERED {
            let silence =
                format!("the connection is dead: no sign of life for {} seconds", self.heard.elapsed().as_secs());
            return Err(self.broken(&std::io::Error::new(ErrorKind::TimedOut, silence)));
        }
        Ok(())
    }

    /// After the first shell closed without a word: what sudo said, and the
    /// password if that is what it wants.
    fn sudo_password(&mut self) -> Result<Secret, TransportError> {
        let said = self.last_words();
        if self.route.user == "root" || !sudo::is_refusal(&said) {
            return Err(self.closed());
        }
        if !sudo::wants_password(&said) {
            return Err(sudo::error(&self.route.name, &self.route.user, &said));
        }
        let prompt = format!("Password of {} for sudo", self.route.user);
        self.ask.secret(&prompt).ok_or_else(|| sudo::error(&self.route.name, &self.route.user, &said))
    }

    /// Starts the root shell again, sudo reading the password from its
    /// standard input. The rest is not sent before sudo has taken it: after a
    /// wrong password sudo would read the next lines as further attempts.
    fn start_with(&mut self, password: &Secret, idle: Duration) -> Result<(), TransportError> {
        let marks =
            sudo::Marks::new().map_err(|why| TransportError::Protocol { host: self.route.name.clone(), why })?;
        let command = sudo::command(&self.route.user, Some(&marks));
        let deadline = Deadline::new(&self.route.name, self.limit);
        self.said.clear();
        (self.channel, self.starting) = open_channel(&mut self.wire, &self.route, &deadline, command)?;
        let line = format!("{}\n", password.expose());
        let mut heard = Vec::new();
        let ready = marks.ready.as_bytes().to_vec();
        // Asked a second time: the password was wrong. Closing is the answer.
        let wrong = |said: &[u8]| sudo::asked(said, &marks) > 1;
        let stop = self.pump(
            line.as_bytes(),
            idle,
            &mut |bytes| {
                heard.extend_from_slice(bytes);
                let reached = heard.windows(ready.len()).any(|window| window == ready);
                if reached { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
            &wrong,
        )?;
        match stop {
            Stop::Done => Ok(()),
            Stop::Halted => Err(sudo::error(&self.route.name, &self.route.user, "sudo does not accept the password")),
            Stop::Closed => {
                let said = self.last_words().replace(&marks.prompt, "");
                Err(sudo::error(&self.route.name, &self.route.user, &said))
            }
        }
    }

    fn last_words(&self) -> String {
        String::from_utf8_lossy(&self.said).trim().to_owned()
    }

    fn closed(&self) -> TransportError {
        let mut said = self.last_words();
        if said.is_empty() && !self.established {
            let code = self.channel.exit_status().unwrap_or_default();
            said = format!("the login shell of {} ended with code {code} before the root shell spoke", self.route.user);
        }
        TransportError::Closed { host: self.route.name.clone(), said }
    }

    fn broken(&mut self, error: &std::io::Error) -> TransportError {
        let mut said = error.to_string();
        for more in [self.wire.proxy_said(), self.last_words()] {
            if !more.is_empty() {
                said.push_str(&format!("; {more}"));
            }
        }
        TransportError::Closed { host: self.route.name.clone(), said }
    }
}
