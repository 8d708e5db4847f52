//! The operator's terminal, pipe or log file.

use super::visible::visible;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Where text for the operator goes. Results go to standard output, remarks
/// and errors to standard error. A closed pipe is no error.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Remarks,
    /// Whether standard error is a terminal: progress may be drawn, questions asked.
    pub interactive: bool,
    /// Whether colours may be used on standard output.
    pub color: bool,
}

/// A shareable handle to where remarks go; each is written as a whole line.
#[derive(Clone)]
pub struct Remarks(Arc<Mutex<Box<dyn Write + Send>>>);

impl Remarks {
    /// Writes a line. What would act on the terminal is made visible, so no
    /// colours either.
    pub fn line(&self, text: &str) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = stream.write_all(format!("{}\n", visible(text)).as_bytes()).and_then(|()| stream.flush());
    }
}

impl Console {
    /// The process's own streams; colours by NO_COLOR, TERM and whether it is a terminal.
    pub fn standard() -> Console {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Console {
            interactive: io::stderr().is_terminal() && !dumb,
            color: io::stdout().is_terminal() && !dumb && !no_color,
            ..Console::to(Box::new(io::stdout()), Box::new(io::stderr()))
        }
    }

    /// Streams of the caller's, without colours: for tests and for files.
    pub fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Console {
        Console { out, err: Remarks(Arc::new(Mutex::new(err))), interactive: false, color: false }
    }

    /// Writes a result, as it is.
    pub fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }

    /// Writes a line of the result.
    pub fn line(&mut self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// Writes a remark or an error as a line.
    pub fn remark(&mut self, text: &str) {
        self.err.line(text);
    }

    /// Where remarks go, for those who speak from other threads.
    pub fn remarks(&self) -> Remarks {
        self.err.clone()
    }
}
