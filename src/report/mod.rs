//! Everything the operator sees is written here, and nowhere else.

mod ask;
mod console;
mod event;

pub use ask::TerminalAsk;
pub use console::Console;
pub use event::{Event, Reporter};
