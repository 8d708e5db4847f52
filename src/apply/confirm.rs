//! The answer to a guard: a new login, as the user and on the port that will
//! be used from now on, that becomes root and says so. Nothing that was open
//! before the change counts.

use super::follow::{self, Question, Reach, Watch};
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
    reach: &mut Reach<'_>,
    run: &str,
    question: &Question,
    watch: &mut dyn Watch,
) -> Result<(), TransportError> {
    let port = port_to_use(reach.dial.port(), &question.before, &question.after);
    let until = Instant::now() + question.limit.saturating_sub(MARGIN).max(question.limit / 2);
    let mut last = None;
    let error = loop {
        let left = until.saturating_duration_since(Instant::now());
        match reach
            .dial
            .dial(port, left.max(Duration::from_secs(1)))
            .and_then(|session| confirm(session, run, question))
        {
            Ok((session, told)) => {
                if let Some(port) = port {
                    if let Err(error) = reach.dial.move_to(port) {
                        watch.notice(&format!("the host's key cannot be remembered for port {port}: {error}"));
                    }
                    watch.notice(&format!("sshd listens on port {port} now: set port = {port} in the inventory"));
                }
                if told.is_empty() {
                    watch.notice("a new login works and becomes root: the change of access stays");
                } else {
                    // It works again: what it failed with while the change was live is the reason.
                    let before = last.map(|error| format!("; before that no new login: {error}")).unwrap_or_default();
                    watch.notice(&format!("{told}{before}"));
                }
                *reach.session = session;
                return Ok(());
            }
            Err(error) if is_final(&error) || left.is_zero() => break error,
            Err(error) => {
                last = Some(error);
                std::thread::sleep(Duration::from_millis(300).min(left));
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
mod tests {
    use super::port_to_use;

    #[test]
    fn the_port_that_is_dialled_follows_sshd_unless_it_is_forwarded() {
        for (dialled, before, after, wanted) in [
            (Some(22), vec![22], vec![22], None),
            (Some(22), vec![22], vec![2222], Some(2222)),
            (Some(22), vec![22], vec![22, 2222], None),
            (Some(2222), vec![22, 2222], vec![22], Some(22)),
            // 127.0.0.1:40022 is forwarded to port 22.
            (Some(40022), vec![22], vec![2222], None),
            (Some(22), vec![22], vec![], None),
            (None, vec![22], vec![2222], Some(2222)),
            (None, vec![22], vec![22, 2222], None),
        ] {
            assert_eq!(port_to_use(dialled, &before, &after), wanted, "{dialled:?} {before:?} {after:?}");
        }
    }
}
