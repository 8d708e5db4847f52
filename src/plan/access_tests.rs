//! What can cut off access, and what cannot.

use super::Access;
use crate::plan::{AccountOp, FileOp, Meta, Op, SystemOp, UnitOp};

fn cuts(path: &str, owner: &str) -> bool {
    let access = Access {
        home: "/home/ubuntu".parse().ok(),
        user: "ubuntu".to_owned(),
        shell: "/bin/bash".parse().ok(),
        remote: true,
        v6: false,
    };
    let meta = Meta { owner: owner.to_owned(), ..Meta::root(0o700) };
    Op::File(FileOp::MakeDirectory { path: path.parse().unwrap(), meta }).can_cut(&access)
}

#[test]
fn what_a_login_runs_or_needs_can_cut_it_off_and_what_it_does_not_cannot() {
    for path in [
        "/etc/environment",
        "/etc/bash.bashrc",
        "/etc/profile.d/50-path.sh",
        "/etc/zsh/zshenv",
        "/root/.profile",
        "/home/ubuntu/.bash_profile",
        "/run/sshd",
        "/run",
        "/etc/passwd",
        "/etc/security/limits.d/10-x.conf",
        "/etc/hosts",
        "/etc/gai.conf",
        "/etc/ld.so.conf.d/x.conf",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/security/pam_unix.so",
        "/etc/systemd/system/default.target",
        "/lib/x86_64-linux-gnu",
        "/usr",
        "/",
        "/usr/bin/env",
        "/lib64/ld-linux-x86-64.so.2",
        "/usr/local/bin/sudo",
        "/dev/null",
        "/etc/systemd/system/ssh@.service.d/x.conf",
        "/etc/systemd/system/user@.service.d/x.conf",
        "/etc/systemd/system/systemd-user-sessions.service",
    ] {
        assert!(cuts(path, "root"), "{path}");
    }
    for path in [
        "/etc/motd",
        "/etc/cron.d/x",
        "/etc/profiles",
        "/srv/run/sshd",
        "/usr/local/bin/tool",
        "/usr/lib/systemd/system/app.service",
        "/etc/systemd/system/app.service",
        "/home/ubuntu/app",
        "/opt/bin/sudo",
    ] {
        assert!(!cuts(path, "root"), "{path}");
    }
}

#[test]
fn users_units_and_limits_that_a_login_needs_can_cut_it_off() {
    use crate::plan::Verb;
    let access =
        Access { user: "ubuntu".to_owned(), home: None, shell: "/usr/bin/zsh".parse().ok(), remote: true, v6: false };
    for (name, cuts) in [("sshd", true), ("root", true), ("ubuntu", true), ("messagebus", true), ("ada", false)] {
        let op = Op::Account(AccountOp::UserRemove { name: name.parse().unwrap(), remove_home: false });
        assert_eq!(op.can_cut(&access), cuts, "{name}");
    }
    for (unit, cuts) in [("networking.service", true), ("wg-quick@wg0.service", true), ("nginx.service", false)] {
        let op = Op::Unit(UnitOp::Systemctl { verb: Verb::Stop, unit: unit.parse().unwrap() });
        assert_eq!(op.can_cut(&access), cuts, "{unit}");
    }
    for (key, value, cuts) in [("kernel.pid_max", "32768", true), ("net.ipv4.ip_forward", "1", false)] {
        let op = Op::System(SystemOp::Sysctl { key: key.parse().unwrap(), value: value.to_owned() });
        assert_eq!(op.can_cut(&access), cuts, "{key}");
    }
    assert!(Op::System(SystemOp::SetHostname { name: "web2".to_owned() }).can_cut(&access), "rules of sudo go by it");
    assert_eq!(access.packages(), ["openssh-server", "sudo", "zsh"]);
}

#[test]
fn the_keys_of_somebody_else_in_their_own_home_cut_nobody_off() {
    assert!(!cuts("/home/ada/.ssh/authorized_keys", "ada"));
    for (path, owner) in [
        ("/home/ubuntu/.ssh", "ubuntu"),
        ("/home/ubuntu/.ssh/authorized_keys", "ada"),
        // A folder that several may share.
        ("/home/keys/.ssh/authorized_keys", "root"),
        ("/home/ada/.ssh/authorized_keys", "root"),
        ("/home/ada/.ssh/authorized_keys", "ubuntu"),
        ("/home/ada/authorized_keys", "ada"),
        ("/srv/keys/authorized_ada", "ada"),
        ("/home", "root"),
    ] {
        assert!(cuts(path, owner), "{path} of {owner}");
    }
}
