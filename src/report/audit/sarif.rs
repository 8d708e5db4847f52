//! SARIF 2.1.0 (OASIS Standard with errata 01), for code scanning: a rule for each
//! control, a result for each control on each host.
//!
//! Results stand at the line of the playbook that describes them, as SARIF's
//! viewers show source; the host is a logical location, and part of the
//! fingerprint, so that the same control on two hosts is two alerts.

use super::findings::{DRIFT, controls};
use super::json::written;
use super::text::evidence_words;
use super::{cut, cut_to};
use crate::audit::{Change, ControlInfo, ControlResult, HostReport, Place, Report, Status};
use crate::report::markdown::{code, html};
use crate::report::visible::visible;
use crate::values::Severity;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The rule of steps that belong to no control.
const DRIFT_RULE: &str = "drift";
/// What the paths of bundled playbooks are relative to.
const BUNDLED: &str = "STOCKADE";

/// The report as SARIF.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn audit_sarif(report: &Report) -> serde_json::Result<String> {
    let (name, version) = report.tool.split_once(' ').unwrap_or((&report.tool, ""));
    let mut driver = json!({ "name": text(name), "rules": rules(report) });
    if !version.is_empty() {
        driver["version"] = text(version).into();
    }
    let stage = report.stage.as_deref().unwrap_or_default();
    let mut run = json!({
        "tool": { "driver": driver },
        "automationDetails": { "id": text(&format!("stockade-audit/{}/{stage}", report.playbook)) },
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation(report)],
        "results": results(report),
        "properties": properties(report),
    });
    if uses_bundled(report) {
        let about = "the folder of the playbooks that stockade carries";
        run["originalUriBaseIds"] = json!({ BUNDLED: { "description": { "text": about } } });
    }
    written(&json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] }))
}

/// A field as SARIF's viewers may show it: without hidden characters.
fn text(field: &str) -> String {
    visible(&cut(field)).into_owned()
}

/// A plain text message (3.11.5, 3.11.6): no placeholder and no link is in it.
fn message(message: &str) -> Value {
    let plain = text(message).replace('{', "{{").replace('}', "}}").replace("](", "] (");
    json!({ "text": if plain.is_empty() { "-".to_owned() } else { plain } })
}

fn properties(report: &Report) -> Value {
    let scores: Map<String, Value> =
        report.hosts.iter().map(|host| (text(&host.name), host.score.map_or(Value::Null, Value::from))).collect();
    json!({
        "playbook": text(&report.playbook),
        "stage": report.stage.as_deref().map(text),
        "level": report.level,
        "baseline": report.baseline.as_deref().map(text),
        "scores": scores,
    })
}

/// How the audit itself went: what could not be audited is no result.
fn invocation(report: &Report) -> Value {
    let failed: Vec<Value> = report
        .hosts
        .iter()
        .filter_map(|host| Some((host, host.error.as_deref()?)))
        .map(|(host, error)| {
            let id = if host.unreachable { "host-unreachable" } else { "host-not-audited" };
            json!({
                "descriptor": { "id": id },
                "level": "error",
                "message": message(&format!("{} could not be audited: {error}", host.name)),
                "properties": { "host": text(&host.name) },
            })
        })
        .collect();
    let expired: Vec<Value> = report
        .expired_waivers
        .iter()
        .map(|waiver| json!({ "descriptor": { "id": "waiver-expired" }, "level": "warning", "message": message(waiver) }))
        .collect();
    let mut invocation = json!({ "executionSuccessful": failed.is_empty(), "toolExecutionNotifications": failed });
    invocation["toolConfigurationNotifications"] = expired.into();
    if is_utc_time(&report.time) {
        invocation["startTimeUtc"] = report.time.as_str().into();
    }
    invocation
}

/// Whether this has the form that 3.9 demands: `2027-01-31T12:00:00Z`, with or
/// without parts of a second.
fn is_utc_time(time: &str) -> bool {
    let Some(time) = time.strip_suffix('Z') else { return false };
    let (seconds, parts) = time.split_once('.').unwrap_or((time, "0"));
    let form = "0000-00-00T00:00:00";
    let alike = |(c, form): (char, char)| if form == '0' { c.is_ascii_digit() } else { c == form };
    seconds.len() == form.len()
        && seconds.chars().zip(form.chars()).all(alike)
        && !parts.is_empty()
        && parts.chars().all(|c| c.is_ascii_digit())
}

