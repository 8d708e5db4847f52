//! The end of a run that has lost its controller, or its runner.

use super::RunFailed;
use super::host::LOOK;
use crate::apply::{ApplyError, Failing, HostConnection, LOCK, Line, Watch, follow};
use crate::report::{Event, Reporter};
use crate::shell::Script;

/// What the program that settles a run ends with if somebody else is at work.
const LOCKED: i32 = 3;
/// How often a run is followed whose runner cannot be told from a dead one.
const ATTEMPTS: usize = 5;

/// Follows a run that has no result to its end, or ends it if its runner has
/// died. Guards that are open are confirmed, or put back by the host.
///
/// # Errors
/// The host cannot be reached, or another run is at work.
pub(super) fn settle(
    reach: &mut HostConnection<'_>,
    name: &str,
    run: &str,
    reporter: &dyn Reporter,
) -> anyhow::Result<String> {
    let say = |text: &str| reporter.event(&Event::Notice { host: Some(name), text });
    say(&format!("run {run} has not ended; following it"));
    // Somebody else may settle it at the same time: then it is done when the lock is free.
    let mut script = Script::new();
    script.set("R", &format!("/var/lib/stockade/runs/{run}")).line(LOCK).line(
        "take_lock 10 || { cat \"$L\"; exit 3; }\n\
         [ -e \"$R/settle\" ] || { rm -rf -- \"$R\"; exit 0; }\n\
         [ -e \"$R/result\" ] || sh \"$R/settle\" interrupted </dev/null >/dev/null 2>&1 9>&-\n\
         cat \"$R/result\" 2>/dev/null || :",
    );
    let mut tries = 0;
    let answer = loop {
        let told = follow(reach, run, None, &mut Follower { name, reporter });
        let result = match told {
            Ok(told) => told.result,
            // A run that never got as far as a journal.
            Err(ApplyError::Lost(_)) => String::new(),
            Err(ApplyError::Transport(error)) => return Err(error.into()),
            Err(error) => return Err(RunFailed(format!("{name}: {error}")).into()),
        };
        if !result.is_empty() {
            break result;
        }
        let reply = reach.session.run(&script, &[], LOOK)?;
        let answer = String::from_utf8_lossy(&reply.output).trim().to_owned();
        tries += 1;
        match reply.code {
            0 => break answer,
            // It is this very run that holds the lock: its runner had only not begun.
            LOCKED if answer.ends_with(run) && tries < ATTEMPTS => {}
            LOCKED => {
                return Err(RunFailed(format!("{name}: another run is at work on this host: {answer}")).into());
            }
            _ => return Err(RunFailed(format!("{name}: run {run} cannot be ended on this host: {answer}")).into()),
        }
    };
    if !answer.is_empty() && answer != "interrupted" {
        say(&format!("run {run} has ended: {answer}"));
        return Ok(answer);
    }
    say(&format!("run {run} was interrupted on the host; what is left to do is planned anew"));
    Ok("interrupted".to_owned())
}

/// Tells of a run that somebody else began: its steps are not known here.
struct Follower<'a> {
    name: &'a str,
    reporter: &'a dyn Reporter,
}

impl Watch for Follower<'_> {
    fn line(&mut self, line: &Line) {
        let text = match line {
            Line::Ended(number) => format!("operation {number} is done"),
            Line::Failed(number, _, Failing::Guard) => {
                format!("the guard refuses what was done up to operation {number}")
            }
            Line::Failed(number, code, _) => format!("operation {number} failed with exit code {code}"),
            Line::Reverted(_, why) => format!("a change of access was put back: {why}"),
            Line::Noted(text) => text.clone(),
            _ => return,
        };
        self.notice(&text);
    }

    fn notice(&mut self, text: &str) {
        self.reporter.event(&Event::Notice { host: Some(self.name), text });
    }
}
