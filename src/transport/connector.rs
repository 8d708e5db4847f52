//! A way to a host that can be gone more than once.

use super::{Ask, Policy, Session, Target, TransportError, connect, host_key, route};
use std::sync::Arc;
use std::time::Duration;

/// Makes new connections to one host.
pub trait Dial: Send {
    /// A new connection, logged in and root, within `limit`; to another port
    /// than the last one where `port` says so.
    ///
    /// # Errors
    /// See [`TransportError`].
    fn dial(&mut self, port: Option<u16>, limit: Duration) -> Result<Session, TransportError>;

    /// Remembers a port, on which a login has just worked: what is dialled
    /// from now on is this one, and known_hosts knows the host there, too.
    ///
    /// # Errors
    /// The host's keys could not be written to known_hosts; the port is remembered.
    fn move_to(&mut self, port: u16) -> std::io::Result<()>;

    /// The port that is dialled, as far as it is known here.
    fn port(&self) -> Option<u16>;
}

/// All it takes to connect to a host, and to do so again.
#[derive(Clone)]
pub struct Connector {
    /// The host.
    pub target: Target,
    /// Limits and host keys.
    pub policy: Policy,
    /// Questions to the operator; an answer once given is not asked for again.
    pub ask: Arc<dyn Ask>,
}

impl Connector {
    /// A new connection, logged in and root.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub fn open(&self) -> Result<Session, TransportError> {
        Session::open(&self.target.name, connect(&self.target, &self.policy, &self.ask)?)
    }
}

impl Dial for Connector {
    fn dial(&mut self, port: Option<u16>, limit: Duration) -> Result<Session, TransportError> {
        let connect_timeout = self.policy.connect_timeout.min(limit);
        let moved_to = port.or(self.policy.moved_to);
        let policy = Policy { connect_timeout, moved_to, insist: false, ..self.policy.clone() };
        Connector { policy, ..self.clone() }.open()
    }

    fn move_to(&mut self, port: u16) -> std::io::Result<()> {
        let before = Policy { moved_to: None, ..self.policy.clone() };
        self.policy.moved_to = Some(port);
        let route = route::find(&self.target, &before).map_err(std::io::Error::other)?;
        host_key::remember_port(&route, port)
    }

    fn port(&self) -> Option<u16> {
        self.policy.moved_to.or(self.target.port)
    }
}
