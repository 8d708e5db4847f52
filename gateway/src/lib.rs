//! The token gateway: stands before a host's Docker socket and lets a request
//! through only with a valid token whose role allows exactly that.
//!
//! ```text
//! TLS ─ http ─► token (verify) ─► Identity ─► policy (parse, decide, rebuild) ─► Forward ─► proxy ─► socket
//!                  ▲                              │ tenant: resolve, own?, rewrite
//!          keys, store (revocation)               └─► audit log, metrics
//! ```
//!
//! What must hold: nothing a client sent is ever passed on as it came; what is
//! not known is denied; an error is a refusal. A request reaches the socket
//! only with an [`Identity`], which only token verification makes, and a
//! [`Forward`], which only the policy makes.

#![forbid(unsafe_code)]

mod audit;
mod bearer;
pub mod build;
pub mod cli;
mod config;
mod decision;
mod http1;
mod identity;
pub mod keys;
mod limits;
mod metrics;
mod name;
mod percent;
pub mod policy;
mod proxy;
mod run;
mod server;
pub mod service;
mod services;
mod sessions;
mod sha256;
mod shown;
pub mod store;
pub mod strict_json;
pub mod tenant;
mod tls;
pub mod token;
mod upstream;

pub use decision::{
    Body, Build, ContainerUsage, Docker, Forward, LookupError, Object, ObjectKind, QuotaGuard, Refusal, Reply,
    ResponseRule, Selection, Sharing, Viewer,
};
pub use identity::{Identity, TokenVerified};
pub use name::{NameError, RoleName, StoredName, TenantName};
