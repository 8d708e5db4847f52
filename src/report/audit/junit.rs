//! JUnit XML, as CI systems show tests: a suite for each host, a case for each
//! control. The form is that of <https://github.com/testmoapp/junitxml>; XML 1.0.

use super::findings::{DRIFT, controls, score_words};
use super::markup::Markup;
use super::text::{evidence_words, place_words};
use crate::audit::{ControlInfo, ControlResult, HostReport, Report, Status};
use std::collections::HashMap;

/// The report as JUnit XML.
pub(super) fn audit_junit(report: &Report) -> String {
    let controls = controls(report);
    let mut xml = Markup::default();
    let totals = report.hosts.iter().map(Totals::of).fold(Totals::default(), Totals::plus);
    xml.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"").line(&report.tool);
    xml.raw(" audit of ").line(&report.playbook).raw("\"");
    totals.write(&mut xml);
    xml.raw(" time=\"").text(&seconds(report.hosts.iter().map(|host| host.seconds).sum())).raw("\">\n");
    for host in &report.hosts {
        suite(&mut xml, report, host, &controls);
    }
    xml.raw("</testsuites>\n");
    xml.finish()
}

/// What a suite counts.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Totals {
    fn of(host: &HostReport) -> Totals {
        let mut totals = Totals::default();
        if host.error.is_some() {
            totals = Totals { tests: 1, errors: 1, ..totals };
        }
        for result in host.results.iter().chain(&host.drift) {
            totals.tests += 1;
            match result.status {
                Status::Pass => {}
                Status::NotApplicable | Status::Waived => totals.skipped += 1,
                Status::NotLive | Status::Fail => totals.failures += 1,
                Status::Error => totals.errors += 1,
            }
        }
        totals
    }

    fn plus(self, other: Totals) -> Totals {
        Totals {
            tests: self.tests + other.tests,
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
        }
    }

    fn write(self, xml: &mut Markup) {
        xml.raw(" tests=\"").count(self.tests).raw("\" failures=\"").count(self.failures);
        xml.raw("\" errors=\"").count(self.errors).raw("\" skipped=\"").count(self.skipped).raw("\"");
    }
}

/// Seconds as JUnit writes them.
fn seconds(seconds: f64) -> String {
    format!("{:.3}", if seconds.is_finite() { seconds } else { 0.0 })
}

fn suite(xml: &mut Markup, report: &Report, host: &HostReport, controls: &HashMap<&str, &ControlInfo>) {
    xml.raw("  <testsuite name=\"").line(&host.name).raw("\" hostname=\"").line(&host.name).raw("\"");
    Totals::of(host).write(xml);
    // An xs:dateTime without a zone.
    xml.raw(" timestamp=\"").line(report.time.trim_end_matches('Z'));
    xml.raw("\" time=\"").text(&seconds(host.seconds)).raw("\">\n    <properties>\n");
    let mut property = |name: &'static str, value: &str| {
        xml.raw("      <property name=\"").raw(name).raw("\" value=\"").line(value).raw("\"/>\n");
    };
    property("os", &host.os);
    property("score", &score_words(host.score));
    if let Some(stage) = &report.stage {
        property("stage", stage);
    }
    xml.raw("    </properties>\n");
    if let Some(error) = &host.error {
        xml.raw("    <testcase classname=\"host\" name=\"could be audited\" time=\"0\">\n      <error type=\"");
        xml.raw(if host.unreachable { "unreachable" } else { "error" }).raw("\" message=\"").line(error);
        xml.raw("\"/>\n    </testcase>\n");
    }
    for result in &host.results {
        let group = controls.get(result.id.as_str()).map_or(DRIFT, |control| control.group.as_str());
        case(xml, result, group);
    }
    for result in &host.drift {
        case(xml, result, DRIFT);
    }
    xml.raw("  </testsuite>\n");
}

fn case(xml: &mut Markup, result: &ControlResult, group: &str) {
    xml.raw("    <testcase classname=\"").line(group).raw("\" name=\"").line(&result.id).raw(" ").line(&result.title);
    xml.raw("\" time=\"0\"");
    if let Some(place) = &result.place {
        xml.raw(" file=\"").line(&place.file).raw("\" line=\"").count(place.line).raw("\"");
    }
    let element = match result.status {
        Status::Pass => {
            xml.raw("/>\n");
            return;
        }
        Status::NotApplicable | Status::Waived => {
            xml.raw(">\n      <skipped message=\"").raw(result.status.words());
            if let Some(waiver) = &result.waiver {
                xml.raw(": ").line(&format!("{} ({}, until {})", waiver.reason, waiver.owner, waiver.expires));
            } else if let Some(reason) = &result.reason {
                xml.raw(": ").line(reason);
            }
            xml.raw("\"/>\n    </testcase>\n");
            return;
        }
        Status::NotLive | Status::Fail => "failure",
        Status::Error => "error",
    };
    xml.raw(">\n      <").raw(element).raw(" type=\"").raw(result.severity.as_str()).raw("\" message=\"");
    xml.raw(result.status.words());
    let cause = result.reason.as_deref().filter(|_| result.status == Status::Error).unwrap_or(&result.actual);
    if !cause.is_empty() {
        xml.raw(": ").line(cause);
    }
    xml.raw("\">");
    for line in details(result) {
        xml.text(&line).raw("\n");
    }
    xml.raw("</").raw(element).raw(">\n    </testcase>\n");
}

/// What a case that failed says, a field in each.
fn details(result: &ControlResult) -> Vec<String> {
    let mut details = vec![format!("expected: {}", result.expected), format!("actual: {}", result.actual)];
    details.extend(result.reason.iter().map(|reason| format!("reason: {reason}")));
    if let Some(waiver) = result.waiver.as_ref().filter(|waiver| waiver.expired) {
        details.push(format!("waiver expired on {} ({}): {}", waiver.expires, waiver.owner, waiver.reason));
    }
    details.extend(result.evidence.iter().map(|evidence| format!("evidence: {}", evidence_words(evidence))));
    details.extend(result.remedy.iter().map(|remedy| format!("remedy: {remedy}")));
    details.extend(result.place.iter().map(|place| format!("at: {}", place_words(place))));
    details
}
