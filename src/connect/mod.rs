//! The operator's side of a token gateway: a local Unix socket through which
//! an ordinary Docker client reaches it.
//!
//! ```text
//! docker ─ unix socket (0600) ─► relay ─ TLS, Authorization: Bearer … ─► gateway
//!                                  │     (over TCP, or a Tunnel over SSH)
//!                               Access: the token in use, renewed ahead of its end
//! ```
//!
//! What must hold: whoever can open the socket has the session, so only its
//! owner can; tokens are never written to a file, an argument or a message;
//! however many clients ask at once, a token is renewed once; the gateway is
//! the one whose certificate the given authority signed, or nothing is sent.

mod access;
mod context;
mod gateway;
mod relay;
mod socket;
mod tunnel;

pub use access::{Access, AccessError, Granted, Renew};
pub use context::{Context, ContextError};
pub use gateway::{Gateway, GatewayError};
pub use relay::Relay;
pub use socket::{LocalSocket, SocketError};
pub use tunnel::Tunnel;
