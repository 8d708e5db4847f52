//! What the operator reads: texts, JSON by its published schemas, Markdown.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on must stop

use crate::support::audits;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use stockade::plan::{Action, FieldChange, HostPlan, StepPlan};
use stockade::report::*;
use stockade::values::{Source, Span};

fn step(id: &str, name: &str, action: Action) -> StepPlan {
    StepPlan {
        id: id.into(),
        name: name.into(),
        kind: "file",
        action,
        changes: vec![],
        diff: None,
        notes: vec![],
        span: Some(Span { source: Source::new("p.toml", "a\nbb\n"), range: 3..4 }),
        ..StepPlan::default()
    }
}

fn plan(host: &str) -> HostPlan {
    let mut created = step("1", "file /etc/x", Action::Create);
    created.changes = vec![FieldChange::new("mode", None::<&str>, Some("0644"))];
    created.diff = Some("--- /dev/null\n+++ /etc/x\n@@ -0,0 +1 @@\n+```\n".into());
    let mut updated = step("3.2[1]", "motd is ours", Action::Update);
    updated.changes = vec![FieldChange::new("mode", Some("0600"), Some("0644"))];
    updated.notes = vec!["a remark".into()];
    HostPlan::new(host, vec![created, step("2", "file /etc/y", Action::None), updated])
}

fn failed(sensitive: bool) -> HostOutcome {
    let planned = plan("web2");
    let mut bad = planned.steps[0].clone();
    bad.sensitive = sensitive;
    let endings = [StepStatus::Failed, StepStatus::Unchanged, StepStatus::NotReached];
    HostOutcome {
        seconds: 3.25,
        steps: planned.steps.into_iter().zip(endings).collect(),
        failure: Some(FailedStep {
            step: bad,
            message: "put ended with code 1".into(),
            output: "E: \x1b[31mno space\x1b[0m left\n".into(),
        }),
        ..HostOutcome::new("web2", HostStatus::Failed)
    }
}

fn outcomes() -> Vec<HostOutcome> {
    let converged = HostOutcome { changed: 2, seconds: 12.34, ..HostOutcome::new("web1", HostStatus::Converged) };
    let unreachable =
        HostOutcome { error: Some("db: no route".into()), ..HostOutcome::new("db", HostStatus::Unreachable) };
    let drifting = HostOutcome { remaining: Some(plan("odd")), ..HostOutcome::new("odd", HostStatus::NotConverged) };
    let waiting = HostOutcome { error: Some("not begun".into()), ..HostOutcome::new("late", HostStatus::NotBegun) };
    vec![converged, failed(false), unreachable, drifting, waiting]
}

#[test]
fn a_plan_shows_only_what_differs_and_ends_in_the_counts() {
    let text = plan_text(&[plan("web1")], TextOptions::default());
    assert_eq!(
        text,
        "web1\n  \
         + create  file /etc/x  (step 1)\n      \
             mode: 0644\n      \
             --- /dev/null\n      \
             +++ /etc/x\n      \
             @@ -0,0 +1 @@\n      \
             +```\n  \
         ~ update  file \"motd is ours\"  (step 3.2[1])\n      \
             mode: 0600 → 0644\n      \
             note: a remark\n\n\
         web1: 1 to create, 1 to update, 0 to delete, 0 to run; 1 unchanged\n"
    );
}

#[test]
fn a_restart_that_is_due_has_no_number() {
    let mut due = step("restart:x.service", "restart x.service", Action::Run);
    due.changes = vec![FieldChange::new("restart", None::<&str>, Some("step 1 changes"))];
    let text = plan_text(&[HostPlan::new("web1", vec![due])], TextOptions::default());
    assert!(text.starts_with("web1\n  ! run     restart x.service\n      restart: step 1 changes\n"), "{text}");
}

