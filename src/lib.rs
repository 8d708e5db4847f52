//! Stockade: one description of a server, and verbs over it.
//!
//! ```text
//! TOML files ─ playbook ─┐
//! inventory, ssh config ─┼─► rendered resources ─► queries ─► observe ─► HostState ─► plan ─► Plan
//! stage (environment) ───┘                                                             │
//!                  report ◄── events ◄── apply (runner, journal) ◄─────────────────────┘
//! ```
//!
//! Layers, low to high; a module imports only from those before it (proved by
//! `tests/layers.rs`): `values` → `shell` → `observe`, `playbook`, `stage`,
//! `inventory` → `plan` → `resource`, `transport`, `audit` → `report` → `apply` →
//! `engine` → `commands`; `records` knows `values` alone. What is decided is decided by
//! pure functions of values: only `transport` talks to hosts, only `report`
//! writes to the operator.

pub mod apply;
pub mod audit;
pub mod authority;
pub mod cli;
pub mod commands;
pub mod connect;
pub mod engine;
pub mod inventory;
pub mod lab;
pub mod manual;
pub mod observe;
pub mod plan;
pub mod playbook;
pub mod records;
pub mod report;
pub mod resource;
pub mod shell;
pub mod stage;
pub mod transport;
pub mod values;
