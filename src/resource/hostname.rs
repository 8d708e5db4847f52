//! `hostname`: the host's own name, live and persistent, and a line in
//! /etc/hosts that resolves it without the network (hostname(5), hosts(5)).

use super::{Args, Field, Kind, Resource, Type, file, in_force, text_file};
use crate::observe::{Content, HostState, PathState, PredictedState, Queries};
use crate::plan::{InForce, Meta, Op, PlanError, Planned, SystemOp};
use crate::values::{AbsPath, HostName};
use text_file::{Missing, Target, TextFile};

pub(super) const KIND: Kind = Kind {
    name: "hostname",
    summary: "The name of the host: live, in /etc/hostname, and resolved by /etc/hosts.",
    main: "value",
    fields: &[Field::required("value", Type::String, "the name, short or fully qualified")],
    build,
};

#[derive(Debug)]
struct Name {
    name: HostName,
    hostname: AbsPath,
    hosts: AbsPath,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let name: HostName = args.parse("value")?;
    // hostname(7): the kernel keeps 64 characters.
    if name.as_str().len() > 64 {
        args.wrong_value("value", format!("'{name}' is longer than the 64 characters a host name may have"));
    }
    let (hostname, hosts) = ("/etc/hostname".parse().ok()?, "/etc/hosts".parse().ok()?);
    Some(Box::new(Name { name, hostname, hosts }))
}

impl Resource for Name {
    fn queries(&self, queries: &mut Queries) {
        text_file::queries(&self.hostname, queries);
        text_file::queries(&self.hosts, queries);
        in_force::ask_cloud(queries);
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        self.hosts(host, &mut planned)?;
        planned.action = None;
        if host.facts.init.is_empty() {
            // A chroot: telling the running kernel would rename the machine around it.
            let content = format!("{}\n", self.name);
            let kept = file::present(host, &self.hostname, content.as_bytes(), &Meta::root(0o644), &None)?;
            if !kept.ops.is_empty() {
                planned.change("persisted", self.persisted(host)?, Some(self.name.as_str()));
                planned.ops.extend(kept.ops);
            }
            return Ok(planned);
        }
        let persisted = self.persisted(host)?;
        let (live_differs, differs) =
            (host.facts.hostname != self.name.as_str(), persisted.as_deref() != Some(self.name.as_str()));
        if live_differs {
            planned.change("live", Some(&host.facts.hostname), Some(self.name.as_str()));
        }
        if differs {
            planned.change("persisted", persisted, Some(self.name.as_str()));
        }
        if live_differs || differs {
            planned.ops.push(Op::System(SystemOp::SetHostname { name: self.name.to_string() }));
        }
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        in_force::hostname(host, self.name.as_str())
    }
}

impl Name {
    /// The name in /etc/hostname: its first line that is no comment.
    fn persisted(&self, host: &HostState) -> Result<Option<String>, PlanError> {
        if let PathState::Absent = host.path(&self.hostname)? {
            return Ok(None);
        }
        let Content::Bytes(bytes) = host.content(&self.hostname)? else { return Ok(None) };
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(lines.next().map(str::to_owned))
    }

    /// Has /etc/hosts resolve the name: unless a line does, the one for
    /// 127.0.1.1 (Debian's address for a host's own name) is made to.
    fn hosts(&self, host: &PredictedState, planned: &mut Planned) -> Result<(), PlanError> {
        let target = Target { path: self.hosts.clone(), missing: Missing::Create, parents: false };
        let Some(file) = TextFile::read(host, &target, planned)? else { return Ok(()) };
        let words = |line: &str| -> Vec<String> {
            line.split('#').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let resolves =
            |line: &str| words(line).iter().skip(1).any(|name| name.eq_ignore_ascii_case(self.name.as_str()));
        if file.text.iter().any(resolves) {
            return Ok(());
        }
        let short = self.name.as_str().split('.').next().unwrap_or_default();
        let line = match short == self.name.as_str() {
            true => format!("127.0.1.1\t{short}"),
            false => format!("127.0.1.1\t{}\t{short}", self.name),
        };
        let of = |address: &'static str| move |line: &str| words(line).first().is_some_and(|word| word == address);
        let mut text = file.text.clone();
        let own = text.iter().position(of("127.0.1.1"));
        if let Some(at) = own {
            planned.change("hosts", Some(text.line(at).replace('\t', " ")), Some(line.replace('\t', " ")));
            text.set(at, &line);
        } else {
            if text.len() == 0 {
                text.insert(0, "127.0.0.1\tlocalhost");
            }
            let at = text.iter().position(of("127.0.0.1")).map_or(text.len(), |at| at + 1);
            planned.change("hosts", None::<&str>, Some(line.replace('\t', " ")));
            text.insert(at, &line);
        }
        file.replace(host, text, planned)
    }
}