#[test]
fn unchanged_steps_are_shown_on_request_and_a_quiet_host_is_one_line() {
    let verbose = plan_text(&[plan("web1")], TextOptions { verbose: true, color: false });
    assert!(verbose.contains("= same    file /etc/y  (step 2)"), "{verbose}");
    let same = HostPlan::new("web1", vec![step("1", "file /etc/x", Action::None)]);
    assert_eq!(plan_text(&[same], TextOptions::default()), "web1: nothing differs (1 step)\n");
}

#[test]
fn hosts_with_equal_plans_are_told_once_and_others_apart() {
    let mut plans: Vec<HostPlan> = ["a", "b", "c", "d", "e"].map(plan).into();
    let mut other = plan("f");
    other.steps[0].changes[0].after = Some("0600".into());
    plans.push(other);
    let text = plan_text(&plans, TextOptions::default());
    assert_eq!(text.matches("motd is ours").count(), 2, "{text}");
    assert!(text.starts_with("a, b, c, … (5 hosts)\n"), "{text}");
    assert!(text.contains("\nf: 1 to create"), "{text}");
}

#[test]
fn colours_come_only_when_asked_for_and_a_hosts_own_never() {
    let mut with_escape = plan("web1");
    with_escape.steps[0].changes[0].before = Some("\x1b[2J".into());
    with_escape.steps[0].diff = Some("+\x1b[2J\u{202e}\n".into());
    let plain = plan_text(&[with_escape.clone()], TextOptions::default());
    assert!(!plain.contains('\x1b') && plain.contains("\\x1b[2J → 0644"), "{plain:?}");
    let colored = plan_text(&[with_escape], TextOptions { verbose: false, color: true });
    assert!(colored.contains("\x1b[32m+ create") && !colored.contains("\x1b[2J"), "{colored:?}");
    assert!(!colored.contains('\u{202e}'));
}

#[test]
fn the_json_of_plan_and_apply_keeps_to_its_published_schema() {
    let schemas = Schemas::load();
    let document = plan_json(Some("prod"), "site.toml", &[plan("web1")]);
    schemas.check("plan.json", &document).unwrap();
    schemas.check("plan.json", &plan_json(None, "site.toml", &[])).unwrap();
    schemas.check("apply.json", &apply_json(Some("prod"), "site.toml", &outcomes())).unwrap();
    assert_eq!(document["format_version"], 1);
    assert_eq!(
        document["hosts"][0]["summary"],
        json!({"none": 1, "create": 1, "update": 1, "delete": 0, "run": 0, "unknown": 0})
    );
    assert_eq!(
        document["hosts"][0]["steps"][2],
        json!({
            "id": "3.2[1]", "name": "motd is ours", "kind": "file", "action": "update",
            "changes": [{"field": "mode", "before": "0600", "after": "0644"}], "diff": null, "notes": ["a remark"],
        })
    );
}

#[test]
fn the_schemas_refuse_what_is_not_of_their_form() {
    let schemas = Schemas::load();
    let good = plan_json(None, "site.toml", &[plan("web1")]);
    let spoiled: [fn(&mut Value); 5] = [
        |v| v["format_version"] = json!(2),
        |v| v["hosts"][0]["steps"][0]["action"] = json!("destroy"),
        |v| v["hosts"][0]["steps"][0]["ops"] = json!([]),
        |v| v["hosts"][0]["summary"]["none"] = json!(-1),
        |v| {
            v["hosts"][0].as_object_mut().unwrap().remove("name");
        },
    ];
    for spoil in spoiled {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert!(schemas.check("plan.json", &bad).is_err(), "{bad}");
    }
}

