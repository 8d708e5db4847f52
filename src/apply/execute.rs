//! Starts the runner on a host and follows its journal.

use super::Program;
use crate::plan::{HostPlan, Op, StepPlan};
use crate::report::{Event, Reporter, StepEnding};
use crate::shell::Script;
use crate::transport::{Session, TransportError};
use std::fmt;
use std::time::Duration;

/// The name of a run on its host: a time and random letters, so that names
/// sort by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId {
    name: String,
    nonce: String,
}

impl RunId {
    /// A new name.
    ///
    /// # Errors
    /// This machine gives no random numbers.
    pub fn new() -> Result<RunId, getrandom::Error> {
        let mut random = [0u8; 19];
        getrandom::fill(&mut random)?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        Ok(RunId { name: format!("{time}-{}", hex(&random[..3])), nonce: hex(&random[3..]) })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Text that nothing on the host can hold.
    pub(super) fn nonce(&self) -> String {
        self.nonce.clone()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a failed operation left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Index of the step in the plan.
    pub step: usize,
    /// The step's id.
    pub id: String,
    /// The operation's exit code.
    pub code: i32,
    /// The last of what it printed.
    pub output: String,
}

/// A reboot that a run on the host ended for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reboot {
    /// Index of the step in the plan.
    pub step: usize,
    /// The boot id that the host had; another one proves that it was restarted.
    pub from: String,
    /// Seconds until it must be back.
    pub timeout: u32,
}

/// Why an apply did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The connection failed; the runner goes on without it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An operation failed; those after it were not begun.
    #[error("step {} failed with exit code {}", .0.id, .0.code)]
    Step(Failure),
    /// Another run holds the host.
    #[error("another run is at work on this host: {0}; wait for it, or look at it there")]
    Locked(String),
    /// The run could not be started (disk full, read-only file system).
    #[error("the run could not be started: {0}")]
    Start(String),
    /// The runner ended without a result.
    #[error("the runner on the host ended without a result; its journal is in /var/lib/stockade/runs/{0}")]
    Lost(String),
    /// The host restarts; the rest is to be planned anew.
    #[error("the host restarts")]
    Reboot(Reboot),
    /// The program could not be made.
    #[error("the program for the host could not be made: {0}")]
    Program(String),
}

/// How long a single operation may take without a word.
const IDLE: Duration = Duration::from_secs(3600);

const START: &str = r#"
R=/var/lib/stockade/runs/$ID
P=/run/stockade/$ID
upload() {
  umask 077
  mkdir -p /var/lib/stockade/runs /run/stockade /run/lock &&
    chmod 0700 /var/lib/stockade /var/lib/stockade/runs /run/stockade &&
    mkdir "$R" "$P" &&
    tar -x -f - -C "$P" &&
    mkdir "$R/undo" &&
    mv "$P/script" "$P/meta" "$P/before" "$P/after" "$R/" &&
    : >"$R/journal"
}
# Whatever happens, all of the data is read: what is left would be taken for a program.
head -c "$SIZE" | { (upload) 2>&1; r=$?; cat >/dev/null; exit "$r"; } || { rm -rf -- "$P" "$R"; exit 70; }
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
  systemd-run --quiet --collect --unit "stockade-run-$ID" --property=KillMode=process /bin/sh "$R/script" </dev/null >/dev/null 2>&1
  pid=$(systemctl show -p MainPID --value "stockade-run-$ID")
else
  setsid /bin/sh "$R/script" </dev/null >/dev/null 2>&1 &
  pid=$!
fi
# A runner that has ended already has no process to wait for: tail would never end.
case $pid in
''|0) cat "$R/journal";;
*) tail -n +1 -s 0.05 --pid="$pid" -f "$R/journal" 2>/dev/null;;
esac
printf '@result %s\n' "$(cat "$R/result" 2>/dev/null)"
cat "$R/failed" 2>/dev/null
[ "$(cat "$R/result" 2>/dev/null)" != reboot ] || : >"$P.told"
exit 0
"#;

/// What a run did, step by step, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// One for each step of the plan.
    pub steps: Vec<StepEnding>,
    /// Whether all operations were done.
    pub result: Result<(), ApplyError>,
}

/// Carries a compiled plan out and tells what happens as it happens.
pub fn execute(session: &mut Session, plan: &HostPlan, program: &Program, run: &RunId, reporter: &dyn Reporter) -> Ran {
    let endings =
        plan.steps.iter().map(|step| if step.ops.is_empty() { StepEnding::Unchanged } else { StepEnding::NotReached });
    let state = State { steps: endings.collect(), ..State::default() };
    let mut journal = Journal { plan, program, reporter, text: Vec::new(), state };
    let result = journal.follow(session, run);
    Ran { steps: journal.state.steps, result }
}

/// Script and payloads as one archive.
fn archive(program: &Program) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let numbered = program.payloads.iter().enumerate().map(|(number, data)| (number.to_string(), data.as_slice()));
    let meta = serde_json::to_vec(&program.undo.record)?;
    let named = [
        ("script", program.script.as_bytes()),
        ("meta", meta.as_slice()),
        ("before", program.undo.before.as_bytes()),
        ("after", program.undo.after.as_bytes()),
    ];
    for (name, data) in numbered.chain(named.map(|(name, data)| (name.to_owned(), data))) {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, data)?;
    }
    builder.into_inner()
}

