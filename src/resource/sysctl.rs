//! `sysctl`: a kernel parameter, persisted for the next boot and live now.
//!
//! The two can differ, and each difference is a change of its own: what is
//! persisted but not live takes effect at some later boot, which is when
//! nobody is looking. Files after sysctl.d(5).

use super::{Args, Field, Kind, Resource, Type, file, in_force};
use crate::observe::{Content, HostState, PredictedState, Queries, Query, SetWith};
use crate::plan::{
    Finding, InForce, KNOWN_AFTER_APPLY, Meta, Op, PlanError, Planned, SystemOp, Verdict, check_excluded, set_again,
};
use crate::values::{AbsPath, SysctlKey};

pub(super) const KIND: Kind = Kind {
    name: "sysctl",
    summary: "A kernel parameter: persisted in a file of its own in /etc/sysctl.d, and live.",
    main: "key",
    fields: &[
        Field::required("key", Type::String, "the name, such as \"net.ipv4.ip_forward\" or \"net/ipv4/ip_forward\""),
        Field::optional("value", Type::Scalar, "the value; true and false mean 1 and 0"),
        Field::optional(
            "accept",
            Type::Strings,
            "other values that are as good: where the running kernel has one of them, it stays and is persisted in \
             place of 'value'",
        ),
        Field::optional(
            "state",
            Type::Enum(&["present", "absent"]),
            "default \"present\"; \"absent\" removes the file and leaves the live value until the next boot",
        ),
        Field::optional("live", Type::Bool, "whether the running kernel gets the value too; default true"),
        Field::optional(
            "ignore_missing",
            Type::Bool,
            "does nothing where the kernel has no such parameter; default false: that is an error",
        ),
    ],
    build,
};

/// Files that others than systemd apply after ours, by whom. Where ufw is on,
/// what its file says overrides ours; the note is for where it may come.
const LATER: [(&str, &str); 2] =
    [("/etc/sysctl.conf", "'sysctl --system'"), ("/etc/ufw/sysctl.conf", "ufw, whenever it starts,")];

#[derive(Debug)]
struct Sysctl {
    key: SysctlKey,
    path: AbsPath,
    /// None: the file shall be absent.
    value: Option<String>,
    /// Values that stay where the running kernel has them.
    accept: Vec<String>,
    live: bool,
    ignore_missing: bool,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let key: Option<SysctlKey> = args.parse("key");
    let value = if args.absent() {
        for field in ["value", "accept", "live", "ignore_missing"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        None
    } else {
        let text = match args.bool("value") {
            Some(flag) => u8::from(flag).to_string(),
            None => args.scalar("value").unwrap_or_default(),
        };
        if text.chars().any(|c| c.is_control() && c != '\t') {
            args.wrong_value("value", "'value' must be one line");
        }
        let value = normal(&text);
        if value.is_empty() {
            args.refuse("value", "a kernel parameter needs a 'value'");
        }
        Some(value)
    };
    let accept = args.parse_list::<String>("accept").iter().map(|value| normal(value)).collect();
    let live = args.bool("live").unwrap_or(true);
    let ignore_missing = args.bool("ignore_missing").unwrap_or(false);
    let key = key?;
    let path = format!("/etc/sysctl.d/99-zz-stockade-{}.conf", key.as_str().replace('/', "-")).parse().ok()?;
    Some(Box::new(Sysctl { key, path, value, accept, live, ignore_missing }))
}

/// The kernel separates several numbers by tabs, people by spaces.
fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Resource for Sysctl {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Content(self.path.clone()));
        if self.value.is_some() {
            queries.ask(Query::Sysctl(self.key.clone()));
            queries.extend(LATER.iter().filter_map(|(path, _)| path.parse().ok()).map(Query::Content));
            in_force::ask_sysctl(queries);
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let Some(value) = &self.value else {
            let mut planned = file::absent(host, &self.path)?;
            if !planned.ops.is_empty() {
                planned.notes.push(format!("the live value of {} stays until the next boot", self.key));
            }
            return Ok(planned);
        };
        let now = host.sysctl(&self.key)?;
        let value = self.accepted(host, now).unwrap_or(value);
        if now.is_none() && !host.sysctl_may_appear() {
            if self.ignore_missing {
                let mut planned = Planned::nothing();
                planned.notes.push(format!("the kernel of this host has no parameter {}", self.key));
                return Ok(planned);
            }
            return Err(PlanError::Refused(format!(
                "the kernel of this host has no parameter {}: check its name, load the kernel module it belongs to \
                 with a 'kernel_module' step before, or say ignore_missing = true",
                self.key
            )));
        }
        check_excluded(host, &self.key, value)?;
        let mut planned = self.persisted(host, value)?;
        let is_only_persisted = planned.changes.iter().all(|change| change.field == "persisted");
        if !planned.changes.is_empty() && is_only_persisted {
            planned.finding = self.persisted_elsewhere(host, value, now)?;
        }
        self.set_live(host, value, now, &mut planned)?;
        let judged = in_force::parameter(host, &self.path, self.key.as_str(), value)?.overridden;
        for (path, who) in LATER.into_iter().filter(|(path, _)| judged.iter().all(|by| by.file != *path)) {
            let Ok(Content::Bytes(bytes)) = host.content(&path.parse().map_err(|_| refused_path(path))?) else {
                continue;
            };
            if let Some(other) =
                in_force::last_value(&String::from_utf8_lossy(bytes), self.key.as_str()).filter(|other| other != value)
            {
                planned.notes.push(format!("{path} sets {} to {other}, and {who} applies it after this", self.key));
            }
        }
        Ok(planned)
    }

