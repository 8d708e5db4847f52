//! `firewall`: ufw's policies and rules, and the DOCKER-USER chain.
//!
//! What ufw(8) keeps is read from its own files; what differs is changed by
//! ufw itself. Two things must hold: rules are added before a policy shuts
//! anything, and a rule set that would shut the port of the connection in use
//! is refused when the plan is made.

mod docker_user;
mod found;
mod lockout;
mod rule;
mod table;

use super::{Args, Field, Kind, Resource, Type};
use crate::observe::{HostState, Known, PredictedState, Queries, Query};
use crate::plan::{
    Action, CommandOp, FileOp, InForce, KNOWN_AFTER_APPLY, Meta, Op, Override, PlanError, Planned, Postcondition,
    diff_files,
};
use docker_user::{DockerUser, REPLACE_BLOCK};
use found::{Files, Found, Policies, set_variable};
use rule::{Line, Rule};

const POLICY: Type = Type::Enum(&["allow", "deny", "reject"]);

pub(super) const KIND: Kind = Kind {
    name: "firewall",
    summary: "The host's firewall: default policies, rules, and who reaches the ports that containers publish.",
    main: "backend",
    fields: &[
        Field::optional("backend", Type::Enum(&["ufw"]), "default \"ufw\", the only one so far"),
        Field::optional("enabled", Type::Bool, "whether it filters, now and after a reboot; default true"),
        Field::optional("default_incoming", POLICY, "what happens to connections no rule names; default \"deny\""),
        Field::optional("default_outgoing", POLICY, "the same for outgoing connections; default \"allow\""),
        Field::optional("default_routed", POLICY, "the same for forwarded ones; left as it is if not given"),
        Field::optional(
            "logging",
            Type::Enum(&["off", "low", "medium", "high", "full"]),
            "how much is logged; left as it is if not given",
        ),
        Field::optional(
            "rules",
            Type::Tables,
            "tables with one of allow, deny, limit, reject = \"22/tcp\", a port, or \"any\"; and from, to, port, \
             proto, interface, direction (\"in\" or \"out\"), comment",
        ),
        Field::optional(
            "exclusive",
            Type::Bool,
            "removes the rules that are not listed; default false; refused where ufw has rules that cannot be listed (route rules)",
        ),
        Field::optional(
            "docker_user",
            Type::Any,
            "who reaches the ports that containers publish, which ufw's rules never see: allow_from (networks), \
             allow_ports (open to all, such as \"443/tcp\"), interfaces (filter these only); all else is dropped",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Firewall {
    files: Files,
    enabled: bool,
    policies: Policies,
    logging: Option<String>,
    rules: Vec<Rule>,
    exclusive: bool,
    docker_user: Option<DockerUser>,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let mut errors = Vec::new();
    let rules = args.node("rules").map(|node| table::rules(node, &mut errors)).unwrap_or_default();
    let docker_user = args.node("docker_user").map(|node| DockerUser::parse(node, &mut errors));
    errors.into_iter().for_each(|error| args.wrong(error));
    Some(Box::new(Firewall {
        files: Files::new()?,
        enabled: args.bool("enabled").unwrap_or(true),
        policies: Policies {
            incoming: Some(args.string("default_incoming").unwrap_or_else(|| "deny".into())),
            outgoing: Some(args.string("default_outgoing").unwrap_or_else(|| "allow".into())),
            routed: args.string("default_routed"),
        },
        logging: args.string("logging"),
        rules,
        exclusive: args.bool("exclusive").unwrap_or(false),
        docker_user,
    }))
}

impl Resource for Firewall {
    fn queries(&self, queries: &mut Queries) {
        self.files.queries(queries);
        queries.extend(self.files.rivals.iter().chain(&self.files.units).cloned().map(Query::Unit));
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        for rival in self.files.rivals.iter().filter(|_| self.enabled) {
            if matches!(host.unit(rival)?, Known::Is(unit) if unit.active == "active") {
                return Err(PlanError::Refused(format!(
                    "{rival} is active on this host, and two firewalls undo each other: stop and disable it first \
                     (service = {{ name = \"{rival}\", running = false, enabled = false }}), or leave the firewall to it"
                )));
            }
        }
        let found = self.files.read(host)?;
        let mut plan = Planning { planned: Planned::nothing(), lists: found.lists.clone(), found: &found };
        self.plan_chains(&mut plan);
        self.plan_rules(&mut plan)?;
        self.plan_policies(&mut plan);
        self.plan_state(&mut plan);
        let Planning { mut planned, lists, .. } = plan;
        if planned.ops.is_empty() {
            return Ok(planned);
        }
        if self.enabled {
            lockout::refuse(&host.facts, &lists, self.policies.incoming.as_deref() == Some("allow"), found.v6)?;
        }
        planned.action = Some(if found.known { Action::Update } else { Action::Create });
        if self.enabled && self.docker_user.is_none() && self.is_loaded(host, "docker.service") {
            let note = "ports that Docker publishes pass by these rules: say who reaches them with 'docker_user'";
            planned.notes.push(note.to_owned());
        }
        self.predict(&mut planned, &found, &lists);
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        let mut found = InForce::default();
        for rival in self.files.rivals.iter().filter(|_| self.enabled) {
            let Ok(Known::Is(unit)) = host.unit(rival) else { continue };
            if unit.load == "loaded" && unit.file == "enabled" {
                let message = format!(
                    "{rival} is enabled too, and at the next boot its rules take the place of these: disable it \
                     (service = {{ name = \"{rival}\", enabled = false }})"
                );
                found.overridden.push(Override::new(&unit.fragment, None, message));
            }
        }
        let own = self.files.units.iter().find(|unit| unit.as_str() == "ufw.service");
        if let Some(own) = own.filter(|_| self.enabled)
            && let Ok(Known::Is(unit)) = host.unit(own)
            && matches!(unit.file.as_str(), "disabled" | "masked")
        {
            let message = format!(
                "{own} is {}, so the rules are not loaded at the next boot: enable it \
                 (service = {{ name = \"{own}\", masked = false, enabled = true }})",
                unit.file
            );
            found.overridden.push(Override::new(&unit.fragment, None, message));
        }
        Ok(found)
    }
}

impl Firewall {
    fn is_loaded(&self, host: &HostState, unit: &str) -> bool {
        let named = self.files.units.iter().find(|name| name.as_str() == unit);
        named.is_some_and(|name| matches!(host.unit(name), Ok(Known::Is(unit)) if unit.load == "loaded"))
    }
}

/// A plan in the making: what there is to do, and ufw's lists as they will be.
struct Planning<'a> {
    planned: Planned,
    lists: [Vec<Line>; 2],
    found: &'a Found,
}

impl Planning<'_> {
    fn ufw<S: Into<String>>(&mut self, words: impl IntoIterator<Item = S>) {
        let argv = std::iter::once("ufw".to_owned()).chain(words.into_iter().map(Into::into)).collect();
        self.planned.ops.push(Op::Command(CommandOp::Exec { argv, postconditions: Vec::new() }));
    }

    /// What a field is before, where the host could tell.
    fn before<'v>(&self, value: &'v str) -> &'v str {
        if self.found.known { value } else { KNOWN_AFTER_APPLY }
    }

    /// Puts a rule into the lists as `ufw` does: in the place of one that
    /// matches the same, else at the end. True if anything changes.
    fn put(&mut self, rule: &Rule) -> (bool, Option<Rule>) {
        let (mut changed, mut replaced) = (false, None);
        for v6 in rule.families(self.found.v6) {
            let list = &mut self.lists[usize::from(v6)];
            let same = |line: &Line| line.rule().is_some_and(|r| r.profile.is_none() && r.matches == rule.matches);
            match list.iter().position(same) {
                None => list.push(Line::Rule(rule.clone())),
                Some(at) if list[at].rule() == Some(rule) => continue,
                Some(at) => {
                    replaced = list[at].rule().cloned();
                    list[at] = Line::Rule(rule.clone());
                }
            }
            changed = true;
        }
        (changed, replaced)
    }
}

