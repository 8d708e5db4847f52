//! The section of a host: its score, and how each control stands, the worst first.
//!
//! What describes a control stands once, in the section of controls.

use super::super::LONGEST_FIELD;
use super::super::findings::{DRIFT, controls, counts_words, rank, score_before, score_words};
use super::super::markup::Markup;
use super::super::text::{evidence_words, place_words};
use super::{Anchors, LONGEST, badge, table};
use crate::audit::{Change, ControlResult, HostReport, Report, Status};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Bytes of a field where a control holds.
const SHORT: usize = 160;
/// Earlier audits in a trend.
const TREND: usize = 30;

/// Writes the section.
pub(super) fn section(
    page: &mut Markup,
    report: &Report,
    host: &HostReport,
    anchor: &str,
    anchors: &Anchors<'_>,
    groups: &HashMap<&str, usize>,
) {
    page.raw("<section class=\"page host\" id=\"").text(anchor).raw("\" aria-labelledby=\"").text(anchor);
    page.raw("-head\">\n<h2 tabindex=\"-1\" id=\"").text(anchor).raw("-head\">").line(&host.name).raw("</h2>\n<p>");
    if host.os.is_empty() {
        page.raw("System not known")
    } else {
        page.line(&host.os)
    };
    page.raw(", ").text(&format!("{:.1} s", host.seconds)).raw(". <a href=\"#fleet\">Back to the fleet</a></p>\n");
    if let Some(error) = &host.error {
        page.raw("<p class=\"error\"><strong>! Not audited</strong>: ");
        page.raw(if host.unreachable { "unreachable: " } else { "error: " }).line(error).raw("</p>\n</section>\n");
        return;
    }
    page.raw("<p class=\"score\">Score <strong>").text(&score_words(host.score)).raw("</strong>");
    if let Some(before) = score_before(report, host) {
        page.raw(if report.baseline.is_some() { ", in the baseline " } else { ", in the audit before " });
        page.text(&score_words(Some(before)));
    }
    page.raw(" ");
    trend(page, host);
    page.raw("</p>\n<p>").text(&counts_words(&host.counts)).raw("</p>\n<h3>Controls</h3>\n");
    let columns = ["Status", "Severity", "Control", "Group", "Found"];
    table(page, &format!("Controls on {}, the worst first", host.name), &columns);
    page.raw("</tr></thead>\n<tbody>\n");
    rows(page, report, host, anchors, groups);
    page.raw("</tbody></table></div>\n</section>\n");
}

fn rows(page: &mut Markup, report: &Report, host: &HostReport, anchors: &Anchors<'_>, groups: &HashMap<&str, usize>) {
    let controls = controls(report);
    let mut results: Vec<(&ControlResult, &str)> = host
        .results
        .iter()
        .map(|result| (result, controls.get(result.id.as_str()).map_or(DRIFT, |control| control.group.as_str())))
        .chain(host.drift.iter().map(|result| (result, DRIFT)))
        .collect();
    results.sort_by_key(|(result, _)| (rank(result.status), Reverse(result.severity)));
    for (result, group) in results {
        page.raw("<tr data-s=\"").raw(super::key(result.status)).raw("\" data-v=\"").raw(result.severity.as_str());
        page.raw("\" data-g=\"").count(groups.get(group).copied().unwrap_or_default()).raw("\"><td>");
        badge(page, result.status);
        if let Some(word) = result.change.and_then(change_word) {
            page.raw(" <b>").raw(word).raw("</b>");
        }
        page.raw("</td><td>").raw(result.severity.as_str()).raw("</td><th scope=\"row\">");
        if group == DRIFT {
            _ = page.line(&result.id)
        } else {
            anchors.control(page, &result.id)
        };
        page.raw(" ").line(&result.title).raw("</th><td>").line(group).raw("</td><td>");
        found(page, result);
        page.raw("</td></tr>\n");
    }
}

fn change_word(change: Change) -> Option<&'static str> {
    match change {
        Change::Same => None,
        Change::Worse => Some("worse"),
        Change::Better => Some("better"),
        Change::New => Some("new"),
    }
}

/// What was found: short where the control holds, all of it elsewhere.
fn found(page: &mut Markup, result: &ControlResult) {
    match result.status {
        Status::Pass => held(page, result),
        Status::NotApplicable => _ = page.short(result.reason.as_deref().unwrap_or_default(), SHORT),
        Status::Waived | Status::NotLive | Status::Fail | Status::Error => finding(page, result),
    }
}

fn held(page: &mut Markup, result: &ControlResult) {
    if result.evidence.is_empty() {
        page.short(&result.actual, SHORT);
    } else {
        fold(page, result, 2, SHORT);
    }
}

fn finding(page: &mut Markup, result: &ControlResult) {
    let longest = if page.len() > LONGEST { SHORT } else { LONGEST_FIELD };
    page.raw("<dl>");
    let mut field = |label: &'static str, text: &str| {
        if !text.is_empty() {
            page.raw("<dt>").raw(label).raw("</dt><dd>").short(text, longest).raw("</dd>");
        }
    };
    field("expected", &result.expected);
    field("actual", &result.actual);
    field("reason", result.reason.as_deref().unwrap_or_default());
    if let Some(waiver) = &result.waiver {
        let (word, owner) = (if waiver.expired { "expired on" } else { "until" }, &waiver.owner);
        field("waiver", &format!("{} ({owner}, {word} {})", waiver.reason, waiver.expires));
    }
    for remedy in &result.remedy {
        field("remedy", remedy);
    }
    if let Some(place) = &result.place {
        field("at", &place_words(place));
    }
    page.raw("</dl>");
    fold(page, result, usize::MAX, LONGEST_FIELD);
}

/// The evidence, folded away.
fn fold(page: &mut Markup, result: &ControlResult, count: usize, longest: usize) {
    if result.evidence.is_empty() {
        return;
    }
    page.raw("<details><summary>evidence<span class=\"vh\"> for ").line(&result.id).raw("</span></summary>");
    for evidence in result.evidence.iter().take(count) {
        page.raw("<pre>");
        if page.len() > LONGEST {
            page.raw("left out: the page would be too long; the JSON form has it");
        } else {
            page.short(&evidence_words(evidence), longest);
        }
        page.raw("</pre>");
    }
    page.raw("</details>");
}

/// The scores of earlier audits and of this one, as a line with its words.
pub(super) fn trend(page: &mut Markup, host: &HostReport) {
    let skipped = host.trend.len().saturating_sub(TREND);
    let mut scores: Vec<f64> = host.trend[skipped..].iter().map(|trend| trend.score).collect();
    scores.extend(host.score);
    if scores.len() < 2 {
        return;
    }
    let words: Vec<String> = scores.iter().map(|score| score_words(Some(*score))).collect();
    let step = 78.0 / (scores.len() - 1) as f64;
    let points = scores.iter().enumerate().map(|(at, score)| {
        let height = if score.is_finite() { score.clamp(0.0, 100.0) } else { 0.0 };
        format!("{:.1},{:.1}", 1.0 + step * at as f64, 21.0 - height / 5.0)
    });
    page.raw("<svg class=\"trend\" role=\"img\" viewBox=\"0 0 80 22\" width=\"80\" height=\"22\" aria-label=\"Scores, the latest last: ");
    page.text(&words.join(", ")).raw("\"><polyline points=\"").text(&points.collect::<Vec<_>>().join(" "));
    page.raw("\"/></svg>");
}