    fn live_parameter(&self) -> Option<(&SysctlKey, &str)> {
        // Which of several values it is, only the host tells.
        let value = self.value.as_deref().filter(|_| self.live && self.accept.is_empty())?;
        Some((&self.key, value))
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match &self.value {
            Some(value) if host.sysctl(&self.key)?.is_some() || !self.ignore_missing => {
                let value = self.accepted(host, host.sysctl(&self.key)?).unwrap_or(value);
                in_force::parameter(host, &self.path, self.key.as_str(), value)
            }
            _ => Ok(InForce::default()),
        }
    }
}

fn refused_path(path: &str) -> PlanError {
    PlanError::Refused(format!("{path} is not a path"))
}

impl Sysctl {
    /// The value among [`Sysctl::accept`] that the running kernel has and keeps.
    fn accepted(&self, host: &PredictedState, now: Option<&str>) -> Option<&String> {
        let now = now.filter(|_| host.sysctl_set_with(&self.key).is_none_or(SetWith::is_certain))?;
        self.accept.iter().find(|value| in_force::is_value(now, value))
    }

    /// Sets the live value, where it is another one or will be, and those that
    /// the kernel changes with it.
    fn set_live(
        &self,
        host: &PredictedState,
        value: &str,
        now: Option<&str>,
        planned: &mut Planned,
    ) -> Result<(), PlanError> {
        if host.facts.init.is_empty() {
            planned.notes.push("no kernel of its own runs here: the value is persisted only".to_owned());
            return Ok(());
        }
        let set_with = host.sysctl_set_with(&self.key);
        let is_certain = set_with.is_none_or(SetWith::is_certain);
        if !self.live || is_certain && now.is_some_and(|now| in_force::is_value(now, value)) {
            return Ok(());
        }
        if host.sysctl_is_read_only(&self.key) {
            return Err(PlanError::Refused(format!(
                "the live value of {}, which is {}, cannot be set on this host: {} is read-only there, as many are in \
                 a container. Say live = false to have the value in a file for the next boot only, or leave the \
                 step out with 'when' (facts.virtualization)",
                self.key,
                now.map_or("none".to_owned(), normal).escape_debug(),
                self.key.proc_path()
            )));
        }
        let before = now.filter(|_| is_certain).map_or(KNOWN_AFTER_APPLY.to_owned(), normal);
        planned.change("live", Some(before), Some(value));
        planned.ops.push(Op::System(SystemOp::Sysctl { key: self.key.clone(), value: value.to_owned() }));
        planned.notes.extend(set_with.map(|set| set.reason(&self.key)));
        set_again(planned, host, &self.key, value);
        Ok(())
    }

    /// That another file than the step's own persists the value, which is live too.
    fn persisted_elsewhere(
        &self,
        host: &PredictedState,
        value: &str,
        now: Option<&str>,
    ) -> Result<Option<Finding>, PlanError> {
        let is_live = !self.live || now.is_some_and(|now| in_force::is_value(now, value));
        if !is_live || host.sysctl_set_with(&self.key).is_some() {
            return Ok(None);
        }
        let Some((path, line)) = in_force::persisted_by(host, self.key.as_str(), value)? else { return Ok(None) };
        Ok(Some(Finding {
            verdict: Verdict::Holds,
            expected: format!("{} = {value}", self.key),
            actual: format!("{path}:{line} persists it"),
            command: format!("{path}:{line}"),
            said: format!("{} = {value}", self.key),
            remedy: Vec::new(),
        }))
    }

    fn persisted(&self, host: &HostState, value: &str) -> Result<Planned, PlanError> {
        let content = format!("{} = {value}\n", self.key);
        let mut planned = file::present(host, &self.path, content.as_bytes(), &Meta::root(0o644), &None)?;
        let before = match host.content(&self.path)? {
            Content::Bytes(bytes) => in_force::last_value(&String::from_utf8_lossy(bytes), self.key.as_str()),
            _ => None,
        };
        if before.as_deref() != Some(value) {
            // The value says it all; mode and owner of a new file say nothing.
            planned.changes.clear();
            planned.change("persisted", before, Some(value));
        }
        Ok(planned)
    }
}
