//! `unit`: a unit file of the operator's own in /etc/systemd/system.

use super::in_force::{self, Said};
use super::{Args, Field, Kind, Resource, Type, also, docker_daemon, dropin, file, rejected, service};
use crate::observe::{Content, HostState, Known, PredictedState, Queries, Query, Unit};
use crate::plan::{FileOp, InForce, KNOWN_AFTER_APPLY, Meta, Op, Override, PlanError, Planned, UnitOp, Verb};
use crate::values::{AbsPath, UnitFile, UnitName};

pub(super) const KIND: Kind = Kind {
    name: "unit",
    summary: "A unit file in /etc/systemd/system; whether it runs is said by a 'service' step.",
    main: "name",
    fields: &[
        Field::required("name", Type::String, "the unit; \".service\" is added to a name without a unit type"),
        Field::optional(
            "state",
            Type::Enum(&["present", "absent"]),
            "default \"present\"; \"absent\" stops and disables the unit before its file is removed",
        ),
        Field::optional("content", Type::String, "the content itself"),
        Field::optional("source", Type::String, "a local file whose bytes are the content"),
        Field::optional("template", Type::String, "a local file that is rendered to the content"),
    ],
    build,
};

#[derive(Debug)]
struct UnitInPlace {
    name: UnitName,
    path: AbsPath,
    /// None: the file shall be absent.
    content: Option<(Vec<u8>, UnitFile)>,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let name = service::unit_name(args, "name");
    let content = if args.absent() {
        file::no_content(args);
        None
    } else {
        Some(dropin::unit_content(args)?)
    };
    let name = name?;
    if let Some((_, parsed)) = &content
        && let Some(section) = section(&name).filter(|section| !parsed.has_section(section))
    {
        args.refuse(file::content_field(args), format!("{name} needs a section [{section}]"));
    }
    let path = format!("/etc/systemd/system/{name}").parse().ok()?;
    Some(Box::new(UnitInPlace { name, path, content }))
}

/// The section that a unit of this type must have (systemd.service(5) and its siblings).
fn section(name: &UnitName) -> Option<&'static str> {
    match name.as_str().rsplit('.').next() {
        Some("service") => Some("Service"),
        Some("socket") => Some("Socket"),
        Some("timer") => Some("Timer"),
        Some("path") => Some("Path"),
        Some("mount") => Some("Mount"),
        Some("automount") => Some("Automount"),
        Some("swap") => Some("Swap"),
        _ => None,
    }
}

