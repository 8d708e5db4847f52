//! A run's journal, told line by line over whatever connection there is.
//!
//! The run belongs to the host: a connection that breaks is made anew and the
//! journal goes on from the line that was missed. Where a guard waits, the new
//! login that it waits for is tried here ([`super::confirm`]).

use super::{ApplyError, confirm};
use crate::shell::Script;
use crate::transport::{Dial, Session, TransportError};
use std::time::{Duration, Instant};

/// A host during a run: the conversation, and a way to another one.
pub struct HostConnection<'a> {
    /// The conversation in use; a better one may take its place.
    pub session: &'a mut Session,
    /// New connections.
    pub dial: &'a mut dyn Dial,
}

impl HostConnection<'_> {
    /// Takes a new connection in place of one that has failed.
    ///
    /// # Errors
    /// The host cannot be reached any more.
    pub fn renew(&mut self, failed: TransportError) -> Result<(), TransportError> {
        *self.session = again(self.dial, LOST, failed)?;
        Ok(())
    }
}

/// One line of a journal, which `runner.sh`, `settle.sh` and the guards append to.
/// OP is the number of an operation, GUARD that of a guard.
///
/// | line | means |
/// | --- | --- |
/// | `B OP`, `E OP` | it begins, it ends |
/// | `N OP`, `T OP` | it is not due; it is tried again at the end |
/// | `F OP CODE [untouched\|guard]` | it failed, or a guard refused |
/// | `G GUARD`, `D GUARD`, `V GUARD WHY` | armed, confirmed, reverted |
/// | `C GUARD SECONDS PORTS PORTS [PACE]` | a guard asks for a new login |
/// | `P GUARD HITS SECONDS` | a guard waits for room under a login limit |
/// | `R OP BOOT-ID` | the host restarts |
/// | `L HOLDER`, `U RUN` | the host is locked; an earlier run has not ended |
/// | `W TEXT`, `X RESULT` | a note; the end |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An operation begins.
    Begun(usize),
    /// An operation is done.
    Ended(usize),
    /// An operation was not due, as its guard said when its turn came.
    NotDue(usize),
    /// An operation could not be done yet, and is tried again at the end of the run.
    Later(usize),
    /// An operation failed, with its exit code.
    Failed(usize, i32, Failing),
    /// Another run holds the host.
    Locked(String),
    /// An earlier run has not ended.
    Unfinished(String),
    /// A guard is armed.
    Guarded(usize),
    /// A guard waits for a new login.
    Asks(Question),
    /// A guard is not armed before the firewall lets a new login in: so many within so many seconds are too many.
    Paced(u64, u64),
    /// A guard was confirmed.
    Confirmed(usize),
    /// A guard's phase was put back, and why.
    Reverted(usize, String),
    /// The host restarts for an operation; the boot id that it has until then.
    Reboots(usize, String),
    /// Something that is no error, but that the operator should know.
    Noted(String),
    /// The run is over.
    Over(String),
}

/// What is known of an operation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// It may have changed something.
    Itself,
    /// It has changed nothing.
    Untouched,
    /// Not the operation failed: its guard refused all that was done up to it.
    Guard,
}

/// What a guard waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The guard's number.
    pub guard: usize,
    /// How long the host waits.
    pub limit: Duration,
    /// Ports of sshd before the change.
    pub before: Vec<u16>,
    /// Ports of sshd after it.
    pub after: Vec<u16>,
    /// How far apart logins must be, where the host's firewall limits them.
    pub pace: Option<Duration>,
}

