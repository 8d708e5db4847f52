//! Who may import whom. A layer that reaches up or sideways fails here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a source that cannot be read must stop the test

use std::path::{Path, PathBuf};

/// Each module and what it may name of the crate besides itself.
const MAY: &[(&str, &[&str])] = &[
    ("values", &[]),
    ("shell", &["values"]),
    ("observe", &["values", "shell"]),
    ("playbook", &["values", "shell"]),
    ("stage", &["values", "shell"]),
    ("inventory", &["values", "shell"]),
    ("plan", &["values", "shell", "observe", "resource"]),
    ("resource", &["values", "shell", "observe", "plan"]),
    ("transport", &["values", "shell"]),
    ("report", &["values", "plan", "transport"]),
    ("apply", &["values", "shell", "observe", "plan", "transport", "report"]),
    (
        "engine",
        &["values", "shell", "observe", "playbook", "stage", "plan", "resource", "transport", "report", "apply"],
    ),
    ("lab", &["values"]),
    ("connect", &["values", "transport"]),
    ("authority.rs", &["values"]),
    ("records", &["values"]),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// The source without its tests and comments.
fn product_code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or("");
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), product_code(&text))
        })
        .collect()
}

/// Names `crate::x` and the `x`s of `crate::{x, y::…}`.
fn imported(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + 7..];
        match rest.strip_prefix('{') {
            None => names.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => names.push(word(std::mem::take(&mut item).trim())),
                        c if depth == 0 => item.push(c),
                        _ => {}
                    }
                }
                names.push(word(item.trim()));
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn no_layer_reaches_up_or_sideways() {
    let mut wrong = Vec::new();
    for (path, code) in all_sources() {
        let layer = path.iter().next().unwrap().to_string_lossy().into_owned();
        let Some((_, may)) = MAY.iter().find(|(name, _)| *name == layer) else { continue };
        for name in imported(&code) {
            if name != layer && !may.contains(&name.as_str()) {
                wrong.push(format!("{} names crate::{name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    assert_eq!(imported("use crate::plan::Op;"), ["plan"]);
    assert_eq!(imported("use crate::{plan::{Op, Meta}, values};"), ["plan", "values"]);
    assert_eq!(imported("fn f(x: crate::shell::Script) {}"), ["shell"]);
}

#[test]
fn only_one_module_talks_ssh_and_only_one_draws_progress() {
    for (path, code) in all_sources() {
        let shown = path.display();
        assert!(!code.contains("ssh2::") || path.starts_with("transport"), "{shown} uses ssh2");
        assert!(!code.contains("indicatif::") || path.starts_with("report"), "{shown} uses indicatif");
        // Asking whether there is a terminal is not writing to it.
        let code = code.replace("io::stderr().is_terminal()", "").replace("io::stdin().is_terminal()", "");
        let writes = code.contains("io::stdout()") || code.contains("io::stderr()");
        assert!(!writes || path.starts_with("report"), "{shown} writes to the operator itself");
    }
}

#[test]
fn every_ignored_test_names_its_issue() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("tests"), &mut files);
    sources(&root.join("src"), &mut files);
    sources(&root.join("gateway"), &mut files);
    let mark = concat!("#[ig", "nore");
    for path in files {
        for line in std::fs::read_to_string(&path).unwrap().lines().filter(|line| line.contains(mark)) {
            assert!(line.contains("issue"), "{}: {line}", path.display());
        }
    }
}
