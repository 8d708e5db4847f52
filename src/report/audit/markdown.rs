//! An audit as a comment on a merge request: a table of hosts, findings with what
//! was found folded away, waivers. It is escaped as `report/markdown.rs` says.

use super::findings::{
    Finding, by_group, changes, collect, counts_words, drift_words, findings, level_words, next, score_before,
    score_words, totals, worst_first,
};
use super::text::{evidence_words, host_list, place_words};
use super::{counted, cut, cut_to, sign};
use crate::audit::{ControlResult, Report, Status};
use crate::report::markdown::{cell, code, fence, head, html, push_section};
use crate::report::visible::one_line;

/// Hosts in the table.
const HOSTS: usize = 50;
/// Differing states of one finding that are shown.
const VARIANTS: usize = 5;

/// The report as a comment.
pub(super) fn audit_markdown(report: &Report) -> String {
    let findings = findings(report);
    let mut text = head("audit", report.stage.as_deref(), &cut(&report.playbook));
    let (hosts, controls) = (counted(report.hosts.len(), "host"), counted(report.controls.len(), "control"));
    text.push_str(&format!(
        "{hosts}, {controls}, {}: {}{}\n\n",
        level_words(report),
        counts_words(&totals(report)),
        drift_words(report)
    ));
    table(&mut text, report);
    push_section(&mut text, &not_audited(report));
    push_section(&mut text, &changed(report));
    push_section(&mut text, &next_things(&findings, report));
    for (group, members) in by_group(&findings) {
        push_section(&mut text, &format!("\n#### {}\n", code(&cut(group))));
        for finding in members {
            push_section(&mut text, &section(finding));
        }
    }
    push_section(&mut text, &waivers(report));
    text
}

