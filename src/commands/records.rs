//! What `apply`, `undo` and `history` have to do with records: where they are
//! kept, the record of a run, the locks of shared hosts, and `@failed`.
//!
//! A run that could not be recorded does not begin, and one that has begun is
//! never stopped for its record.

use super::Exit;
use super::select::kind_names;
use crate::apply::RunMetadata;
use crate::engine::InputErrors;
use crate::plan::StepPlan;
use crate::records::{AUDIT, FORMAT_VERSION, HostRun, LocalStore, Lock, Place, RecordsError, RedisStore, Run, Store};
use crate::report::{self, Console, Event, HostOutcome, HostStatus, Reporter, StepStatus};
use crate::transport::Target;
use crate::values::{Secret, hex};
use clap::Args;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The word of `--limit` that stands for hosts.
const FAILED: &str = "@failed";

/// Where records are kept.
#[derive(Debug, Clone, Default, Args)]
pub struct RecordArgs {
    /// Where runs are recorded: 'local' (a file of this user's), 'none', or redis://HOST:PORT/DB, which also
    /// keeps two operators from one host; STOCKADE_RECORD if not given.
    #[arg(long, value_name = "URL", value_parser = hidden)]
    record: Option<Secret>,
}

/// Never wrong here: the parser of the command line would repeat what is.
fn hidden(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

impl RecordArgs {
    /// Whether the command line names a place.
    pub(super) fn given(&self) -> bool {
        self.record.is_some()
    }

    fn place(&self) -> anyhow::Result<Place> {
        let variable = || std::env::var("STOCKADE_RECORD").ok().filter(|text| !text.is_empty()).map(Secret::new);
        match self.record.clone().or_else(variable) {
            Some(text) => Ok(Place::parse(text.expose())?),
            None => Ok(Place::local()?),
        }
    }

    /// The records, for reading.
    pub(super) fn store(&self) -> anyhow::Result<Box<dyn Store>> {
        match self.place()? {
            Place::Local(path) => Ok(Box::new(LocalStore::new(path))),
            Place::Redis(url) => Ok(Box::new(RedisStore::new(&url)?)),
            Place::Nowhere => anyhow::bail!("no records are kept here: --record says 'none'"),
        }
    }

    /// `--limit` with the hosts that `@failed` stands for; that of a saved plan has none.
    ///
    /// # Errors
    /// The playbook is wrong, the records cannot be read, or no host failed.
    pub(super) fn resolve(&self, limit: &mut Vec<String>, playbook: &Path, stage: Option<&str>) -> anyhow::Result<()> {
        if !limit.iter().any(|word| word.trim_start_matches('!') == FAILED) {
            return Ok(());
        }
        let loaded = crate::playbook::load(playbook, &kind_names()).map_err(InputErrors)?;
        let title = loaded.name.clone().unwrap_or_else(|| playbook.display().to_string());
        let runs = self.store()?.runs()?;
        let last = runs.iter().rev().find(|run| {
            run.verb == "apply"
                && run.playbook == title
                && stage.is_none_or(|stage| run.stage.as_deref() == Some(stage))
        });
        let at = stage.map(|stage| format!(" at stage {stage}")).unwrap_or_default();
        let Some(last) = last else {
            anyhow::bail!(
                "--limit {FAILED}: no run of '{title}'{at} is recorded; 'stockade history --records' lists those that are"
            );
        };
        let failed: Vec<&str> =
            last.hosts.iter().filter(|host| !host.converged()).map(|host| host.name.as_str()).collect();
        anyhow::ensure!(
            !failed.is_empty(),
            "--limit {FAILED}: no host failed in the last run of '{title}'{at} ({}, {})",
            last.id,
            last.time
        );
        *limit = limit
            .iter()
            .flat_map(|word| match word.strip_suffix(FAILED) {
                Some(sign @ ("" | "!")) => failed.iter().map(|name| format!("{sign}{name}")).collect(),
                _ => vec![word.clone()],
            })
            .collect();
        Ok(())
    }
}

/// The record of a run in the making, and the locks of its hosts.
pub(super) struct Recorder {
    kept: Kept,
    run: Run,
    began: Instant,
    /// What happened to locks; told again at the end, where nobody overlooks it.
    troubles: Arc<Mutex<Vec<String>>>,
}

enum Kept {
    Here(LocalStore),
    Shared(RedisStore),
    Nowhere,
}

impl Recorder {
    /// A record that can be written, as far as one can know before.
    ///
    /// # Errors
    /// The store cannot be used: nothing was touched, and nothing shall be.
    pub(super) fn open(args: &RecordArgs, verb: &str, who: String) -> anyhow::Result<Recorder> {
        let kept = match args.place()? {
            Place::Local(path) => Kept::Here(LocalStore::new(path)),
            Place::Redis(url) => Kept::Shared(RedisStore::new(&url)?),
            Place::Nowhere => Kept::Nowhere,
        };
        let time = jiff::Timestamp::now();
        let run = Run {
            format_version: FORMAT_VERSION,
            id: new_id(time)?,
            time: time.to_string(),
            who,
            verb: verb.to_owned(),
            playbook: String::new(),
            inputs: String::new(),
            stage: None,
            seconds: 0.0,
            hosts: Vec::new(),
        };
        let recorder = Recorder { kept, run, began: Instant::now(), troubles: Arc::default() };
        recorder.store().map_or(Ok(()), Store::check).map_err(|error| refusal(&error))?;
        Ok(recorder)
    }

    /// Writes down that the run begins: whatever becomes of this process, it
    /// is known which hosts it was about to touch.
    ///
    /// # Errors
    /// It cannot be written: nothing shall be touched.
    pub(super) fn begin(&mut self, about: &RunMetadata, stage: Option<&str>, hosts: &[&str]) -> anyhow::Result<()> {
        self.run.playbook.clone_from(&about.playbook);
        self.run.inputs.clone_from(&about.inputs);
        self.run.stage = stage.map(str::to_owned);
        let unfinished = |name: &&str| HostRun {
            name: (*name).to_owned(),
            runs: Vec::new(),
            result: "unfinished".to_owned(),
            changes: Vec::new(),
            failed: None,
            seconds: 0.0,
            score: None,
            findings: None,
        };
        self.run.hosts = hosts.iter().map(unfinished).collect();
        self.store().map_or(Ok(()), |store| store.add(&self.run)).map_err(|error| refusal(&error))
    }

    fn store(&self) -> Option<&dyn Store> {
        match &self.kept {
            Kept::Here(store) => Some(store),
            Kept::Shared(store) => Some(store),
            Kept::Nowhere => None,
        }
    }

    /// Whether hosts are locked, so that what was seen before may be old.
    pub(super) fn locks(&self) -> bool {
        matches!(self.kept, Kept::Shared(_))
    }

    /// Locks a host for as long as the result lives; none where records are
    /// not shared. A host that somebody else has is given up, untouched.
    pub(super) fn lock(&self, target: &Target, reporter: &Arc<dyn Reporter>) -> Result<Option<Lock>, Box<HostOutcome>> {
        let Kept::Shared(store) = &self.kept else { return Ok(None) };
        let host = target.name.clone();
        let (teller, troubles, name) = (Arc::clone(reporter), Arc::clone(&self.troubles), host.clone());
        let tell = move |trouble: &str| {
            teller.event(&Event::Notice { host: Some(&name), text: trouble });
            troubles.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name}: {trouble}"));
        };
        let since = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        let error = match store.lock(&place_of(target), &self.run.who, &since, Arc::new(tell)) {
            Ok(Ok(lock)) => return Ok(Some(lock)),
            Ok(Err(other)) => {
                format!("{} is at work on this host since {}; nothing was touched", other.who, other.since)
            }
            Err(error) => format!("the host could not be locked, nothing was touched: {error}"),
        };
        reporter.event(&Event::HostFailed { host: &host, error: &error });
        Err(Box::new(HostOutcome { error: Some(error), ..HostOutcome::new(host, HostStatus::Failed) }))
    }

    /// Writes the record. That it could not be is said, and changes nothing else.
    pub(super) fn keep(mut self, outcomes: &[HostOutcome], console: &mut Console) {
        for trouble in self.troubles.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            console.remark(&format!("DURING THIS RUN: {trouble}"));
        }
        self.run.seconds = milliseconds(self.began.elapsed().as_secs_f64());
        self.run.hosts = outcomes.iter().map(host_run).collect();
        let Some(Err(error)) = self.store().map(|store| store.add(&self.run)) else { return };
        console.remark(&format!("THE RECORD OF THIS RUN COULD NOT BE KEPT: {error}"));
        if let (Kept::Shared(_), Ok(Place::Local(path))) = (&self.kept, Place::local()) {
            let here = LocalStore::new(path);
            match here.add(&self.run) {
                Ok(()) => console.remark(&format!("it is kept in {} instead (run {})", here.name(), self.run.id)),
                Err(error) => console.remark(&format!("nor could it be kept on this machine: {error}")),
            }
        }
    }
}

