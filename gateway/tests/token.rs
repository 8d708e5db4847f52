//! Every row of the gateway's token table, as a test of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot be set up must stop

mod algorithms;
mod claims;
mod form;
mod header;
mod kit;
mod lines;
mod nested;
mod never;
mod outside;
mod rings;
mod rotation;
mod sets;
