//! The operator's terminal, pipe or log file.

use std::io::{self, IsTerminal, Write};

/// Where text for the operator goes. Results go to standard output, remarks
/// and errors to standard error. A closed pipe is no error.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Whether standard error is a terminal: progress may be drawn, questions asked.
    pub interactive: bool,
    /// Whether colours may be used on standard output.
    pub color: bool,
}

impl Console {
    /// The process's own streams; colours by NO_COLOR, TERM and whether it is a terminal.
    pub fn standard() -> Console {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Console {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            interactive: io::stderr().is_terminal() && !dumb,
            color: io::stdout().is_terminal() && !dumb && !no_color,
        }
    }

    /// Streams of the caller's, without colours: for tests and for files.
    pub fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Console {
        Console { out, err, interactive: false, color: false }
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
        let _ = self.err.write_all(format!("{text}\n").as_bytes()).and_then(|()| self.err.flush());
    }
}