/// A name for a record; sorts by time.
pub(super) fn new_id(time: jiff::Timestamp) -> anyhow::Result<String> {
    let mut random = [0u8; 3];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(format!("{}-{}", time.strftime("%Y%m%dT%H%M%S%3fZ"), hex(&random)))
}

fn refusal(error: &RecordsError) -> anyhow::Error {
    anyhow::anyhow!("{error}\nnothing was touched; --record none does without a record and without locks")
}

/// What a lock is about: where the host is reached, whatever inventories call it.
fn place_of(target: &Target) -> String {
    let jump = target.jump.as_ref().map(|jump| format!("{jump}>")).unwrap_or_default();
    match &target.local_root {
        Some(root) => format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), root.display()),
        None => format!("{jump}{}:{}", target.address.to_lowercase(), target.port.unwrap_or(22)),
    }
}

fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn host_run(outcome: &HostOutcome) -> HostRun {
    let done = outcome.steps.iter().filter(|(_, ending)| *ending == StepStatus::Done);
    HostRun {
        name: outcome.name.clone(),
        runs: outcome.runs.clone(),
        result: outcome.ending.word().to_owned(),
        changes: done.map(|(step, _)| line(step)).collect(),
        failed: outcome.failure.as_ref().map(|failure| line(&failure.step)),
        seconds: milliseconds(outcome.seconds),
        score: None,
        findings: None,
    }
}

