//! The host itself: restarted, with a service that does not start, with a clock
//! that jumps.

use super::site::{Call, ended, start};
use super::tally::NOT_MADE;
use super::{Fault, fault, runner};

pub fn faults() -> Vec<Fault> {
    let mut all = restarts();
    all.extend(services());
    all.extend(clocks());
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
        ("while a guard is armed", "sync -- */guard/1 *", false),
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
                    let back = ended(start(site.apply_to(site.at, &[])));
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
                    site.is_settled()
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
