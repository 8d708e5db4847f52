//! From resources and a host's state to that host's plan.

use super::contradiction::contradictions;
use super::transaction::add_transactions;
use super::{
    Access, Action, FieldChange, HostPlan, Op, PlanError, Planned, StepPlan, Verb, decided_at_its_turn, obstacle,
};
use crate::observe::{HostState, Known, Queries, Query};
use crate::resource::Resource;
use crate::values::{AbsPath, Secret, Span, UnitName};
use std::collections::{BTreeMap, BTreeSet};

/// A step of a playbook, rendered for one host.
#[derive(Debug)]
pub struct Wanted {
    /// See [`StepPlan::id`].
    pub id: String,
    /// See [`StepPlan::name`].
    pub name: String,
    /// The resource kind.
    pub kind: &'static str,
    /// What is described.
    pub resource: Box<dyn Resource>,
    /// Units to restart if this step changes anything.
    pub restart: Vec<UnitName>,
    /// Units to reload if this step changes anything.
    pub reload: Vec<UnitName>,
    /// Ids of the steps whose changes it follows (`when_changed`).
    pub follows: Vec<String>,
    /// Whether values must not be shown.
    pub sensitive: bool,
    /// Whether the operator wants it guarded, whatever it does.
    pub guard: bool,
    /// Where it was written.
    pub span: Option<Span>,
}

/// What [`Resource::at_turn`] gives.
#[derive(Debug)]
pub enum DesiredAtTurn {
    /// These steps, in the order of apply.
    Steps(Vec<Wanted>),
    /// It cannot be decided before what it depends on is done, as in "step 3".
    Open {
        /// What it depends on.
        on: String,
        /// What else the operator should know.
        note: String,
    },
}

/// A step that could not be planned.
#[derive(Debug, thiserror::Error)]
#[error("step {id} ({name}){}: {error}", place(span))]
pub struct StepError {
    /// The step's id.
    pub id: String,
    /// The step's name.
    pub name: String,
    /// Where it was written.
    pub span: Option<Span>,
    /// Why.
    #[source]
    pub error: PlanError,
}

fn place(span: &Option<Span>) -> String {
    span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default()
}

/// What planning gives: the plan, the predicted state after it, and questions
/// whose answers would make it more exact.
#[derive(Debug)]
pub struct Forecast {
    /// The plan.
    pub plan: HostPlan,
    /// The state after the plan, as far as it can be predicted.
    pub predicted: HostState,
    /// Open questions.
    pub wants: Queries,
    /// Whether a step is left out that can only be planned with their answers.
    pub incomplete: bool,
}

/// The questions of all steps.
pub fn queries(steps: &[Wanted]) -> Queries {
    let mut queries = Queries::new();
    steps.iter().for_each(|step| step.resource.queries(&mut queries));
    // Whether there is what a step restarts is known before it is done.
    queries.extend(steps.iter().flat_map(|step| step.restart.iter().chain(&step.reload)).cloned().map(Query::Unit));
    queries
}

/// Plans all steps, each against what the ones before it will have made.
///
/// # Errors
/// Every step that could not be planned; a plan with a hole in it is none.
pub fn plan_host(name: &str, steps: &[Wanted], host: &HostState) -> Result<Forecast, Vec<StepError>> {
    let access = Access::of(host);
    let mut planning = Planning {
        host,
        access,
        predicted: host.clone(),
        wants: Queries::new(),
        incomplete: false,
        followers: followers(steps),
        plans: Vec::new(),
        may_become_due: Vec::new(),
        made: Vec::new(),
        errors: Vec::new(),
        passed: host.left.resumed_at.as_deref().is_some_and(|id| !id.is_empty()),
    };
    let mut planned: Vec<(usize, &Wanted)> = Vec::new();
    for step in steps {
        planned.push((planning.plans.len(), step));
        planning.step(step);
    }
    let Planning { access, mut predicted, mut wants, incomplete, mut plans, may_become_due, made, errors, .. } =
        planning;
    if !errors.is_empty() {
        return Err(errors);
    }
    later_reboots(&mut plans, &may_become_due, &predicted);
    planned.extend(made.iter().map(|(at, step)| (*at, step)));
    judge(&planned, &mut plans, &predicted, &mut wants)?;
    // While answers are missing, a step may plan otherwise than it will.
    if wants.is_empty() && !incomplete {
        let mut sources = vec![None; plans.len()];
        for (at, step) in &planned {
            if let Some(source) = sources.get_mut(*at) {
                *source = Some(*step);
            }
        }
        let mut errors = contradictions(&sources, &plans, host, &predicted);
        errors.extend(missing_units(&plans, &predicted));
        if !errors.is_empty() {
            return Err(errors);
        }
    }
    // What apt would do is asked once it is certain which packages are wanted.
    let transactions =
        if wants.is_empty() { add_transactions(host, &access.packages(), &mut plans, &mut wants) } else { Ok(()) };
    if let Err(refused) = transactions {
        let named = |(at, error): (usize, PlanError)| {
            let StepPlan { id, name, span, .. } = &plans[at];
            StepError { id: id.clone(), name: name.clone(), span: span.clone(), error }
        };
        return Err(refused.into_iter().map(named).collect());
    }
    owed(&mut plans, host);
    predicted.left.owed.clear();
    let plan = HostPlan { spared: access.packages(), ..HostPlan::new(name, plans) };
    Ok(Forecast { plan, predicted, wants, incomplete })
}

