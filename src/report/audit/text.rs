//! An audit for a person in a terminal: what to do something about, the worst
//! first; what holds is only counted.

use super::findings::{
    Finding, by_group, changes, collect, counts_words, drift_words, findings, level_words, next, score_before,
    score_words, totals, worst_first,
};
use super::{AuditTextOptions, counted, cut, cut_to, sign};
use crate::audit::{ControlResult, Evidence, HostReport, Place, Report, Status};
use crate::report::paint::Paint;
use crate::report::visible::{one_line, visible};
use crate::values::Severity;

/// Hosts whose scores are listed unless all are asked for, the lowest first.
const HOSTS: usize = 20;
/// Differing states of one finding that are shown unless all are asked for.
const VARIANTS: usize = 3;
/// Bytes of a field that are shown unless all are asked for.
const SHORT: usize = 160;

/// The report for a terminal.
pub(super) fn audit_text(report: &Report, options: AuditTextOptions) -> String {
    let mut text = Text { text: String::new(), options };
    let findings = findings(report);
    text.summary(report);
    text.not_audited(report);
    text.findings(&findings);
    text.waivers(report);
    if options.verbose {
        text.holding(report);
    }
    text.scores(report);
    text.changes(report);
    text.next(&findings, report);
    text.text
}

struct Text {
    text: String,
    options: AuditTextOptions,
}

impl Text {
    fn paint(&self, paint: Paint, text: &str) -> String {
        paint.over(text, self.options.color)
    }

    fn head(&mut self, head: &str) {
        let head = self.paint(Paint::Bold, &one_line(&cut(head)));
        self.text.push_str(&format!("\n{head}\n"));
    }

    /// A paragraph behind a label; further lines stand below its first character.
    fn paragraph(&mut self, indent: usize, label: &str, paragraph: &str) {
        let column = indent + label.chars().count();
        let width = self.options.width.map_or(usize::MAX, |width| width.saturating_sub(column).max(24));
        let mut lead = format!("{}{label}", " ".repeat(indent));
        for line in visible(paragraph).split('\n').flat_map(|line| fold(line, width)) {
            self.text.push_str(&format!("{lead}{line}\n"));
            lead = " ".repeat(column);
        }
    }

    /// A field from a host or a playbook: on one line and short, or whole.
    fn field(&mut self, label: &str, field: &str) {
        if self.options.verbose {
            self.paragraph(6, label, &cut(field).replace('\t', "\\t"));
        } else {
            self.paragraph(6, label, &one_line(&cut_to(field, SHORT)));
        }
    }

    fn summary(&mut self, report: &Report) {
        let stage = report.stage.as_ref().map(|stage| format!(", stage {stage}")).unwrap_or_default();
        let title = format!("Audit of {}{stage}, {}, {}", report.playbook, level_words(report), report.time);
        let title = self.paint(Paint::Bold, &one_line(&cut(&title)));
        let (hosts, controls) = (counted(report.hosts.len(), "host"), counted(report.controls.len(), "control"));
        let counts = counts_words(&totals(report)) + &drift_words(report);
        self.text.push_str(&format!("{title}\n"));
        self.paragraph(0, "", &format!("{hosts}, {controls}: {counts}"));
    }

    fn not_audited(&mut self, report: &Report) {
        let failed: Vec<&HostReport> = report.hosts.iter().filter(|host| host.error.is_some()).collect();
        if failed.is_empty() {
            return;
        }
        self.head("Not audited");
        for host in failed {
            let word = if host.unreachable { "unreachable" } else { "error" };
            let label = format!("{}  {word}: ", one_line(&cut(&host.name)));
            let error = one_line(&cut(host.error.as_deref().unwrap_or_default()));
            self.paragraph(2, &label, &error);
        }
    }

