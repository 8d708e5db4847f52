//! What all formats ask of a report: findings over all hosts, the worst first,
//! scores of groups, what to do next.

use crate::audit::{Change, ControlInfo, ControlResult, Counts, HostReport, Report, Status};
use crate::values::Severity;
use std::cmp::Reverse;
use std::collections::HashMap;

/// The group of steps that belong to no control.
pub(super) const DRIFT: &str = "steps without a control";

/// One control, or one step without, that stands the same way on some hosts.
#[derive(Debug)]
pub(super) struct Finding<'r> {
    /// As the first of its results names it.
    pub id: &'r str,
    /// As the first of its results names it.
    pub title: &'r str,
    /// The severity of the results.
    pub severity: Severity,
    /// How it stands.
    pub status: Status,
    /// The group of its control, or [`DRIFT`].
    pub group: &'r str,
    /// The hosts, in the order of the report, with their results.
    pub hosts: Vec<(&'r HostReport, &'r ControlResult)>,
}

/// Hosts where the same was found, with the result of the first of them.
pub(super) type Variant<'r> = (Vec<&'r str>, &'r ControlResult);

impl<'r> Finding<'r> {
    /// The names of its hosts.
    pub fn names(&self) -> Vec<&'r str> {
        self.hosts.iter().map(|(host, _)| host.name.as_str()).collect()
    }

    /// What was found, each with the hosts where it is so, the most common first.
    pub fn variants(&self) -> Vec<Variant<'r>> {
        let mut variants: Vec<Variant<'r>> = Vec::new();
        for (host, result) in &self.hosts {
            match variants.iter_mut().find(|(_, other)| same(other, result)) {
                Some((names, _)) => names.push(&host.name),
                None => variants.push((vec![&host.name], result)),
            }
        }
        variants.sort_by_key(|(names, _)| Reverse(names.len()));
        variants
    }

    /// What it counts against a score, over all its hosts.
    fn weight(&self) -> usize {
        self.severity.weight() as usize * self.hosts.len()
    }
}

fn same(one: &ControlResult, other: &ControlResult) -> bool {
    (&one.expected, &one.actual, &one.reason) == (&other.expected, &other.actual, &other.reason)
        && (&one.evidence, &one.remedy, &one.waiver) == (&other.evidence, &other.remedy, &other.waiver)
}

/// The controls of a report by their ids.
pub(super) fn controls(report: &Report) -> HashMap<&str, &ControlInfo> {
    report.controls.iter().map(|control| (control.id.as_str(), control)).collect()
}

/// All results that `chosen` takes, those of the same control and status in one,
/// the worst first.
pub(super) fn collect(report: &Report, chosen: impl Fn(&ControlResult) -> bool) -> Vec<Finding<'_>> {
    let controls = controls(report);
    let mut found: Vec<Finding<'_>> = Vec::new();
    let mut places: HashMap<(&str, &str, Status, Severity, bool), usize> = HashMap::new();
    for host in &report.hosts {
        let results = host.results.iter().map(|result| (result, false));
        let drift = host.drift.iter().map(|result| (result, true));
        for (result, drift) in results.chain(drift).filter(|(result, _)| chosen(result)) {
            // Of steps the same number may be another step where playbooks differ.
            let title = if drift { result.title.as_str() } else { "" };
            let key = (result.id.as_str(), title, result.status, result.severity, drift);
            let at = *places.entry(key).or_insert_with(|| {
                let control = if drift { None } else { controls.get(result.id.as_str()) };
                found.push(Finding {
                    id: &result.id,
                    title: &result.title,
                    severity: result.severity,
                    status: result.status,
                    group: control.map_or(DRIFT, |control| control.group.as_str()),
                    hosts: Vec::new(),
                });
                found.len() - 1
            });
            found[at].hosts.push((host, result));
        }
    }
    found.sort_by_key(|finding| (rank(finding.status), Reverse(finding.severity), Reverse(finding.hosts.len())));
    found
}

/// What somebody must do something about, the worst first.
pub(super) fn findings(report: &Report) -> Vec<Finding<'_>> {
    collect(report, |result| result.status.is_finding())
}

/// How early a status is told: what fails and what could not be judged first.
pub(super) fn rank(status: Status) -> u8 {
    match status {
        Status::Fail | Status::Error => 0,
        Status::NotLive => 1,
        Status::Waived => 2,
        Status::Pass => 3,
        Status::NotApplicable => 4,
    }
}