fn rules(report: &Report) -> Vec<Value> {
    let mut rules: Vec<Value> = report.controls.iter().map(rule).collect();
    if report.hosts.iter().any(|host| !host.drift.is_empty()) {
        let about = "A step that belongs to no control is not as the playbook describes it.";
        rules.push(json!({
            "id": DRIFT_RULE,
            "shortDescription": { "text": about },
            "fullDescription": { "text": about },
            "help": { "text": "An apply of the playbook puts it in force." },
            "defaultConfiguration": { "level": level(Severity::Medium) },
            "properties": { "tags": ["drift"], "security-severity": score(Severity::Medium) },
        }));
    }
    rules
}

fn rule(control: &ControlInfo) -> Value {
    let (plain, markdown) = help(control);
    let rationale = control.rationale.as_deref().unwrap_or(&control.title);
    let tags = ["security".to_owned(), text(&control.group), format!("level-{}", control.level)];
    json!({
        "id": text(&control.id),
        "shortDescription": message(&control.title),
        "fullDescription": message(rationale),
        "help": { "text": message(&plain)["text"], "markdown": markdown },
        "defaultConfiguration": { "level": level(control.severity) },
        "properties": {
            "tags": tags,
            "security-severity": score(control.severity),
            "severity": control.severity.as_str(),
            "group": text(&control.group),
            "level": control.level,
            "references": control.refs.iter().map(|source| text(source)).collect::<Vec<_>>(),
        },
    })
}

/// What a control is about, as plain text and as Markdown.
fn help(control: &ControlInfo) -> (String, String) {
    let mut parts = vec![("Demands", control.title.as_str())];
    let more = [("Why", &control.rationale), ("May break", &control.breaks), ("Reported only", &control.report_only)];
    parts.extend(more.into_iter().filter_map(|(label, field)| Some((label, field.as_deref()?))));
    let (mut plain, mut markdown) = (String::new(), String::new());
    for (label, field) in parts {
        plain.push_str(&format!("{label}: {}\n", cut(field)));
        markdown.push_str(&format!("**{label}:** {}\n\n", html(&text(field)).replace('\n', " ")));
    }
    if !control.refs.is_empty() {
        plain.push_str(&format!("Sources: {}\n", control.refs.join(", ")));
        let sources: Vec<String> = control.refs.iter().map(|source| format!("- {}\n", code(&cut(source)))).collect();
        markdown.push_str(&format!("**Sources:**\n\n{}", sources.concat()));
    }
    (plain, markdown)
}

/// The level of a result (3.27.10).
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// What GitHub's code scanning takes as the severity of a security rule: above 9
/// is critical, from 7 high, from 4 medium.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

fn results(report: &Report) -> Vec<Value> {
    let controls = controls(report);
    let mut index = HashMap::new();
    for (at, control) in report.controls.iter().enumerate() {
        index.entry(control.id.as_str()).or_insert(at);
    }
    let waived = report.hosts.iter().flat_map(|host| host.results.iter().chain(&host.drift));
    let suppresses = waived.into_iter().any(|result| result.status == Status::Waived);
    let mut results = Vec::new();
    for host in &report.hosts {
        for (found, drift) in host.results.iter().map(|r| (r, false)).chain(host.drift.iter().map(|r| (r, true))) {
            let control = if drift { None } else { controls.get(found.id.as_str()).copied() };
            let mut result = one(host, found, control);
            match index.get(found.id.as_str()).filter(|_| !drift) {
                Some(at) => result["ruleIndex"] = (*at).into(),
                None if drift => result["ruleIndex"] = report.controls.len().into(),
                None => {}
            }
            // Where one result of a run has it, all have it (3.27.23).
            if suppresses {
                result["suppressions"] = suppressions(found);
            }
            results.push(result);
        }
    }
    results
}

fn one(host: &HostReport, found: &ControlResult, control: Option<&ControlInfo>) -> Value {
    let (kind, level) = match found.status {
        Status::Pass => ("pass", "none"),
        Status::NotApplicable => ("notApplicable", "none"),
        // A kind other than "fail" would be a level of "none", which hides what
        // nobody could judge.
        Status::Waived | Status::NotLive | Status::Fail | Status::Error => ("fail", level(found.severity)),
    };
    let mut location = json!({ "logicalLocations": [{ "name": text(&host.name), "kind": "host" }] });
    if let Some(place) = found.place.as_ref().or(control.map(|control| &control.place)) {
        location["physicalLocation"] = physical(place);
    }
    let group = control.map_or(DRIFT, |control| control.group.as_str());
    let fingerprint = fingerprint(&[&host.name, group, &found.id]);
    let mut result = json!({
        "ruleId": if control.is_some() { text(&found.id) } else { DRIFT_RULE.to_owned() },
        "kind": kind,
        "level": level,
        "message": message(&words(host, found)),
        "locations": [location],
        "partialFingerprints": {
            // Without one of this name GitHub makes it from the line, the same for all hosts.
            "primaryLocationLineHash": format!("{}:1", &fingerprint[..16]),
            "stockadeHostControl/v1": fingerprint,
        },
        "properties": details(host, found, group),
    });
    if let Some(change) = found.change {
        result["baselineState"] = baseline_state(change).into();
    }
    result
}