/// A step in a line, as the plan's text says it.
fn line(step: &StepPlan) -> String {
    let action = format!("{:?}", step.action).to_lowercase();
    if step.name.starts_with(step.kind) {
        format!("{action} {}", step.name)
    } else {
        format!("{action} {} {}", step.kind, step.name)
    }
}

/// `history --records`: the runs that are recorded, without asking a host.
///
/// # Errors
/// The records cannot be read.
pub(super) fn list(args: &RecordArgs, host: Option<&str>, json: bool, console: &mut Console) -> anyhow::Result<Exit> {
    let mut runs = args.store()?.runs()?;
    runs.retain(|run| run.verb != AUDIT);
    if let Some(name) = host {
        runs.iter_mut().for_each(|run| run.hosts.retain(|host| host.name == name));
        runs.retain(|run| !run.hosts.is_empty());
    }
    if json {
        let document = serde_json::json!({ "format_version": FORMAT_VERSION, "runs": runs });
        console.line(&serde_json::to_string_pretty(&document)?);
        return Ok(Exit::Done);
    }
    console.line(&counted(runs.len()));
    for run in &runs {
        let stage = run.stage.as_ref().map(|stage| format!(" [{stage}]")).unwrap_or_default();
        let head =
            format!("  {}  {:<5}  {}{stage}  by {}  {:.1} s", run.id, run.verb, run.playbook, run.who, run.seconds);
        console.line(&report::visible(&head));
        for host in &run.hosts {
            let runs = if host.runs.is_empty() { String::new() } else { format!("  run {}", host.runs.join(", ")) };
            let changes = host.changes.len();
            let line = format!("    {}  {:<13}  {changes} changes{runs}", host.name, host.result);
            console.line(&report::visible(&line));
        }
    }
    Ok(Exit::Done)
}

/// `1 run`, `2 runs`.
pub(super) fn counted(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_records_is_seen_nowhere() {
        let args = RecordArgs { record: Some(Secret::new("redis://u:hunter2@127.0.0.1:1/0")) };
        assert!(!format!("{args:?}").contains("hunter2"));
        let error =
            Recorder::open(&args, "apply", "ann@desk".into()).err().map(|e| format!("{e:#}")).unwrap_or_default();
        assert!(error.contains("--record none") && !error.contains("hunter2"), "{error}");
    }
}
