//! Audits that are kept: the scores of hosts over time.

use super::records::{self, RecordArgs};
use super::{Exit, operator};
use crate::audit::{Report, Trend};
use crate::records::{AUDIT, FORMAT_VERSION, HostRun, Run};
use crate::report::{self, Console};
use std::collections::BTreeMap;

/// How many earlier scores a report shows.
const SHOWN: usize = 50;

/// Keeps the scores of an audit.
///
/// # Errors
/// They cannot be written.
pub(super) fn keep(args: &RecordArgs, report: &Report) -> anyhow::Result<()> {
    let time: jiff::Timestamp = report.time.parse()?;
    let hosts = report.hosts.iter().map(|host| HostRun {
        name: host.name.clone(),
        runs: Vec::new(),
        result: if host.error.is_some() { "failed" } else { "audited" }.to_owned(),
        changes: Vec::new(),
        failed: host.error.clone(),
        seconds: host.seconds,
        score: host.score,
        findings: Some(host.counts.fail + host.counts.not_live + host.counts.error + host.drift.len()),
    });
    let run = Run {
        format_version: FORMAT_VERSION,
        id: records::new_id(time)?,
        time: report.time.clone(),
        who: operator::who(),
        verb: AUDIT.to_owned(),
        playbook: report.playbook.clone(),
        inputs: String::new(),
        stage: report.stage.clone(),
        seconds: report.hosts.iter().map(|host| host.seconds).fold(0.0, f64::max),
        hosts: hosts.collect(),
    };
    Ok(args.store()?.add(&run)?)
}

/// By host, the scores of the earlier audits of a playbook, the oldest first;
/// empty where no records are asked for.
///
/// # Errors
/// The records cannot be read.
pub(super) fn trends(args: &RecordArgs, playbook: &str) -> anyhow::Result<BTreeMap<String, Vec<Trend>>> {
    let mut trends: BTreeMap<String, Vec<Trend>> = BTreeMap::new();
    if !args.given() {
        return Ok(trends);
    }
    for run in args.store()?.runs()?.into_iter().filter(|run| run.verb == AUDIT && run.playbook == playbook) {
        for host in run.hosts {
            let score = host.score.map(|score| Trend { time: run.time.clone(), score });
            trends.entry(host.name).or_default().extend(score);
        }
    }
    trends.values_mut().for_each(|trend| _ = trend.drain(..trend.len().saturating_sub(SHOWN)));
    Ok(trends)
}

/// `history --audits`: the scores of hosts over time.
///
/// # Errors
/// The records cannot be read.
pub(super) fn list(args: &RecordArgs, host: Option<&str>, json: bool, console: &mut Console) -> anyhow::Result<Exit> {
    let mut runs = args.store()?.runs()?;
    runs.retain(|run| run.verb == AUDIT);
    if let Some(name) = host {
        runs.iter_mut().for_each(|run| run.hosts.retain(|host| host.name == name));
        runs.retain(|run| !run.hosts.is_empty());
    }
    if json {
        let document = serde_json::json!({ "format_version": FORMAT_VERSION, "audits": runs });
        console.line(&serde_json::to_string_pretty(&document)?);
        return Ok(Exit::Done);
    }
    console.line(&if runs.len() == 1 { "1 audit".to_owned() } else { format!("{} audits", runs.len()) });
    let mut last: BTreeMap<(String, String), f64> = BTreeMap::new();
    for run in &runs {
        let stage = run.stage.as_ref().map(|stage| format!(" [{stage}]")).unwrap_or_default();
        console.line(&report::visible(&format!("  {}  {}{stage}  by {}", run.id, run.playbook, run.who)));
        for host in &run.hosts {
            let score = host.score.map_or_else(|| "     -".to_owned(), |score| format!("{score:6.1}"));
            let before = host.score.and_then(|score| last.insert((run.playbook.clone(), host.name.clone()), score));
            let change = match (before, host.score) {
                (Some(before), Some(score)) if before != score => format!("  {:+.1}", score - before),
                _ => String::new(),
            };
            let findings = host.findings.unwrap_or_default();
            console.line(&report::visible(&format!("    {}  {score}  {findings} findings{change}", host.name)));
        }
    }
    Ok(Exit::Done)
}
