//! README and the book under `docs/`: every link leads somewhere, every page is
//! in the summary, what they show in a terminal is what the program prints, and
//! every piece of TOML is read by the program.
//!
//! A fenced block says in its info string what is done with it:
//!
//! | info string | what the test does |
//! |---|---|
//! | `console` | runs each `$ command` and compares what it prints |
//! | `console host` | the same beside a lab host, which is `web1` in `.stockade/lab/inventory.toml` |
//! | `console ignore` | runs nothing; `NOT_RUN` has the reason |
//! | `sh` | parses each `stockade` command line; runs nothing |
//! | `toml` | has the program read it, as a playbook, inventory, stage or role |
//! | `toml ignore` | nothing; `NOT_READ` has the reason |
//! | `… walk`, `… walk host` | nothing; `tests/contributing.rs` follows these blocks |
//!
//! In expected output `…` stands for any text within a line, and a line that is
//! `…` alone for any number of lines. The commands of a page share a directory,
//! in which `examples/` is a copy of this repository's. They must succeed unless
//! the command itself prints `$?`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "book/blocks.rs"]
mod blocks;
#[path = "book/console.rs"]
mod console;
#[path = "book/links.rs"]
mod links;
#[path = "book/markdown.rs"]
pub mod markdown;
#[path = "book/shown.rs"]
pub mod shown;

use markdown::{pages, read};
use std::path::Path;

/// Pages with `console ignore` blocks, how many, and why they cannot be run.
const NOT_RUN: &[(&str, usize, &str)] = &[
    ("docs/first-steps.md", 1, "the test starts the host itself, from a base that needs no image registry"),
    ("docs/hardening.md", 1, "an apply of minutes; tests/harden_host.rs and tests/harden_docker.rs run the profiles"),
];

/// Pages with `toml ignore` blocks, how many, and why they are not read.
const NOT_READ: &[(&str, usize, &str)] = &[];

/// README fits on a few screens; everything else is in the book.
const README_LINES: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines; {README_LINES} are allowed: move text into docs/");
}

#[test]
fn the_summary_names_every_page_once() {
    let listed: Vec<String> = markdown::links(&read("docs/SUMMARY.md")).into_iter().map(|link| link.target).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    let mut pages: Vec<String> = pages()
        .into_iter()
        .filter_map(|page| page.strip_prefix("docs/").map(str::to_owned))
        .filter(|page| page != "SUMMARY.md")
        .collect();
    pages.sort();
    assert_eq!(sorted, pages, "docs/SUMMARY.md (left) and the pages of docs/ (right) differ");
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    let wrong: Vec<String> = pages().iter().flat_map(|page| links::wrong(page)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_path_of_the_repository_that_a_page_names_is_there() {
    let wrong: Vec<String> = pages().iter().flat_map(|page| links::missing_paths(page)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_block_has_a_known_info_string_and_every_exception_a_reason() {
    blocks::assert_info_strings(NOT_RUN, NOT_READ);
}

#[test]
fn every_toml_block_is_read_by_the_program() {
    blocks::assert_toml_is_read();
}

#[test]
fn the_complete_example_is_the_one_under_examples() {
    let example = read("examples/users-only/playbook.toml");
    let code = example.lines().skip_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
    assert!(read("docs/playbooks.md").contains(&code), "docs/playbooks.md does not show examples/users-only as it is");
}

#[test]
fn every_command_line_of_a_shell_block_is_accepted() {
    blocks::assert_command_lines();
}

#[test]
fn what_a_page_shows_in_a_terminal_is_what_is_printed() {
    let shown = console::pages_without_host().iter().map(|page| console::run(page, None)).sum::<usize>();
    assert!(shown > 0, "no page has a console block");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_page_shows_of_a_host_is_what_is_printed() {
    let pages = console::pages_with_host();
    assert!(!pages.is_empty(), "no page has a block that needs a host");
    let (lab, _) = crate::support::TestLab::with_host_named("web1");
    for page in &pages {
        console::run(page, Some(&lab));
    }
}
