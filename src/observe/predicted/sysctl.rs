//! What operations make of live kernel parameters, and what the kernel sets with
//! one that is written.

use super::PredictedState;
use crate::values::{SetTo, SysctlKey};

/// The parameter that is the name of the running host.
const HOSTNAME: &str = "kernel.hostname";

/// That a step of the run has the kernel set a parameter with another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetWith {
    /// The parameter that is written.
    pub by: SysctlKey,
    /// The step that writes it.
    pub step: String,
    /// What becomes of this one.
    pub to: SetTo,
}

impl SetWith {
    /// Whether it is known what becomes of the parameter.
    pub fn is_certain(&self) -> bool {
        matches!(self.to, SetTo::Value(_))
    }

    /// The reason why a parameter is set again, as a note on its step tells it.
    pub fn reason(&self, key: &SysctlKey) -> String {
        let SetWith { by, step, .. } = self;
        format!("{step} writes {by}, {}: it is set again", self.to.when_written(key))
    }
}

/// A live value that an earlier step of the run wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSysctl {
    /// The parameter.
    pub key: SysctlKey,
    /// Its value.
    pub value: String,
    /// The step, with its name and place.
    pub step: String,
    /// Whether the step keeps its value from being shown.
    pub sensitive: bool,
}

impl PredictedState {
    /// A kernel parameter will have this live value.
    pub fn set_sysctl(&mut self, key: &SysctlKey, value: &str) {
        self.host.set_sysctl(key, value);
    }

    /// Whether a live kernel parameter cannot be set here, not even by root: in a
    /// container, or because the kernel only tells it.
    pub fn sysctl_is_read_only(&self, key: &SysctlKey) -> bool {
        self.host.sysctl_is_read_only(key) && self.mounts_are_known()
    }

    /// Whether a kernel module loaded earlier in the run may bring parameters with it.
    pub fn sysctl_may_appear(&self) -> bool {
        self.sysctl_may_appear
    }

    /// A step writes a parameter, and the kernel sets others with it.
    pub fn write_sysctl(&mut self, key: &SysctlKey, value: &str) {
        let same = self.sysctl.get(key).is_some_and(|now| now.as_deref().is_some_and(|now| normal(now) == value));
        let is_certain = self.sysctl_set_with.remove(key).is_none_or(|set| set.is_certain());
        self.set_sysctl(key, value);
        if key.as_str() == HOSTNAME {
            self.name_host(value);
        }
        // The kernel sets others with a value that is new.
        if same && is_certain {
            return;
        }
        let step = self.this_step();
        let set: Vec<(SysctlKey, SetTo)> = self
            .sysctl
            .iter()
            .filter(|(_, now)| now.is_some())
            .filter_map(|(other, _)| Some((other.clone(), key.set_to(value, other)?)))
            .collect();
        for (other, to) in set {
            let now = self.sysctl.get(&other).and_then(Option::as_deref).map(normal);
            match &to {
                SetTo::Value(value) => _ = self.host.sysctl.insert(other.clone(), Some(value.clone())),
                SetTo::Perhaps(value) if now.as_ref() == Some(value) => continue,
                SetTo::Perhaps(_) | SetTo::Unknown => {}
            }
            self.sysctl_set_with.insert(other, SetWith { by: key.clone(), step: step.clone(), to });
        }
    }

    /// The running host gets this name, which is a parameter, too.
    pub fn name_host(&mut self, name: &str) {
        self.host.facts.hostname = name.to_owned();
        self.fact_is_decided("hostname");
        let parameter = self.host.sysctl.iter_mut().find(|(key, _)| key.as_str() == HOSTNAME);
        if let Some((_, Some(value))) = parameter {
            *value = name.to_owned();
        }
    }

    /// What has the kernel set this parameter since it was found or written.
    pub fn sysctl_set_with(&self, key: &SysctlKey) -> Option<&SetWith> {
        self.sysctl_set_with.get(key)
    }

    /// A step wants this live value, until a later one wants another.
    pub fn want_sysctl(&mut self, wanted: WantedSysctl) {
        self.wanted_sysctls.retain(|other| other.key != wanted.key);
        self.wanted_sysctls.push(wanted);
    }

    /// The live values that steps before the one at hand want.
    pub fn wanted_sysctls(&self) -> &[WantedSysctl] {
        &self.wanted_sysctls
    }
}

/// The kernel separates several numbers by tabs, people by spaces.
fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}
