//! The manual, as far as it belongs beside the code: no code of its own.
//!
//! - [`threats`]: each known attack, the defence, and the test that proves it;
//!   the table of `SECURITY.md` is made from it.
//! - [`defaults`]: what happens where the operator says nothing, and why;
//!   `docs/defaults.md` is made from it.

pub mod defaults;
pub mod threats;
