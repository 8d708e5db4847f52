//! The lab on a real Docker engine: hosts are brought up, logged in to with the
//! real ssh client, looked at from outside, and taken down.
//!
//! They are ignored unless they are asked for, as `tests/run.sh` does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::cell::OnceCell;
use std::process::{Command, Output};

use stockade::lab::{Base, HostState, Lab, LabError, LabHost, UpOptions};

/// A lab of a test's own, taken down however the test ends.
struct TestLab {
    lab: Lab,
    /// What the names of this lab's containers and volumes begin with.
    prefix: OnceCell<String>,
    // Removed after `drop` below has taken the hosts down.
    _dir: tempfile::TempDir,
}

impl TestLab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lab = Lab::open(dir.path().join("a lab")).unwrap();
        lab.check_engine().unwrap();
        Self { lab, prefix: OnceCell::new(), _dir: dir }
    }

    /// Hosts of the one base that can be had everywhere apt packages can.
    fn up(&self, count: usize) -> Vec<LabHost> {
        let hosts = self.lab.up(&options(count)).unwrap();
        let name = docker(&["inspect", "--format", "{{.Name}}", &hosts[0].container]);
        let prefix = name.trim_start_matches('/').trim_end_matches(&hosts[0].name).to_owned();
        assert!(prefix.starts_with("stockade-lab-") && prefix.len() > 20, "{prefix}");
        self.prefix.set(prefix).unwrap();
        hosts
    }

    /// Runs a command on a host as its user, through ssh.
    fn ssh(&self, host: &str, command: &str) -> Output {
        self.lab.ssh(host, &[command]).unwrap().output().unwrap()
    }

    /// The same, for a command that must succeed; its trimmed output.
    fn said(&self, host: &str, command: &str) -> String {
        text(&self.ssh(host, command))
    }

    /// The containers and volumes that the engine has of this lab.
    fn remains(&self) -> (usize, usize) {
        let prefix = self.prefix.get().unwrap();
        let count = |names: String| names.lines().filter(|name| name.starts_with(prefix)).count();
        let containers = count(docker(&["ps", "--all", "--format", "{{.Names}}"]));
        (containers, count(docker(&["volume", "ls", "--quiet"])))
    }
}

impl Drop for TestLab {
    fn drop(&mut self) {
        if let Err(error) = self.lab.down_all() {
            eprintln!("the lab in {} could not be taken down: {error}", self.lab.dir().display());
        }
    }
}

fn options(count: usize) -> UpOptions {
    UpOptions { count, base: Some("debootstrap:bookworm".parse().unwrap()), ..UpOptions::default() }
}

fn docker(args: &[&str]) -> String {
    text(&Command::new("docker").args(args).output().unwrap())
}

