//! All tests of the package `stockade-gateway` but those of its units, in one
//! program: a module for each subject. What several of them need stands in
//! `process` (a gateway, a Docker engine, a Redis) and `tenants`.
//!
//! `cargo test -p stockade-gateway --test gateway names::` runs those of one
//! subject. Tests that need an engine, a Redis or other programs are ignored unless
//! they are asked for: `tests/run.sh` does, and `-- --include-ignored`.

mod bypass;
mod clients;
mod dependencies;
mod dockerfile;
mod engine_api;
mod hostile;
mod names;
mod policy;
mod process;
mod quota;
mod roles;
#[path = "../../tests/support/sample.rs"]
mod sample;
mod service;
mod store;
mod tenants;
mod token;
