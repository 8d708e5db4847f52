//! Tests of all formats: what they say, and that nothing breaks out of them.

#[path = "samples.rs"]
mod samples;

use super::*;
use crate::report::visible::hidden;
use crate::{audit as model, values};
use html5ever::TokenizerResult;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};
use samples::{NASTY, many, nasty_sample, sample};
use serde_json::Value;
use std::cell::RefCell;
use std::time::Instant;

const FORMATS: [AuditFormat; 6] = [
    AuditFormat::Text,
    AuditFormat::Json,
    AuditFormat::Sarif,
    AuditFormat::Junit,
    AuditFormat::Html,
    AuditFormat::Markdown,
];

fn made(report: &Report, format: AuditFormat) -> String {
    audit(report, format, AuditTextOptions::default()).unwrap()
}

fn told(report: &Report, verbose: bool, width: Option<usize>) -> String {
    audit(report, AuditFormat::Text, AuditTextOptions { verbose, width, color: false }).unwrap()
}

/// Asserts that each part stands in the text, one after the other.
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("{part:?} is missing, or too early, in\n{text}") };
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn the_text_tells_the_worst_first_and_ends_with_what_to_do_next() {
    let text = told(&sample(), false, None);
    in_order(
        &text,
        &[
            "Audit of site.toml, stage production, level 2, 2026-12-01T06:00:00Z\n4 hosts, 12 controls: 1 error, 5 fail, 1 not live, 1 waived, 2 not applicable, 26 pass; 1 step without a control differs\n",
            "\nNot audited\n  db1  unreachable: cannot connect to 192.0.2.7:22: no route to host\n",
            "\nharden/ssh\n  ✗ fail      critical  S1  Root does not log in with a password  on web1, web2\n      expected  no\n      actual    yes\n",
            "  ✗ fail      medium    S4  A login has few tries  on web1, größe.example\n",
            "on web1:\n      expected  no\n      actual    6\n      waiver    expired on 2026-01-31 (ops@example.org): Backups",
            "\nharden/packages\n  ! error     high      P1  Security updates",
            "      reason    sshd -T ended with code 255\n",
            "\nsteps without a control\n  ✗ fail      medium    3.2  file /etc/motd  on web2\n",
            "\nharden/kernel\n  ✗ fail      low       K4  Core dumps are off  on web2\n",
            "  ◐ not live  critical  K2  Address space",
            "\nWaived\n  ○ waived    medium    S7  No TCP forwarding  on web1\n",
            "Backups log in as root until the new agent is out. (ops@example.org, until 2027-03-31)\n",
            "\nExpired waivers\n  waivers.toml:3: S4 on web1 expired on 2026-01-31\n",
            "\nScores\n  web1               48.2  was 74.5  1 error, 2 fail, 1 not live, 1 waived, 1 not applicable, 6 pass\n",
            "\nSince the audit of 2026-11-01T06:00:00Z\n  worse   S1",
            "  new     S4",
            "  better  S2",
            "\nNext\n  1. S1  Root does not log in with a password (critical, on 2 hosts)\n     An apply sets S1 to no.\n  2. K2  ",
            "  3. P1  ",
        ],
    );
    assert!(text.ends_with("     An apply sets P1 to no.\n") && !text.contains("Passed"), "{text}");
    assert!(told(&sample(), true, None).contains("\nPassed\n  ✓ pass      critical  P3"));
}

#[test]
fn many_hosts_are_one_finding_and_a_score_is_before_and_after() {
    let text = told(&many(200, 100), false, Some(100));
    assert!(text.lines().count() < 1000, "{} lines", text.lines().count());
    assert!(text.contains(" hosts: web"), "{text}");
    assert!(text.contains("  … 180 more hosts with 8"), "{text}");
    assert!(text.contains("  was 74.5  "), "{text}");
}

#[test]
fn lines_are_broken_at_the_width_and_colours_are_only_added() {
    let mut report = sample();
    report.hosts[0].results[0].remedy = vec!["word ".repeat(60), "x".repeat(300)];
    for line in told(&report, true, Some(80)).lines().filter(|line| !line.contains("  S1  ") && !line.contains("was")) {
        assert!(line.chars().count() <= 90, "{line}");
    }
    let color = audit(&report, AuditFormat::Text, AuditTextOptions { color: true, ..Default::default() }).unwrap();
    let mut plain = color;
    for code in ["0", "1", "2", "31", "32", "33", "35", "36"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, told(&report, false, None));
}

