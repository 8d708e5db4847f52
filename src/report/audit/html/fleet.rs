//! The section of the fleet: what is wrong where, over all hosts.

use super::super::findings::{
    Finding, changes, collect, controls, count_of, findings, group_score, groups, next, score_before, score_words,
    totals, worst_first,
};
use super::super::{counted, markup::Markup};
use super::{Anchors, badge, band, host, key, table};
use crate::audit::{ControlInfo, HostReport, Report, Status};
use std::collections::HashMap;

/// Hosts of a finding that are named without unfolding.
const NAMED: usize = 5;

/// Writes the section.
pub(super) fn section(page: &mut Markup, report: &Report, anchors: &Anchors<'_>) {
    page.raw("<section class=\"page\" id=\"fleet\" aria-labelledby=\"fleet-head\">\n");
    page.raw("<h2 id=\"fleet-head\" tabindex=\"-1\">Fleet</h2>\n");
    tiles(page, report);
    let findings = findings(report);
    not_audited(page, report, anchors);
    next_things(page, report, &findings, anchors);
    heat_map(page, report, anchors);
    finding_table(page, &findings, anchors);
    changed(page, report, anchors);
    waivers(page, report, anchors);
    page.raw("</section>\n");
}

fn tiles(page: &mut Markup, report: &Report) {
    let scores: Vec<f64> = report.hosts.iter().filter_map(|host| host.score).collect();
    let mean = (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64);
    let audited = report.hosts.iter().filter(|host| host.error.is_none()).count();
    page.raw("<dl class=\"tiles\">\n<div><dt>Hosts audited</dt><dd>").count(audited).raw(" of ");
    page.count(report.hosts.len()).raw("</dd></div>\n<div><dt>Mean score</dt><dd>").text(&score_words(mean));
    page.raw("</dd></div>\n");
    let totals = totals(report);
    for status in Status::ALL.into_iter().rev() {
        page.raw("<div class=\"").raw(key(status)).raw("\"><dt class=\"sign\">");
        page.raw(status.words()).raw("</dt><dd>").count(count_of(&totals, status)).raw("</dd></div>\n");
    }
    page.raw("</dl>\n");
    let drift: usize = report.hosts.iter().map(|host| host.drift.len()).sum();
    if drift > 0 {
        page.raw("<p>Steps without a control that differ: ").count(drift).raw("</p>\n");
    }
}

fn not_audited(page: &mut Markup, report: &Report, anchors: &Anchors<'_>) {
    let failed: Vec<&HostReport> = report.hosts.iter().filter(|host| host.error.is_some()).collect();
    if failed.is_empty() {
        return;
    }
    page.raw("<h3>Not audited</h3>\n<ul>\n");
    for host in failed {
        page.raw("<li>");
        anchors.link(page, &host.name);
        page.raw(if host.unreachable { ": unreachable: " } else { ": error: " });
        page.line(host.error.as_deref().unwrap_or_default()).raw("</li>\n");
    }
    page.raw("</ul>\n");
}