impl Firewall {
    fn plan_rules(&self, plan: &mut Planning<'_>) -> Result<(), PlanError> {
        for rule in &self.rules {
            if !plan.found.v6 && rule.families(false) == [true] {
                return Err(PlanError::Refused(format!(
                    "the rule '{rule}' is for IPv6, which /etc/default/ufw turns off (IPV6=no)"
                )));
            }
            let (changed, replaced) = plan.put(rule);
            if changed {
                plan.planned.change("rules", replaced.map(|r| r.to_string()), Some(rule.to_string()));
                plan.ufw(rule.words(false));
            }
        }
        self.keep_order(plan);
        if self.exclusive {
            self.remove_others(plan)?
        } else {
            self.note_overruled(plan)
        }
        Ok(())
    }

    /// The first rule that matches decides: where a listed rule stands before
    /// one that is listed earlier and says otherwise, it is moved to the end.
    fn keep_order(&self, plan: &mut Planning<'_>) {
        for (index, rule) in self.rules.iter().enumerate() {
            let rivals = self.rules[..index]
                .iter()
                .filter(|earlier| earlier.admits() != rule.admits() && earlier.matches.overlaps(&rule.matches));
            let rivals: Vec<&Rule> = rivals.collect();
            let misplaced = plan.lists.iter().any(|list| {
                let place = |wanted: &Rule| list.iter().position(|line| line.rule() == Some(wanted));
                place(rule).is_some_and(|own| rivals.iter().any(|rival| place(rival).is_some_and(|at| at > own)))
            });
            if misplaced {
                plan.planned.change("order", Some(format!("{rule}: too early")), Some("in the order of the list"));
                plan.ufw(rule.words(true));
                plan.ufw(rule.words(false));
                for v6 in rule.families(plan.found.v6) {
                    let list = &mut plan.lists[usize::from(v6)];
                    list.retain(|line| line.rule() != Some(rule));
                    list.push(Line::Rule(rule.clone()));
                }
            }
        }
    }

