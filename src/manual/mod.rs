//! The manual, as far as it belongs beside the code: no code of its own.
//!
//! - [`threats`]: each known attack, the defence, and the test that proves it.
//! - [`defaults`]: what happens where the operator says nothing, and why.

pub mod defaults;
pub mod threats;
