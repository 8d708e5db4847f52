//! The answer to a guard: a new login, as the user and on the port that will
//! be used from now on, that becomes root and says so. Nothing that was open
//! before the change counts.

use super::follow::{self, HostConnection, LONGEST_GAP, Line, Question, Watch};
use crate::shell::Script;
use crate::transport::{Session, TransportError};
use std::time::{Duration, Instant};

/// How long the host may be silent while it puts things back.
const REVERT: Duration = Duration::from_secs(180);
/// Time that is left to the host: it must be told before its own timer ends.
const MARGIN: Duration = Duration::from_secs(2);

/// Logs in anew and confirms, or has the host put the change back.
///
/// # Errors
/// The host cannot be reached by any connection, though its own timer has put
/// the change back by then.
pub(super) fn answer(
    reach: &mut HostConnection<'_>,
    run: &str,
    question: &Question,
    watch: &mut dyn Watch,
) -> Result<(), TransportError> {
    let port = port_to_use(reach.dial.port(), &question.before, &question.after);
    let until = Instant::now() + question.limit.saturating_sub(MARGIN).max(question.limit / 2);
    let mut met = Met::new(Instant::now());
    let error = loop {
        let left = until.saturating_duration_since(Instant::now());
        match reach.dial.dial(port, patience(left)).and_then(|session| confirm(session, run, question)) {
            Ok((session, told)) => {
                if let Some(port) = port {
                    if let Err(error) = reach.dial.move_to(port) {
                        watch.notice(&format!("the host's key cannot be remembered for port {port}: {error}"));
                    }
                    watch.notice(&format!("sshd listens on port {port} now: set port = {port} in the inventory"));
                }
                // It works again: what it failed with while the change was live is the reason.
                let before = met.told(Instant::now()).map(|met| format!("; before that no new login: {met}"));
                let before = before.unwrap_or_default();
                if told.is_empty() {
                    watch.line(&Line::Confirmed(question.guard));
                    watch.notice(&format!("a new login works and becomes root: the change of access stays{before}"));
                } else {
                    watch.notice(&format!("{told}{before}"));
                }
                *reach.session = session;
                return Ok(());
            }
            Err(error) => {
                let ends = is_final(&error) || left.is_zero();
                met.add(error.to_string(), Instant::now());
                if ends {
                    break met.told(Instant::now()).unwrap_or_default();
                }
                std::thread::sleep(gap(met.tries - 1, question.pace, left));
            }
        }
    };
    let why = format!("no new login{}: {error}", port.map(|port| format!(" on port {port}")).unwrap_or_default());
    watch.notice(&format!("{why}; the host puts the change back"));
    let one_line: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
    if let Err(error) = reach.session.run(&program(run, question, "revert", &one_line), &[], REVERT) {
        // The change has taken the old connection too: the host's own timer is what is left.
        *reach.session = follow::again(reach.dial, question.limit + REVERT, error)?;
    }
    Ok(())
}

/// What the attempts to log in have met, each sort of failure once, in order.
struct Met {
    began: Instant,
    tries: u32,
    /// The error, how often it came in a row, and when it came last.
    failures: Vec<(String, u32, Instant)>,
}

impl Met {
    fn new(began: Instant) -> Met {
        Met { began, tries: 0, failures: Vec::new() }
    }

    fn add(&mut self, error: String, now: Instant) {
        self.tries += 1;
        match self.failures.last_mut() {
            Some((last, count, at)) if *last == error => (*count, *at) = (*count + 1, now),
            _ => self.failures.push((error, 1, now)),
        }
    }

    /// All of it in words; none if every attempt has worked.
    fn told(&self, now: Instant) -> Option<String> {
        /// More sorts of failures than these tell nobody more.
        const SHOWN: usize = 3;
        let (last, before) = self.failures.split_last()?;
        if before.is_empty() && last.1 == 1 {
            return Some(last.0.clone());
        }
        let seconds = |at: Instant| at.saturating_duration_since(self.began).as_secs();
        let shown = self.failures.iter().skip(self.failures.len().saturating_sub(SHOWN));
        let parts: Vec<String> = shown
            .map(|(error, count, at)| match count {
                1 => format!("{error} (once, after {} s)", seconds(*at)),
                _ => format!("{error} ({count} times until {} s)", seconds(*at)),
            })
            .collect();
        Some(format!("{} attempts in {} s: {}", self.tries, seconds(now), parts.join("; then ")))
    }
}

/// How long one attempt may take: where nothing answers, there is time for another.
fn patience(left: Duration) -> Duration {
    const LEAST: Duration = Duration::from_secs(10);
    (left / 2).max(LEAST).min(left).max(Duration::from_secs(1))
}

/// How long to wait after so many failed attempts. A firewall that counts even
/// the connections that it refuses never lets anybody in who tries too often.
fn gap(tries: u32, pace: Option<Duration>, left: Duration) -> Duration {
    const FIRST: Duration = Duration::from_millis(300);
    let wanted = match pace {
        Some(pace) if tries > 0 => pace,
        _ => (FIRST * 2u32.saturating_pow(tries.min(8))).min(LONGEST_GAP).min(left / 3),
    };
    wanted.max(FIRST).min(left)
}

/// What a second try would not mend.
fn is_final(error: &TransportError) -> bool {
    matches!(
        error,
        TransportError::Authentication { .. } | TransportError::Privilege { .. } | TransportError::HostKey { .. }
    )
}

/// The port for the new login; none: the same as before. Behind a port that is
/// forwarded the host's own ports say nothing about the one that is dialled.
fn port_to_use(dialled: Option<u16>, before: &[u16], after: &[u16]) -> Option<u16> {
    let moved = !after.is_empty() && !before.iter().any(|port| after.contains(port));
    match dialled {
        Some(port) if after.contains(&port) || !before.contains(&port) => None,
        Some(_) => after.first().copied(),
        None => after.first().copied().filter(|_| moved),
    }
}

fn program(run: &str, question: &Question, verb: &str, why: &str) -> Script {
    let mut script = Script::new();
    let path = format!("/var/lib/stockade/runs/{run}/guard/{}/program", question.guard);
    script.set("F", &path).set("VERB", verb).set("WHY", why).line("sh \"$F\" \"$VERB\" \"$WHY\"");
    script
}

/// Confirms over a new connection; with it, what the host said if it was too late.
fn confirm(mut session: Session, run: &str, question: &Question) -> Result<(Session, String), TransportError> {
    let reply = session.run(&program(run, question, "confirm", ""), &[], Duration::from_secs(30))?;
    let told = if reply.code == 0 { String::new() } else { String::from_utf8_lossy(&reply.output).trim().to_owned() };
    Ok((session, told))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "confirm_tests.rs"]
mod tests;
