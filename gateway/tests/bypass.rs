//! Attacks on the meaning of Docker's operations, each tried through the real
//! gateway before this machine's engine, and ordinary uses that must work.
//!
//! An attack is a row of a table: what is done, and how it is seen at the
//! engine itself that the forbidden has come about. Where it is safe the same
//! is then done at the engine directly, where it must come about.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

#[path = "process/engine.rs"]
#[allow(dead_code)] // the process tests use more of it
mod engine;
#[path = "bypass/foreign.rs"]
mod foreign;
#[path = "process/harness.rs"]
#[allow(dead_code)] // the process tests use more of it
mod harness;
#[path = "bypass/logs.rs"]
mod logs;
#[path = "bypass/mounts.rs"]
mod mounts;
#[path = "bypass/ordinary.rs"]
mod ordinary;
#[path = "bypass/spelled.rs"]
mod spelled;
#[path = "bypass/table.rs"]
mod table;

#[test]
fn no_attack_of_the_table_gets_through() {
    let Some(site) = table::Site::start() else { return };
    let rows = [mounts::rows(&site), foreign::rows(&site), logs::rows(&site)].concat();
    table::run(&site, &rows);
}
