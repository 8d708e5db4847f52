//! The host itself: restarted, full, read-only, busy with packages, with a
//! service that does not start, with a clock that jumps, with two masters.

use super::Fault;
use super::seed::Seed;
use super::site::{Call, Normal, Site, ended, start};
use super::tally::NOT_MADE;

fn fault(
    class: &'static str,
    name: impl Into<String>,
    inject: impl FnOnce(&mut Site) -> Result<(), String> + Send + 'static,
) -> Fault {
    Fault { class, name: name.into(), to: None, inject: Box::new(inject) }
}

fn runner(pattern: &str) -> Call {
    Call { place: "runner".into(), pattern: pattern.into(), nth: 1 }
}

pub fn faults(normal: &Normal, seed: &mut Seed) -> Vec<Fault> {
    let mut all = Vec::new();
    all.extend(restarts());
    all.extend(full_disks());
    all.extend(read_only());
    all.extend(packages());
    all.extend(services());
    all.extend(clocks());
    all.extend(two_controllers(normal, seed));
    all
}

// ---- the host is restarted

fn restarts() -> Vec<Fault> {
    const SHUTS: &str =
        "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/01-lock.conf\", content = \"DenyUsers ubuntu\\n\" }\n";
    let points = [
        ("before the first operation", "sh /var/lib/stockade/runs/*/before", false),
        ("in the middle of a file", "sync -- /srv/fault/.stockade-*", false),
        ("in the middle of an account", "usermod *", false),
        ("while a guard is armed", "sync -f *guard/1", false),
        ("before a guard's timer is made", "systemd-run *", false),
        ("within a guard", "mv -fT -- /etc/ssh/sshd_config.d/.stockade-* *", true),
        ("while a guard waits", "systemctl restart stockade-guard*", true),
        ("while a guard puts back", "sync -f /var/lib/stockade/runs/*/guard/1", true),
        ("before a restart that is owed", "systemctl restart -- fault.service", false),
        ("before the result", "mv -f */result.new */result", false),
    ];
    let with = |(number, (name, pattern, shuts)): (usize, (&'static str, &'static str, bool))| {
        let dies = number.is_multiple_of(2);
        let then = if dies { "the controller, too" } else { "the controller looks for it" };
        fault("the host is restarted", format!("{name}; {then}"), move |site| {
            let mut call = runner(pattern);
            if shuts {
                site.extend(SHUTS);
            }
            if name == "while a guard puts back" {
                call = Call { place: "session".into(), ..call };
            }
            site.arm(&call, "pause");
            let mut controller = site.start_apply(&[]);
            site.await_pause(&mut controller)?;
            if dies {
                controller.kill().unwrap();
            }
            site.restart();
            let ran = ended(controller);
            if ran.code == 0 {
                return Err(format!("exit code 0: {ran:?}"));
            }
            site.survives(&ran)?;
            match site.try_on("[ ! -e /etc/ssh/sshd_config.d/01-lock.conf ]").0 {
                0 => Ok(()),
                _ => Err("what shuts the operator out is still there".into()),
            }
        })
    };
    points.into_iter().enumerate().map(with).collect()
}

// ---- the disk is full

/// A folder on a disk of its own, with what was in it and so many free pages.
fn small(folder: &str, pages: usize) -> String {
    format!(
        "set -e; D={folder}; mkdir -p $D; rm -rf /root/kept; cp -aT $D /root/kept; mount -t tmpfs -o size=8m,mode=755 tmpfs $D; \
         cp -aT /root/kept $D; head -c 8388608 /dev/zero >$D/.fill 2>/dev/null || :; \
         truncate -s $(($(stat -c %s $D/.fill) - {pages} * 4096)) $D/.fill"
    )
}

/// The small disk goes; what has become of the folder stays.
fn large_again(folder: &str) -> String {
    format!(
        "set -e; D={folder}; rm -rf /root/kept; cp -aT $D /root/kept; umount -l $D; rm -rf $D/* $D/.[!.]*; cp -aT /root/kept $D; rm -rf /root/kept; \
         systemctl daemon-reload"
    )
}

