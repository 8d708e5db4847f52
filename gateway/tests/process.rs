//! The gateway as a process: before a real daemon with the ordinary docker
//! client, and before one that remembers what it was sent, with raw bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

#[path = "process/admin.rs"]
mod admin;
#[path = "process/attacks.rs"]
mod attacks;
#[path = "process/bypass.rs"]
mod bypass;
#[path = "process/client.rs"]
mod client;
#[path = "process/clocks.rs"]
mod clocks;
#[path = "process/engine.rs"]
mod engine;
#[path = "process/faults.rs"]
mod faults;
#[path = "process/forms.rs"]
mod forms;
#[path = "process/hang.rs"]
mod hang;
#[path = "process/harness.rs"]
mod harness;
#[path = "process/issuers.rs"]
mod issuers;
#[path = "process/redis.rs"]
#[allow(dead_code)] // the store's own tests use more of it
mod redis;
#[path = "process/service.rs"]
mod service;
#[path = "process/sessions.rs"]
mod sessions;
#[path = "process/slow.rs"]
mod slow;
#[path = "process/streams.rs"]
mod streams;
#[path = "process/tls.rs"]
mod tls;
