//! `service`: whether a unit starts at boot, runs now, or is masked.
//!
//! Says nothing about a unit's files (`unit`, `dropin`). A unit that nothing
//! has brought and nothing will bring is refused, not hoped for.

use super::{Args, Field, Kind, Resource, Type, also};
use crate::observe::{HostState, Known, PathState, PredictedState, Queries, Query, Run, Unit};
use crate::plan::{Action, InForce, KNOWN_AFTER_APPLY, Op, Override, PlanError, Planned, UnitOp, Verb};
use crate::values::{AbsPath, UnitName};

pub(super) const KIND: Kind = Kind {
    name: "service",
    summary: "Whether a systemd unit starts at boot, runs now, or is masked.",
    main: "name",
    fields: &[
        Field::required("name", Type::String, "a unit; \".service\" is added to a name without a unit type"),
        Field::optional("enabled", Type::Bool, "whether it starts at boot; not given: left as it is"),
        Field::optional(
            "running",
            Type::Bool,
            "whether it runs now, which a unit that runs to its end (Type=oneshot) never does; not given: left as it is",
        ),
        Field::optional(
            "masked",
            Type::Bool,
            "true stops it and makes it impossible to start, an alias only by that name; false takes a mask off; not given: left as it is",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Service {
    name: UnitName,
    enabled: Option<bool>,
    running: Option<bool>,
    masked: Option<bool>,
}

/// A unit's name from a field; `.service` is added where there is no unit type.
pub(super) fn unit_name(args: &mut Args<'_>, field: &str) -> Option<UnitName> {
    let text = args.string(field)?;
    match UnitName::named(&text) {
        Ok(name) => Some(name),
        Err(error) => {
            args.wrong_value(field, error.to_string());
            None
        }
    }
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let (enabled, running, masked) = (args.bool("enabled"), args.bool("running"), args.bool("masked"));
    if ["enabled", "running", "masked"].iter().all(|field| args.node(field).is_none()) {
        args.refuse("name", "there must be at least one of 'enabled', 'running' and 'masked'");
    }
    for (field, wish) in [("enabled", enabled), ("running", running)] {
        if masked == Some(true) && wish == Some(true) {
            args.refuse(field, format!("a masked unit cannot be {field}"));
        }
    }
    let name = unit_name(args, "name")?;
    if name.is_template() {
        args.refuse(
            "name",
            format!(
                "{name} is a template: only an instance of it, such as {}, can run, be enabled or be masked",
                instance(&name)
            ),
        );
    }
    Some(Box::new(Service { name, enabled, running, masked }))
}

/// Where a mask stands (systemctl(1), mask), and the administrator's own units.
const OWN_UNITS: &str = "/etc/systemd/system/";

/// The programs that enable and disable scripts of /etc/init.d, each with the
/// places where it may stand.
const SYSV_TOOLS: [&[&str]; 2] =
    [&["/usr/lib/systemd/systemd-sysv-install", "/lib/systemd/systemd-sysv-install"], &["/usr/sbin/update-rc.d"]];

fn instance(template: &UnitName) -> String {
    template.as_str().replacen("@.", "@one.", 1)
}

impl Service {
    /// Where a link of this name stands that an administrator, or 'enable', has made.
    fn own_place(&self) -> Option<AbsPath> {
        format!("{OWN_UNITS}{}", self.name).parse().ok()
    }

    /// Only the alias is masked; what it leads to is stopped and disabled where that is wanted.
    fn alias_masked<'a>(&'a self, work: &mut Work<'a>) {
        if self.running == Some(false) {
            work.stopped();
        }
        if self.enabled == Some(false) {
            work.disabled();
        }
        let name = std::mem::replace(&mut work.name, &self.name);
        work.say(Verb::Mask, "masked", "false", "true");
        work.planned.notes.push(format!(
            "{} is an alias of {name}: only this name is masked, {name} itself stays as it is",
            self.name
        ));
    }

    /// Masks the unit or takes the mask off; whether that is all there is to do.
    fn masked(&self, work: &mut Work<'_>) -> Result<bool, PlanError> {
        let unit = work.unit;
        let masked = unit.load == "masked" || unit.file.starts_with("masked");
        match self.masked {
            Some(true) => {
                work.stopped();
                if !masked && unit.fragment.starts_with(OWN_UNITS) {
                    return Err(PlanError::Refused(format!(
                        "{} cannot be masked: its file {} stands where the mask would; remove the file first with a \
                         'unit' step (state = \"absent\"), or say enabled = false, running = false in place of masked",
                        self.name, unit.fragment
                    )));
                }
                if unit.file == "masked-runtime" {
                    work.say(Verb::Mask, "masked", "until the next boot", "true");
                } else if !masked {
                    work.say(Verb::Mask, "masked", "false", "true");
                }
                return Ok(true);
            }
            Some(false) if masked => work.say(Verb::Unmask, "masked", "true", "false"),
            None if masked && (self.enabled == Some(true) || self.running == Some(true)) => {
                return Err(PlanError::Refused(format!(
                    "{} is masked on this host, so that nothing may start it: say masked = false to take the mask off",
                    self.name
                )));
            }
            Some(false) | None => {}
        }
        Ok(false)
    }

    /// Starts or stops the unit.
    fn running(&self, host: &PredictedState, work: &mut Work<'_>) -> Result<(), PlanError> {
        match self.running {
            Some(true) if work.unit.runs_once => Err(PlanError::Refused(format!(
                "{} runs to its end and is never 'running' (Type=oneshot without RemainAfterExit=yes): leave \
                 'running' away and have it started by a timer, by 'enabled' at boot, or by a 'command' step \
                 (systemctl start {0}); or set RemainAfterExit=yes in its [Service] section",
                work.name
            ))),
            Some(true) => {
                work.started();
                also::runs_too(host, work.name, work.unit, &mut work.planned)?;
                work.conditions(host)
            }
            Some(false) => {
                work.stopped();
                work.is_started_by_others(host, self.enabled == Some(false))
            }
            None => Ok(()),
        }
    }

    /// Masks an alias that the vendor gives the unit: as with systemctl(1), the
    /// mask has the alias's name, and the unit itself stays as it is.
    fn masks_alias(&self, host: &HostState, real: &UnitName) -> bool {
        let stands = self.own_place().is_some_and(|path| matches!(host.path(&path), Ok(PathState::Present(_))));
        let is_loaded = matches!(host.unit(&self.name), Ok(Known::Is(unit)) if unit.load != "not-found");
        self.masked == Some(true) && *real != self.name && is_loaded && !stands
    }
}

impl Resource for Service {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Unit(self.name.clone()));
        if self.masked == Some(true) {
            queries.extend(self.own_place().map(Query::Path));
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let unknown = Unit {
            load: "loaded".to_owned(),
            active: KNOWN_AFTER_APPLY.to_owned(),
            file: KNOWN_AFTER_APPLY.to_owned(),
            ..Unit::default()
        };
        // By an alias only the unit's own name can be enabled, and the alias is
        // gone once it is disabled.
        let name = match host.unit(&self.name)? {
            Known::Is(Unit { real: Some(real), .. }) => real,
            _ => &self.name,
        };
        if !host.asked(&Query::Unit(name.clone())) {
            return Ok(Planned { follow_up_queries: vec![Query::Unit(name.clone())], ..Planned::nothing() });
        }
        let unit = match host.unit(name)? {
            Known::Is(unit) => unit,
            Known::AfterApply => &unknown,
        };
        let mut work = Work { name, unit, live: host.facts.init == "systemd", planned: Planned::nothing() };
        if unit.load == "not-found" && (self.enabled == Some(true) || self.running == Some(true)) {
            return Err(PlanError::Refused(format!(
                "there is no unit {} on this host: install its package or write it with a 'unit' step before this one",
                work.name
            )));
        }
        if unit.needs_reload && work.live {
            work.planned.change("files", Some("changed since systemd read them"), Some("read again"));
            work.planned.ops.push(Op::Unit(UnitOp::DaemonReload));
        }
        if self.masks_alias(host, name) {
            self.alias_masked(&mut work);
            return Ok(work.planned);
        }
        if self.masked(&mut work)? {
            return Ok(work.planned);
        }
        match self.enabled {
            Some(true) => work.enabled(host)?,
            Some(false) => work.disabled(),
            None => {}
        }
        also::switched_too(host, name, unit, &mut work.planned)?;
        work.has_tools(host)?;
        self.running(host, &mut work)?;
        // Stop first: what is disabled may be known by this name no more. A socket is
        // disabled first: a service that requires it only while it is enabled (RequiredBy=,
        // as with Ubuntu's ssh.socket) would stop with it.
        if !work.name.as_str().ends_with(".socket") {
            work.planned.ops.sort_by_key(|op| matches!(op, Op::Unit(UnitOp::Systemctl { verb: Verb::Disable, .. })));
        }
        if *work.name != self.name {
            work.planned.notes.push(format!("{} is an alias of {}", self.name, work.name));
        }
        Ok(work.planned)
    }

    fn unit(&self) -> Option<&UnitName> {
        Some(&self.name)
    }

    fn keeps_running(&self) -> Option<(&UnitName, bool)> {
        let masked = (self.masked == Some(true)).then_some(false);
        Some((&self.name, masked.or(self.running)?))
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        let mut found = InForce::default();
        let Known::Is(unit) = host.unit(&self.name)? else { return Ok(found) };
        let wanted = self.enabled == Some(true) && host.facts.init == "systemd";
        if wanted && unit.file == "static" && unit.started_by.is_empty() && !unit.is_on_bus {
            let message = "it does not start at boot: its file has no [Install] section, and no other unit starts it. \
                           Give the file one, such as \"[Install]\" and \"WantedBy=multi-user.target\", or leave \
                           'enabled' away";
            found.overridden.push(Override::new(&self.name, None, message));
        }
        Ok(found)
    }
}

struct Work<'a> {
    name: &'a UnitName,
    unit: &'a Unit,
    /// Whether systemd runs there: in a chroot only unit files can be changed.
    live: bool,
    planned: Planned,
}

