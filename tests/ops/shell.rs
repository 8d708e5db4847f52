//! The shells that may be sh(1) on a host, and what one of them makes of an operation's text.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use stockade::plan::OpScript;

/// A program that can be sh(1).
pub struct Sh(&'static str);

/// Debian's and Ubuntu's, and others.
pub const SHELLS: [Sh; 3] = [Sh("/bin/dash"), Sh("/bin/bash"), Sh("/bin/busybox")];

impl Sh {
    /// Where it stands.
    pub fn program(&self) -> &'static str {
        self.0
    }

    /// Whether it takes programs of its own before those of the host.
    pub fn has_own_programs(&self) -> bool {
        self.0.ends_with("busybox")
    }

    /// Makes it what `sh` means in a directory.
    pub fn install(&self, bin: &Path) {
        symlink(self.0, bin.join("sh")).unwrap();
    }
}

/// Programs that operations call themselves; all else is a function of the runner.
const PROGRAMS: [&str; 12] = [
    "apt-mark", "chage", "chmod", "chown", "env", "find", "gpasswd", "groupmod", "modprobe", "rm", "sysctl", "usermod",
];

/// A shell in which every function and program says with which words it was called.
pub struct Shell {
    bin: tempfile::TempDir,
}

impl Shell {
    /// A directory of programs that only say so.
    pub fn new() -> Shell {
        let bin = tempfile::tempdir().unwrap();
        let says = bin.path().join("says");
        std::fs::write(&says, "#!/bin/sh\nprintf '%s\\0' \"$(($# + 1))\" \"${0##*/}\" \"$@\"\n").unwrap();
        std::fs::set_permissions(&says, std::fs::Permissions::from_mode(0o755)).unwrap();
        let runner = include_str!("../../src/apply/runner.sh");
        let function = |line: &'static str| line.split_once("() {").map(|(name, _)| name);
        let is_name = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let names: BTreeSet<&str> = runner.lines().filter_map(function).filter(is_name).chain(PROGRAMS).collect();
        names.iter().for_each(|name| symlink(&says, bin.path().join(name)).unwrap());
        Shell { bin }
    }

    /// The calls of an operation's text.
    pub fn words(&self, op: &OpScript) -> Result<Vec<Vec<String>>, String> {
        let text = op.script.build().map_err(|error| error.to_string())?;
        let mut command = Command::new("/bin/sh");
        let output = command.args(["-euc", text]).env_clear().env("PATH", self.bin.path()).output().unwrap();
        if !output.status.success() || !output.stderr.is_empty() {
            return Err(format!("the shell says: {}\nof {text}", String::from_utf8_lossy(&output.stderr)));
        }
        let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
        let mut words = text.split_terminator('\0').map(str::to_owned);
        let mut calls = Vec::new();
        while let Some(count) = words.next() {
            calls.push(words.by_ref().take(count.parse().unwrap()).collect());
        }
        Ok(calls)
    }
}