#[test]
fn the_json_of_an_audit_is_of_its_schema() {
    let schemas = Schemas::load();
    let made = |report: &_| audit(report, AuditFormat::Json, AuditTextOptions::default()).unwrap();
    for report in [audits::sample(), audits::nasty_sample(audits::NASTY[0]), audits::many(2, 3)] {
        let document: Value = serde_json::from_str(&made(&report)).unwrap();
        schemas.check("audit.json", &document).unwrap();
        let spoiled: [fn(&mut Value); 4] = [
            |v| v["format_version"] = json!(2),
            |v| v["hosts"][0]["results"][0]["status"] = json!("ok"),
            |v| v["hosts"][0]["results"][0]["place"] = json!({ "file": "x" }),
            |v| v["controls"][0]["more"] = json!(1),
        ];
        for spoil in spoiled {
            let mut bad = document.clone();
            spoil(&mut bad);
            assert!(schemas.check("audit.json", &bad).is_err(), "{bad}");
        }
    }
}

#[test]
fn the_output_of_a_sensitive_step_is_shown_nowhere() {
    let outcome = [failed(true)];
    let json = apply_json(None, "p.toml", &outcome);
    assert_eq!(json["hosts"][0]["failure"]["output"], Value::Null);
    for shown in [
        json.to_string(),
        apply_text(&outcome, TextOptions::default()),
        apply_markdown(None, "p.toml", &outcome),
        transcript(|plain| fail(plain, true)),
    ] {
        assert!(!shown.contains("no space") && shown.contains("put ended with code 1"), "{shown}");
    }
}

#[test]
fn markdown_cannot_be_broken_out_of() {
    let mut nasty = plan("we|b`1");
    nasty.steps[0].diff = Some("+```\n+</details>\n+@everyone\n".into());
    nasty.steps[2].changes = vec![FieldChange::new("a|b", Some("x`|`y"), Some("l1\nl2"))];
    nasty.steps[2].name = "<script>".into();
    let text = plan_markdown(Some("prod"), "site.toml", &[nasty]);
    assert!(text.contains("\n````diff\n+```\n+</details>\n+@everyone\n````\n"), "{text}");
    assert!(text.contains("| `a\\|b` | ``x`\\|`y`` | `l1\\nl2` |"), "{text}");
    assert!(text.contains("| ``we\\|b`1`` | 1 | 1 |"), "{text}");
    assert!(text.contains("<summary>we&#124;b&#96;1: 1 to create"), "{text}");
    assert!(text.contains("`file: <script>`"), "{text}");
    let fences = text.matches("\n````").count();
    assert_eq!((fences, text.matches("<details>").count()), (2, 1), "{text}");
}

#[test]
fn markdown_tells_equal_plans_once_and_stays_short_enough_for_a_comment() {
    let mut plans: Vec<HostPlan> = ["a", "b", "c"].map(plan).into();
    let text = plan_markdown(None, "p.toml", &plans);
    assert_eq!((text.matches("<details>").count(), text.matches("| `a` |").count()), (1, 1), "{text}");
    assert!(text.contains("<summary>a, b, c (3 hosts): 1 to create"), "{text}");
    for (number, host) in plans.iter_mut().enumerate() {
        host.steps[0].diff = Some(format!("+{number}{}\n", "x".repeat(25_000)));
    }
    let text = plan_markdown(None, "p.toml", &plans);
    assert!(text.len() < 65_536 && text.contains("| `c` | 1 | 1 |"), "{}", text.len());
    assert_eq!((text.matches("<details>").count(), text.matches("was left out").count()), (2, 1));
}

