//! Ports that the daemon chooses, and that something beside it already has.

use std::sync::{Mutex, PoisonError};

use crate::policy::Operation;

/// How often a container is started before a port that others hold is an error
/// (moby `libnetwork/drivers/bridge`, `maxAllocatePortAttempts`).
const PORT_ATTEMPTS: usize = 10;

/// Whether an operation takes ports of the host.
pub(super) fn takes_ports(operation: Operation) -> bool {
    matches!(operation, Operation::ContainerStart | Operation::ContainerRestart)
}

/// Ports that the daemon could not have for one start.
#[derive(Default)]
pub(super) struct TakenPorts(Mutex<Vec<String>>);

impl TakenPorts {
    /// Whether a start that failed with this answer is tried again: the engine
    /// gives a container the next port of its range then. One that it has named
    /// before is no choice of its own.
    pub(super) fn tries_another(&self, body: &[u8]) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match port_in_use(body) {
            Some(port) if taken.len() + 1 < PORT_ATTEMPTS && !taken.contains(&port) => {
                taken.push(port);
                true
            }
            _ => false,
        }
    }
}

/// The address and port that a container could not have, in the engine's words
/// (moby `libnetwork/portallocator`, `cmd/docker-proxy`).
fn port_in_use(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let message = body.get("message")?.as_str()?;
    let (before, _) = message
        .split_once(": bind: address already in use")
        .or_else(|| message.split_once(" failed: port is already allocated"))?;
    before.rsplit(' ').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_told_from_other_failures() {
        let taken = |message: &str| port_in_use(serde_json::json!({ "message": message }).to_string().as_bytes());
        let bind = "driver failed programming external connectivity on endpoint a (b): Error starting userland \
                    proxy: listen tcp4 0.0.0.0:8000: bind: address already in use";
        assert_eq!(taken(bind).as_deref(), Some("0.0.0.0:8000"));
        let held = "driver failed programming external connectivity on endpoint a (b): Bind for 127.0.0.1:8001 \
                    failed: port is already allocated";
        assert_eq!(taken(held).as_deref(), Some("127.0.0.1:8001"));
        assert_eq!(taken("no such container"), None);
        assert_eq!(port_in_use(b"not JSON"), None);
    }
}
