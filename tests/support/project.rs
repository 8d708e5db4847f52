//! A playbook beside a lab host, and the program as an operator runs it.

use super::{TestLab, on_host, program};
use std::path::Path;
use std::process::Command;
use stockade::lab::LabHost;

/// A project beside a lab.
pub struct Project {
    pub lab: TestLab,
    pub host: LabHost,
}

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Project {
    pub fn new() -> Option<Project> {
        let (lab, mut hosts) = TestLab::with_hosts(1)?;
        Some(Project { lab, host: hosts.remove(0) })
    }

    pub fn folder(&self) -> &Path {
        self.lab.dir.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let file = self.folder().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    pub fn playbook(&self, steps: &str) {
        self.write("site.toml", &format!("name = \"Test\"\nhosts = [\"all\"]\n{steps}"));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(self.folder());
        command.args(arguments).arg("-i").arg(self.lab.lab.inventory_path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    pub fn apply(&self) -> Ran {
        self.run(&["apply", "site.toml", "--yes"])
    }

    /// Applies, and expects the host to converge and to stay so.
    pub fn converge(&self) {
        let applied = self.apply();
        assert_eq!(applied.code, 0, "{applied:?}");
        let again = self.run(&["plan", "site.toml", "--detailed-exitcode"]);
        assert_eq!(again.code, 0, "a second plan must be empty: {again:?}");
    }

    pub fn on_host(&self, text: &str) -> String {
        on_host(&self.host, text)
    }

    /// SSH sessions that sshd counted so far.
    pub fn sessions(&self) -> usize {
        self.on_host("journalctl --sync; journalctl -q -o cat | grep -c 'Starting session' || :").parse().unwrap()
    }
}

pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
