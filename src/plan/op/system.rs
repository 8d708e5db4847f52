//! Operations on the host as a whole.

use super::reach::REBOOT;
use super::{Answers, Traits};
use crate::observe::{Content, FileType, Module, Part, PathState, PredictedState, Query};
use crate::plan::{Access, Meta, OpScript, PlanError, predicted_entry};
use crate::shell::{Command, NulByte};
use crate::values::{AbsPath, SysctlKey};

/// Operations on the host as a whole.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the fields carry the names of the tools' own arguments
pub enum SystemOp {
    /// Writes a live kernel parameter.
    Sysctl { key: SysctlKey, value: String },
    /// Loads or unloads a kernel module.
    Module { name: String, load: bool },
    /// Sets the host's name, live and persistent.
    SetHostname { name: String },
    /// Sets the time zone.
    SetTimezone { zone: String },
    /// Restarts the host. The run on the host ends with it; whoever follows the
    /// run waits up to `timeout` seconds for another boot and goes on from there.
    Reboot { timeout: u32, message: String },
}

impl Answers for SystemOp {
    fn script(&self, out: &mut OpScript) -> Result<(), NulByte> {
        match self {
            SystemOp::Sysctl { key, value } => {
                out.run(Command::new("sysctl").args(["-q", "-w", "--", &format!("{key}={value}")]));
            }
            SystemOp::Module { name, load } => {
                let command = Command::new("modprobe");
                let command = if *load { command } else { command.arg("-r") };
                out.run(command.args(["--", name]));
            }
            SystemOp::SetHostname { name } => out.run(Command::new("set_hostname").arg(name)),
            SystemOp::SetTimezone { zone } => out.run(Command::new("set_timezone").arg(zone)),
            SystemOp::Reboot { message, .. } => out.run(Command::new("reboot_host").arg(message)),
        }
        Ok(())
    }

    fn effect(&self, host: &mut PredictedState) {
        match self {
            SystemOp::Sysctl { key, value } => host.write_sysctl(key, value),
            SystemOp::Module { name, load } => {
                host.set_module(name, Module { loaded: *load, builtin: false });
                if *load {
                    host.module_will_load();
                }
            }
            SystemOp::SetHostname { name } => {
                host.name_host(name);
                if let Ok(path) = "/etc/hostname".parse() {
                    let before = host.path(&path).ok().and_then(PathState::entry).is_some();
                    if !before {
                        host.set_path(&path, predicted_entry(FileType::File, &Meta::root(0o644), None));
                    }
                    host.set_content(&path, Content::Bytes(format!("{name}\n").into_bytes()));
                }
            }
            SystemOp::SetTimezone { zone } => {
                host.facts_mut().timezone.clone_from(zone);
                host.fact_is_decided("timezone");
                if let Ok(path) = "/etc/localtime".parse() {
                    let target = Some(format!("/usr/share/zoneinfo/{zone}"));
                    host.set_path(&path, predicted_entry(FileType::Link, &Meta::root(0o777), target));
                }
            }
            SystemOp::Reboot { .. } => {
                for file in ["/run/reboot-required", "/var/run/reboot-required"].iter().filter_map(|f| f.parse().ok()) {
                    host.set_path(&file, PathState::Absent);
                }
                host.will_reboot();
                host.mounts_may_change();
            }
        }
    }

    fn undo_scope(&self) -> Vec<Query> {
        let files = |paths: &[&str]| {
            let paths = paths.iter().filter_map(|path| path.parse::<AbsPath>().ok());
            paths.map(Query::Content).collect()
        };
        match self {
            // The kernel sets others with it.
            SystemOp::Sysctl { key, .. } => {
                let others = key.sets().into_iter().map(|set| set.key().map_or(Query::Sysctls(set), Query::Sysctl));
                std::iter::once(Query::Sysctl(key.clone())).chain(others).collect()
            }
            SystemOp::Module { name, .. } => vec![Query::Module(name.clone())],
            SystemOp::SetHostname { .. } => files(&["/etc/hostname"]),
            SystemOp::SetTimezone { .. } => files(&["/etc/localtime", "/etc/timezone"]),
            SystemOp::Reboot { .. } => Vec::new(),
        }
    }

    fn can_cut(&self, access: &Access) -> bool {
        match self {
            SystemOp::Sysctl { key, value } => cuts_live(key.as_ref(), value.trim(), access.v6),
            // Rules of sudo may be for this host by its name (sudoers(5), Host_List).
            SystemOp::SetHostname { .. } => true,
            // Nothing of what a login needs goes by these.
            SystemOp::Module { .. } | SystemOp::SetTimezone { .. } => false,
            // No login can be waited for while the host restarts.
            SystemOp::Reboot { .. } => false,
        }
    }

    fn obstacle(&self, _host: &PredictedState, _notes: &mut Vec<String>) -> Result<(), PlanError> {
        match self {
            SystemOp::Sysctl { .. }
            | SystemOp::Module { .. }
            | SystemOp::SetHostname { .. }
            | SystemOp::SetTimezone { .. }
            | SystemOp::Reboot { .. } => Ok(()),
        }
    }

    fn traits(&self) -> Traits {
        match self {
            SystemOp::Sysctl { .. } => {
                Traits { is_reverted_at_once: true, ..Traits::reaching(&[Part::Paths("/proc/sys/")]) }
            }
            SystemOp::Module { .. } => {
                Traits::reaching(&[Part::Paths("/sys/"), Part::Paths("/proc/"), Part::Paths("/dev/")])
            }
            SystemOp::SetHostname { .. } => Traits::reaching(&[Part::Paths("/etc/machine-info")]),
            SystemOp::SetTimezone { .. } => {
                Traits::reaching(&[Part::Paths("/etc/timezone"), Part::Paths("/etc/localtime")])
            }
            SystemOp::Reboot { .. } => Traits::reaching(REBOOT),
        }
    }
}

/// Whether a live kernel parameter can cut a connection, or leave no room for another one.
fn cuts_live(key: &str, value: &str, v6: bool) -> bool {
    const LIMITS: [&str; 5] = ["fs.file-max", "fs.nr_open", "kernel.pid_max", "kernel.threads-max", "kernel.pty.max"];
    LIMITS.contains(&key)
        || v6 && key.ends_with(".disable_ipv6") && value != "0"
        || key.starts_with("net.ipv4.conf.") && key.ends_with(".arp_ignore") && value != "0"
}