    fn remove_others(&self, plan: &mut Planning<'_>) -> Result<(), PlanError> {
        let unwanted = |line: &Line| line.rule().is_some_and(|rule| !self.rules.contains(rule));
        let mut removed: Vec<Rule> = Vec::new();
        for line in plan.lists.iter().flatten() {
            if let Line::Route(text) = line {
                return Err(PlanError::Refused(format!(
                    "ufw has a rule for forwarded packets, which 'rules' cannot list, so that 'exclusive' must neither \
                     keep nor remove it: '{}'; remove it by hand (ufw status numbered, ufw delete NUMBER), or leave \
                     out 'exclusive'",
                    text.trim_start_matches("### tuple ### ")
                )));
            }
            if let Line::Other(text) = line {
                return Err(PlanError::Refused(format!(
                    "ufw has a rule of a form that is not understood here, so that 'exclusive' cannot remove it: \
                     '{}'; remove it by hand (ufw status numbered, ufw delete NUMBER)",
                    text.trim_start_matches("### tuple ### ")
                )));
            }
            if let Some(rule) = line.rule().filter(|rule| unwanted(line) && !removed.contains(rule)) {
                removed.push(rule.clone());
            }
        }
        for rule in removed {
            plan.planned.change("rules", Some(rule.to_string()), None::<&str>);
            plan.ufw(rule.words(true));
        }
        plan.lists.iter_mut().for_each(|list| list.retain(|line| !unwanted(line)));
        Ok(())
    }

    /// A rule that is not listed may stand first and decide otherwise.
    fn note_overruled(&self, plan: &mut Planning<'_>) {
        let mut notes = Vec::new();
        for list in &plan.lists {
            for (at, line) in list.iter().enumerate() {
                let Some(rule) = line.rule().filter(|rule| self.rules.contains(rule)) else { continue };
                let overrules = |other: &&Rule| {
                    !self.rules.contains(other)
                        && other.admits() != rule.admits()
                        && other.matches.overlaps(&rule.matches)
                };
                if let Some(other) = list[..at].iter().filter_map(Line::rule).find(overrules) {
                    notes.push(format!("'{rule}' comes after '{other}', which is not listed (see 'exclusive')"));
                }
            }
        }
        notes.dedup();
        plan.planned.notes.extend(notes);
    }

