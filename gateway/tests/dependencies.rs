//! What the program that stands before a Docker socket may be built from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot set up must stop

use std::process::Command;

/// Packages of the operator's program that have no place in the gateway: SSH, a
/// second TLS library, templates, the large regular-expression library, and a
/// terminal.
const BARRED: &[&str] = &[
    "stockade",
    "ssh2",
    "libssh2-sys",
    "openssl",
    "openssl-sys",
    "native-tls",
    "tera",
    "regex",
    "indicatif",
    "console",
    "rpassword",
];

#[test]
fn the_gateway_is_built_without_what_it_does_not_need() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", env!("CARGO_PKG_NAME")])
        .args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"rustls") && names.contains(&"hyper"), "a whole tree: {names:?}");
    let found: Vec<&&str> = BARRED.iter().filter(|barred| names.contains(barred)).collect();
    assert!(found.is_empty(), "the gateway depends on {found:?}");
}