#[test]
fn the_closing_summary_says_where_why_and_what_to_do() {
    let text = apply_text(&outcomes(), TextOptions::default());
    for part in [
        "web1  converged      2 steps changed     12.3 s\n",
        "web2  failed         nothing changed      3.2 s\n    at file /etc/x  (step 1), p.toml:2:2\n",
        "    put ended with code 1\n    | E: \\x1b[31mno space\\x1b[0m left\n    what to do: ",
        "    db: no route\n    what to do: nothing was changed there",
        "odd   not-converged",
        "    ~ update  file \"motd is ours\"",
        "5 hosts: 1 converged, 1 not-converged, 1 failed, 1 unreachable, 1 not-begun\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn transcript(tell: impl Fn(&dyn Reporter)) -> String {
    let sink = Sink::default();
    let console = Console::to(Box::new(std::io::sink()), Box::new(sink.clone()));
    tell(&Plain::new(console.remarks()));
    String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
}

fn fail(reporter: &dyn Reporter, sensitive: bool) {
    let failure = failed(sensitive).failure.unwrap();
    let (step, message, output) = (&failure.step, failure.message.as_str(), failure.output.as_str());
    reporter.event(&Event::StepFailed { host: "web1", step, message, output });
}

#[test]
fn plain_progress_is_one_line_an_event() {
    let text = transcript(|plain| {
        let planned = plan("web1");
        plain.event(&Event::Connecting { host: "web1", to: "192.0.2.1:22" });
        plain.event(&Event::Planned { plan: &planned });
        for step in &planned.steps {
            plain.event(&Event::StepDone { host: "web1", step });
        }
        plain.event(&Event::Converged { host: "web1", changed: 2, seconds: 1.0 });
        plain.event(&Event::HostFailed { host: "web2", error: "gone\x1b[2J" });
    });
    assert_eq!(
        text,
        "web1  connecting to 192.0.2.1:22\n\
         web1  1 to create, 1 to update, 0 to delete, 0 to run; 1 unchanged\n\
         web1  [1/2]  file /etc/x  (step 1) … created\n\
         web1  [2/2]  file \"motd is ours\"  (step 3.2[1]) … updated\n\
         web1  converged: 2 changed, nothing differs any more (1.0 s)\n\
         web2  ERROR: gone\\x1b[2J\n"
    );
}

#[test]
fn a_failed_step_never_says_that_nothing_changed_where_something_was_written() {
    for (changed, partly, said) in [
        (0, false, "nothing changed"),
        (0, true, "1 step changed in part"),
        (1, true, "1 step changed, 1 in part"),
        (2, true, "2 steps changed, 1 in part"),
    ] {
        let outcome = HostOutcome { changed, partly, ..failed(false) };
        let text = apply_text(&[outcome], TextOptions::default());
        assert!(text.starts_with(&format!("web2  failed         {said}  ")), "{text}");
    }
}

#[test]
fn a_host_that_did_not_converge_says_which_fields_still_differ() {
    let text = transcript(|plain| plain.event(&Event::NotConverged { host: "web1", plan: &plan("web1") }));
    assert_eq!(
        text,
        "web1  NOT CONVERGED: 1 to create, 1 to update, 0 to delete, 0 to run; 1 unchanged\n\
         web1    still differs: file /etc/x  (step 1)\n\
         web1      mode: 0644\n\
         web1    still differs: file \"motd is ours\"  (step 3.2[1])\n\
         web1      mode: 0600 → 0644\n\
         web1      a remark\n"
    );
}

#[test]
fn quiet_says_only_what_went_wrong() {
    let sink = Sink::default();
    let console = Console::to(Box::new(std::io::sink()), Box::new(sink.clone()));
    let quiet = reporter(&console, true);
    quiet.event(&Event::Connecting { host: "web1", to: "x" });
    quiet.event(&Event::Planned { plan: &plan("web1") });
    quiet.event(&Event::Notice { host: None, text: "by the way" });
    assert!(sink.0.lock().unwrap().is_empty());
    fail(quiet.as_ref(), false);
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.starts_with("web1  file /etc/x  (step 1) … FAILED\n") && text.contains("| E: \\x1b[31mno space"),
        "{text}"
    );
}

