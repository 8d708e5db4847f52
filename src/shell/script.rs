//! Commands and programs, built from words.

use super::{NulByte, quote};

/// One simple command: a program and its words, each quoted as it is added.
#[derive(Debug, Clone)]
pub struct Command {
    text: Result<String, NulByte>,
}

impl Command {
    /// A command by its (literal) program name.
    pub fn new(program: &'static str) -> Command {
        Command { text: Ok(program.to_owned()) }
    }

    /// Adds one word.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<str>) -> Command {
        self.text = self.text.and_then(|text| Ok(format!("{text} {}", quote(word.as_ref())?)));
        self
    }

    /// Adds several words.
    #[must_use]
    pub fn args<S: AsRef<str>>(self, words: impl IntoIterator<Item = S>) -> Command {
        words.into_iter().fold(self, Command::arg)
    }

    /// Adds shell text that is part of the program, not a value: a redirection,
    /// a pipe, a variable of the script's own.
    #[must_use]
    pub fn raw(mut self, text: &'static str) -> Command {
        self.text = self.text.map(|before| format!("{before} {text}"));
        self
    }

    /// The command as shell text.
    ///
    /// # Errors
    /// [`NulByte`] if a word held one.
    pub fn build(self) -> Result<String, NulByte> {
        self.text
    }
}

/// A program: lines of fixed text and of [`Command`]s.
#[derive(Debug, Clone, Default)]
pub struct Script {
    text: String,
    bad: Option<NulByte>,
}

impl Script {
    /// An empty program.
    pub fn new() -> Script {
        Script::default()
    }

    /// Adds fixed text as a line.
    pub fn line(&mut self, text: &'static str) -> &mut Script {
        self.text.push_str(text);
        self.text.push('\n');
        self
    }

    /// Adds a command as a line.
    pub fn run(&mut self, command: Command) -> &mut Script {
        match command.build() {
            Ok(text) => {
                self.text.push_str(&text);
                self.text.push('\n');
            }
            Err(error) => self.bad = Some(error),
        }
        self
    }

    /// Adds another program.
    pub fn append(&mut self, other: &Script) -> &mut Script {
        self.text.push_str(&other.text);
        self.bad = self.bad.or(other.bad);
        self
    }

    /// Adds `name=value`, quoted.
    pub fn set(&mut self, name: &'static str, value: &str) -> &mut Script {
        match quote(value) {
            Ok(word) => {
                self.text.push_str(name);
                self.text.push('=');
                self.text.push_str(&word);
                self.text.push('\n');
            }
            Err(error) => self.bad = Some(error),
        }
        self
    }

    /// The program's text.
    ///
    /// # Errors
    /// [`NulByte`] if any value held one.
    pub fn build(&self) -> Result<&str, NulByte> {
        match self.bad {
            Some(error) => Err(error),
            None => Ok(&self.text),
        }
    }
}