fn full_disks() -> Vec<Fault> {
    let mut all = Vec::new();
    let class = "the disk is full";
    let folders: [(&'static str, &[usize]); 5] = [
        ("/var/lib/stockade", &[0, 1, 2, 4, 8, 16, 24, 32]),
        ("/run/stockade", &[0, 2, 8, 20, 40]),
        ("/srv/fault", &[0, 1, 3, 6]),
        ("/etc/sudoers.d", &[0]),
        ("/etc/ssh/sshd_config.d", &[0]),
    ];
    for (folder, sizes) in folders {
        for pages in sizes {
            let pages = *pages;
            all.push(fault(class, format!("{folder}, {pages} pages are left"), move |site| {
                site.on(&small(folder, pages));
                let ran = site.apply(&[]);
                let whole = site.whole();
                site.on(&format!("rm {folder}/.fill"));
                whole?;
                let result = site.survives(&ran);
                site.on(&large_again(folder));
                result
            }));
        }
    }
    for pattern in ["cat /run/stockade/*", "usermod *", "sync -f *", "systemctl daemon-reload"] {
        for folder in ["/var/lib/stockade", "/srv/fault"] {
            all.push(fault(class, format!("{folder}, from the call of {pattern:?} on"), move |site| {
                site.on(&small(folder, 1000));
                site.arm(&runner(pattern), "pause");
                let mut controller = site.start_apply(&[]);
                let paused = site.await_pause(&mut controller);
                site.on(&format!("head -c 8388608 /dev/zero >>{folder}/.fill 2>/dev/null || :"));
                site.go();
                let ran = ended(controller);
                let whole = site.whole();
                site.on(&format!("rm {folder}/.fill"));
                paused?;
                whole?;
                let result = site.survives(&ran);
                site.on(&large_again(folder));
                result
            }));
        }
    }
    all
}

// ---- read-only

fn read_only() -> Vec<Fault> {
    let class = "a file system is read-only";
    let lock = |folder: &str| {
        format!("mkdir -p {folder}; mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}")
    };
    let mut all = Vec::new();
    for folder in [
        "/srv/fault",
        "/etc/sudoers.d",
        "/etc/ssh/sshd_config.d",
        "/etc/systemd/system",
        "/home/worker",
        "/var/lib/stockade",
        "/run/stockade",
    ] {
        all.push(fault(class, folder, move |site| {
            site.on(&lock(folder));
            let ran = site.apply(&[]);
            site.on(&format!("umount {folder}"));
            if ran.code == 0 {
                return Err(format!("exit code 0: {ran:?}"));
            }
            site.survives(&ran)
        }));
    }
    for pattern in ["sh */before", "cat /run/stockade/*", "usermod *", "sync -f *", "systemctl reload -- ssh.service"] {
        for folder in ["/var/lib/stockade", "/srv/fault"] {
            all.push(fault(class, format!("{folder}, from the call of {pattern:?} on"), move |site| {
                site.arm(&runner(pattern), "pause");
                let mut controller = site.start_apply(&[]);
                let paused = site.await_pause(&mut controller);
                site.on(&lock(folder));
                site.go();
                let ran = ended(controller);
                site.on(&format!("umount -l {folder}"));
                paused?;
                site.survives(&ran)
            }));
        }
    }
    all
}

// ---- packages

/// Whether the host has the package whole, or not at all.
fn has_package(site: &mut Site) -> Result<bool, String> {
    let state = site.try_on("dpkg-query -W -f '${db:Status-Status}' fault 2>/dev/null").1;
    let audit = site.on("dpkg --audit; ls /var/lib/dpkg/updates");
    match (state.as_str(), audit.as_str()) {
        ("installed", "") => Ok(true),
        ("" | "not-installed" | "config-files", "") => Ok(false),
        _ => Err(format!("the package is {state:?}, dpkg says {audit:?}")),
    }
}

fn converge_package(site: &mut Site, to: &str) -> Result<(), String> {
    let ran = ended(start(site.apply_to(to, &["--tags", "package", "--resume"])));
    if ran.code != 0 {
        return Err(format!("the next apply does not heal it: {ran:?}"));
    }
    if has_package(site)? != (to == "new") {
        return Err(format!("the package is not as it should be: {ran:?}"));
    }
    site.on("rm -rf /var/lib/stockade/runs/* /run/fault");
    Ok(())
}

fn packages() -> Vec<Fault> {
    let mut all = Vec::new();
    for (to, pattern) in [
        ("new", "touch /run/fault.preinst"),
        ("new", "touch /run/fault.postinst"),
        ("new", "dpkg-deb --control *"),
        ("new", "dpkg-deb --fsys-tarfile *"),
        ("new", "rm -rf -- /var/lib/dpkg/tmp.ci"),
        ("old", "touch /run/fault.prerm"),
        ("old", "touch /run/fault.postrm"),
    ] {
        for kind in ["before", "after"] {
            if pattern.starts_with("rm") && kind == "after" {
                continue;
            }
            all.push(fault("dpkg is interrupted", format!("{kind} {pattern:?}, to {to}"), move |site| {
                converge_package(site, if to == "new" { "old" } else { "new" })?;
                site.arm(&runner(pattern), kind);
                let ran = ended(start(site.apply_to(to, &["--tags", "package"])));
                if !site.has_fired() {
                    return Err(format!("the fault did not happen: {ran:?}"));
                }
                if ran.code == 0 {
                    return Err(format!("exit code 0: {ran:?}"));
                }
                converge_package(site, to)?;
                let at = site.at();
                site.is_settled_at(at)
            }));
        }
    }
    for lock in ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"] {
        all.push(fault("apt's lock is held", format!("{lock}, until the run waits for it"), move |site| {
            converge_package(site, "old")?;
            let holder = format!(
                "import fcntl, os, time\nf = open('{lock}', 'w')\nfcntl.lockf(f, fcntl.LOCK_EX)\nopen('/run/held', 'w').close()\n\
                 while not os.path.exists('/run/released'): time.sleep(0.05)\n"
            );
            site.host.exec_with_input(&["sh", "-c", "cat >/run/holder.py"], holder.as_bytes()).unwrap();
            site.on("rm -f /run/held /run/released; setsid python3 /run/holder.py >/dev/null 2>&1 </dev/null &");
            site.until("[ -e /run/held ]")?;
            let apply = start(site.apply_to("new", &["--tags", "package"]));
            let waited = site.until("grep -qs -e Waiting -e lock /run/stockade/*/out");
            site.on("touch /run/released");
            let ran = ended(apply);
            waited?;
            if ran.code != 0 {
                return Err(format!("the lock was not awaited: {ran:?}"));
            }
            converge_package(site, "new")
        }));
    }
    all
}

