//! Changes that shut the operator out, in every way that a playbook can: the
//! host must put each back, whoever is still there to ask for it.

use super::Fault;
use super::seed::Seed;
use super::site::{Call, Site, ended};
use super::tally::NOT_MADE;

/// What decides about access: sshd's own view, rules of sudo, accounts, keys.
const ACCESS: &str = "mkdir -p /run/sshd; sshd -T -C user=ubuntu,host=x,addr=192.0.2.1 | grep -v versionaddendum | sort; \
    systemctl show -p Listen ssh.socket; find /etc/ssh /etc/sudoers.d /home/ubuntu -printf '%p %m %u %g %l\\n' | sort; \
    ls /etc/sudoers.d; cat /home/ubuntu/.ssh/authorized_keys; getent passwd ubuntu; getent shadow ubuntu; id ubuntu; \
    sha256sum /etc/pam.d/*; ls -d /etc/nologin 2>&1; systemctl is-enabled ssh.socket ssh.service; ss -Hltn | grep -c ':22 '";

/// Name, step, what the operator is told.
fn ways() -> Vec<(&'static str, String, &'static str)> {
    let sshd = |lines: &str| {
        format!("[[step]]\nfile = {{ path = \"/etc/ssh/sshd_config.d/01-lock.conf\", content = \"{lines}\" }}\n")
    };
    let keys = |content: &str, owner: &str| {
        format!(
            "[[step]]\nfile = {{ path = \"/home/ubuntu/.ssh/authorized_keys\", content = \"{content}\", owner = \"{owner}\", mode = \"0600\" }}\n"
        )
    };
    let sudo = |name: &str, content: &str| {
        format!("[[step]]\nfile = {{ path = \"/etc/sudoers.d/{name}\", content = \"{content}\", mode = \"0440\" }}\n")
    };
    vec![
        ("a wrong port", sshd("Port 2222\\n"), "no new login"),
        ("AllowGroups without the user's", sshd("AllowGroups nobody\\n"), "authentication failed"),
        ("AllowUsers without the user", sshd("AllowUsers worker\\n"), "authentication failed"),
        ("DenyUsers", sshd("DenyUsers ubuntu\\n"), "authentication failed"),
        (
            "PasswordAuthentication off with no key",
            format!("{}{}", keys("", "ubuntu"), sshd("PasswordAuthentication no\\n")),
            "authentication failed",
        ),
        ("PubkeyAuthentication off", sshd("PubkeyAuthentication no\\n"), "authentication failed"),
        ("a removed key", keys("", "ubuntu"), "authentication failed"),
        ("keys that belong to another", keys("# none\\n", "nobody"), "authentication failed"),
        ("keys looked for elsewhere", sshd("AuthorizedKeysFile /nowhere\\n"), "authentication failed"),
        ("broken sudoers", sudo("00-lock", "this is no rule\\n"), "visudo refuses"),
        ("sudoers without the right", sudo("zz-lock", "ubuntu ALL=(ALL) !ALL\\n"), "cannot become root"),
        ("sudo with a password", sudo("zz-lock", "ubuntu ALL=(ALL) PASSWD: ALL\\n"), "cannot become root"),
        ("a Match block", sshd("Match user ubuntu\\n    PubkeyAuthentication no\\n"), "authentication failed"),
        ("a Match block by address", sshd("Match address *\\n    DenyUsers ubuntu\\n"), "authentication failed"),
        ("a cipher that sshd does not know", sshd("Ciphers no-such-cipher\\n"), "sshd refuses"),
        ("a key exchange that sshd does not know", sshd("KexAlgorithms no-such-exchange\\n"), "sshd refuses"),
        ("a command in place of the shell", sshd("ForceCommand /bin/false\\n"), "no new login"),
        ("no session", sshd("MaxSessions 0\\n"), "no new login"),
        ("a root that is elsewhere", sshd("ChrootDirectory /var/empty\\n"), "no new login"),
        ("a host that is closed to all but root", "[[step]]\nfile = { path = \"/etc/nologin\", content = \"closed\\n\" }\n".into(), "no new login"),
        ("PAM that denies", "[[step]]\nfile = { path = \"/etc/pam.d/sshd\", content = \"account required pam_deny.so\\n\" }\n".into(), "no new login"),
        ("a home that all may write to", "[[step]]\ndirectory = { path = \"/home/ubuntu\", owner = \"ubuntu\", group = \"ubuntu\", mode = \"0777\" }\n".into(), "authentication failed"),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Twist {
    Plain,
    /// The controller dies before it can confirm anything.
    Alone,
    /// Another step of the phase fails.
    Fails,
    /// sshd listens by itself, not by its socket.
    Service,
}

pub fn faults(seed: &mut Seed) -> Vec<Fault> {
    let mut all = Vec::new();
    for (name, step, reason) in ways() {
        all.push(fault(name, step, reason, Twist::Plain));
    }
    // What sshd or sudo refuses at once never comes to the waiting.
    let waits = ways().into_iter().filter(|(_, _, reason)| !reason.contains("refuses")).collect();
    for (name, step, reason) in seed.some(waits, 8) {
        all.push(fault(name, step, reason, Twist::Alone));
    }
    for (name, step, reason) in seed.some(ways(), 7) {
        all.push(fault(name, step, reason, Twist::Fails));
    }
    for (name, step, reason) in seed.some(ways(), 7) {
        all.push(fault(name, step, reason, Twist::Service));
    }
    all.extend(firewalls());
    all.push(on_a_dead_disk());
    all
}

/// Nothing can be written down any more when the change must be put back.
fn on_a_dead_disk() -> Fault {
    let inject = |site: &mut Site| {
        let folder = "/var/lib/stockade";
        site.extend(
            "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/01-lock.conf\", content = \"DenyUsers ubuntu\\n\" }\n",
        );
        let call = Call { place: "runner".into(), pattern: "systemctl stop ssh.service".into(), nth: 1 };
        site.arm(&call, "pause");
        let mut controller = site.start_apply(&["--guard-timeout", crate::support::guard_seconds(8)]);
        site.await_pause(&mut controller)?;
        site.on(&format!("mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"));
        site.go();
        let ran = ended(controller);
        let back = site.until("[ ! -e /etc/ssh/sshd_config.d/01-lock.conf ]");
        site.on(&format!("umount -l {folder}"));
        back?;
        if ran.code == 0 {
            return Err(format!("exit code 0: {ran:?}"));
        }
        site.survives(&ran)
    };
    let name = "DenyUsers, and the disk becomes read-only".to_owned();
    Fault { class: "the operator is shut out", name, to: None, inject: Box::new(inject) }
}

fn fault(name: &'static str, step: String, reason: &'static str, twist: Twist) -> Fault {
    let inject = move |site: &mut Site| {
        if twist == Twist::Service {
            site.on("systemctl disable -q --now ssh.socket; systemctl enable -q --now ssh.service");
        }
        let result = is_put_back(site, &step, reason, twist);
        if twist == Twist::Service {
            site.on("systemctl disable -q --now ssh.service; systemctl enable -q --now ssh.socket");
        }
        result
    };
    let class = "the operator is shut out";
    Fault { class, name: format!("{name} ({twist:?})"), to: None, inject: Box::new(inject) }
}

fn is_put_back(site: &mut Site, step: &str, reason: &str, twist: Twist) -> Result<(), String> {
    let fails = "[[step]]\nguard = true\ncommand = { run = \"exit 7\", creates = \"/nowhere\" }\n";
    site.extend(&if twist == Twist::Fails { format!("{step}{fails}") } else { step.to_owned() });
    let before = site.on(ACCESS);
    let ran = if twist == Twist::Alone {
        let live = Call { place: "runner".into(), pattern: "systemctl restart stockade-guard*".into(), nth: 1 };
        site.arm(&live, "pause");
        let mut controller = site.start_apply(&["--guard-timeout", crate::support::guard_seconds(8)]);
        site.await_pause(&mut controller)?;
        controller.kill().unwrap();
        let ran = ended(controller);
        site.go();
        site.until("[ -e /var/lib/stockade/runs/*/result ]")?;
        ran
    } else {
        site.apply(&["--guard-timeout", crate::support::guard_seconds(8)])
    };
    if twist != Twist::Alone && ran.code != 5 {
        return Err(format!("exit code 5 was expected: {ran:?}"));
    }
    if twist == Twist::Plain && !ran.err.contains(reason) && !ran.out.contains(reason) {
        return Err(format!("the reason {reason:?} is not told: {ran:?}"));
    }
    let after = site.on(ACCESS);
    if before != after {
        let differs = |(one, other): &(&str, &str)| one != other;
        let lines = before.lines().zip(after.lines()).find(differs);
        return Err(format!("access is not as before: {lines:?}\nafter {ran:?}"));
    }
    site.survives(&ran)
}

/// ufw comes from the network: only the hosts that need it have it.
fn firewalls() -> Vec<Fault> {
    let closed = |name: &'static str, twist: Twist, service: &'static str| {
        let inject = move |site: &mut Site| {
            let (code, said) = site.try_on(
                "[ -x /usr/sbin/ufw ] || { mv /etc/apt/sources.list /root/; echo 'deb http://deb.debian.org/debian bookworm main' >/etc/apt/sources.list; \
                 apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq install -y ufw >/dev/null 2>&1; \
                 mv /root/sources.list /etc/apt/; rm -rf /var/lib/apt/lists/*; apt-get -qq update; }; \
                 [ -x /usr/sbin/ufw ] || exit 9; ufw allow 22/tcp >/dev/null; ufw --force enable >/dev/null",
            );
            if code == 9 {
                return Err(format!("{NOT_MADE}ufw cannot be installed: {said}"));
            }
            let rules = site.on("sed '/ 22 /d' /etc/ufw/user.rules");
            let step = format!(
                "[[step]]\nfile = {{ path = \"/etc/ufw/user.rules\", mode = \"0640\", content = '''\n{rules}\n''' }}\n{service}"
            );
            let result = is_put_back(site, &step, "no new login", twist);
            let live = site.try_on("iptables -S ufw-user-input | grep -q -- '--dport 22 -j ACCEPT'").0 == 0;
            site.on("ufw --force disable >/dev/null");
            result?;
            if live { Ok(()) } else { Err("the firewall's live rules were not put back".into()) }
        };
        let class = "the operator is shut out";
        Fault { class, name: format!("{name} ({twist:?})"), to: None, inject: Box::new(inject) }
    };
    let restart = "restart = [\"ufw.service\"]\nguard = true\n";
    vec![
        closed("a firewall that closes the port", Twist::Plain, restart),
        closed("a firewall that closes the port", Twist::Alone, restart),
    ]
}
