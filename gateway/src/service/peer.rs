//! Whose process is at the other end of the administrator's socket.
//!
//! The uid is not enough: the Docker daemon is root and writes to any socket
//! that the log driver of a container names. So the process must be one of the
//! gateway's own program, by the path of its executable in `/proc`.
//!
//! In the bundled unit the gateway cannot read that link for a process of root:
//! proc(5) asks for the permissions of ptrace(2), which a service user does not
//! have, and `ProtectProc=invisible` and `PrivateUsers=yes` hide the rest. There
//! the process that serves the Docker socket is told apart by its PID and
//! refused: the one that listened (`SO_PEERCRED`, unix(7)), and, as that is
//! systemd with socket activation, the one that answers a request
//! (`SCM_CREDENTIALS`). Any other process of root is let on to the nonce.
//! A process in another PID namespace has no PID here and is refused, so the
//! unit must not have `PrivatePIDs=`.

use std::io::{IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use tokio::net::UnixStream;

use super::socket::Closed;

/// How long the daemon may take to show who it is.
const PEER_TIMEOUT: Duration = Duration::from_secs(2);
/// What the kernel adds to the path of a program that was replaced while it runs.
const DELETED: &str = " (deleted)";
/// The first process: it listens on sockets for others, and asks for nothing.
const INIT: i32 = 1;

/// Tells administrators from others.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    /// The gateway's own program.
    program: Option<PathBuf>,
    /// The Docker daemon's socket.
    docker: PathBuf,
    /// The processes that served it when that could last be told.
    daemon: Mutex<Option<Vec<i32>>>,
}

/// Who serves the Docker socket.
enum Daemon {
    /// Nobody: there is no socket, or none that listens.
    Nobody,
    /// These processes.
    Processes(Vec<i32>),
    /// It does not answer.
    Unknown,
}

impl Peers {
    /// For a gateway before this Docker socket. Asks the daemon who it is, in
    /// the background: later it may hang.
    #[must_use]
    pub fn new(docker: &Path) -> Peers {
        let program = std::env::current_exe().ok().map(undeleted);
        let peers = Peers { inner: Arc::new(Inner { program, docker: docker.to_owned(), daemon: Mutex::default() }) };
        let inner = Arc::clone(&peers.inner);
        tokio::task::spawn_blocking(move || inner.daemon());
        peers
    }

    /// Whether a connection is an administrator's.
    ///
    /// # Errors
    /// It is not, or that cannot be told.
    pub async fn admit(&self, stream: &UnixStream) -> Result<(), Closed> {
        let refuse = |reason: &str| Err(Closed::new("admin.peer", reason));
        let Ok(peer) = stream.peer_cred() else { return refuse("the process that connected cannot be told") };
        if peer.uid() != 0 && peer.uid() != rustix::process::geteuid().as_raw() {
            return Err(Closed::new("admin.peer", format!("uid {} is neither root nor the gateway's own", peer.uid())));
        }
        let Some(pid) = peer.pid().filter(|pid| *pid > INIT) else {
            return refuse("the process that connected is in another PID namespace, or is the first of this one");
        };
        let inner = Arc::clone(&self.inner);
        let judged = tokio::task::spawn_blocking(move || inner.judge(pid)).await;
        judged.unwrap_or_else(|_| refuse("the process that connected cannot be told"))
    }
}

fn undeleted(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(DELETED)) {
        Some(text) => PathBuf::from(text),
        None => path,
    }
}

impl Inner {
    fn judge(&self, pid: i32) -> Result<(), Closed> {
        let refuse = |reason: String| Err(Closed::new("admin.peer", reason));
        if let (Ok(program), Some(own)) = (std::fs::read_link(format!("/proc/{pid}/exe")), &self.program) {
            if undeleted(program.clone()) == *own {
                return Ok(());
            }
            return refuse(format!(
                "process {pid} runs {}, not {}; ask with `stockade-gateway token` or `stockade-gateway admin`",
                program.display(),
                own.display()
            ));
        }
        let served = match self.daemon() {
            Daemon::Nobody => return Ok(()),
            Daemon::Processes(served) => served,
            Daemon::Unknown => match &*self.known() {
                Some(known) => known.clone(),
                None => {
                    return refuse(format!(
                        "the program of process {pid} cannot be read, and {} does not tell whose it is",
                        self.docker.display()
                    ));
                }
            },
        };
        if served.contains(&pid) {
            return refuse(format!("process {pid} is the Docker daemon"));
        }
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Vec<i32>>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn daemon(&self) -> Daemon {
        match serving(&self.docker) {
            Ok(served) => {
                *self.known() = Some(served.clone());
                Daemon::Processes(served)
            }
            Err(Errno::NOENT | Errno::CONNREFUSED) => Daemon::Nobody,
            Err(_) => Daemon::Unknown,
        }
    }
}

/// The process that listens on a daemon's socket, and the one that answers there.
fn serving(path: &Path) -> Result<Vec<i32>, Errno> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // The limit of time for sending is that for connecting, too.
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(PEER_TIMEOUT))?;
    sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(PEER_TIMEOUT))?;
    sockopt::set_socket_passcred(&socket, true)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let listens = sockopt::socket_peercred(&socket)?.pid.as_raw_nonzero().get();
    let mut stream = Blocking::from(socket);
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").map_err(|_| Errno::PIPE)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let (mut control, mut answer) = (RecvAncillaryBuffer::new(&mut space), [0_u8; 64]);
    let got =
        rustix::net::recvmsg(&stream, &mut [IoSliceMut::new(&mut answer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut served = vec![listens];
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmCredentials(sender) = message {
            served.push(sender.pid.as_raw_nonzero().get());
        }
    }
    if got.bytes == 0 || served.len() == 1 { Err(Errno::AGAIN) } else { Ok(served) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn inner(program: Option<&str>, docker: &Path) -> Inner {
        Inner { program: program.map(PathBuf::from), docker: docker.to_owned(), daemon: Mutex::default() }
    }

    #[test]
    fn the_program_counts_and_not_whether_it_was_replaced() {
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(inner(Some(own), Path::new("/none")).judge(me), Ok(()));
        assert!(inner(Some("/usr/bin/other"), Path::new("/none")).judge(me).is_err());
        assert_eq!(undeleted(format!("{own}{DELETED}").into()), Path::new(own));
    }

    #[test]
    fn whoever_answers_on_the_docker_socket_is_refused_where_proc_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let me = i32::try_from(std::process::id()).unwrap();
        // Without a program of its own to compare with: as where /proc cannot be read.
        let peers = inner(None, &path);
        assert_eq!(peers.judge(me), Ok(()), "nobody serves there");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 256]);
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nOK").unwrap();
            }
            // One that hangs: it is remembered who it was.
            let (stream, _) = listener.accept().unwrap();
            std::thread::sleep(2 * PEER_TIMEOUT);
            drop(stream);
        });
        assert!(peers.judge(me).unwrap_err().reason.contains("is the Docker daemon"));
        assert_eq!(peers.judge(me + 1), Ok(()), "another process");
        assert!(peers.judge(me).unwrap_err().reason.contains("is the Docker daemon"));
        daemon.join().unwrap();
    }
}
