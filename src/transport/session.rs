//! Programs to a root shell, and their answers, over one link.
//!
//! The far end runs [`BOOTSTRAP`]: it reads a line `RUN <bytes>`, then that
//! many bytes of program, and evaluates it. A program may read data that
//! follows it from standard input with `head -c`. Every answer ends in a line
//! that carries a nonce of 128 random bits, so that nothing a host prints can
//! be taken for the end of an answer.

use super::{Link, TransportError};
use crate::shell::Script;
use crate::values::hex;
use std::ops::ControlFlow;
use std::time::Duration;

/// What a transport starts on the host, as root: `/bin/sh -c BOOTSTRAP`.
/// It holds no single quote, no `!` and no newline, so that it passes as one
/// word through whatever login shell the user has. dd(1) takes exactly the bytes
/// it is told to; busybox's head(1) and older ones of uutils read ahead and
/// swallow what follows.
pub const BOOTSTRAP: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; \
export PATH LC_ALL; umask 077; cd /; while IFS= read -r l; do case $l in \"RUN \"*) \
p=$(dd bs=\"${l#RUN }\" count=1 iflag=fullblock status=none; echo .); eval \"${p%.}\";; esac; done";

/// The most that an answer may hold, in bytes: what is asked of a host fits many
/// times, and a host that sends without an end does not fill this machine's memory.
const MOST: usize = if cfg!(test) { 32 << 20 } else { 128 << 20 };

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
        let nonce = hex(&bytes);
        Ok(Session { host: host.to_owned(), link, nonce })
    }

    /// The text that no output can forge.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Runs a program; `data` is what it may read from standard input; what
    /// it leaves unread is dropped. No answer for `idle` is an error.
    ///
    /// # Errors
    /// The connection fails, or a value held a NUL byte.
    pub fn run(&mut self, program: &Script, data: &[u8], idle: Duration) -> Result<Reply, TransportError> {
        let mut output = Vec::new();
        let code = self.talk(program, data, idle, &mut |bytes| {
            output.extend_from_slice(bytes);
            if output.len() > MOST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
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
        self.talk(program, data, idle, &mut |bytes| {
            sink(bytes);
            ControlFlow::Continue(())
        })
    }

    /// Runs a program until it ends or its output is more than `sink` takes.
    fn talk(
        &mut self,
        program: &Script,
        data: &[u8],
        idle: Duration,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<i32, TransportError> {
        let text = program
            .build()
            .map_err(|error| TransportError::Protocol { host: self.host.clone(), why: error.to_string() })?;
        let begin = format!("\n{} begin\n", self.nonce);
        let framed = frame(&self.nonce, text, data.len());
        let mut input = format!("RUN {}\n", framed.len()).into_bytes();
        input.extend_from_slice(framed.as_bytes());
        input.extend_from_slice(data);

        let end = format!("\n{} end ", self.nonce).into_bytes();
        let mut pending: Vec<u8> = Vec::new();
        let mut begun = false;
        let mut code = None;
        let mut too_much = false;
        let ended = self.link.exchange(&input, idle, &mut |bytes| {
            pending.extend_from_slice(bytes);
            if !begun {
                // A login banner, a profile that prints: whatever comes before is not ours.
                let Some(at) = find(&pending, begin.as_bytes()) else {
                    too_much = pending.len() > MOST;
                    return if too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
                };
                pending.drain(..at + begin.len());
                begun = true;
            }
            if let Some(at) = find(&pending, &end) {
                let rest = &pending[at + end.len()..];
                if let Some(stop) = rest.iter().position(|b| *b == b'\n') {
                    code = std::str::from_utf8(&rest[..stop]).ok().and_then(|text| text.trim().parse().ok());
                    too_much = sink(&pending[..at]).is_break();
                    return ControlFlow::Break(());
                }
            } else {
                let safe = pending.len() - could_begin(&pending, &end);
                if safe > 0 {
                    too_much = sink(&pending[..safe]).is_break();
                    pending.drain(..safe);
                }
                if too_much {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        if ended.is_err() && begun {
            // It ends here: what could have begun the last line did not.
            let _ = sink(&pending);
        }
        ended?;
        if too_much {
            let why = format!("more than {} MiB; what is asked of a host is never that much", MOST >> 20);
            return Err(TransportError::Protocol { host: self.host.clone(), why });
        }
        code.ok_or_else(|| TransportError::Protocol {
            host: self.host.clone(),
            why: "the root shell did not report an exit code".to_owned(),
        })
    }
}

/// The program with its marks. It runs in a subshell: whatever it does, the
/// loop goes on. Data comes through a pipe that is drained when the program is
/// done: what it left unread would else be taken for the next program.
fn frame(nonce: &str, text: &str, data: usize) -> String {
    let run = format!("(\nN={nonce}\n{text}\n)");
    let run = match data {
        0 => format!("{run} </dev/null"),
        _ => format!(
            "dd bs=65536 count={data} iflag=fullblock,count_bytes status=none | {{ {run}\nc=$?; cat >/dev/null; exit $c; }}"
        ),
    };
    format!("printf '\\n%s begin\\n' {nonce}\n{run}\nprintf '\\n%s end %s\\n' {nonce} $?\n")
}

/// How many of the last bytes are what a mark begins with, so that the rest of it may follow.
fn could_begin(bytes: &[u8], mark: &[u8]) -> usize {
    (1..=mark.len().min(bytes.len())).rev().find(|count| bytes.ends_with(&mark[..*count])).unwrap_or(0)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
