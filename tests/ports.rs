//! Set-ups as operators have them, in the order of their public originals: each
//! folder of `tests/ports` is applied once to a fresh lab host, planned again
//! with nothing left to do, and what it promises is looked at from outside.
//!
//! A folder has a `playbook.toml`; `before.sh`, if there, runs on the host first
//! and prints variables (`key=value`) for the playbook; every line of
//! `expect.sh` must succeed on the host afterwards.
//!
//! It is ignored unless it is asked for, as `tests/run.sh` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use crate::support::project::Project;
use crate::support::sample::share;
use std::path::{Path, PathBuf};

/// Applies a set-up; what is wrong with it, if anything.
fn wrong(folder: &Path) -> Result<(), String> {
    let project = Project::new();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    project.write("site.toml", &read("playbook.toml"));
    let vars = project.on_host(&format!("set -eu\n{}", read("before.sh")));
    let mut arguments: Vec<&str> = Vec::new();
    vars.lines().filter(|line| line.contains('=')).for_each(|line| arguments.extend(["--var", line]));
    let run = |verb: &[&str]| project.told(&[verb, &arguments[..]].concat());

    let (code, planned) = run(&["plan", "site.toml"]);
    if code != 0 {
        return Err(format!("plan ends with {code}:\n{planned}"));
    }
    let (code, applied) = run(&["apply", "site.toml", "--yes"]);
    if code != 0 {
        return Err(format!("apply ends with {code}:\n{planned}\n{applied}"));
    }
    let (code, again) = run(&["plan", "site.toml", "--detailed-exitcode"]);
    if code != 0 {
        return Err(format!("the second plan ends with {code}:\n{again}"));
    }
    for line in statements(&read("expect.sh")) {
        let output = project.host.exec(&["bash", "-euc", &line]).unwrap();
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(format!("not as promised: {line}\n{}\n{applied}", String::from_utf8_lossy(&said)));
        }
    }
    Ok(())
}

/// The statements of a script that stand on their own: a definition or a loop
/// belongs to what follows it.
fn statements(script: &str) -> Vec<String> {
    let (mut all, mut prelude, mut part) = (Vec::new(), String::new(), String::new());
    for line in script.lines() {
        part.push_str(line);
        part.push('\n');
        if line.starts_with("for ") && !line.ends_with("done") || line.starts_with(' ') {
            continue;
        }
        if line.contains("() {") {
            prelude.push_str(&std::mem::take(&mut part));
        } else {
            all.push(format!("{prelude}{}", std::mem::take(&mut part)));
        }
    }
    all
}

fn set_ups() -> Vec<PathBuf> {
    let only = std::env::var("STOCKADE_PORT").unwrap_or_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ports");
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = folders.filter(|path| path.to_string_lossy().contains(&only)).collect();
    found.sort();
    found
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn one_apply_and_nothing_is_left_to_do() {
    let set_ups = set_ups();
    let all = set_ups.len();
    assert!(all >= 14 || std::env::var_os("STOCKADE_PORT").is_some());
    let set_ups = share(set_ups);
    let queue = std::sync::Mutex::new(set_ups.iter());
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(folder) = next else { break };
                    if let Err(why) = wrong(folder) {
                        failed.lock().unwrap().push(format!("{}: {why}", folder.display()));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("set-ups: {} of {all} applied once, {} converged", set_ups.len(), set_ups.len() - failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