impl Line {
    /// Reads a line; none if it is not the journal's, or a number in it is none.
    pub fn parse(text: &str) -> Option<Line> {
        let (mark, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number = |text: &str| text.parse::<usize>().ok();
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(match mark {
            "B" => Line::Begun(number(rest)?),
            "E" => Line::Ended(number(rest)?),
            "N" => Line::NotDue(number(rest)?),
            "T" => Line::Later(number(rest)?),
            "F" => {
                let (code, what) = after.split_once(' ').unwrap_or((after, ""));
                let failing = match what {
                    "untouched" => Failing::Untouched,
                    "guard" => Failing::Guard,
                    _ => Failing::Itself,
                };
                Line::Failed(number(first)?, code.parse().ok()?, failing)
            }
            "L" => Line::Locked(rest.to_owned()),
            "U" => Line::Unfinished(rest.to_owned()),
            "G" => Line::Guarded(number(rest)?),
            "C" => Line::Asks(Question::parse(rest)?),
            "P" => match rest.split(' ').collect::<Vec<_>>()[..] {
                [_, hits, seconds] => Line::Paced(hits.parse().ok()?, seconds.parse().ok()?),
                _ => return None,
            },
            "D" => Line::Confirmed(number(rest)?),
            "V" => Line::Reverted(number(first)?, after.to_owned()),
            "R" => Line::Reboots(number(first)?, after.to_owned()),
            "W" => Line::Noted(rest.to_owned()),
            "X" => Line::Over(rest.to_owned()),
            _ => return None,
        })
    }
}

impl Question {
    /// Reads "guard limit ports-before ports-after [hits seconds]"; ports are
    /// separated by commas, and there may be none.
    fn parse(text: &str) -> Option<Question> {
        let words: Vec<&str> = text.split(' ').collect();
        let ports = |text: &str| -> Option<Vec<u16>> {
            text.split(',').filter(|port| !port.is_empty()).map(|port| port.parse().ok()).collect()
        };
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let number = |at: usize| if word(at).is_empty() { Some(0) } else { word(at).parse().ok() };
        Some(Question {
            guard: word(0).parse().ok()?,
            limit: Duration::from_secs(word(1).parse().ok()?),
            before: ports(word(2))?,
            after: ports(word(3))?,
            pace: pace(number(4)?, number(5)?),
        })
    }
}

/// How far apart connections must be of which `hits` within `seconds` are too
/// many, where those that are refused count as well.
fn pace(hits: usize, seconds: usize) -> Option<Duration> {
    let apart = seconds.checked_div(hits.saturating_sub(2).max(1)).filter(|_| hits > 0 && seconds > 0)?;
    Some(Duration::from_secs(apart.min(3600) as u64 + 1))
}

/// Who is told of a run.
pub trait Watch {
    /// A line of the journal.
    fn line(&mut self, line: &Line);
    /// What the operator should know besides.
    fn notice(&mut self, text: &str);
}

/// How a run ended: the runner's word, and what the failed operation printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// `ok`, `phase` (more is to come in a later run), `failed`, `locked`, `unfinished`, `reverted`, …; empty if the runner died.
    pub result: String,
    /// The last of what the failed operation printed.
    pub output: String,
}

/// How long a single operation may take without a word.
const IDLE: Duration = Duration::from_secs(3600);
/// Between two attempts to connect: as many as a firewall's limit lets in, of
/// which ufw's, 6 connections within 30 s, is the usual one.
pub(super) const LONGEST_GAP: Duration = Duration::from_secs(7);
/// How long a lost connection is tried to be made again.
const LOST: Duration = Duration::from_secs(120);

/// Follows a run to its end. With `upload`, the run is brought to the host and
/// started first, once, however often the connection breaks meanwhile.
///
/// # Errors
/// The host cannot be reached any more, the run could not be started, or there is none.
pub fn follow(
    reach: &mut HostConnection<'_>,
    run: &str,
    upload: Option<&[u8]>,
    watch: &mut dyn Watch,
) -> Result<RunResult, ApplyError> {
    let mut reader = Reader::default();
    let mut starting = upload;
    loop {
        let data = starting.unwrap_or_default();
        let mut script = Script::new();
        let size = if starting.is_some() { data.len().to_string() } else { String::new() };
        script.set("ID", run).set("FROM", &(reader.lines + 1).to_string()).set("SIZE", &size);
        script.line(include_str!("follow.sh"));
        reader.begin();
        match reach.session.stream(&script, data, IDLE, &mut |bytes| reader.read(bytes, watch)) {
            Err(error) => {
                watch.notice(&format!("{error}; the run goes on without it, connecting again"));
                // What is there decides whether it must be brought again.
                starting = None;
                reach.renew(error)?;
            }
            Ok(_) => match reader.stop.take() {
                Some(Stop::Pause) => {
                    starting = None;
                    if let Some(question) = reader.question.take() {
                        confirm::answer(reach, run, &question, watch)?;
                    }
                }
                Some(Stop::Absent) if upload.is_some() && starting.is_none() => starting = upload,
                Some(Stop::Absent) => return Err(ApplyError::Lost(run.to_owned())),
                Some(Stop::Result(result)) => return Ok(RunResult { result, output: reader.rest() }),
                None => return Err(ApplyError::Start(reader.rest().trim().to_owned())),
            },
        }
    }
}

