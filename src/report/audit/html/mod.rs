//! An audit as one page for a browser: a file that needs nothing beside it and
//! asks the network for nothing.
//!
//! It works without JavaScript: the fleet, each host and the controls are sections,
//! of which the one that the address names is shown (`:target`). The script only
//! adds filters. Style and script are literals of the program, and the page's
//! policy allows these two by their hashes and nothing else. What comes from the
//! report goes through [`Markup::text`].

mod controls;
mod fleet;
mod host;

use super::findings::{DRIFT, groups, level_words};
use super::markup::Markup;
use crate::audit::{Report, Status};
use crate::values::Severity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Up to how many bytes evidence and long fields are written; what would make the
/// page longer is left to the JSON form.
const LONGEST: usize = 12_000_000;

/// The report as a page.
pub(super) fn audit_html(report: &Report) -> String {
    let anchors = Anchors::of(report);
    let mut page = Markup::default();
    top(&mut page, report);
    page.raw("<main id=\"main\" tabindex=\"-1\">\n<div id=\"all\">\n");
    fleet::section(&mut page, report, &anchors);
    filter(&mut page, report);
    let group_numbers = group_numbers(report);
    for (index, host) in report.hosts.iter().enumerate() {
        host::section(&mut page, report, host, anchors.host(index), &anchors, &group_numbers);
    }
    controls::section(&mut page, report, &anchors);
    page.raw("</div>\n</main>\n<footer><p>Made by ").line(&report.tool);
    page.raw("; this page is complete and asks the network for nothing.</p></footer>\n<script>").raw(SCRIPT);
    page.raw("</script>\n</body>\n</html>\n");
    page.finish()
}

fn top(page: &mut Markup, report: &Report) {
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '");
    page.text(&hash(STYLE)).raw("'; script-src '").text(&hash(SCRIPT));
    page.raw("'; base-uri 'none'; form-action 'none'\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n");
    page.raw("<title>Audit of ")
        .line(&report.playbook)
        .raw("</title>\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n");
    page.raw("<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n<h1>Audit of ")
        .line(&report.playbook);
    page.raw("</h1>\n<p>");
    if let Some(stage) = &report.stage {
        page.raw("Stage ").line(stage).raw(", ");
    }
    page.text(&level_words(report)).raw(", <time>").line(&report.time).raw("</time>");
    if let Some(baseline) = &report.baseline {
        page.raw(", compared with the audit of <time>").line(baseline).raw("</time>");
    }
    page.raw("</p>\n<nav aria-label=\"Pages\"><ul><li><a href=\"#fleet\">Fleet</a></li>");
    page.raw("<li><a href=\"#controls\">Controls</a></li><li><a href=\"#all\">All on one page</a></li></ul></nav>\n");
    page.raw("</header>\n");
}

/// The source expression of a literal (CSP 3, 2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// The controls to filter rows by; the script shows them and puts them into the
/// section of the host that is shown.
fn filter(page: &mut Markup, report: &Report) {
    page.raw("<form id=\"filter\" class=\"filter\" role=\"search\" aria-label=\"Filter controls\" hidden>\n");
    page.raw("<fieldset><legend>Status</legend>");
    for status in Status::ALL.into_iter().rev() {
        page.raw("<label><input type=\"checkbox\" name=\"status\" checked value=\"").raw(key(status)).raw("\"> ");
        badge(page, status);
        page.raw("</label> ");
    }
    page.raw("</fieldset>\n<label>Severity <select name=\"severity\"><option value=\"\">all</option>");
    for severity in Severity::ALL.into_iter().rev() {
        page.raw("<option>").raw(severity.as_str()).raw("</option>");
    }
    page.raw("</select></label>\n<label>Group <select name=\"group\"><option value=\"\">all</option>");
    for (number, group) in all_groups(report).into_iter().enumerate() {
        page.raw("<option value=\"").count(number).raw("\">").line(group).raw("</option>");
    }
    page.raw("</select></label>\n<label>Text <input type=\"search\" name=\"text\" autocomplete=\"off\"></label>\n");
    page.raw("<button type=\"reset\">Clear</button>\n<output name=\"shown\" aria-live=\"polite\"></output>\n</form>\n");
}