impl Work<'_> {
    fn say(&mut self, verb: Verb, field: &str, before: &str, after: &str) {
        self.planned.action = Some(Action::Update);
        self.planned.change(field, Some(before), Some(after));
        self.planned.ops.push(Op::Unit(UnitOp::Systemctl { verb, unit: self.name.clone() }));
    }

    fn enabled(&mut self, host: &HostState) -> Result<(), PlanError> {
        // systemctl(1), is-enabled: the words and what they mean.
        let remark = match self.unit.file.as_str() {
            "enabled" => return Ok(()),
            "static" => "static: it has no [Install] section, so that only other units start it",
            "generated" => "generated from another file, which decides whether it starts at boot",
            "transient" => "transient: it has no file that could be enabled",
            "indirect" if also::leaves_disabled(host, self.name, self.unit, &mut self.planned) => {
                self.planned.action = Some(Action::Update);
                self.planned.ops.push(Op::Unit(UnitOp::Systemctl { verb: Verb::Enable, unit: self.name.clone() }));
                "indirect: only the units it names in Also= can be enabled"
            }
            "indirect" => "indirect: only the units it names in Also= can be enabled",
            "alias" => "an alias of another unit: enable that one by its own name",
            "bad" => {
                let bad = format!("the unit file of {} is invalid: see 'systemctl status {0}' there", self.name);
                return Err(PlanError::Refused(bad));
            }
            before => {
                let before = shown(before);
                self.say(Verb::Enable, "enabled", before, "true");
                return Ok(());
            }
        };
        self.planned.notes.push(format!("{} is {remark}", self.name));
        Ok(())
    }

    fn disabled(&mut self) {
        match self.unit.file.as_str() {
            "enabled" => self.say(Verb::Disable, "enabled", "true", "false"),
            before @ ("enabled-runtime" | "linked" | "linked-runtime" | KNOWN_AFTER_APPLY) => {
                self.say(Verb::Disable, "enabled", before, "false");
            }
            "alias" => {
                self.planned
                    .notes
                    .push(format!("{} is an alias of another unit: disable that one by its own name", self.name));
            }
            _ => {}
        }
    }

    /// A script of /etc/init.d is enabled and disabled by other programs, to which
    /// systemctl(1) hands it on.
    fn has_tools(&mut self, host: &PredictedState) -> Result<(), PlanError> {
        let switches = |op: &Op| matches!(op, Op::Unit(UnitOp::Systemctl { verb: Verb::Enable | Verb::Disable, unit }) if unit == self.name);
        if self.unit.rc_links.is_none() || !self.planned.ops.iter().any(switches) {
            return Ok(());
        }
        for places in SYSV_TOOLS {
            let places: Vec<AbsPath> = places.iter().filter_map(|place| place.parse().ok()).collect();
            let open = places.iter().cloned().map(Query::Path).filter(|query| !host.asked(query));
            let open: Vec<Query> = open.collect();
            let is_absent = |path: &AbsPath| matches!(host.path(path), Ok(PathState::Absent));
            if !open.is_empty() {
                self.planned.follow_up_queries.extend(open);
            } else if let Some(first) = places.first().filter(|_| places.iter().all(is_absent))
                && host.brought_by().is_none()
            {
                return Err(PlanError::Refused(format!(
                    "{} is made of a script in /etc/init.d, and there is no {first} on this host, with which                      systemctl would enable or disable it: write a unit file for it with a 'unit' step, or leave                      'enabled' away",
                    self.name
                )));
            }
        }
        Ok(())
    }

    fn started(&mut self) {
        match self.unit.active.as_str() {
            "active" | "reloading" => {}
            _ if !self.live => {
                let note = format!("systemd does not run here: {} is not started", self.name);
                self.planned.notes.push(note);
            }
            "inactive" => self.say(Verb::Start, "running", "false", "true"),
            before => {
                self.say(Verb::Start, "running", before, "true");
                if !self.unit.result.is_empty() {
                    let note = format!("systemd's result of its last run: {}", self.unit.result);
                    self.planned.notes.push(note);
                }
            }
        }
    }

    /// Notes the condition for which systemd would not start the unit now.
    /// systemd itself forgets why it did not, so it is asked to try again.
    fn conditions(&mut self, host: &HostState) -> Result<(), PlanError> {
        if !self.live || !self.unit.has_conditions {
            return Ok(());
        }
        let text = "exec systemd-analyze condition --unit=\"$1\" 2>&1";
        let question = Run::new(["sh", "-c", text, "sh", self.name.as_str()]);
        if !host.asked(&Query::Run(question.clone())) {
            self.planned.follow_up_queries.push(Query::Run(question));
            return Ok(());
        }
        let Known::Is(output) = host.output(&question)? else { return Ok(()) };
        let of_unit = |line: &str| {
            let test = line.strip_prefix(self.name.as_str())?.strip_prefix(": ")?.strip_suffix(" failed.")?;
            Some(test.escape_debug().to_string())
        };
        if let Some(unmet) = output.stdout.lines().find_map(of_unit) {
            let note = format!("systemd does not start {} while {unmet} is not met", self.name);
            self.planned.notes.push(note);
        }
        Ok(())
    }

    /// Notes what will start the unit again although it is stopped.
    fn is_started_by_others(&mut self, host: &HostState, disabled: bool) -> Result<(), PlanError> {
        if !self.live {
            return Ok(());
        }
        for other in self.unit.started_by.iter().filter_map(|name| name.parse::<UnitName>().ok()) {
            // What has links by [Install] loses them with 'enabled = false'.
            if other.as_str().ends_with(".target") {
                if disabled && self.unit.file == "static" {
                    let note = format!(
                        "{0} has no [Install] section, and {other} starts it: say masked = true to keep it from running",
                        self.name
                    );
                    self.planned.notes.push(note);
                }
                continue;
            }
            if !host.asked(&Query::Unit(other.clone())) {
                self.planned.follow_up_queries.push(Query::Unit(other));
                continue;
            }
            let Known::Is(starter) = host.unit(&other)? else { continue };
            let is_on = starter.active == "active" || starter.file.starts_with("enabled");
            if is_on && starter.load == "loaded" {
                let state = if starter.active == "active" { "active" } else { "enabled" };
                self.planned.notes.push(format!(
                    "{other} is {state} and starts {} again: stop and disable that one too, or say masked = true",
                    self.name
                ));
            }
        }
        Ok(())
    }

    fn stopped(&mut self) {
        match self.unit.active.as_str() {
            _ if !self.live => {}
            "active" => self.say(Verb::Stop, "running", "true", "false"),
            before @ ("reloading" | "activating" | "deactivating" | KNOWN_AFTER_APPLY) => {
                self.say(Verb::Stop, "running", before, "false");
            }
            _ => {}
        }
    }
}

/// An enabled state as a plan shows it.
fn shown(file: &str) -> &str {
    match file {
        "disabled" | "" => "false",
        other => other,
    }
}