fn table(text: &mut String, report: &Report) {
    text.push_str("| host | score | before | fail | error | not live | waived | not applicable | pass |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    let hosts = worst_first(report);
    for host in hosts.iter().take(HOSTS) {
        let c = &host.counts;
        let score = if host.error.is_some() { "not audited".to_owned() } else { score_words(host.score) };
        let before = score_before(report, host).map(|score| score_words(Some(score))).unwrap_or_default();
        let name = cell(&cut_to(&host.name, 200));
        text.push_str(&format!(
            "| {name} | {score} | {before} | {} | {} | {} | {} | {} | {} |\n",
            c.fail, c.error, c.not_live, c.waived, c.not_applicable, c.pass
        ));
    }
    if hosts.len() > HOSTS {
        text.push_str(&format!("\n{} with higher scores are left out.\n", counted(hosts.len() - HOSTS, "host")));
    }
}

fn not_audited(report: &Report) -> String {
    let mut text = String::new();
    for host in report.hosts.iter().filter(|host| host.error.is_some()) {
        let word = if host.unreachable { "unreachable" } else { "error" };
        let error = cut(host.error.as_deref().unwrap_or_default());
        text.push_str(&format!("- {} was not audited: {word}: {}\n", code(&cut(&host.name)), code(&error)));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn changed(report: &Report) -> String {
    let Some(baseline) = &report.baseline else { return String::new() };
    let mut text = format!("\n#### Since the audit of {}\n\n", html(&one_line(&cut(baseline))));
    let changes = changes(report);
    if changes.iter().all(|(_, findings)| findings.is_empty()) {
        text.push_str("Nothing has changed.\n");
    }
    for (word, findings) in &changes {
        for finding in findings {
            let subject = subject(finding);
            let hosts = html(&host_list(&finding.names(), false));
            text.push_str(&format!("- {word}: {subject}: {} {hosts}\n", finding.status.words()));
        }
    }
    text
}

fn next_things(findings: &[Finding<'_>], report: &Report) -> String {
    let next = next(findings);
    if next.is_empty() {
        let audited = report.hosts.iter().all(|host| host.error.is_none());
        return if audited {
            "\nNo findings.\n".into()
        } else {
            "\nNo findings on the hosts that were audited.\n".into()
        };
    }
    let mut text = String::from("\n#### Next\n\n");
    for (number, (finding, hosts)) in next.iter().enumerate() {
        let variants = finding.variants();
        let remedy = variants.iter().flat_map(|(_, result)| &result.remedy).next();
        let remedy = remedy.map(|remedy| format!(": {}", code(&cut_to(remedy, 640)))).unwrap_or_default();
        let hosts = counted(*hosts, "host");
        text.push_str(&format!("{}. {} ({}, on {hosts}){remedy}\n", number + 1, subject(finding), finding.severity));
    }
    text
}

/// The id and the title, on one line.
fn subject(finding: &Finding<'_>) -> String {
    format!("{} {}", code(&cut_to(finding.id, 200)), code(&cut_to(finding.title, 400)))
}

fn section(finding: &Finding<'_>) -> String {
    let (sign, words) = (sign(finding.status), finding.status.words());
    let hosts = host_list(&finding.names(), false);
    let summary = format!("{} {}, {hosts}", cut_to(finding.id, 200), cut_to(finding.title, 400));
    let summary = html(&one_line(&summary));
    let mut text = format!("\n<details><summary>{sign} <b>{words}</b> {} {summary}</summary>\n", finding.severity);
    let variants = finding.variants();
    for (names, result) in variants.iter().take(VARIANTS) {
        if variants.len() > 1 {
            text.push_str(&format!("\n{}:\n", html(&one_line(&host_list(names, true)))));
        }
        details(&mut text, result);
    }
    let left: usize = variants.iter().skip(VARIANTS).map(|(names, _)| names.len()).sum();
    if left > 0 {
        text.push_str(&format!("\n{} more, where something else was found.\n", counted(left, "host")));
    }
    text.push_str("\n</details>\n");
    text
}

fn details(text: &mut String, result: &ControlResult) {
    for (label, field) in [("Expected", &result.expected), ("Actual", &result.actual)] {
        if !field.is_empty() {
            text.push_str(&format!("\n{label}:\n"));
            fence(text, "", &cut(field));
        }
    }
    if let Some(reason) = &result.reason {
        text.push_str(&format!("\nReason: {}\n", code(&cut(reason))));
    }
    if let Some(waiver) = result.waiver.as_ref().filter(|waiver| waiver.expired) {
        let words = format!("expired on {} ({}): {}", waiver.expires, waiver.owner, waiver.reason);
        text.push_str(&format!("\nWaiver: {}\n", code(&cut(&words))));
    }
    for evidence in &result.evidence {
        text.push_str("\nEvidence:\n");
        fence(text, "", &cut(&evidence_words(evidence)));
    }
    for remedy in &result.remedy {
        text.push_str(&format!("\nRemedy: {}\n", code(&cut(remedy))));
    }
    if let Some(place) = &result.place {
        text.push_str(&format!("\nAt {}\n", code(&cut(&place_words(place)))));
    }
}

fn waivers(report: &Report) -> String {
    let waived = collect(report, |result| result.status == Status::Waived);
    if waived.is_empty() && report.expired_waivers.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n#### Waivers\n\n");
    if !waived.is_empty() {
        text.push_str("| control | hosts | reason | owner | until |\n|---|---|---|---|---|\n");
    }
    for finding in &waived {
        for (names, result) in finding.variants() {
            let Some(waiver) = &result.waiver else { continue };
            let (control, hosts) =
                (cell(&cut_to(finding.id, 200)), cell(host_list(&names, false).trim_start_matches("on ")));
            let (reason, owner) = (cell(&cut(&waiver.reason)), cell(&cut_to(&waiver.owner, 200)));
            text.push_str(&format!(
                "| {control} | {hosts} | {reason} | {owner} | {} |\n",
                cell(&cut_to(&waiver.expires, 40))
            ));
        }
    }
    for expired in &report.expired_waivers {
        text.push_str(&format!("\nExpired: {}\n", code(&cut(expired))));
    }
    text
}