    fn findings(&mut self, findings: &[Finding<'_>]) {
        for (group, members) in by_group(findings) {
            self.head(group);
            for finding in members {
                self.finding(finding);
            }
        }
    }

    /// The line of a finding; titles are not broken, hosts are listed as they fit.
    fn line(&mut self, finding: &Finding<'_>) {
        let status = format!("{} {:<9}", sign(finding.status), finding.status.words());
        let severity = format!("{:<8}", finding.severity.as_str());
        let (status, severity) =
            (self.paint(paint_of(finding.status), &status), self.paint(paint_of_severity(finding.severity), &severity));
        let subject = format!("{}  {}", one_line(&cut(finding.id)), one_line(&cut_to(finding.title, SHORT)));
        let hosts = host_list(&finding.names(), self.options.verbose);
        let used = 2 + 11 + 1 + 8 + 2 + subject.chars().count() + 2 + hosts.chars().count();
        if self.options.width.is_none_or(|width| used <= width) {
            self.text.push_str(&format!("  {status} {severity}  {subject}  {hosts}\n"));
        } else {
            self.text.push_str(&format!("  {status} {severity}  {subject}\n"));
            self.paragraph(6, "", &hosts);
        }
    }

    fn finding(&mut self, finding: &Finding<'_>) {
        self.line(finding);
        let variants = finding.variants();
        let shown = if self.options.verbose { variants.len() } else { VARIANTS };
        for (names, result) in variants.iter().take(shown) {
            if variants.len() > 1 {
                let hosts = host_list(names, self.options.verbose);
                self.paragraph(6, "", &format!("{hosts}:"));
            }
            self.details(result);
        }
        let left: usize = variants.iter().skip(shown).map(|(names, _)| names.len()).sum();
        if left > 0 {
            let line = format!("{} more, where something else was found (shown with --verbose)", counted(left, "host"));
            self.paragraph(6, "", &line);
        }
    }

    fn details(&mut self, result: &ControlResult) {
        for (label, field) in [("expected  ", &result.expected), ("actual    ", &result.actual)] {
            if !field.is_empty() {
                self.field(label, field);
            }
        }
        if let Some(reason) = &result.reason {
            self.field("reason    ", reason);
        }
        if let Some(waiver) = result.waiver.as_ref().filter(|waiver| waiver.expired) {
            let text = format!("expired on {} ({}): {}", waiver.expires, waiver.owner, waiver.reason);
            self.field("waiver    ", &text);
        }
        let (evidence, remedies) = if self.options.verbose { (usize::MAX, usize::MAX) } else { (2, 1) };
        for item in result.evidence.iter().take(evidence) {
            self.field("evidence  ", &evidence_words(item));
        }
        for remedy in result.remedy.iter().take(remedies) {
            self.field("remedy    ", remedy);
        }
        if let Some(place) = &result.place {
            self.field("at        ", &place_words(place));
        }
    }

    fn waivers(&mut self, report: &Report) {
        let waived = collect(report, |result| result.status == Status::Waived);
        if !waived.is_empty() {
            self.head("Waived");
        }
        for finding in &waived {
            self.line(finding);
            for (names, waiver) in finding.variants().iter().filter_map(|(names, r)| Some((names, r.waiver.as_ref()?)))
            {
                let text = format!("{} ({}, until {})", waiver.reason, waiver.owner, waiver.expires);
                let label =
                    if finding.hosts.len() == names.len() { String::new() } else { host_list(names, false) + ": " };
                self.field(&label, &text);
            }
        }
        if !report.expired_waivers.is_empty() {
            self.head("Expired waivers");
        }
        for expired in &report.expired_waivers {
            self.paragraph(2, "", &one_line(&cut(expired)));
        }
    }

    fn holding(&mut self, report: &Report) {
        for status in [Status::Pass, Status::NotApplicable] {
            let held = collect(report, |result| result.status == status);
            if held.is_empty() {
                continue;
            }
            self.head(if status == Status::Pass { "Passed" } else { "Not applicable" });
            for finding in &held {
                self.line(finding);
                for (_, result) in finding.variants().iter().filter(|(_, result)| result.reason.is_some()) {
                    self.field("reason    ", result.reason.as_deref().unwrap_or_default());
                }
            }
        }
    }

    fn scores(&mut self, report: &Report) {
        let hosts: Vec<&HostReport> = worst_first(report).into_iter().filter(|host| host.error.is_none()).collect();
        if hosts.is_empty() {
            return;
        }
        self.head("Scores");
        let shown = if self.options.verbose || hosts.len() <= HOSTS { hosts.len() } else { HOSTS };
        let name = |host: &HostReport| one_line(&cut_to(&host.name, 60));
        let widest = hosts[..shown].iter().map(|host| name(host).chars().count()).max().unwrap_or(0);
        for host in &hosts[..shown] {
            let before = match score_before(report, host) {
                Some(before) => format!("  was {}", score_words(Some(before))),
                None => String::new(),
            };
            let score = format!("{:>8}", score_words(host.score));
            let score = self.paint(paint_of_score(host.score), &score);
            let name = format!("{:<widest$}", name(host));
            self.text.push_str(&format!("  {name}  {score}{before}  {}\n", counts_words(&host.counts)));
        }
        if let (Some(first), Some(last)) = (hosts.get(shown), hosts.last()) {
            let (low, high) = (score_words(first.score), score_words(last.score));
            let line = format!("… {} with {low} to {high}", counted(hosts.len() - shown, "more host"));
            self.paragraph(2, "", &line);
        }
    }

    fn changes(&mut self, report: &Report) {
        let Some(baseline) = &report.baseline else { return };
        self.head(&format!("Since the audit of {baseline}"));
        let changes = changes(report);
        if changes.iter().all(|(_, findings)| findings.is_empty()) {
            self.text.push_str("  nothing has changed\n");
        }
        for (word, findings) in &changes {
            for finding in findings {
                let paint = if *word == "better" { Paint::Green } else { Paint::Red };
                let word = self.paint(paint, &format!("{word:<6}"));
                let subject = format!("{}  {}", one_line(&cut(finding.id)), one_line(&cut_to(finding.title, SHORT)));
                let hosts = host_list(&finding.names(), self.options.verbose);
                self.text.push_str(&format!("  {word}  {subject}: {} {hosts}\n", finding.status.words()));
            }
        }
    }

    fn next(&mut self, findings: &[Finding<'_>], report: &Report) {
        let next = next(findings);
        if next.is_empty() {
            let audited = report.hosts.iter().all(|host| host.error.is_none());
            self.text.push_str(if audited {
                "\nNo findings.\n"
            } else {
                "\nNo findings on the hosts that were audited.\n"
            });
            return;
        }
        self.head("Next");
        for (number, (finding, hosts)) in next.iter().enumerate() {
            let title = one_line(&cut_to(finding.title, SHORT));
            let line = format!(
                "{}  {title} ({}, on {})",
                one_line(&cut(finding.id)),
                finding.severity,
                counted(*hosts, "host")
            );
            self.paragraph(2, &format!("{}. ", number + 1), &line);
            let variants = finding.variants();
            for remedy in variants.iter().flat_map(|(_, result)| &result.remedy).take(1) {
                self.paragraph(5, "", &one_line(&cut_to(remedy, 4 * SHORT)));
            }
        }
    }
}

/// A line in pieces of at most so many characters, broken between words where it can be.
fn fold(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        let length = word.trim_end_matches(' ').chars().count();
        if used > 0 && used + length > width {
            lines.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            if used >= width && c != ' ' {
                lines.push(String::new());
                used = 0;
            }
            if let Some(last) = lines.last_mut() {
                last.push(c);
            }
            used += 1;
        }
    }
    lines.iter().map(|line| line.trim_end_matches(' ').to_owned()).collect()
}

/// `on web1, web2`, or with many `on 37 hosts: web1, web2, web3, …`.
pub(super) fn host_list(names: &[&str], all: bool) -> String {
    let shown: Vec<String> = names.iter().map(|name| one_line(&cut_to(name, 80))).collect();
    match shown.len() {
        0..=4 => format!("on {}", shown.join(", ")),
        count if all => format!("on {count} hosts: {}", shown.join(", ")),
        count => format!("on {count} hosts: {}, …", shown[..3].join(", ")),
    }
}

/// What was looked at and what it said.
pub(super) fn evidence_words(evidence: &Evidence) -> String {
    let (source, at, said) = (evidence.source.words(), &evidence.at, evidence.said.trim_end_matches('\n'));
    if said.is_empty() { format!("{source} {at}") } else { format!("{source} {at}: {said}") }
}

/// A place, as editors take it.
pub(super) fn place_words(place: &Place) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

fn paint_of(status: Status) -> Paint {
    match status {
        Status::Pass => Paint::Green,
        Status::NotApplicable => Paint::Dim,
        Status::Waived => Paint::Cyan,
        Status::NotLive => Paint::Yellow,
        Status::Fail => Paint::Red,
        Status::Error => Paint::Magenta,
    }
}

fn paint_of_severity(severity: Severity) -> Paint {
    match severity {
        Severity::Critical => Paint::Red,
        Severity::High => Paint::Yellow,
        Severity::Medium => Paint::Bold,
        Severity::Low => Paint::Dim,
    }
}

fn paint_of_score(score: Option<f64>) -> Paint {
    match score {
        Some(score) if score >= 90.0 => Paint::Green,
        Some(score) if score >= 70.0 => Paint::Yellow,
        Some(_) => Paint::Red,
        None => Paint::Dim,
    }
}
