//! Restarts and reloads that are due, as steps of a plan.

use super::mounted::{mounts_anew, point_of};
use super::resting::Resting;
use super::{Action, FieldChange, Op, StepPlan, UnitOp, Verb, decided_at_its_turn};
use crate::observe::{HostState, Known, PredictedState, Queries, Query, Unit};
use crate::values::{AbsPath, UnitName};
use std::collections::{BTreeMap, BTreeSet};

/// Adds the restarts and reloads that the changing steps ask for: each once, at
/// the next `flush` or else at the end, a restart in place of a reload. Those
/// that an earlier run has left come first: what this run does may need them.
/// Those of guarded steps come right after them, under their guard: what a new
/// login confirms must be what is live. Where only the turn of the steps that ask
/// tells whether they change anything, it tells whether the unit is restarted, too.
/// What an earlier run has left for a unit that is to rest is forgotten at the end.
pub(super) fn owed(steps: &mut Vec<StepPlan>, host: &HostState, predicted: &PredictedState, resting: &Resting<'_>) {
    // A host that is certain to restart restarts its services, whatever was pending.
    let last_reboot = steps.iter().rposition(|step| step.open.is_none() && step.ops.iter().any(Op::reboots));
    let (mut left, mut due, mut guarded) = (Due::default(), Due::default(), Due::default());
    let (why, resumed_at) = match &host.left.resumed_at {
        None => ("left pending by an earlier run", None),
        Some(id) => ("left pending by an earlier phase of this run", Some(id)),
    };
    let mut forgotten = Forgotten::default();
    for (verb, noted) in left_pending(host).filter(|_| last_reboot.is_none()) {
        let unit = resting.own_name(&noted);
        if let Some(why) = resting.why(&unit, steps) {
            forgotten.add(unit, verb, noted, why);
            continue;
        }
        // What does not run and is brought up by this run starts once, with what is new by then.
        let due_at_the_end = is_down(host, &unit) && steps.iter().any(|step| brings_up(step, &unit));
        let when = if due_at_the_end { &mut due } else { &mut left };
        when.add(&unit, verb, Reason::Certain(why.to_owned()));
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
            let because = || match step.action {
                Action::Unknown => Reason::Perhaps(format!("step {}", step.id)),
                _ => Reason::Certain(format!("step {} changes", step.id)),
            };
            step.restart.iter().for_each(|unit| due.add(unit, Verb::Restart, because()));
            step.reload.iter().for_each(|unit| due.add(unit, Verb::Reload, because()));
        }
        // It starts with all that is there by then.
        starts(&step).for_each(|unit| _ = due.0.remove(unit));
        // What stands below a mount point is found in what will be mounted there.
        done.extend(due.take_mounts_above(&step).steps(false, false));
        if step.kind == "flush" {
            done.extend(guarded.steps(true, false));
            done.extend(due.steps(false, false));
        }
        done.push(step);
    }
    due.take_over(&mut left);
    // Checks that end a playbook see the units as they will run.
    let end = done.iter().rposition(|step| step.kind != "check").map_or(0, |last| last + 1);
    let last: Vec<StepPlan> =
        guarded.steps(true, false).into_iter().chain(due.steps(false, false)).chain(forgotten.steps()).collect();
    done.splice(end..end, last);
    done.iter_mut().for_each(|step| say_restart(step, predicted));
    done.iter_mut().for_each(|step| say_service(step, host));
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

/// Names the units that steps restart and reload by their own names, and leaves
/// out those that a step of the run wants to be stopped: it would start what is
/// not to run. What is mounted is remounted in place of a restart.
pub(super) fn leave_stopped(steps: &mut [StepPlan], resting: &Resting<'_>) {
    let anew: BTreeSet<UnitName> = steps
        .iter()
        .flat_map(|step| &step.restart)
        .map(|unit| resting.own_name(unit))
        .filter(|unit| steps.iter().flat_map(|step| &step.ops).any(|op| mounts_anew(op, unit, resting.host)))
        .collect();
    for step in steps {
        let mut notes = BTreeSet::new();
        for units in [&mut step.restart, &mut step.reload] {
            let mut named: Vec<UnitName> = Vec::with_capacity(units.len());
            for unit in units.iter().map(|unit| resting.own_name(unit)) {
                if let Some(by) = resting.stopped_by(&unit) {
                    notes.insert(format!("{unit} is not restarted: step {by} wants it stopped"));
                } else if !named.contains(&unit) {
                    named.push(unit);
                }
            }
            *units = named;
        }
        let is_remounted = |unit: &UnitName| resting.is_mounted(unit) && !anew.contains(unit);
        let (remounted, restart) = std::mem::take(&mut step.restart).into_iter().partition(is_remounted);
        step.restart = restart;
        notes.extend(
            remounted.iter().map(|unit: &UnitName| {
                format!("{unit} is remounted: a restart would unmount it, and stop what needs it")
            }),
        );
        let unmounted = step.restart.iter().filter(|unit| resting.is_mounted(unit));
        notes.extend(unmounted.map(|unit| {
            format!("{unit} is unmounted and mounted anew: a remount takes up neither What=, Where= nor Type=")
        }));
        let remounted: Vec<UnitName> = remounted.into_iter().filter(|unit| !step.reload.contains(unit)).collect();
        step.reload.extend(remounted);
        if step.action != Action::None {
            step.notes.extend(notes);
        }
    }
}