/// A validator for the part of JSON Schema (draft 2020-12) that the published
/// schemas use; a keyword outside of it stops the test.
struct Schemas(Vec<(&'static str, Value)>);

impl Schemas {
    fn load() -> Schemas {
        let read = |name: &'static str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
            (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        };
        Schemas(["plan.json", "apply.json", "audit.json"].map(read).into())
    }

    fn document(&self, name: &str) -> &Value {
        &self.0.iter().find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no schema {name}")).1
    }

    fn check(&self, name: &str, value: &Value) -> Result<(), String> {
        self.validate(name, self.document(name), value, "$")
    }

    fn validate(&self, file: &str, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let fail = |why: String| Err(format!("{at}: {why}"));
        for (keyword, rule) in schema.as_object().unwrap() {
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" | "properties" => {}
                "$ref" => {
                    let (target, pointer) = rule.as_str().unwrap().split_once('#').unwrap();
                    let target = if target.is_empty() { file } else { target };
                    let schema = self.document(target).pointer(pointer).unwrap_or_else(|| panic!("{rule} is nowhere"));
                    self.validate(target, schema, value, at)?;
                }
                "type" => {
                    let is = |ty: &Value| match ty.as_str().unwrap() {
                        "null" => value.is_null(),
                        "string" => value.is_string(),
                        "boolean" => value.is_boolean(),
                        "array" => value.is_array(),
                        "object" => value.is_object(),
                        "number" => value.is_number(),
                        "integer" => value.is_i64() || value.is_u64(),
                        other => panic!("unknown type {other}"),
                    };
                    if !rule.as_array().map_or_else(|| is(rule), |types| types.iter().any(is)) {
                        return fail(format!("{value} is not {rule}"));
                    }
                }
                "const" if rule != value => return fail(format!("{value} is not {rule}")),
                "enum" if !rule.as_array().unwrap().contains(value) => {
                    return fail(format!("{value} is not in {rule}"));
                }
                "const" | "enum" => {}
                "minimum" if value.as_f64() < rule.as_f64() => return fail(format!("{value} is below {rule}")),
                "minimum" => {}
                "anyOf" => {
                    let any = rule.as_array().unwrap().iter().any(|s| self.validate(file, s, value, at).is_ok());
                    if !any {
                        return fail(format!("{value} fits none"));
                    }
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.validate(file, rule, item, &format!("{at}[{index}]"))?;
                    }
                }
                "required" => {
                    for key in rule.as_array().unwrap() {
                        if value.is_object() && value.get(key.as_str().unwrap()).is_none() {
                            return fail(format!("{key} is missing"));
                        }
                    }
                }
                "additionalProperties" => {
                    assert_eq!(rule, false);
                    for (key, item) in value.as_object().into_iter().flatten() {
                        match schema["properties"].get(key) {
                            Some(schema) => self.validate(file, schema, item, &format!("{at}.{key}"))?,
                            None => return fail(format!("'{key}' is unknown")),
                        }
                    }
                }
                other => panic!("this validator does not know '{other}'"),
            }
        }
        Ok(())
    }
}

#[test]
fn a_note_of_several_steps_is_shown_once_with_the_steps() {
    let noted = |id: &str, action: Action, notes: &[&str]| {
        let mut step = step(id, &format!("file /etc/{id}"), action);
        step.notes = notes.iter().map(|note| (*note).to_owned()).collect();
        step
    };
    let steps = vec![
        noted("1", Action::Create, &["all three", "only the first"]),
        noted("2", Action::None, &["all three"]),
        noted("3", Action::Update, &["all three", "two"]),
        noted("4", Action::Delete, &["two"]),
    ];
    let plan = HostPlan::new("web1", steps);
    let text = plan_text(std::slice::from_ref(&plan), TextOptions::default());
    let notes: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("note: ")).collect();
    assert_eq!(
        notes,
        ["all three (the same for the steps 2, 3)", "only the first", "two (the same for step 4)"],
        "{text}"
    );
    // A step that has nothing else to say is not shown for it.
    assert!(!text.contains("/etc/2"), "{text}");
    // In a comment only steps that differ are shown.
    let comment = plan_markdown(None, "site.toml", &[plan]);
    assert_eq!(comment.matches("all three").count(), 1, "{comment}");
    assert!(comment.contains("all three (the same for step 3)"), "{comment}");
}
