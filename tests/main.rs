//! All tests of the package `stockade` but those of its units, in one program: a
//! module for each subject, and `support` for what they share.
//!
//! `cargo test --test integration guard::` runs those of one subject. Tests that
//! start lab hosts are ignored unless they are asked for: `tests/run.sh` does, and
//! `-- --include-ignored`.

mod support;
mod tables;

mod accounts;
mod apply;
mod audit;
mod audit_html;
mod book;
mod check;
mod completions;
mod compose;
mod connect;
mod contributing;
mod diffs;
mod docker;
mod docs;
mod edits;
mod examples;
mod faults;
mod follows;
mod gateway_host;
mod guard;
mod harden_docker;
mod harden_host;
mod harden_server;
mod harden_ssh;
mod harden_updates;
mod in_force;
mod keygen;
mod lab_hosts;
mod layers;
mod links;
mod lockout;
mod manual;
mod on_host;
mod ops;
mod packages;
mod parameters;
mod phases;
mod playbook;
mod ports;
mod probe;
mod probes;
mod reboot;
mod records;
mod refusals;
mod report;
mod resources;
mod resume;
mod rolling;
mod shell;
mod stage;
mod texts;
mod transport;
mod transport_sudo;
mod turns;
mod undo;
mod unit_relations;
mod unit_restarts;
mod units;
mod users;
mod words;
