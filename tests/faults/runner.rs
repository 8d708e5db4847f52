//! The runner, the guard and the session's shell: killed before, within and
//! after every sort of call they make, and refused what they call for.

use super::Fault;
use super::seed::Seed;
use super::site::{Call, Normal, Site};

/// How many calls of each are tried.
const RUNNER: usize = 52;
const REFUSED: usize = 20;
const SESSION: usize = 16;

pub fn faults(normal: &Normal, seed: &mut Seed) -> Vec<Fault> {
    let mut all = Vec::new();
    let mut take = |class, points: Vec<(&'static str, Call)>, kinds: &[&'static str], count| {
        for (number, (to, call)) in seed.some(points, count).into_iter().enumerate() {
            let kind = kinds[number % kinds.len()];
            // Half of a file can only be had where its bytes pass through.
            let kind = if kind == "within" && !call.pattern.starts_with("cat") { "before" } else { kind };
            all.push(fault(class, to, call, kind, number % 9 == 8));
        }
    };
    let runner = || normal.calls_in("runner", is_certain);
    take("the runner is killed", runner(), &["before", "after", "within", "before", "alone"], RUNNER);
    take("a program of the runner fails", runner(), &["refuse"], REFUSED);
    let upload = normal.calls_in("session", is_of_the_upload);
    take("the shell that brings a run is killed", upload, &["before", "after", "refuse"], SESSION);
    all.extend(reverts());
    all.extend(leftovers());
    all
}

/// Whether every run calls this as often: what is tried again while sshd goes
/// and comes is not, nor what is done in place of somebody who is slow.
pub fn is_certain(call: &str) -> bool {
    let may_vary = [
        "date",
        "sshd -t",
        "mkdir -p /run/sshd",
        "systemctl stop stockade-guard",
        "rm -rf -- /var/lib/stockade",
        "rm -f -- /etc/systemd/system/sysinit",
        // The playbook's own, by which it tells of two runs at once.
        "flock -n 5",
    ];
    !may_vary.iter().any(|start| call.starts_with(start)) && !call.ends_with("program confirm")
}

/// Whether a session calls this to bring a run and to start it.
pub fn is_of_the_upload(call: &str) -> bool {
    (call.contains("stockade") || call.starts_with("head -c"))
        && !["sh /var/lib/stockade", "tail", "sh -c", "find", "stat", "sha256sum"]
            .iter()
            .any(|start| call.starts_with(start))
}

fn fault(class: &'static str, to: &'static str, call: Call, kind: &'static str, back: bool) -> Fault {
    let then = if back { ", then undo" } else { "" };
    let name = format!("{kind}, call {} of {:?}, to {to}{then}", call.nth, call.pattern);
    let inject = move |site: &mut Site| {
        site.arm(&call, kind);
        let ran = site.apply(&[]);
        if !site.has_fired() {
            return Err(format!("the fault did not happen: {ran:?}"));
        }
        if back && ran.code != 0 { site.is_taken_back(&ran) } else { site.survives(&ran) }
    };
    Fault { class, name, to: Some(to), inject: Box::new(inject) }
}