fn step_of<'a>(plan: &'a HostPlan, program: &Program, operation: usize) -> Option<&'a StepPlan> {
    plan.steps.get(program.operations.get(operation.checked_sub(1)?)?.step)
}

#[derive(Default)]
struct State {
    steps: Vec<StepEnding>,
    failed: Option<(usize, i32)>,
    locked: Option<String>,
    reboot: Option<Reboot>,
    result: Option<String>,
}

/// The journal's lines, as they arrive.
struct Journal<'a> {
    plan: &'a HostPlan,
    program: &'a Program,
    reporter: &'a dyn Reporter,
    text: Vec<u8>,
    state: State,
}

impl Journal<'_> {
    fn follow(&mut self, session: &mut Session, run: &RunId) -> Result<(), ApplyError> {
        let data = archive(self.program).map_err(|error| ApplyError::Program(error.to_string()))?;
        let mut script = Script::new();
        script.set("ID", run.as_str()).set("SIZE", &data.len().to_string()).line(START);
        let operations = self.program.operations.len();
        self.reporter.event(&Event::Applying { host: &self.plan.name, run: run.as_str(), operations });

        let code = match session.stream(&script, &data, IDLE, &mut |bytes| self.read(bytes)) {
            Ok(code) => code,
            Err(error) => return Err(self.state.reboot.take().map_or(error.into(), ApplyError::Reboot)),
        };
        let rest = String::from_utf8_lossy(&self.text).into_owned();
        if code != 0 {
            return Err(ApplyError::Start(rest.trim().to_owned()));
        }
        if let Some(holder) = self.state.locked.take() {
            return Err(ApplyError::Locked(holder));
        }
        match (self.state.result.as_deref(), self.state.failed) {
            (Some("ok"), None) => Ok(()),
            (Some("reboot"), None) => {
                Err(self.state.reboot.take().map_or_else(|| ApplyError::Lost(run.to_string()), ApplyError::Reboot))
            }
            (_, Some((operation, code))) => self.fail(operation, code, rest, run),
            _ => Err(ApplyError::Lost(run.to_string())),
        }
    }

    fn fail(&mut self, operation: usize, code: i32, output: String, run: &RunId) -> Result<(), ApplyError> {
        let lost = || ApplyError::Lost(run.to_string());
        let scheduled =
            operation.checked_sub(1).and_then(|index| self.program.operations.get(index)).ok_or_else(lost)?;
        let step = self.plan.steps.get(scheduled.step).ok_or_else(lost)?;
        if let Some(ending) = self.state.steps.get_mut(scheduled.step) {
            *ending = StepEnding::Failed;
        }
        let output = if step.sensitive { String::new() } else { output };
        let message = format!("exit code {code}");
        self.reporter.event(&Event::StepFailed { host: &self.plan.name, step, message: &message, output: &output });
        Err(ApplyError::Step(Failure { step: scheduled.step, id: step.id.clone(), code, output }))
    }

    fn read(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        // After the result comes the failed operation's output, which is not a journal.
        while self.state.result.is_none() {
            let Some(end) = self.text.iter().position(|b| *b == b'\n') else { return };
            let line: Vec<u8> = self.text.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !self.line(&line) {
                // Not the journal's: a message of the start program, kept for the error.
                self.text.splice(0..0, format!("{line}\n").into_bytes());
                return;
            }
        }
    }

    fn line(&mut self, line: &str) -> bool {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = |text: &str| text.parse::<usize>().ok();
        match mark {
            "B" => {
                if let Some((number, step)) = number(rest).and_then(|n| Some((n, step_of(self.plan, self.program, n)?)))
                {
                    let of = self.program.operations.len();
                    self.reporter.event(&Event::Operation { host: &self.plan.name, step, number, of });
                }
            }
            "E" => self.done(number(rest).unwrap_or(0)),
            "F" => {
                let (operation, code) = rest.split_once(' ').unwrap_or((rest, "1"));
                self.state.failed = Some((number(operation).unwrap_or(0), code.parse().unwrap_or(1)));
            }
            "L" => self.state.locked = Some(rest.to_owned()),
            "R" => {
                let (operation, from) = rest.split_once(' ').unwrap_or((rest, ""));
                self.state.reboot = number(operation).and_then(|number| self.reboot(number, from));
            }
            "X" => {}
            "@result" => self.state.result = Some(rest.to_owned()),
            _ => return false,
        }
        true
    }

    fn reboot(&self, operation: usize, from: &str) -> Option<Reboot> {
        let scheduled = self.program.operations.get(operation.checked_sub(1)?)?;
        match scheduled.op {
            Op::Reboot { timeout, .. } => Some(Reboot { step: scheduled.step, from: from.to_owned(), timeout }),
            _ => None,
        }
    }

    /// Tells which steps are done with this operation.
    fn done(&mut self, operation: usize) {
        let operations = &self.program.operations;
        let Some(scheduled) = operation.checked_sub(1).and_then(|index| operations.get(index)) else { return };
        for step in std::iter::once(scheduled.step).chain(scheduled.also.iter().copied()) {
            let later = &operations[operation..];
            let goes_on = later.iter().any(|next| next.step == step || next.also.contains(&step));
            if goes_on {
                continue;
            }
            if let (Some(planned), Some(ending)) = (self.plan.steps.get(step), self.state.steps.get_mut(step)) {
                *ending = StepEnding::Done;
                let step = planned;
                self.reporter.event(&Event::StepDone { host: &self.plan.name, step });
            }
        }
    }
}
