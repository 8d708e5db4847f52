//! Who runs what: usermod(8) and userdel(8) refuse to touch an account while a
//! process of its user is there. As they do, this leaves out the processes that
//! have another root directory, such as those in containers.

use super::reply::Section;
use super::{HostState, Query};
use std::collections::BTreeSet;

/// Two processes, however many there are on the host.
pub(super) const PROBE: &str = include_str!("probes/processes.sh");

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel has it.
    pub name: String,
    /// The numbers of the users as whom it runs: real, effective and saved.
    pub uids: BTreeSet<u32>,
}

pub(super) fn read(host: &mut HostState, section: &Section) {
    let text = section.text();
    let (roots, status) = text.split_once("--\n").unwrap_or(("", &text));
    let here: BTreeSet<&str> = roots.lines().filter_map(|line| line.strip_prefix("/proc/")).collect();
    let mut found = Vec::new();
    let (mut name, mut pid) = (String::new(), "");
    for (key, value) in status.lines().filter_map(|line| line.split_once(":\t")) {
        match key {
            "Name" => value.clone_into(&mut name),
            "Pid" => pid = value,
            _ => {
                let uids = value.split_whitespace().take(3).filter_map(|uid| uid.parse().ok()).collect();
                if let (Ok(number), true) = (pid.parse(), here.contains(pid)) {
                    found.push(Process { pid: number, name: std::mem::take(&mut name), uids });
                }
            }
        }
    }
    found.sort_by_key(|process| process.pid);
    host.set_processes(found);
}

impl HostState {
    /// Whether a process of this name runs ([`Query::Processes`]).
    pub fn runs_process(&self, name: &str) -> bool {
        self.processes.iter().any(|process| process.name == name)
    }

    /// These processes run.
    pub fn set_processes(&mut self, processes: Vec<Process>) {
        self.asked.ask(Query::Processes);
        self.processes = processes.into();
    }

    /// The processes of a user ([`Query::Processes`]).
    pub fn processes_of(&self, uid: u32) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |process| process.uids.contains(&uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_a_user_s_by_any_of_its_numbers_unless_they_have_another_root() {
        let output = "/proc/1\n/proc/20\n/proc/21\n--\nName:\tsystemd\nPid:\t1\nUid:\t0\t0\t0\t0\nName:\tsleep a\nPid:\t20\n\
            Uid:\t0\t7\t7\t7\nName:\tsu\nPid:\t21\nUid:\t7\t0\t0\t0\nName:\tbox\nPid:\t30\nUid:\t7\t7\t7\t7\n";
        let mut host = HostState::default();
        read(&mut host, &Section { output: output.into(), code: 0, errors: String::new() });
        let names = |uid| host.processes_of(uid).map(|process| process.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(7), ["sleep a", "su"]);
        assert_eq!(names(0), ["systemd", "sleep a", "su"]);
    }
}
