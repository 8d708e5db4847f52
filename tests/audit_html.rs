//! The page of an audit in a browser: what works by keyboard, in the dark, in print,
//! for a screen reader, and that nothing which a host says runs.
//!
//! `tests/audit_html/checks.mjs` drives Chromium, one for all checks.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must stop

use crate::support::audits::{NASTY, nasty_sample, sample};
use std::process::Command;
use stockade::audit::Report;
use stockade::report::{AuditFormat, AuditTextOptions, audit};

fn page(report: &Report) -> String {
    audit(report, AuditFormat::Html, AuditTextOptions::default()).unwrap()
}

/// Runs a script of `tests/audit_html`, and gives what it says.
fn browser(script: &str, args: &[&std::path::Path]) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit_html");
    let output = Command::new("node").arg(folder.join(script)).args(args).output().expect("node is installed");
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    told
}

#[test]
#[ignore = "starts a browser: tests/run.sh runs it"]
fn the_page_of_an_audit_works_in_a_browser_and_runs_nothing_of_a_host() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, hostile) = (folder.path().join("sample.html"), folder.path().join("hostile.html"));
    std::fs::write(&plain, page(&sample())).unwrap();
    std::fs::write(&hostile, page(&nasty_sample(&NASTY.join(" ")))).unwrap();
    let told = browser("checks.mjs", &[&plain, &hostile]);
    assert_eq!(told.matches("ok: ").count(), 9, "{told}");
}

/// `docs/images.sh` makes the pictures anew with `UPDATE_IMAGES=1`; elsewhere this shows
/// that they can be made, and are small enough for the book.
#[test]
#[ignore = "starts a browser: tests/run.sh runs it"]
fn the_pictures_of_the_book_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("sample.html");
    std::fs::write(&plain, page(&sample())).unwrap();
    let images = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    let update = std::env::var_os("UPDATE_IMAGES").is_some();
    let to = if update { images.as_path() } else { folder.path() };
    browser("pictures.mjs", &[&plain, to]);
    for name in ["audit-fleet.png", "audit-host.png", "audit-host-dark.png"] {
        for folder in [to, images.as_path()] {
            let size = std::fs::metadata(folder.join(name)).unwrap().len();
            assert!((10_000..150_000).contains(&size), "{name}: {size} bytes");
        }
    }
}
