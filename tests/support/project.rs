//! A playbook beside a lab host, and the program as an operator runs it.

use super::{TestLab, on_host, program};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use stockade::lab::LabHost;

/// Generous: what is awaited comes, or the test is wrong.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(180);

/// A project beside a lab.
pub struct Project {
    pub lab: TestLab,
    /// The first of them.
    pub host: LabHost,
    pub hosts: Vec<LabHost>,
}

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Project {
    pub fn new() -> Project {
        Project::with_hosts(1)
    }

    pub fn with_hosts(count: usize) -> Project {
        Project::of(TestLab::with_hosts(count))
    }

    /// One whose host has an RSA host key too.
    pub fn with_all_host_keys() -> Project {
        Project::of(TestLab::with_host_of_all_keys())
    }

    fn of((lab, hosts): (TestLab, Vec<LabHost>)) -> Project {
        Project { lab, host: hosts[0].clone(), hosts }
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

    /// The exit code and all that was printed.
    pub fn told(&self, arguments: &[&str]) -> (i32, String) {
        told(self.command(arguments).output().unwrap())
    }

    /// What was printed by a run that must succeed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let (code, text) = self.told(arguments);
        assert_eq!(code, 0, "{arguments:?}: {text}");
        text
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn apply(&self) -> Ran {
        self.run(&["apply", "site.toml", "--yes"])
    }

    /// Applies, and expects the host to converge and to stay so.
    pub fn converge(&self) -> String {
        let text = self.done(&["apply", "site.toml", "--yes"]);
        let again = self.run(&["plan", "site.toml", "--detailed-exitcode"]);
        assert_eq!(again.code, 0, "a second plan must be empty: {again:?}");
        text
    }

    pub fn on_host(&self, text: &str) -> String {
        on_host(&self.host, text)
    }

    /// On the host of this number, from 0.
    pub fn on(&self, host: usize, text: &str) -> String {
        on_host(&self.hosts[host], text)
    }

    /// Waits until shell text succeeds on a host, whether it is up or not.
    pub fn await_on(&self, host: usize, text: &str) {
        let end = Instant::now() + CONNECT_TIMEOUT;
        let holds = || self.hosts[host].exec(&["sh", "-c", text]).is_ok_and(|output| output.status.success());
        while !holds() {
            assert!(Instant::now() < end, "never on {}: {text}", self.hosts[host].name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The first host's tree as an image beside the project, without its /proc,
    /// /sys and /run, and an inventory `image.toml` that enters it by chroot,
    /// for which this must be root.
    pub fn image(&self) -> PathBuf {
        assert!(rustix::process::getuid().is_root(), "a chroot can only be entered by root");
        let tree = self.folder().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let export = format!("docker export {} | tar -x -f - -C {}", self.host.container, tree.display());
        assert!(Command::new("sh").args(["-c", &export]).status().unwrap().success());
        self.write("image.toml", &format!("[hosts.image]\nchroot = {:?}\n", tree.display().to_string()));
        tree
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

/// The exit code and all that was printed.
pub fn told(output: Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text.into_owned())
}
