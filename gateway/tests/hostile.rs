//! What one hostile tenant tries against another, and against what the daemon
//! or the store reaches: each row of a table is tried on a real gateway process
//! before a real daemon. None may get through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

#[path = "process/engine.rs"]
#[allow(dead_code)] // the process tests use more of it
mod engine;
#[path = "hostile/fetches.rs"]
mod fetches;
#[path = "process/harness.rs"]
#[allow(dead_code)] // the process tests use more of it
mod harness;
#[path = "hostile/images.rs"]
mod images;
#[path = "hostile/oracles.rs"]
mod oracles;
#[path = "hostile/parties.rs"]
mod parties;
#[path = "process/redis.rs"]
#[allow(dead_code)] // the store's own tests use more of it
mod redis;
#[path = "hostile/sessions.rs"]
mod sessions;