/// Findings by their groups, the group with the worst finding first.
pub(super) fn by_group<'f, 'r>(findings: &'f [Finding<'r>]) -> Vec<(&'r str, Vec<&'f Finding<'r>>)> {
    let mut groups: Vec<(&str, Vec<&Finding<'_>>)> = Vec::new();
    for finding in findings {
        match groups.iter_mut().find(|(group, _)| *group == finding.group) {
            Some((_, members)) => members.push(finding),
            None => groups.push((finding.group, vec![finding])),
        }
    }
    groups
}

/// The three findings with the most weight over all hosts, the heaviest first. One
/// control counts once, whatever its status is on which host.
pub(super) fn next<'f, 'r>(findings: &'f [Finding<'r>]) -> Vec<(&'f Finding<'r>, usize)> {
    let mut controls: Vec<(&Finding<'_>, usize, usize)> = Vec::new();
    for finding in findings {
        let alike =
            |other: &Finding<'_>| (other.id, other.title, other.group) == (finding.id, finding.title, finding.group);
        match controls.iter_mut().find(|(other, _, _)| alike(other)) {
            Some((_, weight, hosts)) => {
                *weight += finding.weight();
                *hosts += finding.hosts.len();
            }
            None => controls.push((finding, finding.weight(), finding.hosts.len())),
        }
    }
    controls.sort_by_key(|(_, weight, _)| Reverse(*weight));
    controls.into_iter().take(3).map(|(finding, _, hosts)| (finding, hosts)).collect()
}

/// The hosts: those that could not be audited, then the lowest score first.
pub(super) fn worst_first(report: &Report) -> Vec<&HostReport> {
    let mut hosts: Vec<&HostReport> = report.hosts.iter().collect();
    let score = |host: &HostReport| host.score.unwrap_or(101.0);
    hosts.sort_by(|a, b| (a.error.is_none()).cmp(&b.error.is_none()).then(score(a).total_cmp(&score(b))));
    hosts
}

/// The groups of controls, in the order of the playbook.
pub(super) fn groups(report: &Report) -> Vec<&str> {
    let mut groups: Vec<&str> = Vec::new();
    for control in &report.controls {
        if !groups.contains(&control.group.as_str()) {
            groups.push(&control.group);
        }
    }
    groups
}

/// The score of a group of controls on a host, made as the host's own: over
/// applicable, unwaived controls, weighted by severity.
pub(super) fn group_score(host: &HostReport, controls: &HashMap<&str, &ControlInfo>, group: &str) -> Option<f64> {
    let (mut held, mut all) = (0, 0);
    for result in &host.results {
        if controls.get(result.id.as_str()).is_none_or(|control| control.group != group) {
            continue;
        }
        match result.status {
            Status::Pass => {
                held += result.severity.weight();
                all += result.severity.weight();
            }
            Status::NotLive | Status::Fail | Status::Error => all += result.severity.weight(),
            Status::NotApplicable | Status::Waived => {}
        }
    }
    (all > 0).then(|| f64::from(held) * 100.0 / f64::from(all))
}

/// The host's score in the baseline or, without one, in the audit before.
pub(super) fn score_before(report: &Report, host: &HostReport) -> Option<f64> {
    let of = |time: &String| host.trend.iter().rev().find(|trend| trend.time == *time);
    match &report.baseline {
        Some(time) => of(time).map(|trend| trend.score),
        None => host.trend.last().map(|trend| trend.score),
    }
}

/// A score in words.
pub(super) fn score_words(score: Option<f64>) -> String {
    // Rounded down: 99.96 is not 100, something does not hold.
    score.map_or_else(|| "no score".to_owned(), |score| format!("{:.1}", (score * 10.0).floor() / 10.0))
}

/// The counts over all hosts.
pub(super) fn totals(report: &Report) -> Counts {
    report.hosts.iter().fold(Counts::default(), |sum, host| {
        let Counts { pass, fail, not_live, error, waived, not_applicable } = host.counts;
        Counts {
            pass: sum.pass + pass,
            fail: sum.fail + fail,
            not_live: sum.not_live + not_live,
            error: sum.error + error,
            waived: sum.waived + waived,
            not_applicable: sum.not_applicable + not_applicable,
        }
    })
}

/// How many results have a status.
pub(super) fn count_of(counts: &Counts, status: Status) -> usize {
    match status {
        Status::Pass => counts.pass,
        Status::Fail => counts.fail,
        Status::NotLive => counts.not_live,
        Status::Error => counts.error,
        Status::Waived => counts.waived,
        Status::NotApplicable => counts.not_applicable,
    }
}

/// What has changed since the baseline, the worse first, each as one heading with
/// its results; what nobody has to act on is left out of what is new.
pub(super) fn changes(report: &Report) -> Vec<(&'static str, Vec<Finding<'_>>)> {
    let of = |change: Change, finding: bool| {
        collect(report, |result| result.change == Some(change) && (!finding || result.status.is_finding()))
    };
    [("worse", of(Change::Worse, false)), ("new", of(Change::New, true)), ("better", of(Change::Better, false))].into()
}

/// The counts in words, those that are 0 left out, the worst first.
pub(super) fn counts_words(counts: &Counts) -> String {
    let words: Vec<String> = Status::ALL
        .iter()
        .rev()
        .map(|&status| (count_of(counts, status), status))
        .filter(|(count, _)| *count > 0)
        .map(|(count, status)| format!("{count} {}", status.words()))
        .collect();
    if words.is_empty() { "nothing was judged".to_owned() } else { words.join(", ") }
}

/// How many steps without a control are not as they should be, behind the counts.
pub(super) fn drift_words(report: &Report) -> String {
    match report.hosts.iter().map(|host| host.drift.len()).sum() {
        0 => String::new(),
        1 => "; 1 step without a control differs".to_owned(),
        count => format!("; {count} steps without a control differ"),
    }
}

/// The level of an audit in words.
pub(super) fn level_words(report: &Report) -> String {
    report.level.map_or_else(|| "the level of the playbook".to_owned(), |level| format!("level {level}"))
}
