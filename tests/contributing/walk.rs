//! The parts of the walk, and how each is followed.

use crate::book::markdown::{Block, blocks};
use crate::book::shown::{matches, shown};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a reader does with a block.
pub enum Part {
    /// Writes a file.
    Write { file: String, text: String, line: usize },
    /// Changes files.
    Patch(Block),
    /// Types commands.
    Run { block: Block, host: bool },
}

/// The parts of the walk in the order of the page.
pub fn parts(page: &str) -> Vec<Part> {
    let lines: Vec<&str> = page.lines().collect();
    let part = |block: Block| match block.info.as_str() {
        "rust walk" | "toml walk" => {
            let before = lines[..block.line - 1].iter().rev().find(|line| !line.trim().is_empty());
            let file = before.and_then(|line| line.rsplit("**").nth(1));
            let file = file.unwrap_or_else(|| panic!("line {}: no file is named in bold before the block", block.line));
            Some(Part::Write { file: file.to_owned(), text: block.text, line: block.line })
        }
        "diff walk" => Some(Part::Patch(block)),
        "console walk" => Some(Part::Run { block, host: false }),
        "console walk host" => Some(Part::Run { block, host: true }),
        other => {
            assert!(!other.split(' ').any(|word| word == "walk"), "line {}: unknown: {other:?}", block.line);
            None
        }
    };
    blocks(page).into_iter().filter_map(part).collect()
}

impl Part {
    pub fn needs_host(&self) -> bool {
        matches!(self, Part::Run { host: true, .. })
    }

    /// Does what the page says, in the copy; fails where that does not go as it says.
    pub fn follow(&self, tree: &Path) {
        match self {
            Part::Write { file, text, line } => {
                let path = tree.join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, text).unwrap_or_else(|error| panic!("line {line}: {file}: {error}"));
            }
            Part::Patch(block) => patch(block, tree),
            Part::Run { block, .. } => {
                for shown in shown(block) {
                    let printed = run(&shown.command, tree, shown.line);
                    assert!(
                        matches(&shown.output, &printed),
                        "line {}: $ {}\nprinted:\n{printed}\nbut the page shows:\n{}",
                        shown.line,
                        shown.command,
                        shown.output
                    );
                }
            }
        }
    }
}

fn patch(block: &Block, tree: &Path) {
    let mut command = outside_of_git("git", tree);
    let mut apply =
        command.args(["apply", "--verbose", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    apply.stdin.take().unwrap().write_all(block.text.as_bytes()).unwrap();
    let output = apply.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "line {}: the change cannot be applied: {said}", block.line);
}

/// A program to which the copy is in no repository, so that none is changed.
fn outside_of_git(program: &str, tree: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(tree).env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

/// What a command prints to both streams.
fn run(command: &str, tree: &Path, line: usize) -> String {
    let cargo = Path::new(env!("CARGO")).parent().unwrap();
    let path = format!("{}:{}", cargo.display(), std::env::var("PATH").unwrap());
    let mut shell = outside_of_git("bash", tree);
    shell
        .args(["-c", &format!("exec 2>&1\n{command}\n")])
        .stdin(Stdio::null())
        .env("PATH", path)
        .env("XDG_STATE_HOME", tree.join("target/state"))
        .env("NO_COLOR", "1")
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_NET_OFFLINE", "true")
        // Nobody debugs this build, and without symbols it takes two thirds of the time.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_PROFILE_TEST_DEBUG", "false")
        .env("RUST_BACKTRACE", "0")
        .env("LC_ALL", "C.UTF-8");
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "KIND", "UPDATE_DOCS", "STOCKADE_RECORD"] {
        shell.env_remove(name);
    }
    let output = shell.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code();
    assert_eq!(code, Some(0), "line {line}: $ {command}\nended with {code:?}:\n{printed}");
    printed
}
