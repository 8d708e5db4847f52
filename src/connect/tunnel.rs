//! The gateway's port over SSH, where it cannot be reached directly.
//!
//! A forwarding that has ended (the network changed, the host restarted) is
//! opened again by the next connection, one at a time. Streams that went
//! through the old one have ended with it.

use crate::transport::{Forward, TransportError};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

/// How long ssh may take to say why it has just closed a connection.
const WORDS: Duration = Duration::from_millis(500);

type Open = dyn Fn() -> Result<Forward, TransportError> + Send + Sync;

/// A forwarding to a port of the host that is there when it is needed.
pub struct Tunnel {
    forward: Mutex<Forward>,
    open: Arc<Open>,
    report: Box<dyn Fn(&str) + Send + Sync>,
}

impl Tunnel {
    /// A tunnel that is open, and how to open it again; `report` is told when
    /// that has to be done, with what ssh said at its end.
    pub fn new(
        forward: Forward,
        open: impl Fn() -> Result<Forward, TransportError> + Send + Sync + 'static,
        report: impl Fn(&str) + Send + Sync + 'static,
    ) -> Arc<Tunnel> {
        Arc::new(Tunnel { forward: Mutex::new(forward), open: Arc::new(open), report: Box::new(report) })
    }

    /// A connection to the port; whether it is let through shows when it is used.
    pub(super) async fn dial(&self) -> Result<UnixStream, String> {
        let mut forward = self.forward.lock().await;
        if !forward.is_alive() {
            (self.report)(forward.said().lines().last().unwrap_or("ssh gave no reason"));
            let open = Arc::clone(&self.open);
            let opened = tokio::task::spawn_blocking(move || open()).await.map_err(|error| error.to_string())?;
            *forward = opened.map_err(|error| error.to_string())?;
        }
        let connected = UnixStream::connect(forward.socket()).await;
        connected.map_err(|error| format!("the SSH forwarding: {error}; {}", forward.said()))
    }

    /// Why the host did not let a connection through, and what to do.
    pub(super) async fn refusal(&self) -> Option<String> {
        let end = tokio::time::Instant::now() + WORDS;
        loop {
            let said = self.forward.lock().await.said();
            // "channel 2: open failed: connect failed: Connection refused"
            if let Some((_, why)) = said.lines().rev().find_map(|line| line.split_once("open failed: ")) {
                return Some(explained(why.trim()));
            }
            if tokio::time::Instant::now() > end {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn explained(why: &str) -> String {
    let advice = if why.contains("prohibited") {
        "sshd there forwards no connections: see AllowTcpForwarding, DisableForwarding and PermitOpen of its 'sshd -T'"
    } else {
        "is the gateway running ('systemctl status stockade-gateway' on the host)?"
    };
    format!("over SSH, on the host itself: {why}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_forwards_nothing_is_told_from_a_gateway_that_is_not_there() {
        assert!(explained("administratively prohibited: open failed").contains("AllowTcpForwarding"));
        assert!(explained("connect failed: Connection refused").contains("systemctl status stockade-gateway"));
    }
}