impl UnitInPlace {
    /// Where an enabled unit's [Install] section changes, the links of the old
    /// one go before the file is written, and those of the new one come after.
    fn enable_anew(
        &self,
        host: &HostState,
        unit: &Unit,
        parsed: &UnitFile,
        planned: &mut Planned,
    ) -> Result<(), PlanError> {
        let written =
            planned.ops.iter().any(|op| matches!(op, Op::File(FileOp::WriteFile { path, .. }) if *path == self.path));
        if !written || unit.file != "enabled" || unit.fragment != self.path.as_str() {
            return Ok(());
        }
        let Content::Bytes(old) = host.content(&self.path)? else { return Ok(()) };
        let old = UnitFile::parse(&String::from_utf8_lossy(old)).unwrap_or_default();
        let install = |file: &UnitFile| -> Vec<(String, String)> {
            file.section("Install").map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        if install(&old) == install(parsed) {
            return Ok(());
        }
        let words = |file: &UnitFile| -> Vec<String> {
            file.values("Install", "Also").flat_map(str::split_whitespace).map(str::to_owned).collect()
        };
        let (before, after) = (words(&old), words(parsed));
        let gone = before.into_iter().filter(|other| !after.contains(other)).collect();
        self.switch(host, Verb::Disable, gone, planned)?;
        if parsed.can_be_enabled() {
            self.switch(host, Verb::Enable, after, planned)?;
            planned.change("enabled", Some("by the former [Install] section"), Some("by the new one"));
        } else {
            planned.change("enabled", Some("true"), Some("false"));
            planned.notes.push(format!("{} has no [Install] section any more: it does not start at boot", self.name));
        }
        Ok(())
    }

    /// Enables the unit at the end, or disables it first, with those that its file names in `Also=`.
    fn switch(&self, host: &HostState, verb: Verb, also: Vec<String>, planned: &mut Planned) -> Result<(), PlanError> {
        let ops = vec![Op::Unit(UnitOp::Systemctl { verb, unit: self.name.clone() })];
        let mut switched = Planned { ops, ..Planned::nothing() };
        also::switched_too(host, &self.name, &Unit { also, ..Unit::default() }, &mut switched)?;
        let at = if verb == Verb::Disable { 0 } else { planned.ops.len() };
        planned.ops.splice(at..at, switched.ops);
        planned.changes.extend(switched.changes);
        planned.notes.extend(switched.notes);
        planned.follow_up_queries.extend(switched.follow_up_queries);
        Ok(())
    }

    /// The unit that this one, a timer, path or socket, starts; none of a template's.
    fn started(&self) -> Option<UnitName> {
        let (_, parsed) = self.content.as_ref()?;
        let (stem, kind) = self.name.as_str().rsplit_once('.')?;
        let last = |section: &str, key: &str| parsed.values(section, key).last().unwrap_or_default().to_owned();
        let named = match kind {
            "timer" => last("Timer", "Unit"),
            "path" => last("Path", "Unit"),
            // One instance of a template for each connection.
            "socket" if ["yes", "true", "on", "1"].contains(&last("Socket", "Accept").as_str()) => return None,
            "socket" => last("Socket", "Service"),
            _ => return None,
        };
        let name = if named.is_empty() { format!("{stem}.service") } else { named };
        name.parse().ok().filter(|name: &UnitName| !self.is_template() && !name.is_template())
    }

    fn is_template(&self) -> bool {
        self.name.is_template()
    }

    fn absent(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = file::absent(host, &self.path)?;
        if planned.ops.is_empty() || self.is_template() {
            return Ok(planned);
        }
        let (active, enabled) = match host.unit(&self.name)? {
            Known::Is(unit) => (unit.active.as_str(), unit.file.as_str()),
            Known::AfterApply => (KNOWN_AFTER_APPLY, KNOWN_AFTER_APPLY),
        };
        let mut before = Vec::new();
        if ["active", "activating", "reloading", "deactivating", KNOWN_AFTER_APPLY].contains(&active)
            && host.facts.init == "systemd"
        {
            planned.change("running", Some(if active == "active" { "true" } else { active }), Some("false"));
            before.push(Op::Unit(UnitOp::Systemctl { verb: Verb::Stop, unit: self.name.clone() }));
        }
        if ["enabled", "enabled-runtime", KNOWN_AFTER_APPLY].contains(&enabled) {
            planned.change("enabled", Some(if enabled == "enabled" { "true" } else { enabled }), Some("false"));
            before.push(Op::Unit(UnitOp::Systemctl { verb: Verb::Disable, unit: self.name.clone() }));
        }
        planned.ops.splice(0..0, before);
        if let Known::Is(unit) = host.unit(&self.name)? {
            also::switched_too(host, &self.name, unit, &mut planned)?;
        }
        Ok(planned)
    }
}

impl Resource for UnitInPlace {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Digest(self.path.clone()));
        if self.content.is_some() {
            docker_daemon::unit_queries(&self.name, queries);
            in_force::ask_unit(queries, self.name.as_str());
        }
        if !self.is_template() {
            queries.ask(Query::Unit(self.name.clone()));
        }
        queries.extend(self.started().map(Query::Unit));
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = match &self.content {
            None => self.absent(host)?,
            Some((bytes, parsed)) => {
                docker_daemon::check_unit(host, &self.name, parsed)?;
                let planned = file::present(host, &self.path, bytes, &Meta::root(0o644), &None)?;
                if host.path(&self.path)?.entry().is_some_and(|entry| entry.target.as_deref() == Some("/dev/null")) {
                    return Err(PlanError::Refused(format!(
                        "{} is masked on this host: take the mask off with a 'service' step (masked = false) before this one",
                        self.name
                    )));
                }
                planned
            }
        };
        let unit = if self.is_template() { None } else { Some(host.unit(&self.name)?) };
        dropin::reload(host, unit, &mut planned);
        if let (Some((bytes, parsed)), Some(Known::Is(unit))) = (&self.content, unit) {
            self.enable_anew(host, unit, parsed, &mut planned)?;
            dropin::unknown_words(host, self.name.as_str(), parsed, bytes, &mut planned)?;
        }
        rejected::check_units(host, rejected::Whose::OwnUnit, &mut planned)?;
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        let Some((bytes, _)) = &self.content else { return Ok(InForce::default()) };
        let mut found = in_force::unit_file(host, self.name.as_str(), &self.path, Said::File, Some(bytes))?;
        if !self.is_template()
            && let Known::Is(unit) = host.unit(&self.name)?
            && !unit.fragment.is_empty()
            && unit.fragment != self.path.as_str()
        {
            let message = "systemd uses this unit file in place of the step's: remove it there";
            found.overridden.push(Override::new(&unit.fragment, None, message));
        }
        if !self.is_template() {
            found.overridden.extend(in_force::unusable(host, &self.name));
        }
        if let Some(other) = self.started()
            && host.facts.init == "systemd"
            && host.brought_by().is_none()
            && matches!(host.unit(&other)?, Known::Is(unit) if unit.load == "not-found")
        {
            let message = format!(
                "systemd does not start it: it is to start {other}, and there is no such unit on this host; bring that one \
                 by its package or a 'unit' step, or name another one in {}",
                if self.name.as_str().ends_with(".socket") { "Service=" } else { "Unit=" }
            );
            found.overridden.push(Override::new(&self.name, None, message));
        }
        Ok(found)
    }
}