/// The groups of controls and what stands for none.
fn all_groups(report: &Report) -> Vec<&str> {
    let mut all = groups(report);
    all.push(DRIFT);
    all
}

fn group_numbers(report: &Report) -> HashMap<&str, usize> {
    all_groups(report).into_iter().enumerate().map(|(number, group)| (group, number)).collect()
}

/// The status as the style and the script name it.
fn key(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::NotApplicable => "not_applicable",
        Status::Waived => "waived",
        Status::NotLive => "not_live",
        Status::Fail => "fail",
        Status::Error => "error",
    }
}

/// A status as a sign and a word; the colour is only in addition. The style adds
/// the sign, so that it stands once in the page.
fn badge(page: &mut Markup, status: Status) {
    page.raw("<b class=\"sign ").raw(key(status)).raw("\">").raw(status.words()).raw("</b>");
}

/// The class of a score.
fn band(score: f64) -> &'static str {
    match score {
        score if score >= 90.0 => "good",
        score if score >= 70.0 => "fair",
        score if score >= 40.0 => "poor",
        _ => "bad",
    }
}

/// The head of a table that scrolls by itself where it is too wide, with its caption.
fn table(page: &mut Markup, caption: &str, columns: &[&'static str]) {
    page.raw("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"")
        .line(caption)
        .raw("\"><table><caption>");
    page.line(caption).raw("</caption><thead><tr>");
    for column in columns {
        page.raw("<th scope=\"col\">").raw(column).raw("</th>");
    }
}

/// Where hosts and controls stand in the page.
struct Anchors<'r> {
    hosts: Vec<String>,
    by_name: HashMap<&'r str, usize>,
    controls: HashMap<&'r str, String>,
}

impl<'r> Anchors<'r> {
    fn of(report: &'r Report) -> Anchors<'r> {
        let hosts = &report.hosts;
        let by_name = hosts.iter().enumerate().map(|(index, host)| (host.name.as_str(), index)).collect();
        let controls = report.controls.iter().enumerate();
        Anchors {
            hosts: hosts.iter().enumerate().map(|(n, host)| anchor("host-", "h-", &host.name, n)).collect(),
            by_name,
            controls: controls.map(|(n, c)| (c.id.as_str(), anchor("control-", "c-", &c.id, n))).collect(),
        }
    }

    fn host(&self, index: usize) -> &str {
        self.hosts.get(index).map_or("fleet", String::as_str)
    }

    /// A link to a host's section.
    fn link(&self, page: &mut Markup, name: &str) {
        let index = self.by_name.get(name).copied().unwrap_or(usize::MAX);
        page.raw("<a href=\"#").text(self.host(index)).raw("\">").line(name).raw("</a>");
    }

    /// Links to hosts, in words.
    fn links(&self, page: &mut Markup, names: &[&str]) {
        for (number, name) in names.iter().enumerate() {
            page.raw(if number == 0 { "" } else { ", " });
            self.link(page, name);
        }
    }

    /// A link to a control, or its id where it is none of the playbook.
    fn control(&self, page: &mut Markup, id: &str) {
        match self.controls.get(id) {
            Some(anchor) => page.raw("<a href=\"#").text(anchor).raw("\">").line(id).raw("</a>"),
            None => page.line(id),
        };
    }
}

/// An id that lasts over audits, where the name has only characters for it.
fn anchor(prefix: &str, numbered: &str, name: &str, number: usize) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.len() <= 100 && name.chars().all(plain) {
        format!("{prefix}{name}")
    } else {
        format!("{numbered}{}", number + 1)
    }
}
