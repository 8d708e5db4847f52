//! Attacks on the meaning of Docker's operations, each tried through the real
//! gateway before this machine's engine, and ordinary uses that must work.
//!
//! An attack is a row of a table: what is done, and how it is seen at the
//! engine itself that the forbidden has come about. Where it is safe the same
//! is then done at the engine directly, where it must come about.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

mod foreign;
mod logs;
mod mounts;
mod ordinary;
mod spelled;
mod table;

use crate::sample::share;

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn no_attack_of_the_table_gets_through() {
    let site = table::Site::start();
    let rows = [mounts::rows(&site), foreign::rows(&site), logs::rows(&site)].concat();
    println!("bypass table: {} rows", rows.len());
    table::run(&site, &share(rows));
}
