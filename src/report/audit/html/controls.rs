//! The section of controls: what each demands and why, once for all hosts.

use super::super::findings::{Finding, collect};
use super::super::markup::Markup;
use super::super::text::place_words;
use super::{Anchors, badge};
use crate::audit::{ControlInfo, Report, Status};
use std::collections::HashMap;

/// Hosts that are named for a control.
const NAMED: usize = 20;

/// Writes the section.
pub(super) fn section(page: &mut Markup, report: &Report, anchors: &Anchors<'_>) {
    page.raw("<section class=\"page\" id=\"controls\" aria-labelledby=\"controls-head\">\n");
    page.raw("<h2 id=\"controls-head\" tabindex=\"-1\">Controls</h2>\n");
    let mut standings: HashMap<&str, Vec<Finding<'_>>> = HashMap::new();
    for standing in collect(report, |result| result.status != Status::NotApplicable) {
        standings.entry(standing.id).or_default().push(standing);
    }
    for control in &report.controls {
        let standings = standings.get(control.id.as_str()).map_or(&[][..], Vec::as_slice);
        one(page, control, standings, anchors);
    }
    page.raw("</section>\n");
}

fn one(page: &mut Markup, control: &ControlInfo, standings: &[Finding<'_>], anchors: &Anchors<'_>) {
    page.raw("<article class=\"control\" id=\"")
        .text(anchors.controls.get(control.id.as_str()).map_or("", String::as_str));
    page.raw("\">\n<h3>").line(&control.id).raw(" ").line(&control.title).raw("</h3>\n<dl><dt>severity</dt><dd>");
    page.raw(control.severity.as_str()).raw("</dd><dt>level</dt><dd>").count(usize::from(control.level));
    page.raw("</dd><dt>group</dt><dd>").line(&control.group).raw("</dd>");
    let mut field = |label: &'static str, text: &str| {
        if !text.is_empty() {
            page.raw("<dt>").raw(label).raw("</dt><dd>").text(text).raw("</dd>");
        }
    };
    field("why", control.rationale.as_deref().unwrap_or_default());
    field("may break", control.breaks.as_deref().unwrap_or_default());
    field("reported only", control.report_only.as_deref().unwrap_or_default());
    field("sources", &control.refs.join(", "));
    field("at", &place_words(&control.place));
    page.raw("</dl>\n");
    if !standings.is_empty() {
        page.raw("<ul>");
        for standing in standings {
            page.raw("<li>");
            badge(page, standing.status);
            page.raw(" on ");
            let names = standing.names();
            anchors.links(page, &names[..names.len().min(NAMED)]);
            if names.len() > NAMED {
                page.raw(" and ").count(names.len() - NAMED).raw(" more");
            }
            page.raw("</li>");
        }
        page.raw("</ul>\n");
    }
    page.raw("</article>\n");
}
