//! Runs what a page shows in a terminal, and compares.

use super::markdown::{Block, blocks, pages, read};
use super::root;
use super::shown::{matches, shown};
use crate::support::{TestLab, gateway_program};
use std::path::Path;
use std::process::{Command, Stdio};

const PLAIN: &str = "console";
const HOST: &str = "console host";

pub fn pages_with_host() -> Vec<String> {
    in_order(|blocks| blocks.iter().any(|block| block.info == HOST))
}

pub fn pages_without_host() -> Vec<String> {
    let plain = |blocks: &[Block]| blocks.iter().any(|block| block.info == PLAIN);
    in_order(|blocks| plain(blocks) && !blocks.iter().any(|block| block.info == HOST))
}

/// In the order of the summary, in which a reader goes through them.
fn in_order(wanted: impl Fn(&[Block]) -> bool) -> Vec<String> {
    let summary = read("docs/SUMMARY.md");
    let place = |page: &String| summary.find(page.trim_start_matches("docs/")).unwrap_or(0);
    let mut found: Vec<String> = pages().into_iter().filter(|page| wanted(&blocks(&read(page)))).collect();
    found.sort_by_key(place);
    found
}

/// Runs all commands of a page; how many.
pub fn run(page: &str, lab: Option<&TestLab>) -> usize {
    let text = read(page);
    let dir = tempfile::tempdir().unwrap();
    copy_in(&root().join("examples"), dir.path());
    if let Some(lab) = lab {
        std::fs::create_dir(dir.path().join(".stockade")).unwrap();
        std::os::unix::fs::symlink(lab.lab.dir(), dir.path().join(".stockade/lab")).unwrap();
    }
    if text.contains("$ stockade-gateway") {
        gateway_program();
    }
    let mut count = 0;
    for block in blocks(&text).iter().filter(|block| block.info == PLAIN || block.info == HOST) {
        for shown in shown(block) {
            let place = format!("{page}:{}", shown.line);
            let printed = run_command(&shown.command, dir.path(), &place);
            assert!(
                matches(&shown.output, &printed),
                "{place}: $ {}\nprinted:\n{printed}\nbut the page shows:\n{}",
                shown.command,
                shown.output
            );
            count += 1;
        }
    }
    count
}

fn copy_in(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-R").arg(from).arg(to).status().unwrap().success());
}

/// What a command prints to both streams. The directory that one command
/// changes to is where the next one starts.
fn run_command(command: &str, dir: &Path, place: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_stockade")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let state = dir.join(".where");
    let script = format!(
        "cd \"$(cat {0} 2>/dev/null || echo {1})\" || exit\n{command}\ncode=$?\npwd >{0}\nexit $code\n",
        state.display(),
        dir.display()
    );
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .stdin(Stdio::null())
        .env("PATH", path)
        .env("HOME", dir)
        .env("XDG_STATE_HOME", dir.join(".local/state"))
        .env("USER", "operator")
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "0")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("STOCKADE_RECORD")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code();
    assert_eq!(
        code,
        Some(0),
        "{place}: $ {command}\nended with {code:?}; add '; echo $?' where that is meant:\n{printed}"
    );
    printed
}

#[test]
fn an_ellipsis_stands_for_what_varies_and_nothing_else_does() {
    assert!(matches("a … c\n…\nend\n", "a b c\nx\ny\nend\n"));
    assert!(matches("run …\n", "run 2026\n"));
    assert!(!matches("a … c\n", "a b d\n"));
    assert!(!matches("a\n", "a\nb\n"));
    assert!(!matches("", "an error\n"));
}