/// Connects until it works or the time is up. A host that is putting access
/// back refuses for a while whatever the reason looks like; a host key that
/// does not match is final.
pub(super) fn again(dial: &mut dyn Dial, limit: Duration, first: TransportError) -> Result<Session, TransportError> {
    let until = Instant::now() + limit;
    let mut last = first;
    let mut gap = Duration::from_millis(500);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || matches!(last, TransportError::HostKey { .. }) {
            return Err(last);
        }
        match dial.dial(None, left) {
            Ok(session) => return Ok(session),
            Err(error) => last = error,
        }
        std::thread::sleep(gap.min(left));
        gap = (gap * 2).min(LONGEST_GAP);
    }
}

enum Stop {
    Pause,
    Absent,
    Result(String),
}

/// The output of follow.sh as it arrives.
#[derive(Default)]
struct Reader {
    text: Vec<u8>,
    /// Lines of the journal that were told.
    lines: usize,
    question: Option<Question>,
    stop: Option<Stop>,
    /// Something came that is not the journal's.
    foreign: bool,
}

impl Reader {
    fn begin(&mut self) {
        self.text.clear();
        self.stop = None;
        self.foreign = false;
    }

    fn rest(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    fn read(&mut self, bytes: &[u8], watch: &mut dyn Watch) {
        self.text.extend_from_slice(bytes);
        // After the result comes the failed operation's output, which is not a journal.
        while self.stop.is_none() && !self.foreign {
            let Some(end) = self.text.iter().position(|b| *b == b'\n') else { return };
            let line = String::from_utf8_lossy(&self.text[..end]).trim_end().to_owned();
            self.stop = match line.split_once(' ').unwrap_or((&line, "")) {
                ("@pause", _) => Some(Stop::Pause),
                ("@absent", _) => Some(Stop::Absent),
                ("@result", word) => Some(Stop::Result(word.trim().to_owned())),
                _ => None,
            };
            if self.stop.is_none() {
                let Some(line) = Line::parse(&line) else {
                    // A message of the start program, kept for the error.
                    self.foreign = true;
                    return;
                };
                self.lines += 1;
                if let Line::Asks(question) = &line {
                    self.question = Some(question.clone());
                }
                watch.line(&line);
            }
            self.text.drain(..=end);
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_which_a_number_is_none_is_not_the_journals() {
        let asked = Line::parse("C 2 60 22 22,2222 6 30");
        let Some(Line::Asks(question)) = asked else { panic!("{asked:?}") };
        assert_eq!((question.guard, question.before, question.after), (2, vec![22], vec![22, 2222]));
        assert_eq!(question.pace, Some(Duration::from_secs(8)));
        assert!(matches!(Line::parse("C 1 60 22 22 "), Some(Line::Asks(Question { pace: None, .. }))));
        assert_eq!(Line::parse("F 3 7 untouched"), Some(Line::Failed(3, 7, Failing::Untouched)));
        assert_eq!(Line::parse("F 3 1 guard"), Some(Line::Failed(3, 1, Failing::Guard)));
        assert_eq!(Line::parse("F 3 7"), Some(Line::Failed(3, 7, Failing::Itself)));
        assert_eq!(Line::parse("P 1 6 30"), Some(Line::Paced(6, 30)));
        for bad in
            ["B", "B x", "E -1", "F 3 x", "F 3", "C 1 60 22 99999", "C 1 x 22 22", "C x 60 22 22", "P 1 6", "V x y"]
        {
            assert_eq!(Line::parse(bad), None, "{bad}");
        }
    }
}
