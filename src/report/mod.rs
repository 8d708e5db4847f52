//! Everything the operator sees is written here, and nowhere else.

mod console;
mod event;

pub use console::Console;
pub use event::{Event, Reporter};