fn text(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn inside(host: &LabHost, args: &[&str]) -> String {
    text(&host.exec(args).unwrap())
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_lab_host_is_a_fresh_ubuntu_server() {
    let test = TestLab::new();
    let hosts = test.up(2);
    assert_eq!(hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["lab1", "lab2"]);

    for host in &hosts {
        let name = host.name.as_str();
        // Through ssh, with the host key from known_hosts and the lab's key.
        assert_eq!(test.said(name, "id -un; hostname"), format!("ubuntu\n{name}"));
        test.said(name, "sudo -n true");
        assert_eq!(test.said(name, "systemctl is-system-running"), "running");
        assert_eq!(test.said(name, ". /etc/os-release; echo $ID $VERSION_ID $VERSION_CODENAME"), "ubuntu 24.04 noble");
        assert_eq!(test.ssh(name, "exit 7").status.code(), Some(7));
        // From outside.
        let sshd = inside(host, &["sshd", "-T"]);
        assert!(sshd.lines().any(|line| line == "passwordauthentication yes"), "{sshd}");
        assert_eq!(inside(host, &["systemctl", "is-enabled", "ssh.socket"]), "enabled");
        assert_eq!(inside(host, &["sh", "-c", "systemctl is-enabled ssh.service || true"]), "disabled");
        assert_eq!(inside(host, &["stat", "-c", "%U %a", "/etc/sudoers.d/90-cloud-init-users"]), "root 440");
        assert_eq!(inside(host, &["passwd", "--status", "ubuntu"]).split(' ').nth(1), Some("L"));
        assert_eq!(inside(host, &["sh", "-c", "ls /var/lib/apt/lists; ls -d /usr/sbin/policy-rc.d 2>&- || true"]), "");
    }
    for file in ["/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/ssh/ssh_host_rsa_key.pub"] {
        let [one, two] = [0, 1].map(|n| inside(&hosts[n], &["cut", "-d ", "-f1,2", file]));
        assert!(one.len() > 30 && one != two, "{file}: {one}");
    }

    // What playbooks need of a host.
    let host = &hosts[0];
    test.said("lab1", "sudo apt-get update");
    inside(host, &["sysctl", "-w", "net.ipv4.conf.all.log_martians=1"]);
    let kernel = host.exec(&["sysctl", "-w", "kernel.kptr_restrict=2"]).unwrap();
    assert!(!kernel.status.success(), "the lab may not change this machine's kernel");
    test.said("lab1", "sudo ufw allow 22/tcp && sudo ufw --force enable");
    assert!(inside(host, &["ufw", "status"]).contains("Status: active"));
    test.said("lab1", "true");
    inside(host, &["sh", "-ec", OVERLAY]);
    // Files the engine mounts can be replaced by renaming.
    inside(
        host,
        &["sh", "-ec", "for f in hostname hosts resolv.conf; do cp /etc/$f /etc/$f.new; mv /etc/$f.new /etc/$f; done"],
    );
}

/// A nested engine needs overlays in its directories.
const OVERLAY: &str = "for d in /var/lib/docker /var/lib/containerd; do
    mkdir $d/t $d/t/low $d/t/up $d/t/work $d/t/all
    mount -t overlay overlay -o lowerdir=$d/t/low,upperdir=$d/t/up,workdir=$d/t/work $d/t/all
    touch $d/t/all/file && test -f $d/t/up/file
    umount $d/t/all && rm -r $d/t
done";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_lab_is_found_again_and_leaves_nothing_behind() {
    let test = TestLab::new();
    let hosts = test.up(3);
    let inventory: toml::Table = std::fs::read_to_string(test.lab.inventory_path()).unwrap().parse().unwrap();
    assert_eq!(inventory["hosts"]["lab3"]["port"].as_integer(), hosts[2].port.map(i64::from));
    let taken = UpOptions { name: Some("lab2".into()), ..options(1) };
    assert!(matches!(test.lab.up(&taken), Err(LabError::NameTaken { .. })));

    // A restart is a reboot: what was persisted is live again, the port is known.
    inside(&hosts[0], &["hostnamectl", "set-hostname", "renamed"]);
    inside(&hosts[0], &["sh", "-c", "echo net.ipv4.conf.all.log_martians=1 >/etc/sysctl.d/60-test.conf"]);
    let boot = inside(&hosts[0], &["cat", "/etc/machine-id"]);
    let again = test.lab.restart("lab1").unwrap();
    assert_eq!(inside(&again, &["cat", "/etc/machine-id"]), boot);
    assert_eq!(test.said("lab1", "hostname; systemctl is-system-running"), "renamed\nrunning");
    assert_eq!(inside(&again, &["sysctl", "-n", "net.ipv4.conf.all.log_martians"]), "1");

    // The files may be lost: labels say which containers are the lab's.
    for file in ["hosts.json", "inventory.toml", "known_hosts"] {
        std::fs::remove_file(test.lab.dir().join(file)).unwrap();
    }
    let names: Vec<String> = test.lab.list().unwrap().into_iter().map(|host| host.name).collect();
    assert_eq!(names, ["lab1", "lab2", "lab3"]);
    assert_eq!(test.said("lab3", "hostname"), "lab3");

    // A container may be removed by other means: it is shown as gone, and cleared.
    docker(&["rm", "--force", &hosts[1].container]);
    assert_eq!(test.lab.find("lab2").unwrap().state, HostState::Gone);
    assert!(matches!(test.lab.ssh("lab2", &["true"]), Err(LabError::NotRunning { .. })));
    test.lab.down("lab2").unwrap();
    assert!(matches!(test.lab.find("lab2"), Err(LabError::UnknownHost { .. })));

    // A changed host key is refused, as nothing else than known_hosts is trusted.
    inside(
        &hosts[2],
        &["sh", "-c", "rm /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; systemctl try-restart ssh.service"],
    );
    let refused = test.ssh("lab3", "true");
    assert_eq!(refused.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("REMOTE HOST IDENTIFICATION HAS CHANGED"));

    assert_eq!(test.remains(), (2, 4));
    assert_eq!(test.lab.down_all().unwrap(), ["lab1", "lab3"]);
    assert_eq!(test.remains(), (0, 0));
    assert!(!test.lab.key_path().exists() && !test.lab.inventory_path().exists());
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_host_that_does_not_come_up_is_removed_and_its_end_is_shown() {
    let test = TestLab::new();
    let host = test.up(1).remove(0);
    // An image whose init ends at once.
    let broken = format!("stockade-lab-test/broken:{}", &host.container[..12]);
    let commit = ["commit", "--pause=false", &host.container, &broken];
    inside(
        &host,
        &["sh", "-c", "printf '#!/bin/sh\\necho no init today\\n' >/tmp/i; chmod 755 /tmp/i; mv /tmp/i /sbin/init"],
    );
    docker(&commit);
    let result = test.lab.up(&UpOptions { base: Some(Base::Image(broken.clone())), ..options(1) });
    let built = docker(&["images", "--quiet", "--filter", "reference=stockade-lab/stockade-lab-test-broken-*"]);
    for image in built.lines().chain([broken.as_str()]) {
        docker(&["rmi", "--force", image]);
    }
    let error = result.unwrap_err();
    assert!(matches!(error, LabError::NotReady { .. }), "{error}");
    assert!(error.to_string().contains("no init today"), "{error}");
    let names: Vec<String> = test.lab.list().unwrap().into_iter().map(|host| host.name).collect();
    assert_eq!(names, ["lab1"], "only the new host is removed");
    assert_eq!(test.remains(), (1, 2));
}
