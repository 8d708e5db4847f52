//! The gateway as a process: before a real daemon with the ordinary docker
//! client, and before one that remembers what it was sent, with raw bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

#[path = "gateway/attacks.rs"]
mod attacks;
#[path = "gateway/bypass.rs"]
mod bypass;
#[path = "gateway/client.rs"]
mod client;
#[path = "gateway/engine.rs"]
mod engine;
#[path = "gateway/faults.rs"]
mod faults;
#[path = "gateway/harness.rs"]
mod harness;
#[path = "gateway/issuers.rs"]
mod issuers;
#[path = "gateway/redis.rs"]
#[allow(dead_code)] // the store's own tests use more of it
mod redis;
#[path = "gateway/service.rs"]
mod service;
