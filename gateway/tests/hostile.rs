//! What one hostile tenant tries against another, and against what the daemon
//! or the store reaches: each row of a table is tried on a real gateway process
//! before a real daemon. None may get through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

mod fetches;
mod images;
mod oracles;
mod parties;
mod sessions;