/// What a result is called in a comparison (3.27.24). One that got better is still
/// there, as a pass, and so is not "absent".
fn baseline_state(change: Change) -> &'static str {
    match change {
        Change::Same => "unchanged",
        Change::Worse | Change::New => "new",
        Change::Better => "updated",
    }
}

fn suppressions(found: &ControlResult) -> Value {
    match (&found.waiver, found.status) {
        (Some(waiver), Status::Waived) => json!([{
            "kind": "external",
            "status": "accepted",
            "justification": text(&waiver.reason),
            "location": { "physicalLocation": physical(&waiver.place) },
            "properties": { "owner": text(&waiver.owner), "expires": text(&waiver.expires) },
        }]),
        (None, Status::Waived) => json!([{ "kind": "external", "status": "accepted" }]),
        (_, Status::Pass | Status::NotApplicable | Status::NotLive | Status::Fail | Status::Error) => json!([]),
    }
}

/// What a result says, in a few lines.
fn words(host: &HostReport, found: &ControlResult) -> String {
    let mut words = format!("{}: {}: {}", host.name, found.status.words(), found.title);
    if found.status == Status::Pass {
        return words;
    }
    let reason = found.reason.as_deref().unwrap_or_default();
    for (label, field) in [("expected", found.expected.as_str()), ("actual", &found.actual), ("reason", reason)] {
        if !field.is_empty() {
            words.push_str(&format!("\n{label}: {}", cut_to(field, 800)));
        }
    }
    words.extend(found.remedy.iter().take(1).map(|remedy| format!("\nremedy: {}", cut_to(remedy, 800))));
    words
}

fn details(host: &HostReport, found: &ControlResult, group: &str) -> Value {
    let mut details = json!({
        "host": text(&host.name),
        "group": text(group),
        "status": found.status,
        "severity": found.severity.as_str(),
    });
    if found.status.is_finding() || found.status == Status::Waived {
        details["evidence"] = found.evidence.iter().map(|item| text(&evidence_words(item))).collect();
        details["remedy"] = found.remedy.iter().map(|remedy| text(remedy)).collect();
    }
    if let Some(waiver) = found.waiver.as_ref().filter(|waiver| waiver.expired) {
        let words = format!("expired on {} ({}): {}", waiver.expires, waiver.owner, waiver.reason);
        details["waiver"] = text(&words).into();
    }
    details
}

/// The same over runs, whatever was found: 64 hexadecimal digits over the parts,
/// each with its length before it, so that no two lists of parts are alike.
fn fingerprint(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uses_bundled(report: &Report) -> bool {
    let results = report.hosts.iter().flat_map(|host| host.results.iter().chain(&host.drift));
    let mut places = results
        .flat_map(|result| [result.place.as_ref(), result.waiver.as_ref().map(|waiver| &waiver.place)])
        .flatten()
        .chain(report.controls.iter().map(|control| &control.place));
    places.any(|place| place.file.starts_with("bundled:"))
}

fn physical(place: &Place) -> Value {
    let artifact = match place.file.strip_prefix("bundled:") {
        // `bundled:NAME`, or `bundled:NAME/FILE`; a name has no dot.
        Some(name) if name.rsplit('/').next().is_some_and(|last| last.contains('.')) => {
            json!({ "uri": uri(&format!("playbooks/{name}")), "uriBaseId": BUNDLED })
        }
        Some(name) => json!({ "uri": uri(&format!("playbooks/{name}/playbook.toml")), "uriBaseId": BUNDLED }),
        None if place.file.starts_with('/') => json!({ "uri": format!("file://{}", uri(&place.file)) }),
        None => json!({ "uri": uri(&place.file) }),
    };
    let region = json!({ "startLine": place.line.max(1), "startColumn": place.column.max(1) });
    json!({ "artifactLocation": artifact, "region": region })
}

/// A path as a URI reference (RFC 3986): all but unreserved characters and slashes
/// is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in cut(path).trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