/// A plan in the making.
struct Planning<'a> {
    host: &'a HostState,
    access: Access,
    predicted: HostState,
    wants: Queries,
    incomplete: bool,
    /// The commands that follow each step, by the names under which they are pending.
    followers: BTreeMap<String, Vec<String>>,
    plans: Vec<StepPlan>,
    /// Of each plan, whether its resource may become due by a step after it.
    may_become_due: Vec<bool>,
    /// Steps that others became at their turn, with the places of their plans.
    made: Vec<(usize, Wanted)>,
    errors: Vec<StepError>,
    /// Whether earlier phases of the apply have passed the turn of the step at hand.
    passed: bool,
}

impl Planning<'_> {
    fn step(&mut self, step: &Wanted) {
        if self.host.left.resumed_at.as_ref() == Some(&step.id) {
            self.passed = false;
        }
        self.predicted.begin_step(&step.id);
        if let Some(decided) = step.resource.at_turn(&self.predicted, self.host, self.passed) {
            match decided {
                Ok(DesiredAtTurn::Steps(steps)) => {
                    for step in steps {
                        if self.answered(&step) {
                            let at = self.plans.len();
                            self.step(&step);
                            self.made.push((at, step));
                        }
                    }
                }
                Ok(DesiredAtTurn::Open { on, note }) => self.leave_open(step, on, note),
                Err(error) => self.fail(step, error),
            }
            return;
        }
        let mut planned = match step.resource.plan(&self.predicted) {
            Ok(planned) => planned,
            Err(error) => return self.fail(step, error),
        };
        let Planned { ops, notes, .. } = &mut planned;
        if let Err(error) = ops.iter().try_for_each(|op| obstacle::check(op, &self.predicted, notes)) {
            return self.fail(step, error);
        }
        self.wants.extend(planned.wants.iter().filter(|query| !self.host.asked(query)).cloned());
        planned.ops.iter().for_each(|op| op.effect(&mut self.predicted));
        if step.sensitive {
            planned.mask();
        }
        let mut step_plan = StepPlan {
            id: step.id.clone(),
            name: step.name.clone(),
            kind: step.kind,
            action: planned.action(),
            changes: planned.changes,
            diff: planned.diff,
            notes: planned.notes,
            overridden: Vec::new(),
            ops: planned.ops,
            open: planned.open,
            restart: step.restart.clone(),
            reload: step.reload.clone(),
            followed_by: self.followers.get(&step.id).cloned().unwrap_or_default(),
            sensitive: step.sensitive,
            guard: step.guard,
            span: step.span.clone(),
        };
        step_plan.guard_for(&self.access);
        if step_plan.action != Action::None {
            let open = step_plan.action == Action::Unknown;
            step_plan.followed_by.iter().for_each(|pending| self.predicted.will_be_pending(pending, open));
        }
        self.plans.push(step_plan);
        self.may_become_due.push(step.resource.may_become_due());
    }

    fn leave_open(&mut self, step: &Wanted, on: String, note: String) {
        self.plans.push(StepPlan {
            id: step.id.clone(),
            name: step.name.clone(),
            kind: step.kind,
            action: Action::Unknown,
            notes: vec![decided_at_its_turn(&on), note],
            open: Some(on),
            span: step.span.clone(),
            ..StepPlan::default()
        });
        self.may_become_due.push(false);
    }

    /// Whether the host was asked all that a step decided in the middle of the
    /// plan needs; where it was not, the questions are open and the step waits
    /// for the plan that is made with the answers.
    fn answered(&mut self, step: &Wanted) -> bool {
        let mut queries = Queries::new();
        step.resource.queries(&mut queries);
        let open: Vec<Query> = queries.iter().filter(|query| !self.host.asked(query)).cloned().collect();
        let answered = open.is_empty();
        self.incomplete |= !answered;
        self.wants.extend(open);
        answered
    }

    fn fail(&mut self, step: &Wanted, error: PlanError) {
        self.errors.push(StepError { id: step.id.clone(), name: step.name.clone(), span: step.span.clone(), error });
    }
}

