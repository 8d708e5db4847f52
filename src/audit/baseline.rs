//! A report against an earlier one of the same playbook.

use super::{Change, ControlResult, FORMAT_VERSION, HostReport, Report, Status};
use crate::values::Demand;

/// Reads the JSON of an earlier report. `demands`: the controls of this audit.
///
/// # Errors
/// It is none, or one of another version of the form or of another playbook; a sentence.
pub fn read_baseline(bytes: &[u8], demands: &[Demand]) -> Result<Report, String> {
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| format!("this is no JSON document: {error}"))?;
    match value.get("format_version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(FORMAT_VERSION) => {}
        Some(version) => {
            return Err(format!(
                "it has the form {version}, this version reads {FORMAT_VERSION}: make a new baseline with --format json"
            ));
        }
        None => return Err("it has no format_version: give the output of 'stockade audit --format json'".to_owned()),
    }
    let report: Report =
        serde_json::from_value(value).map_err(|error| format!("this is no report of an audit: {error}"))?;
    let in_common = |demand: &Demand| report.controls.iter().any(|known| known.id == demand.control.id);
    if !report.controls.is_empty() && !demands.is_empty() && !demands.iter().any(in_common) {
        return Err(format!(
            "it is a report of {} and has none of the controls of this playbook: give one of the same playbook",
            report.playbook.escape_debug()
        ));
    }
    let mut names: Vec<&str> = report.hosts.iter().map(|host| host.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("the host {} is in it more than once", pair[0].escape_debug())),
        None => Ok(report),
    }
}

/// Says of each result of a host how it changed since the baseline.
pub fn compare(host: &mut HostReport, baseline: &Report) {
    let Some(before) = baseline.hosts.iter().find(|earlier| earlier.name == host.name && earlier.error.is_none())
    else {
        host.results.iter_mut().chain(&mut host.drift).for_each(|result| result.change = Some(Change::New));
        return;
    };
    let change = |result: &ControlResult, earlier: Option<Status>| match earlier {
        None => Change::New,
        Some(status) if status.is_finding() == result.status.is_finding() => Change::Same,
        Some(status) if status.is_finding() => Change::Better,
        Some(_) => Change::Worse,
    };
    for result in &mut host.results {
        let earlier = before.results.iter().find(|earlier| earlier.id == result.id).map(|earlier| earlier.status);
        result.change = Some(change(result, earlier));
    }
    // Of a step without a control only what differs is in a report. Its id moves
    // with the steps before it, its name stays.
    for result in &mut host.drift {
        let earlier = before.drift.iter().find(|earlier| earlier.title == result.title).map(|earlier| earlier.status);
        result.change = Some(change(result, earlier.or(Some(Status::Pass))));
    }
    if let Some(score) = before.score
        && host.trend.iter().all(|earlier| earlier.time != baseline.time)
    {
        host.trend.push(super::Trend { time: baseline.time.clone(), score });
        host.trend.sort_by(|a, b| a.time.cmp(&b.time));
    }
}
