//! An SSH session over a socket, driven without blocking.
//!
//! libssh2 works in non-blocking mode throughout: each call is repeated when
//! the socket is ready until it gives something other than EAGAIN, so that one
//! [`Deadline`] covers any number of calls exactly. `set_timeout` would be per
//! call and in whole seconds.

use super::TransportError;
use super::deadline::Deadline;
use super::jump::Proxy;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use ssh2::{BlockDirections, ErrorCode};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

/// What carries the bytes.
pub(super) enum Socket {
    /// A connection of our own.
    Tcp(TcpStream),
    /// The standard input and output of a jump or proxy command.
    Process(UnixStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Process(stream) => stream.as_fd(),
        }
    }
}

/// A session, its socket and, behind a jump host, the process that carries it.
pub(super) struct Wire {
    /// The SSH session; its stream is a duplicate of `socket`.
    pub(super) session: ssh2::Session,
    socket: Socket,
    proxy: Option<Proxy>,
}

impl Wire {
    /// Puts a session on a connected socket. Nothing is sent yet.
    pub(super) fn new(socket: Socket, proxy: Option<Proxy>) -> Result<Wire, String> {
        let mut session = ssh2::Session::new().map_err(|error| error.to_string())?;
        let copied = match &socket {
            Socket::Tcp(stream) => {
                stream.set_nonblocking(true).and_then(|()| stream.try_clone()).map(|copy| session.set_tcp_stream(copy))
            }
            Socket::Process(stream) => {
                stream.set_nonblocking(true).and_then(|()| stream.try_clone()).map(|copy| session.set_tcp_stream(copy))
            }
        };
        copied.map_err(|error| error.to_string())?;
        session.set_blocking(false);
        Ok(Wire { session, socket, proxy })
    }

    /// Repeats `step` until it is done or has failed for good.
    ///
    /// # Errors
    /// [`TransportError::Timeout`] when the deadline passes before that.
    pub(super) fn drive<T>(
        &mut self,
        deadline: &Deadline,
        doing: &str,
        mut step: impl FnMut(&mut ssh2::Session) -> Result<T, ssh2::Error>,
    ) -> Result<Result<T, ssh2::Error>, TransportError> {
        loop {
            match step(&mut self.session) {
                Err(error) if would_block(&error) => {
                    let left = deadline.left(doing)?;
                    let outbound = self.wants_out();
                    self.wait(outbound, left);
                }
                done => return Ok(done),
            }
        }
    }

    /// Whether libssh2 holds bytes that the socket did not take.
    pub(super) fn wants_out(&self) -> bool {
        matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both)
    }

    /// Waits until the socket has something to read (or, if asked, room to
    /// write), at most `limit`; whether it has. Returning early is allowed:
    /// callers look again.
    pub(super) fn wait(&self, outbound: bool, limit: Duration) -> bool {
        let events = if outbound { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut fds = [PollFd::new(&self.socket, events)];
        wait_for(&mut fds, limit);
        !fds[0].revents().is_empty()
    }

    /// Whether nothing more can come from the other end.
    pub(super) fn has_ended(&self) -> bool {
        let mut byte = [0_u8; 1];
        match rustix::net::recv(&self.socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, received)) => received == 0,
            Err(error) => error != rustix::io::Errno::AGAIN && error != rustix::io::Errno::INTR,
        }
    }

    /// Whether a small packet can be written whole right now.
    pub(super) fn writable(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::OUT)];
        wait_for(&mut fds, Duration::ZERO);
        fds[0].revents().contains(PollFlags::OUT)
    }

    /// What the jump or proxy command said on its standard error.
    pub(super) fn proxy_said(&mut self) -> String {
        self.proxy.as_mut().map(Proxy::said).unwrap_or_default()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Said once, if the socket takes it; then the socket is shut, so that
        // libssh2's own farewell can neither block nor leak the session.
        let _ = self.session.disconnect(None, "", None);
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

/// Whether the call only has to be repeated later.
pub(super) fn would_block(error: &ssh2::Error) -> bool {
    error.code() == ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_EAGAIN)
}

/// poll(2); an interrupted or failed wait is an early return.
pub(super) fn wait_for(fds: &mut [PollFd<'_>], limit: Duration) {
    let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX).min(86_400);
    let _ = poll(fds, Some(&Timespec { tv_sec: seconds, tv_nsec: limit.subsec_nanos().into() }));
}

/// Connects to the first address of `host` that answers. The limit is shared
/// between the addresses, so that one that is silent leaves time for the next.
pub(super) fn dial(name: &str, host: &str, port: u16, deadline: &Deadline) -> Result<TcpStream, TransportError> {
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let unreachable =
        |why: String| TransportError::Unreachable { host: name.to_owned(), address: address.clone(), why };
    let doing = format!("connecting to {address}");
    let addresses = resolve(host, port, deadline, &doing)?.map_err(unreachable)?;
    let mut why = "the name has no address".to_owned();
    for (number, one) in addresses.iter().enumerate() {
        let left = deadline.left(&doing)?;
        let share = left / u32::try_from(addresses.len() - number).unwrap_or(1);
        match TcpStream::connect_timeout(one, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                // Small messages must not wait for each other's acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                why = format!("connection refused; is sshd running there, and is {port} its port?");
            }
            Err(error) => why = error.to_string(),
        }
    }
    deadline.left(&doing)?;
    Err(unreachable(why))
}

/// The addresses of a name. getaddrinfo(3) knows no time limit, so it gets a
/// thread that may be left behind.
fn resolve(
    host: &str,
    port: u16,
    deadline: &Deadline,
    doing: &str,
) -> Result<Result<Vec<SocketAddr>, String>, TransportError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Ok(vec![SocketAddr::new(ip, port)]));
    }
    let (answer, answers) = mpsc::channel();
    let wanted = host.to_owned();
    std::thread::spawn(move || {
        let found = (wanted.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let _ = answer.send(found.map_err(|error| error.to_string()));
    });
    match answers.recv_timeout(deadline.left(doing)?) {
        Ok(found) => Ok(found),
        Err(_) => {
            deadline.left(doing)?;
            Ok(Err("the name could not be looked up".to_owned()))
        }
    }
}
