//! Guarded phases: operations that can cut off access, together with what
//! keeps the old state of all they may change and puts it back.
//!
//! The host reverts by itself, by its own timer and, after a restart, at boot,
//! unless a *new* login has confirmed the change (commit-confirmed, as Junos
//! has it). The controller only ever confirms; it is never needed to revert.

use super::{RunId, Scheduled};
use crate::observe::probe::UNIT_DIRECTORIES;
use crate::observe::{Queries, Query};
use crate::plan::{AccountOp, CommandOp, FileOp, HostPlan, Op, SystemOp, UnitOp};
use crate::shell::{Command, NulByte, Script};
use crate::values::{AbsPath, SysctlKey, UnitName};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Consecutive operations under one guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Its number; the first is 1.
    pub number: usize,
    /// Indices of its operations.
    pub operations: Range<usize>,
}

impl Phase {
    /// The first operation that makes a daemon take up its configuration: that
    /// is checked as a whole before it.
    pub(super) fn check_before(&self, operations: &[Scheduled]) -> Option<usize> {
        let mut indices = self.operations.clone();
        indices.find(|index| operations.get(*index).is_some_and(|one| takes_up(&one.op) && !reloads_sshd(&one.op)))
    }

    /// Whether the guard does it at its end in place of the runner: sshd is
    /// reloaded once, when all of its configuration is there and has been checked.
    pub(super) fn does(&self, index: usize, op: &Op) -> bool {
        self.operations.contains(&index) && reloads_sshd(op)
    }
}

/// The guarded phases of scheduled operations. Every phase costs a new login,
/// of which a firewall may let only a few in: what stands between two guarded
/// operations and can be put back with them goes into their phase.
pub fn phases(plan: &HostPlan, operations: &[Scheduled]) -> Vec<Phase> {
    let guarded =
        |index: usize| operations.get(index).and_then(|one| plan.steps.get(one.step)).is_some_and(|step| step.guard);
    let joins = |between: Range<usize>| operations[between].iter().all(|one| one.op.is_reverted_at_once());
    let mut phases: Vec<Phase> = Vec::new();
    for index in (0..operations.len()).filter(|index| guarded(*index)) {
        match phases.last_mut() {
            Some(last) if joins(last.operations.end..index) => last.operations.end = index + 1,
            _ => phases.push(Phase { number: phases.len() + 1, operations: index..index + 1 }),
        }
    }
    phases
}

/// What a phase may change, sorted by how it is kept and put back.
#[derive(Debug, Default)]
struct Kept {
    paths: BTreeSet<AbsPath>,
    homes: BTreeSet<AbsPath>,
    /// Directories that go with all that is in them.
    trees: BTreeSet<AbsPath>,
    /// Directories of whose entries owner, group and mode are kept, with
    /// whether other file systems are entered.
    metas: BTreeSet<(AbsPath, bool)>,
    /// With whether a verb of the phase made it take up something new.
    units: BTreeMap<UnitName, bool>,
    sysctls: BTreeSet<SysctlKey>,
    /// Those of all interfaces: their directory, and the name.
    interface_sysctls: BTreeSet<(String, String)>,
    hostname: bool,
    ufw: bool,
    /// Whether files of ufw are changed that no command of the phase makes it read.
    rules: bool,
}

/// The files that hold ufw's state.
const UFW_FILES: [&str; 9] = [
    "/etc/ufw/ufw.conf",
    "/etc/ufw/user.rules",
    "/etc/ufw/user6.rules",
    "/etc/ufw/before.rules",
    "/etc/ufw/before6.rules",
    "/etc/ufw/after.rules",
    "/etc/ufw/after6.rules",
    "/etc/ufw/sysctl.conf",
    "/etc/default/ufw",
];