// ---- a service that does not start

fn services() -> Vec<Fault> {
    let dropin = "/run/systemd/system/fault.service.d";
    let texts = [
        ("a program before it fails", "[Service]\nExecStartPre=/bin/false\n"),
        ("its program is missing", "[Service]\nExecStart=\nExecStart=/nowhere/at/all\n"),
        ("a program after it fails", "[Service]\nExecStartPost=/bin/false\n"),
        ("it never says that it is ready", "[Service]\nType=notify\nTimeoutStartSec=1\n"),
        ("it needs what is not there", "[Unit]\nRequires=nowhere.service\nAfter=nowhere.service\n"),
        ("it is refused", "[Unit]\nRefuseManualStart=yes\nRefuseManualStop=yes\n"),
    ];
    let with = |(name, text): (&'static str, &'static str)| {
        fault("a service does not start", name, move |site| {
            site.on(&format!("mkdir -p {dropin}; cat >{dropin}/x.conf <<'E'\n{text}E\nsystemctl daemon-reload"));
            let ran = site.apply(&[]);
            site.on(&format!("rm -r {dropin}; systemctl daemon-reload; systemctl reset-failed fault.service || :"));
            if ran.code != 3 {
                return Err(format!("exit code 3 was expected: {ran:?}"));
            }
            site.survives(&ran)
        })
    };
    texts.into_iter().map(with).collect()
}

// ---- a clock that jumps

