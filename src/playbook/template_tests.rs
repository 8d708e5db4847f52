//! Tests of `template`.

use super::super::fault::RAW;
use super::*;
use serde_json::json;

fn context(pairs: Value) -> Context {
    Context::from_serialize(&pairs).unwrap()
}

#[test]
fn a_whole_expression_is_told_from_text_with_code() {
    assert_eq!(form("{{ a }}"), Form::Expression(" a ", 2));
    assert_eq!(form("{{- a -}}"), Form::Expression(" a ", 3));
    assert_eq!(form("{{ '}}' }}"), Form::Expression(" '}}' ", 2));
    for text in ["{{ a }} ", "{{ a }}{{ b }}", "x {% if a %}", "{{ a"] {
        assert_eq!(form(text), Form::Text, "{text}");
    }
    assert_eq!(form("${#a} { } %}"), Form::Plain);
}

#[test]
fn an_expression_keeps_its_type() {
    let engine = Engine::new();
    let context = context(json!({ "n": 3, "list": [1, "a"], "t": { "k": true }, "s": "<&'\">" }));
    for (code, value) in [
        ("n + 1", json!(4)),
        ("list", json!([1, "a"])),
        ("t", json!({ "k": true })),
        ("s", json!("<&'\">")),
        ("n > 2 and 'a' in list", json!(true)),
        ("t.x | default(value=none)", Value::Null),
        ("t.x is defined", json!(false)),
        ("1.5", json!(1.5)),
        ("'x' if n == 3 else 'y'", json!("x")),
    ] {
        assert_eq!(engine.value(code, &context), Ok(value), "{code}");
    }
}

#[test]
fn every_example_of_the_reference_gives_what_it_says() {
    use super::super::reference::{TEMPLATE_FILTERS, TEMPLATE_FUNCTIONS, TEMPLATE_TESTS};
    let engine = Engine::new();
    let context = context(json!({}));
    let mut wrong = Vec::new();
    for word in TEMPLATE_FILTERS.iter().chain(&TEMPLATE_TESTS).chain(&TEMPLATE_FUNCTIONS) {
        let wanted: Value = serde_json::from_str(word.gives).unwrap();
        let found = engine.value(word.example, &context);
        if found != Ok(wanted) || !word.example.contains(word.name) {
            wrong.push(format!("{}: {} gives {found:?}", word.name, word.example));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn text_of_another_template_language_is_told_how_to_be_kept() {
    let engine = Engine::new();
    for text in [
        "x {{.Names}}",
        "{{ .Names }} b",
        "{{- range . }}a{{ end }}",
        "a {{json .}}",
        "{{ $labels.x }}",
        "{{#list}}{{/list}}",
    ] {
        let fault = engine.text_needs(text).unwrap_err().remove(0);
        assert_eq!(fault.help.as_deref(), Some(RAW), "{text}: {}", fault.message);
    }
    for text in ["{{ a b }}", "{{ a | default('x') }}", "{{ a +"] {
        assert_ne!(engine.text_needs(text).unwrap_err()[0].help.as_deref(), Some(RAW), "{text}");
    }
}

#[test]
fn faults_point_at_the_words_in_the_text() {
    let engine = Engine::new();
    let context = context(json!({ "t": {} }));
    let place = |mut faults: Vec<Fault>, text: &str| {
        let fault = faults.remove(0);
        (fault.message, fault.range.map(|r| text[r].to_owned()))
    };
    let text = "a {{ t.none }}";
    let (message, at) = place(engine.text(text, &context).unwrap_err(), text);
    assert_eq!((message.as_str(), at.as_deref()), ("field `none` is not defined", Some("none")));
    let text = " t.none ";
    let (message, at) = place(engine.value(text, &context).unwrap_err(), text);
    assert_eq!((message.as_str(), at.as_deref()), ("'t.none' is undefined", Some("t.none")));
    let text = "a {{ t | nofilter }}";
    let (message, at) = place(engine.text_needs(text).unwrap_err(), text);
    assert_eq!((message.as_str(), at.as_deref()), ("unknown filter `nofilter`", Some("nofilter")));
    let text = "1 +";
    assert!(engine.expression_needs(text).is_err());
    assert!(engine.text_needs("{{ a").is_err());
    let text = "{{ t | one }}\n{{ t is two }} {{ three() }} {{ t | one }}";
    let found = engine.text_needs(text).unwrap_err();
    let places: Vec<&str> = found.iter().map(|fault| &text[fault.range.clone().unwrap()]).collect();
    assert_eq!(places, ["one", "two", "three", "one"]);
    let found = engine.expression_needs("t | one | two").unwrap_err();
    assert_eq!(found.iter().map(|fault| fault.range.clone().unwrap()).collect::<Vec<_>>(), [4..7, 10..13]);
}