impl Kept {
    fn of<'a>(ops: impl Iterator<Item = &'a Op>) -> Kept {
        let mut kept = Kept::default();
        for op in ops {
            let mut touched = Queries::new();
            touched.extend(op.undo_scope());
            for query in touched.iter() {
                match query {
                    Query::Path(path) | Query::Content(path) | Query::Digest(path) => {
                        _ = kept.paths.insert(path.clone())
                    }
                    Query::Unit(unit) => *kept.units.entry(unit.clone()).or_default() |= takes_up(op),
                    Query::Sysctl(key) => _ = kept.sysctls.insert(key.clone()),
                    Query::Sysctls(pattern) => {
                        let paths = pattern.proc_paths().map(|(directory, name)| (directory, name.to_owned()));
                        kept.interface_sysctls.extend(paths);
                    }
                    Query::Tree { top, across } => _ = kept.metas.insert((top.clone(), *across)),
                    _ => {}
                }
            }
            match op {
                Op::Account(AccountOp::UserAdd { home: Some(home), .. }) => _ = kept.homes.insert(home.clone()),
                Op::File(FileOp::Remove { path, recursive: true }) => _ = kept.trees.insert(path.clone()),
                Op::System(SystemOp::SetHostname { .. }) => kept.hostname = true,
                Op::Command(CommandOp::Exec { argv, .. }) => {
                    kept.ufw |= argv.first().is_some_and(|program| program == "ufw");
                    let words = argv.iter().filter_map(|word| word.parse::<AbsPath>().ok());
                    kept.paths.extend(words.filter(|path| path.as_str().starts_with("/etc/")));
                }
                _ => {}
            }
        }
        kept.rules = !kept.ufw && kept.touches(&["/etc/ufw", "/etc/default/ufw"]);
        kept.ufw |= kept.rules;
        if kept.ufw {
            kept.paths.extend(UFW_FILES.iter().filter_map(|path| path.parse().ok()));
        }
        kept
    }

    fn touches(&self, tops: &[&str]) -> bool {
        let below = |path: &AbsPath, top: &&str| {
            path.as_str().strip_prefix(*top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.paths.iter().any(|path| tops.iter().any(|top| below(path, top)))
    }

    /// Whether a login shell may read anything of it; in a home that is what begins with a dot.
    fn is_read_by_shells(&self) -> bool {
        let hidden = |path: &AbsPath| path.as_str().contains("/.") && !path.as_str().contains("/.ssh");
        self.touches(&SHELL_FILES) || self.paths.iter().any(hidden)
    }

    fn sshd(&self) -> bool {
        self.units.keys().any(|unit| SSHD_UNITS.contains(&unit.as_str()))
            || self.touches(&["/etc/ssh", "/etc/default/ssh"])
            || self.unit_files(&SSHD_UNITS)
    }

    /// Whether files or drop-ins of these units are changed, wherever systemd reads them.
    fn unit_files(&self, units: &[&str]) -> bool {
        self.paths.iter().any(|path| {
            let rest = UNIT_DIRECTORIES.iter().find_map(|top| path.as_str().strip_prefix(top)?.strip_prefix('/'));
            let first = rest.and_then(|rest| rest.split('/').next());
            first.is_some_and(|name| units.contains(&name.trim_end_matches(".d")))
        })
    }
}

/// The units that start sshd.
const SSHD_UNITS: [&str; 3] = ["ssh.service", "sshd.service", "ssh.socket"];

/// Whether this is sshd itself, which a guard makes take up its configuration.
fn is_sshd(unit: &UnitName) -> bool {
    matches!(unit.as_str(), "ssh.service" | "sshd.service")
}

fn reloads_sshd(op: &Op) -> bool {
    matches!(op, Op::Unit(UnitOp::Systemctl { verb: crate::plan::Verb::Reload, unit }) if is_sshd(unit))
}

/// Whether the operation makes its unit take up what is new.
fn takes_up(op: &Op) -> bool {
    use crate::plan::Verb::{Reload, Restart, Start};
    matches!(op, Op::Unit(UnitOp::Systemctl { verb: Restart | Reload | Start, .. } | UnitOp::Pending { .. }))
}

/// What login shells read, whoever's they are (bash(1), zsh(1), fish(1)).
const SHELL_FILES: [&str; 12] = [
    "/etc/environment",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/inputrc",
    "/etc/zsh",
    "/etc/zshenv",
    "/etc/zprofile",
    "/etc/zshrc",
    "/etc/zlogin",
    "/etc/fish",
    "/etc/ksh.kshrc",
];

/// The shell of a guard: what it keeps, what it looks at, and, last, its states.
///
/// | variable | holds |
/// | --- | --- |
/// | `ID`, `N`, `T` | the run, the guard's number, the seconds until the host reverts |
/// | `R`, `P` | directories of the run: lasting, and of its payloads |
/// | `G`, `K` | directories of the guard, and of what it keeps |
/// | `TIMER`, `BOOT`, `WANTED` | the timer's unit, the unit that reverts at boot, the link that enables it |
/// | `MODE`, `TREE` | the program's first argument; whether whole directories are kept |
/// | `SSHD`, `SSHD_UNIT`, `SSH_SOCKET`, `SUDO`, `NFT`, `NETPLAN`, `NETWORKD`, `UFW`, `RULES` | `1` where the phase changes it |
/// | `LOGIN` | the user whose shell must still start, or nothing |
const PARTS: [&str; 6] = [
    super::program::SOCKETS,
    include_str!("guard/kept.sh"),
    include_str!("guard/sshd.sh"),
    include_str!("guard/login.sh"),
    include_str!("guard/network.sh"),
    include_str!("guard/state.sh"),
];

/// The program of one guard; `seconds`: how long the host waits;
/// `login`: the user that logs in.
pub(super) fn program<'a>(
    run: &RunId,
    phase: &Phase,
    seconds: u16,
    login: &str,
    ops: impl Iterator<Item = &'a Op>,
) -> Result<String, NulByte> {
    let kept = Kept::of(ops);
    let mut script = Script::new();
    let flag = |on: bool| if on { "1" } else { "" };
    script.set("ID", run.as_str()).set("N", &phase.number.to_string()).set("T", &seconds.to_string());
    script.set("SSHD", flag(kept.sshd()));
    script.set("SSHD_UNIT", flag(kept.unit_files(&["ssh.service", "sshd.service"])));
    script.set("SSH_SOCKET", flag(kept.unit_files(&["ssh.socket"])));
    script.set("SUDO", flag(kept.touches(&["/etc/sudoers", "/etc/sudoers.d", "/etc/sudo.conf"])));
    script.set("NFT", flag(kept.touches(&["/etc/nftables.conf", "/etc/nftables.d"])));
    script.set("NETPLAN", flag(kept.touches(&["/etc/netplan"])));
    script.set("NETWORKD", flag(kept.touches(&["/etc/systemd/network"])));
    script.set("LOGIN", if kept.is_read_by_shells() { login } else { "" });
    script.set("UFW", flag(kept.ufw)).set("RULES", flag(kept.rules));
    let paths: Vec<(String, &AbsPath)> = kept.paths.iter().enumerate().map(|(n, path)| (n.to_string(), path)).collect();
    let units: Vec<(String, &UnitName, bool)> = kept
        .units
        .iter()
        .enumerate()
        .map(|(n, (unit, again))| (format!("unit{n}"), unit, *again && !is_sshd(unit)))
        .collect();

    script.line("keep_paths() { :");
    for (number, path) in &paths {
        let whole = if kept.trees.contains(*path) { "whole" } else { "" };
        script.run(Command::new("keep").arg(number).arg(path).arg(whole));
    }
    for (number, unit, _) in &units {
        script.run(Command::new("keep_unit").arg(number).arg(unit));
    }
    let mut sysctls: Vec<&SysctlKey> = kept.sysctls.iter().collect();
    sysctls.sort_by_key(|key| key.is_set_with_one_of(&kept.sysctls));
    for (number, key) in sysctls.iter().enumerate() {
        script.run(Command::new("keep_sysctl").arg(format!("sysctl{number}")).arg(key.proc_path()));
    }
    for (number, (directory, name)) in kept.interface_sysctls.iter().enumerate() {
        script.run(Command::new("keep_sysctls").arg(format!("sysctls{number}")).arg(directory).arg(name));
    }
    for (number, (path, across)) in kept.metas.iter().enumerate() {
        let across = if *across { "across" } else { "" };
        script.run(Command::new("keep_metas").arg(format!("metas{number}")).arg(path).arg(across));
    }
    if kept.hostname {
        script.line("keep_hostname");
    }
    script.line("}").line("restore_paths() { :");
    // Directories come before what is in them: paths are in order.
    for (number, path) in &paths {
        script.run(Command::new("restore_path").arg(number).arg(path));
    }
    for (number, key) in sysctls.iter().enumerate() {
        script.run(Command::new("restore_sysctl").arg(format!("sysctl{number}")).arg(key.proc_path()));
    }
    for number in 0..kept.interface_sysctls.len() {
        script.run(Command::new("restore_sysctls").arg(format!("sysctls{number}")));
    }
    for number in 0..kept.metas.len() {
        script.run(Command::new("restore_metas").arg(format!("metas{number}")));
    }
    script.line("}").line("remove_created_paths() { :");
    for (number, path) in paths.iter().rev() {
        let whole = if kept.homes.contains(*path) { "whole" } else { "" };
        script.run(Command::new("remove_created").arg(number).arg(path).arg(whole));
    }
    script.line("}").line("restore_units() { :");
    for (number, unit, again) in &units {
        script.run(Command::new("restore_unit").arg(number).arg(unit).arg(if *again { "again" } else { "" }));
    }
    script.line("}");
    PARTS.iter().for_each(|part| _ = script.line(part));
    Ok(script.build()?.to_owned())
}