/// Moments in which the data of a run is on the host and nobody is left who
/// would remove it: held open, then the one at work is killed, and with it what
/// would have ended the run in its place. The next plan sweeps.
fn leftovers() -> Vec<Fault> {
    let moments = [
        ("the result is written", "runner", "mv -f */result.new */result"),
        ("a file is half-made", "runner", "sync -- /srv/fault/.stockade-*"),
        ("nothing is done yet", "runner", "sh /var/lib/stockade/runs/*/before"),
        ("the run is brought half-way", "session", "tar -x -f - -C *"),
        ("the run is brought, but has no journal", "session", "mv -T /run/stockade/.* /run/stockade/*"),
    ];
    let with = |(name, place, pattern): (&'static str, &'static str, &'static str)| {
        let call = Call { place: place.into(), pattern: pattern.into(), nth: 1 };
        let inject = move |site: &mut Site| {
            site.arm(&call, "hold");
            let mut controller = site.start_apply(&[]);
            site.await_pause(&mut controller)?;
            controller.kill().unwrap();
            let ran = super::site::ended(controller);
            let rename = |from: &str, to: &str| {
                format!(
                    "for f in /var/lib/stockade/runs/*/{from}; do [ ! -e \"$f\" ] || mv \"$f\" \"${{f%/*}}/{to}\"; done"
                )
            };
            site.on(&rename("settle", "away"));
            site.end();
            site.until("[ -z \"$(systemctl list-units --plain --no-legend 'stockade-run-*')\" ]")?;
            site.on(&rename("away", "settle"));
            let secrets = "grep -rlF s3cr3t /run/stockade";
            if site.try_on(secrets).0 != 0 {
                return Err("nothing was left: the moment was not held open".into());
            }
            let planned =
                super::site::ended(super::site::start(site.command(&["plan", "site.toml", "--stage", site.at])));
            let left = site.try_on(secrets);
            if planned.code != 0 || left.0 == 0 {
                return Err(format!("a plan leaves {}: {planned:?}", left.1));
            }
            site.survives(&ran)
        };
        Fault { class: "data of a dead run is left", name: name.into(), to: None, inject: Box::new(inject) }
    };
    moments.into_iter().map(with).collect()
}

/// What a guard calls while it puts things back.
const REVERT: [&str; 12] = [
    "mv -T -- *armed *reverting",
    "cmp -s *",
    "cp -a -- *-guard",
    "sync -- *-guard",
    "mv -fT -- *-guard *",
    "systemctl daemon-reload",
    "systemctl show -p UnitFileState*",
    "systemctl show -p LoadState -p ActiveState*",
    "sync -f */guard/*",
    "rm -f -- /etc/systemd/system/*",
    "systemctl stop stockade-guard*",
    "rm -rf -- *kept",
];

/// Killed while it puts things back: by the runner after a step that failed, by
/// the host's timer when the controller is gone, by the controller's word.
fn reverts() -> Vec<Fault> {
    let fails = "[[step]]\nguard = true\ncommand = { run = \"exit 7\", creates = \"/nowhere\" }\n";
    let shuts =
        "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/01-lock.conf\", content = \"DenyUsers ubuntu\\n\" }\n";
    let mut all = Vec::new();
    for (number, pattern) in REVERT.iter().enumerate() {
        let kind = ["before", "after"][number % 2];
        for (place, steps) in [("runner", fails), ("session", shuts), ("guard", shuts)] {
            // The timer takes its time.
            if place == "guard" && !matches!(number, 0 | 3 | 9) {
                continue;
            }
            // Before the phase is put back, the runner has made the same calls.
            let call = Call { place: place.into(), pattern: (*pattern).into(), nth: 1 };
            let inject = move |site: &mut Site| {
                site.extend(steps);
                let ran = if place == "guard" {
                    let live =
                        Call { place: "runner".into(), pattern: "systemctl restart stockade-guard*".into(), nth: 1 };
                    site.arm(&live, "pause");
                    let mut controller = site.start_apply(&["--guard-timeout", crate::support::guard_seconds(8)]);
                    site.await_pause(&mut controller)?;
                    controller.kill().unwrap();
                    site.go();
                    site.arm(&call, kind);
                    super::site::ended(controller)
                } else {
                    site.arm(&call, kind);
                    site.apply(&["--guard-timeout", crate::support::guard_seconds(8)])
                };
                if place != "runner" {
                    site.until("[ -e /run/fault/fired ]")?;
                    site.until("[ -e /var/lib/stockade/runs/*/result ]")?;
                }
                if !site.has_fired() {
                    return Err(format!("the fault did not happen: {ran:?}"));
                }
                if ran.code == 0 {
                    return Err(format!("exit code 0: {ran:?}"));
                }
                site.survives(&ran)?;
                match site.try_on("[ ! -e /etc/ssh/sshd_config.d/01-lock.conf ]").0 {
                    0 => Ok(()),
                    _ => Err("what shuts the operator out is still there".into()),
                }
            };
            let class = "a guard is killed while it puts things back";
            let name = format!("{kind} {pattern:?}, called by the {place}");
            all.push(Fault { class, name, to: None, inject: Box::new(inject) });
        }
    }
    all
}