    fn plan_policies(&self, plan: &mut Planning<'_>) {
        let found = &plan.found.policies;
        let pairs = [
            ("incoming", &self.policies.incoming, &found.incoming),
            ("outgoing", &self.policies.outgoing, &found.outgoing),
            ("routed", &self.policies.routed, &found.routed),
        ];
        for (direction, wanted, found) in pairs {
            let Some(wanted) = wanted.as_ref().filter(|wanted| found.as_ref() != Some(wanted)) else { continue };
            let before = plan.before(found.as_deref().unwrap_or(KNOWN_AFTER_APPLY));
            plan.planned.change(format!("default_{direction}"), Some(before), Some(wanted));
            plan.ufw(["default", wanted, direction]);
        }
        if let Some(level) = self.logging.as_ref().filter(|level| plan.found.logging.as_ref() != Some(level)) {
            let before = plan.before(plan.found.logging.as_deref().unwrap_or(KNOWN_AFTER_APPLY));
            plan.planned.change("logging", Some(before), Some(level));
            plan.ufw(["logging", level]);
        }
    }

    /// The files that hold the DOCKER-USER chain.
    fn plan_chains(&self, plan: &mut Planning<'_>) {
        for v6 in [false, true] {
            let path = &self.files.after[usize::from(v6)];
            let wanted = self.docker_user.as_ref();
            match &plan.found.after[usize::from(v6)] {
                Some(text) if wanted.is_some() || self.exclusive => {
                    let after = docker_user::with_block(text, wanted, v6);
                    if after != *text {
                        if wanted.is_none() && !v6 {
                            let note = "the rules of DOCKER-USER stay in the kernel until the next reboot";
                            plan.planned.notes.push(note.into());
                        }
                        let diff = diff_files(path.as_str(), Some(text.as_bytes()), Some(after.as_bytes()));
                        plan.planned.diff.get_or_insert_default().push_str(&diff);
                        let content = after.into_bytes();
                        let meta = Meta::root(0o640);
                        plan.planned.ops.push(Op::File(FileOp::WriteFile {
                            path: path.clone(),
                            content,
                            meta,
                            validate: None,
                        }));
                    }
                }
                None => {
                    let Some(wanted) = wanted else { continue };
                    let block = docker_user::block(wanted, v6);
                    plan.planned.change(path.as_str(), Some(KNOWN_AFTER_APPLY), Some("with the chain DOCKER-USER"));
                    let argv = ["sh", "-c", REPLACE_BLOCK, "-", path.as_str(), &block];
                    plan.planned.ops.push(Op::Command(CommandOp::Exec {
                        argv: argv.map(str::to_owned).into(),
                        postconditions: vec![Postcondition::Holds(path.clone(), block.into_bytes())],
                    }));
                }
                Some(_) => {}
            }
        }
    }

    fn plan_state(&self, plan: &mut Planning<'_>) {
        let found = plan.found;
        match (self.enabled, found.enabled, found.live) {
            (true, true, true) => {
                let chains = |op: &Op| matches!(op, Op::File(FileOp::WriteFile { .. }));
                if plan.planned.ops.iter().any(chains) {
                    plan.ufw(["reload"]);
                }
            }
            (true, enabled, _) => {
                let before = if enabled { "yes, but its chains are not loaded" } else { plan.before("no") };
                plan.planned.change("enabled", Some(before), Some("yes"));
                plan.ufw(["--force", "enable"]);
            }
            (false, true, _) => {
                plan.planned.change("enabled", Some("yes"), Some("no"));
                plan.ufw(["disable"]);
            }
            (false, false, _) => {}
        }
    }

    /// Says on the last operation what ufw's files then hold.
    fn predict(&self, planned: &mut Planned, found: &Found, lists: &[Vec<Line>; 2]) {
        let Some(last) = planned.ops.last_mut() else { return };
        let defaults = self.policies.write(&found.defaults_text);
        let mut conf = set_variable(&found.conf_text, "ENABLED", if self.enabled { "yes" } else { "no" });
        if let Some(level) = &self.logging {
            conf = set_variable(&conf, "LOGLEVEL", level);
        }
        let mut outcomes = vec![
            Postcondition::Holds(self.files.conf.clone(), conf.into_bytes()),
            Postcondition::Holds(self.files.defaults.clone(), defaults.into_bytes()),
        ];
        for v6 in [false, true] {
            let family = usize::from(v6);
            outcomes.push(Postcondition::Holds(self.files.rules[family].clone(), rule::list_text(&lists[family], v6)));
        }
        if self.enabled {
            outcomes.push(Postcondition::Succeeds(found::live_question()));
        }
        if let Op::Command(CommandOp::Exec { postconditions, .. }) = last {
            postconditions.append(&mut outcomes);
        }
    }
}
