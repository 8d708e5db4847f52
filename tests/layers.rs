//! Who may import whom. A layer that reaches up or sideways fails here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a source that cannot be read must stop the test

use proc_macro2::TokenTree;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// Each module and what it may name of the crate besides itself.
const MAY: &[(&str, &[&str])] = &[
    ("values", &[]),
    ("shell", &["values"]),
    ("observe", &["values", "shell"]),
    ("playbook", &["values", "shell"]),
    ("stage", &["values", "shell"]),
    ("inventory", &["values", "shell"]),
    ("plan", &["values", "shell", "observe"]),
    ("resource", &["values", "shell", "observe", "plan"]),
    ("transport", &["values", "shell"]),
    ("audit", &["values", "observe", "plan"]),
    ("report", &["values", "plan", "transport", "audit"]),
    ("apply", &["values", "shell", "observe", "plan", "transport", "report"]),
    (
        "engine",
        &[
            "values",
            "shell",
            "observe",
            "playbook",
            "stage",
            "plan",
            "resource",
            "transport",
            "audit",
            "report",
            "apply",
        ],
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

fn all_sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|path| (path.strip_prefix(&root).unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The names that follow `crate` or `super` in the code of a file, its tests aside.
#[derive(Default)]
struct Named {
    /// `x` of `crate::x`.
    of_crate: BTreeSet<String>,
    /// `x` of `super::x`, where no other `super` comes before.
    of_parent: BTreeSet<String>,
    /// Whether `std::io::stdout` or `stderr` is named, or `println!` and its kin.
    writes: bool,
    /// The first words of all paths: other crates are among them.
    first: BTreeSet<String>,
}

impl Named {
    fn of(text: &str) -> Named {
        let mut named = Named::default();
        named.visit_file(&syn::parse_file(text).unwrap());
        named
    }

    fn words(&mut self, words: &[String]) {
        match words {
            [first, second, ..] if first == "crate" => _ = self.of_crate.insert(second.clone()),
            [first, second, ..] if first == "super" => _ = self.of_parent.insert(second.clone()),
            _ => {}
        }
        self.first.extend(words.first().cloned());
        self.writes |= words.windows(2).any(|pair| pair[0] == "io" && ["stdout", "stderr"].contains(&pair[1].as_str()));
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.words(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.words(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.words(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(before, item)),
        }
    }

    /// What stands between the parentheses of a macro: its paths, word by word.
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => {}
                TokenTree::Group(group) => {
                    self.words(&std::mem::take(&mut path));
                    self.tokens(group.stream());
                }
                _ => self.words(&std::mem::take(&mut path)),
            }
        }
        self.words(&path);
    }
}

/// Whether an item is there for tests alone.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.words(&words);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        let name = called.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        self.writes |= ["println", "eprintln", "print", "eprint"].contains(&name.as_str());
        self.tokens(called.tokens.clone());
    }
}

#[test]
fn no_layer_reaches_up_or_sideways() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        let layer = path.iter().next().unwrap().to_string_lossy().into_owned();
        let Some((_, may)) = MAY.iter().find(|(name, _)| *name == layer) else { continue };
        for name in Named::of(&text).of_crate {
            if name != layer && !may.contains(&name.as_str()) {
                wrong.push(format!("{} names crate::{name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_every_form_and_no_test() {
    for (text, expected) in [
        ("use crate::plan::Op;", &["plan"][..]),
        ("use crate::{plan::{Op, Meta}, values as v};", &["plan", "values"]),
        ("fn f(x: crate::shell::Script) {}", &["shell"]),
        ("fn f() { x!(1, crate::apply::Y, { crate::lab::z() }); }", &["apply", "lab"]),
        ("#[cfg(test)] mod t { use crate::lab::X; }\nuse crate::stage::Y;", &["stage"]),
        ("mod t { fn f() { crate::records::g(); } }", &["records"]),
    ] {
        assert_eq!(Named::of(text).of_crate.into_iter().collect::<Vec<_>>(), expected, "{text}");
    }
}

#[test]
fn the_engine_knows_neither_arguments_nor_verbs() {
    for (path, text) in all_sources().iter().filter(|(path, _)| path.starts_with("engine")) {
        assert!(!Named::of(text).first.contains("clap"), "{} names clap", path.display());
    }
}

#[test]
fn no_two_files_of_the_verbs_import_each_other() {
    let imports: BTreeMap<String, BTreeSet<String>> = all_sources()
        .iter()
        .filter(|(path, _)| path.starts_with("commands") && !path.ends_with("mod.rs"))
        .map(|(path, text)| (path.file_stem().unwrap().to_string_lossy().into_owned(), Named::of(text).of_parent))
        .collect();
    for first in imports.keys() {
        let (mut reached, mut next) = (BTreeSet::new(), vec![first]);
        while let Some(file) = next.pop() {
            for other in imports.get(file).into_iter().flatten() {
                assert_ne!(other, first, "{first} imports itself by way of {file}");
                if reached.insert(other) {
                    next.push(other);
                }
            }
        }
    }
}

#[test]
fn only_one_module_talks_ssh_and_only_one_draws_progress() {
    for (path, text) in all_sources() {
        let (shown, named) = (path.display(), Named::of(&text));
        assert!(!named.first.contains("ssh2") || path.starts_with("transport"), "{shown} uses ssh2");
        assert!(!named.first.contains("indicatif") || path.starts_with("report"), "{shown} uses indicatif");
        // Asking whether there is a terminal is not writing to it.
        let asks = text.contains("io::stderr().is_terminal()") || text.contains("io::stdin().is_terminal()");
        assert!(!named.writes || asks || path.starts_with("report"), "{shown} writes to the operator itself");
    }
}

#[test]
fn every_ignored_test_says_what_it_needs_and_who_runs_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("tests"), &mut files);
    sources(&root.join("src"), &mut files);
    sources(&root.join("gateway"), &mut files);
    let mark = concat!("#[ig", "nore");
    for path in files {
        for line in std::fs::read_to_string(&path).unwrap().lines().filter(|line| line.contains(mark)) {
            let is_run = line.contains(": tests/run.sh runs it") || line.contains("run by other tests");
            assert!(is_run, "{}: {line}", path.display());
        }
    }
}

/// `autotests` is off: a file that no module names would never be compiled.
#[test]
fn every_file_of_tests_is_a_module_of_a_test_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for tests in [root.join("tests"), root.join("gateway/tests")] {
        let program = std::fs::read_to_string(tests.join("main.rs")).unwrap();
        for entry in std::fs::read_dir(&tests).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.extension().is_some_and(|extension| extension == "rs") && stem != "main" {
                assert!(program.contains(&format!("\nmod {stem};\n")), "{}", path.display());
            }
        }
    }
}

/// The table goes from low to high, so that no two directories import each other.
#[test]
fn no_layer_may_name_one_that_comes_after_it() {
    for (at, (layer, may)) in MAY.iter().enumerate() {
        for name in *may {
            assert!(MAY[..at].iter().any(|(before, _)| before == name), "{layer} may name {name}");
        }
    }
}