#[test]
fn nothing_hidden_gets_through_any_format() {
    for nasty in NASTY {
        let report = nasty_sample(nasty);
        for format in FORMATS {
            let text = made(&report, format);
            let found = text.chars().find(|c| hidden(*c));
            assert_eq!(found, None, "{format:?} of {nasty:?}");
            assert!(text.ends_with('\n'), "{format:?}");
        }
    }
}

#[test]
fn the_json_form_is_read_back_as_it_was() {
    for nasty in NASTY {
        let report = nasty_sample(nasty);
        let back: Report = serde_json::from_str(&made(&report, AuditFormat::Json)).unwrap();
        assert_eq!(back, report, "{nasty:?}");
    }
}

#[test]
fn fields_are_cut_in_all_formats_but_json() {
    let mut report = sample();
    let long = "ä".repeat(500_000);
    report.hosts[0].results[0].actual.clone_from(&long);
    report.hosts[0].results[0].evidence[0].said = long;
    for format in FORMATS {
        let length = made(&report, format).len();
        assert_eq!(length > 1_000_000, format == AuditFormat::Json, "{format:?}: {length}");
    }
    assert!(told(&report, true, None).len() < 60_000);
}

#[test]
fn two_hundred_hosts_are_one_page_of_bearable_size() {
    let mut report = many(200, 100);
    let begun = Instant::now();
    let page = made(&report, AuditFormat::Html);
    // Two seconds of an optimised program.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert!(page.len() < 15_000_000, "{} bytes", page.len());
    for result in report.hosts.iter_mut().flat_map(|host| &mut host.results) {
        result.status = Status::Fail;
        result.evidence[0].said = "x".repeat(5000);
        result.actual = "y".repeat(5000);
    }
    let page = made(&report, AuditFormat::Html);
    assert!(page.len() < 30_000_000 && page.contains("the JSON form has it"), "{} bytes", page.len());
}

#[test]
fn junit_xml_is_well_formed_and_its_counts_are_true() {
    for nasty in NASTY {
        let report = nasty_sample(nasty);
        let text = made(&report, AuditFormat::Junit);
        let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{nasty:?}: {error}"));
        let suites: Vec<_> = document.descendants().filter(|node| node.has_tag_name("testsuite")).collect();
        assert_eq!(suites.len(), 4);
        for (suite, host) in suites.iter().zip(&report.hosts) {
            let shown = cut(&host.name);
            assert_eq!(suite.attribute("name").unwrap().replace('\u{fffd}', ""), xml_shown(&shown));
            for (attribute, element) in
                [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
            {
                let count = suite.descendants().filter(|node| node.has_tag_name(element)).count();
                assert_eq!(suite.attribute(attribute), Some(count.to_string().as_str()), "{attribute}");
            }
        }
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            let known =
                ["testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "skipped"];
            assert!(known.contains(&node.tag_name().name()), "{node:?}");
        }
    }
    let text = made(&sample(), AuditFormat::Junit);
    in_order(
        &text,
        &[
            "<testsuites name=\"stockade 0.1.0 audit of site.toml\" tests=\"38\" failures=\"7\" errors=\"2\" skipped=\"3\"",
            "<testcase classname=\"harden/ssh\" name=\"S1 Root does not log in with a password\" time=\"0\" file=\"bundled:harden/ssh\" line=\"4\">\n      <failure type=\"critical\" message=\"fail: yes\">expected: no\n",
            "<skipped message=\"waived: Backups log in",
            "<testsuite name=\"db1\" hostname=\"db1\" tests=\"1\" failures=\"0\" errors=\"1\"",
            "<error type=\"unreachable\" message=\"cannot connect",
        ],
    );
}

/// A name as XML has it.
fn xml_shown(name: &str) -> String {
    crate::report::visible::one_line(name).replace(['\u{fffe}', '\u{ffff}'], "")
}

#[test]
fn sarif_is_of_the_official_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sarif/sarif-schema-2.1.0.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for report in NASTY.iter().map(|nasty| nasty_sample(nasty)).chain([sample(), many(3, 9)]) {
        let document: Value = serde_json::from_str(&made(&report, AuditFormat::Sarif)).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    let mut wrong: Value = serde_json::from_str(&made(&sample(), AuditFormat::Sarif)).unwrap();
    wrong["runs"][0]["results"][0]["kind"] = "bad".into();
    assert!(!validator.is_valid(&wrong), "the validator finds nothing");
}

#[test]
fn sarif_has_a_rule_a_place_and_a_lasting_fingerprint_for_each_result() {
    let mut report = sample();
    let document: Value = serde_json::from_str(&made(&report, AuditFormat::Sarif)).unwrap();
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!((rules.len(), results.len()), (13, 37));
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64() > Some(0), "{result}");
        assert!(result["suppressions"].is_array(), "{result}");
    }
    let prints: std::collections::HashSet<&Value> =
        results.iter().map(|result| &result["partialFingerprints"]["stockadeHostControl/v1"]).collect();
    assert_eq!(prints.len(), results.len());
    let first = &results[0];
    assert_eq!(rules[0]["properties"]["security-severity"], "9.5");
    assert_eq!(
        (&first["kind"], &first["level"], &first["baselineState"]),
        (&"fail".into(), &"error".into(), &"new".into())
    );
    let artifact = &first["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(*artifact, serde_json::json!({ "uri": "playbooks/harden/ssh/playbook.toml", "uriBaseId": "STOCKADE" }));
    let (passed, waived, absent) = (&results[1], &results[3], &results[4]);
    assert_eq!(
        (&passed["kind"], &passed["level"], &passed["baselineState"]),
        (&"pass".into(), &"none".into(), &"unchanged".into())
    );
    assert_eq!((&waived["kind"], &waived["suppressions"][0]["kind"]), (&"fail".into(), &"external".into()));
    assert_eq!((&absent["kind"], &absent["suppressions"]), (&"notApplicable".into(), &serde_json::json!([])));
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["toolExecutionNotifications"][0]["descriptor"]["id"], "host-unreachable");
    // Another finding on the same host at the same control is the same alert.
    let fingerprint = first["partialFingerprints"].clone();
    report.hosts[0].results[0].actual = "without-password".into();
    report.time = "2027-01-01T00:00:00Z".into();
    let later: Value = serde_json::from_str(&made(&report, AuditFormat::Sarif)).unwrap();
    assert_eq!(later["runs"][0]["results"][0]["partialFingerprints"], fingerprint);
}