/// Asks what the units are for which an earlier run has left something pending.
pub(super) fn ask_left(host: &HostState, follow_up_queries: &mut Queries) {
    follow_up_queries.extend(left_pending(host).map(|(_, unit)| Query::Unit(unit)).filter(|query| !host.asked(query)));
}

/// What was pending for units that are to rest, with the names under which the
/// host may have noted it, and the reason.
#[derive(Default)]
struct Forgotten(BTreeMap<UnitName, (BTreeSet<&'static str>, BTreeSet<String>, String)>);

impl Forgotten {
    fn add(&mut self, unit: UnitName, verb: Verb, noted: UnitName, why: String) {
        // By the time of the run the host has it under the unit's own name.
        let names = [format!("{}:{noted}", verb.word()), format!("{}:{unit}", verb.word())];
        let (verbs, all, _) = self.0.entry(unit).or_insert((BTreeSet::new(), BTreeSet::new(), why));
        verbs.insert(verb.word());
        all.extend(names);
    }

    fn steps(self) -> impl Iterator<Item = StepPlan> {
        self.0.into_iter().map(|(unit, (verbs, names, why))| {
            let words = verbs.into_iter().collect::<Vec<_>>().join(" and ");
            StepPlan {
                id: format!("forget:{unit}"),
                name: format!("pending {words} of {unit}"),
                kind: "service",
                action: Action::Delete,
                changes: vec![FieldChange::new("pending", Some(words), None::<&str>)],
                notes: vec![format!("an earlier run has left it, and {unit} is not restarted: {why}")],
                ops: names.into_iter().map(|pending| Op::Unit(UnitOp::Forget { pending })).collect(),
                ..StepPlan::default()
            }
        })
    }
}

/// Says of a reload that is a restart what it is: systemd reloads no unit whose
/// files do not say how (systemd.service(5), `ExecReload=`).
fn say_restart(step: &mut StepPlan, predicted: &PredictedState) {
    let reloaded = step.ops.iter().find_map(|op| match op {
        Op::Unit(UnitOp::Systemctl { verb: Verb::Reload, unit } | UnitOp::Pending { verb: Verb::Reload, unit, .. }) => {
            Some(unit)
        }
        _ => None,
    });
    let Some(unit) = reloaded.filter(|unit| !is_down(predicted, unit)) else { return };
    if matches!(predicted.unit(unit), Ok(Known::Is(found)) if found.cannot_reload) {
        let why = if unit.as_str().ends_with(".service") { "no ExecReload=" } else { "it cannot reload" };
        step.notes.push(format!("restarts {unit}: {why}"));
    }
}

/// Says which service is stopped for a socket: systemd starts no socket whose
/// service is active (systemd.socket(5)).
fn say_service(step: &mut StepPlan, host: &HostState) {
    let mut notes = Vec::new();
    for op in &step.ops {
        let Op::Unit(
            UnitOp::Systemctl { verb: Verb::Start | Verb::Restart, unit }
            | UnitOp::Pending { verb: Verb::Restart, unit, .. },
        ) = op
        else {
            continue;
        };
        let Ok(Known::Is(Unit { starts, .. })) = host.unit(unit) else { continue };
        for service in starts {
            let found = service.parse().map(|name: UnitName| host.unit(&name));
            let when = match found {
                Ok(Ok(Known::Is(found))) if matches!(found.active.as_str(), "inactive" | "failed") => continue,
                Ok(Ok(Known::Is(_))) => "",
                Ok(Ok(Known::AfterApply) | Err(_)) | Err(_) => ", where it runs,",
            };
            notes.push(format!(
                "{service}{when} is stopped for {unit} and started again: systemd starts no socket whose service is active"
            ));
        }
    }
    step.notes.extend(notes);
}

/// Whether a unit is known not to run.
fn is_down(host: &HostState, unit: &UnitName) -> bool {
    matches!(host.unit(unit), Ok(Known::Is(found)) if matches!(found.active.as_str(), "inactive" | "failed"))
}

/// Whether a step starts a unit, or has it restarted at the end.
fn brings_up(step: &StepPlan, unit: &UnitName) -> bool {
    step.action != Action::None && (step.restart.contains(unit) || starts(step).any(|started| started == unit))
}

/// The units that a step starts for certain: they are known not to run at its turn.
fn starts(step: &StepPlan) -> impl Iterator<Item = &UnitName> {
    let is_down = |change: &FieldChange| {
        change.field == "running" && matches!(change.before.as_deref(), Some("false" | "failed"))
    };
    let certain = step.changes.iter().any(is_down);
    step.ops.iter().filter(move |_| certain).filter_map(|op| match op {
        Op::Unit(UnitOp::Systemctl { verb: Verb::Start, unit }) => Some(unit),
        _ => None,
    })
}

/// The restarts and reloads that the host has noted as pending.
fn left_pending(host: &HostState) -> impl Iterator<Item = (Verb, UnitName)> {
    host.left.pending.iter().filter_map(|noted| {
        let (word, unit) = noted.split_once(':')?;
        let verb = [Verb::Restart, Verb::Reload].into_iter().find(|verb| verb.word() == word)?;
        Some((verb, unit.parse().ok()?))
    })
}

/// Why a unit is restarted or reloaded.
enum Reason {
    /// A sentence.
    Certain(String),
    /// The step that may change something, as in "step 3".
    Perhaps(String),
}

/// Units that are to be restarted or reloaded, with the reasons.
#[derive(Default)]
struct Due(BTreeMap<UnitName, (Verb, Vec<Reason>)>);

impl Due {
    fn add(&mut self, unit: &UnitName, verb: Verb, because: Reason) {
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

    /// Takes the restarts of mounts out that come before a step: one whose turn
    /// decides it, or that changes something below a mount point.
    fn take_mounts_above(&mut self, step: &StepPlan) -> Due {
        let changes = |at: &AbsPath| {
            step.open.is_some() || step.ops.iter().filter_map(Op::file).any(|op| op.place().is_within(at))
        };
        let is_above = |(unit, due): &(UnitName, (Verb, Vec<Reason>))| {
            due.0 == Verb::Restart && point_of(unit).as_ref().is_some_and(changes)
        };
        let (above, others) = std::mem::take(&mut self.0).into_iter().partition(is_above);
        self.0 = others;
        Due(above)
    }

    fn steps(&mut self, guard: bool, first: bool) -> Vec<StepPlan> {
        let due = std::mem::take(&mut self.0);
        due.into_iter().map(|(unit, (verb, because))| step(unit, verb, &because, guard, first)).collect()
    }
}

fn step(unit: UnitName, verb: Verb, because: &[Reason], guard: bool, first: bool) -> StepPlan {
    let open: Vec<&str> = because
        .iter()
        .filter_map(|reason| if let Reason::Perhaps(step) = reason { Some(step.as_str()) } else { None })
        .collect();
    let certain = open.len() < because.len();
    let why = because.iter().map(|reason| match reason {
        Reason::Certain(why) => why.clone(),
        Reason::Perhaps(step) => format!("if {step} changes anything"),
    });
    let why: Vec<String> = why.collect();
    StepPlan {
        id: format!("{}:{unit}", verb.word()),
        name: format!("{} {unit}", verb.word()),
        kind: "service",
        action: if certain { Action::Run } else { Action::Unknown },
        changes: vec![FieldChange::new(verb.word(), None::<&str>, Some(why.join(", ")))],
        notes: if certain { Vec::new() } else { vec![decided_at_its_turn(&open.join(", "))] },
        // What a guard keeps and puts back, it makes take up the old state again itself.
        ops: vec![if guard && certain {
            Op::Unit(UnitOp::Systemctl { verb, unit })
        } else {
            Op::Unit(UnitOp::Pending { verb, unit, first })
        }],
        guard,
        ..StepPlan::default()
    }
}
