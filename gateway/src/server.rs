//! Listeners: TLS on addresses, plain on a local socket, one line each way on
//! the administrator's. Bounded in connections, stopped by draining.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;

use super::audit::Record;
use super::limits::PerAddress;
use super::metrics::Open;
use super::proxy::{Proxy, now};
use super::service::peer::Peers;
use super::service::socket::{self, Closed};

/// After accept failed (no descriptors left), before it is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted; the kernel makes it `somaxconn` where
/// that is less. One that finds no room here is tried again after a second only.
const BACKLOG: u32 = 4096;
/// A connection that is silent for so long is asked whether it is still there,
/// so often, so many times (tcp(7)).
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_COUNT: u32 = 4;

/// The listeners of one gateway.
pub struct Server {
    proxy: Arc<Proxy>,
    tls: RwLock<Option<Arc<rustls::ServerConfig>>>,
    slots: Arc<Semaphore>,
    most: u32,
    per_address: Arc<PerAddress>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// A server that listens nowhere yet.
    #[must_use]
    pub fn new(proxy: Arc<Proxy>, tls: Option<Arc<rustls::ServerConfig>>) -> Arc<Self> {
        let most = proxy.limits().connections;
        Arc::new(Self {
            proxy,
            tls: RwLock::new(tls),
            slots: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX))),
            most,
            per_address: Arc::default(),
            stop: watch::Sender::new(false),
        })
    }

    /// Serves new connections with this certificate.
    pub fn set_tls(&self, tls: Option<Arc<rustls::ServerConfig>>) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }

    /// Listens on an address, with TLS.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn listen(self: &Arc<Self>, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = listener(address)?;
        let bound = listener.local_addr()?;
        let (server, mut stop) = (Arc::clone(self), self.stop.subscribe());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stop.wait_for(|stop| *stop) => return,
                };
                match accepted {
                    Ok((stream, peer)) => server.admit_tcp(stream, peer),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        });
        Ok(bound)
    }

    /// Listens on a local socket of this mode, without TLS.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen_local(self: &Arc<Self>, path: &Path) -> io::Result<()> {
        self.accept(local(path, 0o660)?, |server, stream| {
            let Some(slot) = server.slot() else { return };
            tokio::spawn(async move {
                let (_slot, _open) = (slot, Open::new(&server.proxy.metrics.connections));
                server.proxy.serve(stream, None, server.stop.subscribe()).await;
            });
        });
        Ok(())
    }

    /// Listens for the administrator: a JSON line in, a JSON line out. `docker`
    /// is the daemon's socket; what is refused is told to `notices`, too.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen_admin(self: &Arc<Self>, path: &Path, docker: &Path, notices: mpsc::Sender<String>) -> io::Result<()> {
        let peers = Peers::new(docker);
        self.accept(local(path, 0o600)?, move |server, stream| {
            let (peers, notices) = (peers.clone(), notices.clone());
            tokio::spawn(async move {
                if let Err(closed) = server.administer(stream, &peers).await {
                    server.proxy.audit.record(Record {
                        event: "done",
                        operation: "administer".to_owned(),
                        decision: "refuse",
                        rule: closed.rule.to_owned(),
                        client: "local".to_owned(),
                        ..Record::default()
                    });
                    // Where many come at once the audit log has them all.
                    let _ =
                        notices.try_send(format!("a connection to the administrator's socket was closed: {closed}"));
                }
            });
        });
        Ok(())
    }

    /// Hands every connection of a local socket on, until the end.
    fn accept(self: &Arc<Self>, listener: UnixListener, begin: impl Fn(Arc<Self>, UnixStream) + Send + 'static) {
        let (server, mut stop) = (Arc::clone(self), self.stop.subscribe());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stop.wait_for(|stop| *stop) => return,
                };
                match accepted {
                    Ok((stream, _)) => begin(Arc::clone(&server), stream),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        });
    }

    fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        if slot.is_none() {
            self.proxy.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
        }
        slot
    }

    fn admit_tcp(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let address = peer.ip().to_canonical();
        let Some(slot) = self.slot() else { return };
        let Some(one) = self.per_address.take(address, self.proxy.limits().connections_per_client) else {
            self.proxy.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Some(tls) = self.tls.read().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let server = Arc::clone(self);
        tokio::spawn(async move {
            let (_slot, _one, _open) = (slot, one, Open::new(&server.proxy.metrics.connections));
            let _ = stream.set_nodelay(true);
            let patience = Duration::from_secs(server.proxy.limits().head_seconds);
            let handshake = TlsAcceptor::from(tls).accept(stream);
            if let Ok(Ok(stream)) = tokio::time::timeout(patience, handshake).await {
                server.proxy.serve(stream, Some(address), server.stop.subscribe()).await;
            }
        });
    }

    async fn administer(&self, stream: UnixStream, peers: &Peers) -> Result<(), Closed> {
        if let Err(closed) = peers.admit(&stream).await {
            socket::refuse(stream, &closed).await;
            return Err(closed);
        }
        socket::serve(stream, |request| Box::pin(self.administered(request))).await
    }

    async fn administered(&self, request: serde_json::Map<String, serde_json::Value>) -> String {
        if request.get("command").and_then(serde_json::Value::as_str) == Some("metrics") {
            return serde_json::json!({ "metrics": self.proxy.metrics.render(self.proxy.audit.failures()) })
                .to_string();
        }
        self.proxy
            .services()
            .service
            .admin_line(serde_json::Value::Object(request).to_string().as_bytes(), now())
            .await
            .to_string()
    }

    /// Accepts no more, lets requests end, and after `patience` ends them.
    pub async fn drain(&self, patience: Duration) {
        self.stop.send_replace(true);
        let all = self.slots.acquire_many(self.most);
        let _ = tokio::time::timeout(patience, all).await;
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the usual way to listen does: a restart need not wait for old connections.
    socket.set_reuseaddr(true)?;
    // Connections inherit it: the end of a peer that went without a word is seen within two minutes,
    // however little its stream has to say.
    rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
    rustix::net::sockopt::set_tcp_keepidle(&socket, KEEPALIVE_IDLE)?;
    rustix::net::sockopt::set_tcp_keepintvl(&socket, KEEPALIVE_INTERVAL)?;
    rustix::net::sockopt::set_tcp_keepcnt(&socket, KEEPALIVE_COUNT)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A local socket with this mode. One that a dead gateway left is replaced;
/// one that answers is not.
fn local(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{}: somebody listens there", path.display())));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => std::fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{}: not a socket", path.display()))),
        Err(_) => {}
    }
    // Made under another name, so that nobody connects before the mode is set.
    let made = path.with_extension(format!("new{}", std::process::id()));
    let listener = UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(mode))?;
    std::fs::rename(&made, path)?;
    Ok(listener)
}
