//! Programs to a root shell, and their answers, over one link.
//!
//! The far end runs [`BOOTSTRAP`]: it reads a line `RUN <bytes>`, then that
//! many bytes of program, and evaluates it. A program may read data that
//! follows it from standard input with `head -c`. Every answer ends in a line
//! that carries a nonce of 128 random bits, so that nothing a host prints can
//! be taken for the end of an answer.

use super::{Link, TransportError};
use crate::shell::Script;
use std::ops::ControlFlow;
use std::time::Duration;

/// What a transport starts on the host, as root: `/bin/sh -c BOOTSTRAP`.
/// It holds no single quote, no `!` and no newline, so that it passes as one
/// word through whatever login shell the user has.
pub const BOOTSTRAP: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; \
export PATH LC_ALL; umask 077; cd /; while IFS= read -r l; do case $l in \"RUN \"*) \
p=$(head -c \"${l#RUN }\"; echo .); eval \"${p%.}\";; esac; done";

/// What a program gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub output: Vec<u8>,
}

/// A conversation with one host.
pub struct Session {
    host: String,
    link: Box<dyn Link>,
    nonce: String,
}

impl Session {
    /// Starts the conversation over a fresh link.
    ///
    /// # Errors
    /// The far end does not answer as the bootstrap shell does.
    pub fn open(host: &str, link: Box<dyn Link>) -> Result<Session, TransportError> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(|error| TransportError::Protocol {
            host: host.to_owned(),
            why: format!("this machine gives no random numbers: {error}"),
        })?;
        let nonce = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Session { host: host.to_owned(), link, nonce })
    }

    /// The text that no output can forge.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Runs a program; `data` is what it may read from standard input (all of
    /// it must be read). No answer for `idle` is an error.
    ///
    /// # Errors
    /// The connection fails, or a value held a NUL byte.
    pub fn run(&mut self, program: &Script, data: &[u8], idle: Duration) -> Result<Reply, TransportError> {
        let mut output = Vec::new();
        let code = self.stream(program, data, idle, &mut |bytes| output.extend_from_slice(bytes))?;
        Ok(Reply { code, output })
    }

    /// Runs a program and hands its output on as it arrives.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn stream(
        &mut self,
        program: &Script,
        data: &[u8],
        idle: Duration,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<i32, TransportError> {
        let text = program
            .build()
            .map_err(|error| TransportError::Protocol { host: self.host.clone(), why: error.to_string() })?;
        // The program runs in a subshell: whatever it does, the loop goes on.
        let begin = format!("\n{} begin\n", self.nonce);
        let framed = format!(
            "printf '\\n%s begin\\n' {nonce}\n(\nN={nonce}\n{text}\n)\nprintf '\\n%s end %s\\n' {nonce} $?\n",
            nonce = self.nonce
        );
        let mut input = format!("RUN {}\n", framed.len()).into_bytes();
        input.extend_from_slice(framed.as_bytes());
        input.extend_from_slice(data);

        let end = format!("\n{} end ", self.nonce).into_bytes();
        let mut pending: Vec<u8> = Vec::new();
        let mut begun = false;
        let mut code = None;
        self.link.exchange(&input, idle, &mut |bytes| {
            pending.extend_from_slice(bytes);
            if !begun {
                // A login banner, a profile that prints: whatever comes before is not ours.
                let Some(at) = find(&pending, begin.as_bytes()) else { return ControlFlow::Continue(()) };
                pending.drain(..at + begin.len());
                begun = true;
            }
            if let Some(at) = find(&pending, &end) {
                let rest = &pending[at + end.len()..];
                if let Some(stop) = rest.iter().position(|b| *b == b'\n') {
                    code = std::str::from_utf8(&rest[..stop]).ok().and_then(|text| text.trim().parse().ok());
                    sink(&pending[..at]);
                    return ControlFlow::Break(());
                }
            } else if pending.len() > end.len() {
                let safe = pending.len() - end.len();
                sink(&pending[..safe]);
                pending.drain(..safe);
            }
            ControlFlow::Continue(())
        })?;
        code.ok_or_else(|| TransportError::Protocol {
            host: self.host.clone(),
            why: "the root shell did not report an exit code".to_owned(),
        })
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