/// A reboot that is due only where packages ask for it becomes due, too, where
/// a step that comes after it has them ask: then it is done at the end.
fn later_reboots(plans: &mut [StepPlan], may_become_due: &[bool], predicted: &HostState) {
    let Some(by) = predicted.reboot_by() else { return };
    for (plan, may_become_due) in plans.iter_mut().zip(may_become_due) {
        if plan.action == Action::None && *may_become_due {
            plan.action = Action::Unknown;
            plan.notes.push(decided_at_its_turn(by));
        }
    }
}

/// Says of each step what keeps it from being in force on the state that the
/// whole run leaves: a later step may take away what overrides an earlier one.
fn judge(
    planned: &[(usize, &Wanted)],
    plans: &mut [StepPlan],
    predicted: &HostState,
    wants: &mut Queries,
) -> Result<(), Vec<StepError>> {
    let layers = planned.iter().filter_map(|(_, step)| step.resource.layer());
    let layers: BTreeSet<String> = layers.map(ToString::to_string).collect();
    let mut errors = Vec::new();
    for (at, step) in planned {
        // A step that is decided at its turn may have no plan of its own.
        let Some(plan) = plans.get_mut(*at).filter(|plan| plan.id == step.id && plan.open.is_none()) else { continue };
        match step.resource.in_force(predicted) {
            Ok(found) => {
                wants.extend(found.wants.into_iter().filter(|query| !predicted.asked(query)));
                // A drop-in of the playbook's own says what it overrides on purpose.
                plan.overridden.extend(found.overridden.into_iter().filter(|by| !layers.contains(&by.file)));
                if step.sensitive {
                    plan.overridden.iter_mut().for_each(|by| by.message = Secret::MASK.to_owned());
                }
            }
            Err(error) => {
                errors.push(StepError { id: step.id.clone(), name: step.name.clone(), span: step.span.clone(), error });
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Every step that changes something and has a unit restarted or reloaded that
/// is not on the host and that no step of the run may bring.
fn missing_units(plans: &[StepPlan], predicted: &HostState) -> Vec<StepError> {
    if predicted.facts.init != "systemd" {
        return Vec::new();
    }
    let is_missing = |unit: &UnitName| {
        matches!(predicted.unit(unit), Ok(Known::Is(found)) if found.load == "not-found")
            && !plans.iter().any(|plan| may_bring(plan, unit))
    };
    let mut errors = Vec::new();
    for plan in plans.iter().filter(|plan| plan.action != Action::None) {
        for (field, units) in [("restart", &plan.restart), ("reload", &plan.reload)] {
            for unit in units.iter().filter(|unit| is_missing(unit)) {
                let error = PlanError::Refused(format!(
                    "there is no unit {unit} on this host, which '{field}' names: correct the name, or have a step of \
                     the run bring it: its package, or a 'unit' step"
                ));
                errors.push(StepError { id: plan.id.clone(), name: plan.name.clone(), span: plan.span.clone(), error });
            }
        }
    }
    errors
}

/// Whether a step may bring a unit in a way that the predicted state does not
/// show: its turn decides what it does, or it writes what systemd makes the
/// unit of.
fn may_bring(plan: &StepPlan, unit: &UnitName) -> bool {
    let edits_text = matches!(plan.kind, "line" | "block" | "setting" | "replace");
    let (stem, _) = unit.as_str().rsplit_once('.').unwrap_or((unit.as_str(), ""));
    let word = stem.split_once('@').map_or(stem, |(template, _)| template);
    let is_source = |path: &AbsPath| {
        let place = path.as_str();
        ["/etc/fstab", "/etc/crypttab"].contains(&place)
            || (["/systemd/", "/init.d/"].iter().any(|folder| place.contains(folder))
                && path.file_name().starts_with(word))
    };
    let brings = |op: &Op| match op {
        Op::WriteFile { path, .. } | Op::MakeLink { path, .. } | Op::Download { path, .. } => is_source(path),
        Op::AptUpgrade { .. } => true,
        _ => false,
    };
    (plan.open.is_some() && !edits_text) || plan.ops.iter().any(brings)
}

/// The commands that follow each step, by the names under which they are pending.
fn followers(steps: &[Wanted]) -> BTreeMap<String, Vec<String>> {
    let mut followers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for step in steps {
        let own = step.resource.pending().map(|pending| (pending, step.follows.clone()));
        for (pending, follows) in own.iter().chain(step.resource.foreseen_followers()) {
            follows.iter().for_each(|id| followers.entry(id.clone()).or_default().push(pending.clone()));
        }
    }
    followers
}

/// Adds the restarts and reloads that the changing steps ask for: each once, at
/// the next `flush` or else at the end, a restart in place of a reload. Those
/// that an earlier run has left come first: what this run does may need them.
/// Those of guarded steps come right after them, under their guard: what a new
/// login confirms must be what is live.
fn owed(steps: &mut Vec<StepPlan>, host: &HostState) {
    // A host that is certain to restart restarts its services, whatever was pending.
    let last_reboot = steps.iter().rposition(|step| step.open.is_none() && step.ops.iter().any(Op::reboots));
    let (mut left, mut due, mut guarded) = (Due::default(), Due::default(), Due::default());
    let (why, resumed_at) = match &host.left.resumed_at {
        None => ("owed by an earlier run", None),
        Some(id) => ("owed by an earlier phase of this run", Some(id)),
    };
    for (verb, unit) in left_pending(host).filter(|_| last_reboot.is_none()) {
        left.add(&unit, verb, why.to_owned());
    }
    // In a chroot or an image that is being built nothing runs that could be restarted.
    let live = host.facts.init == "systemd";
    let mut done = Vec::with_capacity(steps.len());
    if resumed_at.is_none() {
        done.extend(left.steps(false, true));
    }
    for (index, step) in std::mem::take(steps).into_iter().enumerate() {
        let changes = step.action != Action::None;
        if resumed_at == Some(&step.id) {
            due.take_over(&mut left);
        }
        // What a login confirms is confirmed live, before the host goes down.
        let reboot_follows = !step.guard && last_reboot.is_some_and(|at| index <= at);
        if changes && !step.guard {
            done.extend(guarded.steps(true, false));
        }
        if changes && live && !reboot_follows {
            let due = if step.guard { &mut guarded } else { &mut due };
            let because = || format!("step {} changes", step.id);
            step.restart.iter().for_each(|unit| due.add(unit, Verb::Restart, because()));
            step.reload.iter().for_each(|unit| due.add(unit, Verb::Reload, because()));
        }
        if step.kind == "flush" {
            done.extend(guarded.steps(true, false));
            done.extend(due.steps(false, false));
        }
        done.push(step);
    }
    due.take_over(&mut left);
    // Checks that end a playbook see the units as they will run.
    let end = done.iter().rposition(|step| step.kind != "check").map_or(0, |last| last + 1);
    let last: Vec<StepPlan> = guarded.steps(true, false).into_iter().chain(due.steps(false, false)).collect();
    done.splice(end..end, last);
    let mut seen = BTreeMap::new();
    for step in done.iter_mut().filter(|step| step.id.contains(':')) {
        let times = seen.entry(step.id.clone()).or_insert(0);
        *times += 1;
        if *times > 1 {
            step.id = format!("{}#{times}", step.id);
        }
    }
    *steps = done;
}

/// The restarts and reloads that the host has noted as pending.
fn left_pending(host: &HostState) -> impl Iterator<Item = (Verb, UnitName)> {
    host.left.owed.iter().filter_map(|noted| {
        let (word, unit) = noted.split_once(':')?;
        let verb = [Verb::Restart, Verb::Reload].into_iter().find(|verb| verb.word() == word)?;
        Some((verb, unit.parse().ok()?))
    })
}

/// Units that are to be restarted or reloaded, with the reasons.
#[derive(Default)]
struct Due(BTreeMap<UnitName, (Verb, Vec<String>)>);

impl Due {
    fn add(&mut self, unit: &UnitName, verb: Verb, because: String) {
        let entry = self.0.entry(unit.clone()).or_insert((verb, Vec::new()));
        if verb == Verb::Restart {
            entry.0 = Verb::Restart;
        }
        entry.1.push(because);
    }

    /// Adds what another one holds, and leaves it empty.
    fn take_over(&mut self, other: &mut Due) {
        for (unit, (verb, because)) in std::mem::take(&mut other.0) {
            because.into_iter().for_each(|because| self.add(&unit, verb, because));
        }
    }

    fn steps(&mut self, guard: bool, first: bool) -> Vec<StepPlan> {
        let step = |(unit, (verb, because)): (UnitName, (Verb, Vec<String>))| StepPlan {
            id: format!("{}:{unit}", verb.word()),
            name: format!("{} {unit}", verb.word()),
            kind: "service",
            action: Action::Run,
            changes: vec![FieldChange::new(verb.word(), None::<&str>, Some(because.join(", ")))],
            // What a guard keeps and puts back, it makes take up the old state again itself.
            ops: vec![if guard { Op::Systemctl { verb, unit } } else { Op::Pending { verb, unit, first } }],
            guard,
            ..StepPlan::default()
        };
        std::mem::take(&mut self.0).into_iter().map(step).collect()
    }
}