fn next_things(page: &mut Markup, report: &Report, findings: &[Finding<'_>], anchors: &Anchors<'_>) {
    let next = next(findings);
    if next.is_empty() {
        let audited = report.hosts.iter().all(|host| host.error.is_none());
        page.raw(if audited {
            "<p>No findings.</p>\n"
        } else {
            "<p>No findings on the hosts that were audited.</p>\n"
        });
        return;
    }
    page.raw("<h3>Next</h3>\n<ol>\n");
    for (finding, hosts) in next {
        page.raw("<li>");
        anchors.control(page, finding.id);
        page.raw(" ").line(finding.title).raw(" (").raw(finding.severity.as_str()).raw(", on ");
        page.text(&counted(hosts, "host")).raw(")");
        let variants = finding.variants();
        if let Some(remedy) = variants.iter().flat_map(|(_, result)| &result.remedy).next() {
            page.raw("<br>").line(remedy);
        }
        page.raw("</li>\n");
    }
    page.raw("</ol>\n");
}

fn heat_map(page: &mut Markup, report: &Report, anchors: &Anchors<'_>) {
    let groups = groups(report);
    let controls = controls(report);
    page.raw("<h3>Hosts</h3>\n<form id=\"find\" class=\"filter\" role=\"search\" aria-label=\"Filter hosts\" hidden>");
    page.raw("<label>Host or system <input type=\"search\" name=\"text\" autocomplete=\"off\"></label> ");
    page.raw("<button type=\"reset\">Clear</button> <output name=\"shown\" aria-live=\"polite\"></output></form>\n");
    table(
        page,
        "Scores of hosts by group of controls, the lowest first",
        &["Host", "System", "Score", "Before", "Trend"],
    );
    for group in &groups {
        page.raw("<th scope=\"col\" class=\"group\">").line(group).raw("</th>");
    }
    page.raw("</tr></thead>\n<tbody>\n");
    for host in worst_first(report) {
        row(page, report, host, &groups, &controls, anchors);
    }
    page.raw("</tbody></table></div>\n");
}

fn row(
    page: &mut Markup,
    report: &Report,
    host: &HostReport,
    groups: &[&str],
    controls: &HashMap<&str, &ControlInfo>,
    anchors: &Anchors<'_>,
) {
    page.raw("<tr data-host><th scope=\"row\">");
    anchors.link(page, &host.name);
    page.raw("</th><td>").line(&host.os).raw("</td>");
    if host.error.is_some() {
        page.raw("<td class=\"cell none\">not audited</td>");
    } else {
        cell(page, host.score);
    }
    page.raw("<td>");
    if let Some(before) = score_before(report, host) {
        page.text(&score_words(Some(before)));
    }
    page.raw("</td><td>");
    host::trend(page, host);
    page.raw("</td>");
    for group in groups {
        cell(page, group_score(host, controls, group));
    }
    page.raw("</tr>\n");
}

/// A cell of the heat map: the score as text on the colour of its band.
fn cell(page: &mut Markup, score: Option<f64>) {
    match score {
        Some(score) => page.raw("<td class=\"cell ").raw(band(score)).raw("\">").text(&score_words(Some(score))),
        None => page.raw("<td class=\"cell none\">none"),
    };
    page.raw("</td>");
}

/// The hosts of a finding: a few, the others folded away.
fn hosts(page: &mut Markup, finding: &Finding<'_>, anchors: &Anchors<'_>) {
    let names = finding.names();
    if names.len() <= NAMED {
        anchors.links(page, &names);
        return;
    }
    page.raw("<details><summary>").text(&counted(names.len(), "host")).raw("</summary>");
    anchors.links(page, &names);
    page.raw("</details>");
}

fn finding_table(page: &mut Markup, findings: &[Finding<'_>], anchors: &Anchors<'_>) {
    if findings.is_empty() {
        return;
    }
    page.raw("<h3>Findings</h3>\n");
    table(page, "Findings over all hosts, the worst first", &["Status", "Severity", "Control", "Group", "Hosts"]);
    page.raw("</tr></thead>\n<tbody>\n");
    for finding in findings {
        page.raw("<tr><td>");
        badge(page, finding.status);
        page.raw("</td><td>").raw(finding.severity.as_str()).raw("</td><th scope=\"row\">");
        anchors.control(page, finding.id);
        page.raw(" ").line(finding.title).raw("</th><td>").line(finding.group).raw("</td><td>");
        hosts(page, finding, anchors);
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody></table></div>\n");
}

fn changed(page: &mut Markup, report: &Report, anchors: &Anchors<'_>) {
    let Some(baseline) = &report.baseline else { return };
    page.raw("<h3>Since the audit of ").line(baseline).raw("</h3>\n");
    let changes = changes(report);
    if changes.iter().all(|(_, findings)| findings.is_empty()) {
        page.raw("<p>Nothing has changed.</p>\n");
        return;
    }
    table(page, "What has changed, the worse first", &["Change", "Now", "Severity", "Control", "Hosts"]);
    page.raw("</tr></thead>\n<tbody>\n");
    for (word, findings) in &changes {
        for finding in findings {
            page.raw("<tr><td>").raw(word).raw("</td><td>");
            badge(page, finding.status);
            page.raw("</td><td>").raw(finding.severity.as_str()).raw("</td><th scope=\"row\">");
            anchors.control(page, finding.id);
            page.raw(" ").line(finding.title).raw("</th><td>");
            hosts(page, finding, anchors);
            page.raw("</td></tr>\n");
        }
    }
    page.raw("</tbody></table></div>\n");
}

fn waivers(page: &mut Markup, report: &Report, anchors: &Anchors<'_>) {
    let waived = collect(report, |result| result.status == Status::Waived);
    if waived.is_empty() && report.expired_waivers.is_empty() {
        return;
    }
    page.raw("<h3>Waivers</h3>\n");
    if !waived.is_empty() {
        table(page, "Waived findings", &["Control", "Hosts", "Reason", "Owner", "Until"]);
        page.raw("</tr></thead>\n<tbody>\n");
    }
    for finding in &waived {
        for (names, result) in finding.variants() {
            let Some(waiver) = &result.waiver else { continue };
            page.raw("<tr><th scope=\"row\">");
            anchors.control(page, finding.id);
            page.raw(" ").line(finding.title).raw("</th><td>");
            anchors.links(page, &names);
            page.raw("</td><td>").line(&waiver.reason).raw("</td><td>").line(&waiver.owner).raw("</td><td>");
            page.line(&waiver.expires).raw("</td></tr>\n");
        }
    }
    if !waived.is_empty() {
        page.raw("</tbody></table></div>\n");
    }
    if !report.expired_waivers.is_empty() {
        page.raw("<h4>Expired</h4>\n<ul>\n");
        for expired in &report.expired_waivers {
            page.raw("<li>").line(expired).raw("</li>\n");
        }
        page.raw("</ul>\n");
    }
}