#[test]
fn paths_are_uris_and_messages_hold_no_link_and_no_placeholder() {
    let mut report = sample();
    let result = &mut report.hosts[0].results[0];
    result.actual = "[a](http://example.org) {0}".into();
    for (file, uri) in [
        ("play books/s:te#1.toml", "play%20books/s%3Ate%231.toml"),
        ("/srv/site.toml", "file:///srv/site.toml"),
        ("../ä.toml", "../%C3%A4.toml"),
    ] {
        report.hosts[0].results[0].place = Some(model::Place { file: file.into(), line: 1, column: 1 });
        let document: Value = serde_json::from_str(&made(&report, AuditFormat::Sarif)).unwrap();
        let first = &document["runs"][0]["results"][0];
        assert_eq!(first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], uri);
        let text = first["message"]["text"].as_str().unwrap();
        assert!(text.contains("[a] (http://example.org) {{0}}"), "{text}");
    }
}

/// What Markdown has outside of code: lines without fences and code spans.
fn prose(markdown: &str) -> String {
    let (mut prose, mut fence) = (String::new(), None);
    for line in markdown.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            Some(open) if ticks >= open && line.trim_start_matches('`').is_empty() => fence = None,
            Some(_) => {}
            None if ticks >= 3 && !line[ticks..].contains('`') => fence = Some(ticks),
            None => {
                let mut rest = line;
                while let Some(at) = rest.find('`') {
                    prose.push_str(&rest[..at]);
                    let ticks = rest[at..].chars().take_while(|c| *c == '`').count();
                    let body = &rest[at + ticks..];
                    let runs = body.char_indices().filter(|(i, c)| *c == '`' && !body[..*i].ends_with('`'));
                    let end =
                        runs.map(|(i, _)| i).find(|i| body[*i..].chars().take_while(|c| *c == '`').count() == ticks);
                    rest = &body[end.unwrap_or_else(|| panic!("a code span has no end: {line}")) + ticks..];
                }
                prose.push_str(rest);
                prose.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a fence has no end");
    prose
}

#[test]
fn markdown_holds_no_markup_of_a_host() {
    for nasty in NASTY {
        let text = prose(&made(&nasty_sample(nasty), AuditFormat::Markdown));
        let mut plain = text.clone();
        for tag in ["<details>", "</details>", "<summary>", "</summary>", "<b>", "</b>"] {
            plain = plain.replace(tag, "");
        }
        assert!(!plain.contains(['<', '@', '[', ']']), "{nasty:?}:\n{text}");
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        assert!(!text.contains("\n# "), "{text}");
    }
    let text = made(&sample(), AuditFormat::Markdown);
    in_order(
        &text,
        &[
            "### Stockade audit: `site.toml`, stage `production`\n",
            "| `db1` | not audited |",
            "| `web1` | 48.2 |",
            "- `db1` was not audited: unreachable: `cannot connect",
            "- worse: `S1` `Root does not log in with a password`: fail on web1, web2\n",
            "1. `S1` `Root does not log in with a password` (critical, on 2 hosts): `An apply sets S1 to no.`\n",
            "<details><summary>✗ <b>fail</b> critical S1 Root does not log in with a password, on web1, web2</summary>\n",
            "\nActual:\n\n```\nyes\n```\n",
            "#### Waivers\n",
            "| `S7` | `web1` | `Backups log in as root",
        ],
    );
    assert!(made(&many(200, 100), AuditFormat::Markdown).len() < 65_536);
}

/// The tags of a page, as a browser reads them.
#[derive(Default)]
struct Tags(RefCell<Vec<Tag>>);

impl TokenSink for Tags {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) => {
                let raw = match (&*tag.name, tag.kind) {
                    ("script", TagKind::StartTag) => Some(RawKind::ScriptData),
                    ("style", TagKind::StartTag) => Some(RawKind::Rawtext),
                    ("title", TagKind::StartTag) => Some(RawKind::Rcdata),
                    _ => None,
                };
                self.0.borrow_mut().push(tag);
                raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
            }
            Token::CommentToken(_) | Token::ParseError(_) | Token::NullCharacterToken => panic!("{token:?}"),
            Token::DoctypeToken(_) | Token::CharacterTokens(_) | Token::EOFToken => TokenSinkResult::Continue,
        }
    }
}