fn clocks() -> Vec<Fault> {
    let mut all = Vec::new();
    for now in ["1980-01-01", "2099-01-01"] {
        all.push(fault(
            "a clock jumps",
            format!("the host's programs are told {now}; its package lists are from then"),
            move |site| {
                site.on(&format!("touch -d {now} /var/lib/apt/lists"));
                // Nothing fires: the clock is all.
                site.arm(&Call { place: "nowhere".into(), pattern: "*".into(), nth: 1 }, "none");
                site.on(&format!("echo {now} >/run/fault/clock"));
                let ran = site.apply(&[]);
                if ran.code != 0 {
                    return Err(format!("{ran:?}"));
                }
                site.survives(&ran)
            },
        ));
        for second in ["undo", "resume"] {
            all.push(fault(
                "a clock jumps",
                format!("the controller's, {now} in the first of two runs; then {second}"),
                move |site| {
                    let mut first = site.apply_to(site.other(), &[]);
                    let Some(library) = faketime() else {
                        return Err(format!("{NOT_MADE}libfaketime is missing; tests/run.sh --prepare installs it"));
                    };
                    first.env("LD_PRELOAD", library).env("FAKETIME", format!("@{now} 00:00:00"));
                    let mut first = ended(start(first));
                    if first.code != 0 {
                        return Err(format!("{first:?}"));
                    }
                    first.code = -1;
                    // The way back is a run of its own, by a clock that is right again; the undo is of that one.
                    let back = ended(start(site.apply_to(site.at(), &[])));
                    if back.code != 0 {
                        return Err(format!("{back:?}"));
                    }
                    if second == "undo" {
                        let ran = ended(start(site.command(&["undo", &site.host.name, "--yes"])));
                        let differ = site.differs_from(site.other());
                        if ran.code != 0 || !differ.is_empty() {
                            return Err(format!("not the last run was taken back: {differ:?}\n{ran:?}"));
                        }
                        // The undo keeps what it found, as it was in the files: the secret, too.
                        site.on("rm -rf /var/lib/stockade/runs/*");
                        return site.survives(&first);
                    }
                    site.on("rm -rf /var/lib/stockade/runs/1980* /var/lib/stockade/runs/2099*");
                    site.is_settled_at(site.at())
                },
            ));
        }
    }
    all
}

fn faketime() -> Option<&'static str> {
    let places =
        ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"];
    places.into_iter().find(|path| std::path::Path::new(path).exists())
}

// ---- two controllers

fn two_controllers(normal: &Normal, seed: &mut Seed) -> Vec<Fault> {
    let class = "two controllers at once";
    let mut all = Vec::new();
    let points = normal.calls_in("runner", |call| !call.starts_with("date") && !call.starts_with("flock"));
    // What follows the lock: before it nobody is at work.
    for (to, call) in seed.some(points, 8) {
        let name = format!("the second comes at call {} of {:?}, to {to}", call.nth, call.pattern);
        let inject = move |site: &mut Site| {
            site.arm(&call, "pause");
            let mut first = site.start_apply(&[]);
            site.await_pause(&mut first)?;
            let second = site.apply(&[]);
            site.go();
            let first = ended(first);
            if first.code != 0 {
                return Err(format!("the first is disturbed: {first:?}\nby {second:?}"));
            }
            if second.code == 0 && !second.err.contains("nothing differs") || ![0, 3].contains(&second.code) {
                return Err(format!("the second is not refused: {second:?}"));
            }
            site.survives(&first)
        };
        all.push(Fault { class, name, to: Some(to), inject: Box::new(inject) });
    }
    let session = normal.calls_in("session", super::runner::is_of_the_upload);
    for (to, call) in seed.some(session, 5) {
        let name =
            format!("the second runs while the first stands at call {} of {:?}, to {to}", call.nth, call.pattern);
        let inject = move |site: &mut Site| {
            site.arm(&call, "pause");
            let mut first = site.start_apply(&[]);
            site.await_pause(&mut first)?;
            let second = site.apply(&[]);
            site.go();
            let first = ended(first);
            if first.code != 0 && second.code != 0 {
                return Err(format!("none of them is done: {first:?}\n{second:?}"));
            }
            site.survives(&first)
        };
        all.push(Fault { class, name, to: Some(to), inject: Box::new(inject) });
    }
    for number in 0..5 {
        all.push(fault(class, format!("both begin at the same time ({number})"), move |site| {
            let (first, second) = (site.start_apply(&[]), site.start_apply(&[]));
            let (first, second) = (ended(first), ended(second));
            if ![first.code, second.code].contains(&0) {
                return Err(format!("none of them is done: {first:?}\n{second:?}"));
            }
            site.survives(&first)
        }));
    }
    for pattern in ["usermod *", "sync -f *", "systemctl restart -- fault.service"] {
        all.push(fault(class, format!("both go on with a run that was killed at {pattern:?}"), move |site| {
            site.arm(&runner(pattern), "before");
            let ran = site.apply(&[]);
            if ran.code == 0 {
                return Err(format!("exit code 0: {ran:?}"));
            }
            let (first, second) = (site.start_apply(&["--resume"]), site.start_apply(&["--resume"]));
            let (first, second) = (ended(first), ended(second));
            if ![first.code, second.code].contains(&0) {
                return Err(format!("none of them is done: {first:?}\n{second:?}"));
            }
            site.survives(&ran)
        }));
    }
    all
}
