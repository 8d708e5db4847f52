//! The gateway as a process: before a real daemon with the ordinary docker
//! client, and before one that remembers what it was sent, with raw bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

mod admin;
mod attacks;
mod bypass;
mod client;
mod clocks;
pub mod engine;
mod faults;
mod forms;
mod hang;
pub mod harness;
mod issuers;
pub mod redis;
mod service;
mod sessions;
mod slow;
mod streams;
mod tls;