fn tags(page: &str) -> Vec<Tag> {
    let tokenizer = Tokenizer::new(Tags::default(), Default::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from_slice(page));
    while let TokenizerResult::Script(()) = tokenizer.feed(&queue) {}
    tokenizer.end();
    tokenizer.sink.0.take()
}

#[test]
fn the_page_has_the_same_elements_whatever_a_host_says() {
    let attributes = [
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "href",
        "id",
        "tabindex",
        "hidden",
        "role",
        "aria-label",
        "aria-labelledby",
        "aria-live",
        "aria-hidden",
        "type",
        "checked",
        "value",
        "autocomplete",
        "scope",
        "data-host",
        "data-s",
        "data-v",
        "data-g",
        "viewbox",
        "width",
        "height",
        "points",
    ];
    let names = |page: &str| tags(page).iter().map(|tag| (tag.kind, tag.name.to_string())).collect::<Vec<_>>();
    let expected = names(&made(&nasty_sample("x y"), AuditFormat::Html));
    for nasty in NASTY {
        let page = made(&nasty_sample(nasty), AuditFormat::Html);
        // Characters that have no place in text become visible, not elements.
        assert!(names(&page) == expected, "{nasty:?} makes other elements");
        for tag in tags(&page) {
            for attribute in &tag.attrs {
                let name = &*attribute.name.local;
                assert!(attributes.contains(&name), "{nasty:?}: {tag:?}");
                assert!(name != "href" || attribute.value.starts_with('#'), "{nasty:?}: {tag:?}");
            }
        }
    }
}

#[test]
fn the_page_allows_its_own_style_and_script_only_and_names_no_address() {
    let page = made(&sample(), AuditFormat::Html);
    assert!(page.contains("content=\"default-src 'none'; style-src 'sha256-"), "{page}");
    assert!(!page.contains("://") && !page.contains("style=\"") && !page.contains("url("), "{page}");
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| &rest[..rest.find('"').unwrap()]).collect();
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len(), "an id stands twice");
    for link in page.split(" href=\"#").skip(1).map(|rest| &rest[..rest.find('"').unwrap()]) {
        assert!(ids.contains(&link), "nothing has the id {link}");
    }
}
