//! Probes: from a playbook's questions to the answers that hold at a step's
//! turn.
//!
//! All probes are asked in the one observation. What an earlier step of the
//! run makes is predicted; what an earlier step may change in a way that
//! nobody can predict is not known, and never guessed.

use super::answers::{answers, query, text};
use super::wanted::{known_of, pending_names, wanted};
use crate::observe::{HostState, PredictedState, Queries, Query, files_read};
use crate::plan::{DesiredAtTurn, DesiredStep, MayMake, PendingNames, PlanError, Planned, StepAbout};
use crate::playbook::{Deferred, FactsAtTurn, Piece, Probe, ProbeAnswers, ProbeQuestion};
use crate::resource::{self, Resource};
use crate::stage::Stage;
use crate::values::{Diagnostic, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// By the id of a step, the answers and facts that it was decided with last.
type Decided = Arc<Mutex<BTreeMap<String, (ProbeAnswers, Arc<FactsAtTurn>)>>>;

/// What is wanted of a host, from the parts of a playbook.
///
/// # Errors
/// All that is wrong with the tables of its steps.
pub(super) fn desired(pieces: Vec<Piece>, stage: Option<&Arc<Stage>>) -> Result<Vec<DesiredStep>, Vec<Diagnostic>> {
    parts(pieces, stage, &Decided::default())
}

fn parts(
    pieces: Vec<Piece>,
    stage: Option<&Arc<Stage>>,
    decided: &Decided,
) -> Result<Vec<DesiredStep>, Vec<Diagnostic>> {
    let mut steps = Vec::with_capacity(pieces.len());
    let mut errors = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Step(step) => match wanted(*step, stage.map(Arc::as_ref)) {
                Ok(step) => steps.push(step),
                Err(found) => errors.extend(found),
            },
            Piece::Deferred(later) => steps.push(at_its_turn(*later, stage, decided)),
        }
    }
    if errors.is_empty() { Ok(steps) } else { Err(errors) }
}

/// A step that stands for what it becomes at its turn.
fn at_its_turn(later: Deferred, stage: Option<&Arc<Stage>>, decided: &Decided) -> DesiredStep {
    DesiredStep {
        id: later.id(),
        name: later.name(),
        kind: resource::kind(later.kind()).map_or("use", |kind| kind.name),
        restart: Vec::new(),
        reload: Vec::new(),
        followed_by: pending_names(&later.followers()),
        // What is noted for it before its turn is noted for this.
        pending: later.identity().filter(|_| later.is_follower()).map(|(own, stem)| PendingNames::new(&own, stem, &[])),
        sensitive: false,
        guard: false,
        span: later.span().cloned(),
        about: Arc::new(StepAbout { control: later.control(), described: later.name() }),
        resource: Box::new(ProbedStep::new(later, stage.cloned(), Arc::clone(decided))),
    }
}

/// A step that probes or facts decide.
#[derive(Debug)]
struct ProbedStep {
    later: Deferred,
    stage: Option<Arc<Stage>>,
    /// The probes, and what the step will need as far as that is known before
    /// any probe is answered: so that one observation is enough.
    asks: Queries,
    /// What is wrong with it whatever the probes find; it counts unless they
    /// are known to leave the step out.
    wrong: Vec<Diagnostic>,
    decided: Decided,
}

impl ProbedStep {
    fn new(later: Deferred, stage: Option<Arc<Stage>>, decided: Decided) -> ProbedStep {
        let mut asks = Queries::new();
        let (foreseen, inner) = later.foreseen();
        let probes = || later.probes().iter().chain(&inner);
        probes().for_each(|probe| asks.ask(query(&probe.question)));
        asks.extend(probes().filter_map(|probe| text(&probe.question)).map(|text| Query::Syntax(text.to_owned())));
        // Whether a change is one of what a command reads.
        let read = probes().filter_map(|probe| text(&probe.question)).filter_map(files_read).flatten();
        asks.extend(read.map(Query::Path));
        let mut wrong = Vec::new();
        for step in foreseen {
            if step.unknown {
                wrong.extend(
                    resource::kind(&step.kind).map(|kind| known_of(kind, &step, stage.as_deref())).unwrap_or_default(),
                );
                continue;
            }
            // What a template file holds may be what is not known, where there is one.
            let is_there = |node: &&Node| node.as_str().is_none_or(|path| step.files.read(path).is_ok());
            let template = step.table.get("template").filter(is_there).map(|node| node.span.clone());
            match wanted(step, stage.as_deref()) {
                Ok(step) => {
                    step.resource.queries(&mut asks);
                    asks.extend(step.restart.iter().chain(&step.reload).cloned().map(Query::Unit));
                }
                Err(errors) => {
                    wrong.extend(errors.into_iter().filter(|error| template.is_none() || error.span != template));
                }
            }
        }
        ProbedStep { later, stage, asks, wrong, decided }
    }

    /// The steps that answers make of it, and the probes that it depends on
    /// and whose answers are not known.
    fn decide(
        &self,
        answers: ProbeAnswers,
        facts: &Arc<FactsAtTurn>,
    ) -> Result<(Vec<DesiredStep>, BTreeSet<String>), PlanError> {
        let turn = self.later.at_turn(answers, facts);
        let files: Vec<_> = turn.pieces.iter().filter_map(Piece::files).cloned().collect();
        let wrong = |errors: Vec<Diagnostic>| PlanError::Refused(in_lines(&errors));
        if !turn.errors.is_empty() {
            return Err(wrong(turn.errors));
        }
        let steps = parts(turn.pieces, self.stage.as_ref(), &self.decided);
        // A template file tells only when it is rendered what it depends on.
        let mut open = turn.open;
        files.iter().for_each(|files| open.extend(files.open_probes()));
        match steps {
            Ok(steps) => Ok((steps, open)),
            Err(_) if !open.is_empty() => Ok((Vec::new(), open)),
            Err(errors) => Err(wrong(errors)),
        }
    }
}

fn in_lines(errors: &[Diagnostic]) -> String {
    let line = |error: &Diagnostic| {
        let place = error.span.as_ref().map(|span| format!("{span}: ")).unwrap_or_default();
        let help = error.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{place}{}{help}", error.message)
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl Resource for ProbedStep {
    fn queries(&self, queries: &mut Queries) {
        queries.extend(self.asks.iter().cloned());
    }

    fn plan(&self, _: &PredictedState) -> Result<Planned, PlanError> {
        Ok(Planned::nothing())
    }

    fn at_turn(&self, predicted: &PredictedState, decided: bool) -> Option<Result<DesiredAtTurn, PlanError>> {
        Some(self.desired(predicted, decided))
    }

    fn in_next_run(&self, predicted: &PredictedState, _found: &HostState) -> Option<Result<DesiredAtTurn, PlanError>> {
        Some(answers(self.later.probes(), predicted).and_then(|answers| {
            let (steps, open) = self.decide(answers, &Arc::new(facts(predicted)))?;
            Ok(if open.is_empty() { DesiredAtTurn::Steps(steps) } else { self.open(None, None, &open, predicted) })
        }))
    }
}

impl ProbedStep {
    fn desired(&self, predicted: &PredictedState, decided: bool) -> Result<DesiredAtTurn, PlanError> {
        let id = self.later.id();
        // What an earlier phase has done must not take back what it was done for.
        let kept = self.decided.lock().unwrap_or_else(PoisonError::into_inner).get(&id).filter(|_| decided).cloned();
        let (answers, facts) = match kept {
            Some(kept) => kept,
            None => (answers(self.later.probes(), predicted)?, Arc::new(facts(predicted))),
        };
        let (steps, open) = self.decide(answers.clone(), &facts)?;
        if open.is_empty() {
            self.decided.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (answers, facts));
            return Ok(DesiredAtTurn::Steps(steps));
        }
        if !self.wrong.is_empty() {
            return Err(PlanError::Refused(in_lines(&self.wrong)));
        }
        let table = self.later.table_at_turn(answers.clone(), &facts);
        Ok(self.open(Some(self.later.name_at_turn(answers, &facts)), table.as_ref(), &open, predicted))
    }

    /// It waits for these probes and facts; `table`: as far as it is known.
    fn open(
        &self,
        name: Option<String>,
        table: Option<&Node>,
        open: &BTreeSet<String>,
        predicted: &PredictedState,
    ) -> DesiredAtTurn {
        let names = |of_facts: bool| -> Vec<&str> {
            open.iter().map(String::as_str).filter(|name| name.starts_with("facts.") == of_facts).collect()
        };
        let (probes, facts) = (names(false), names(true));
        let what = match (&probes[..], &facts[..]) {
            (probes, []) => format!("what the probe {} finds", probes.join(", ")),
            ([], facts) => facts.join(", "),
            (probes, facts) => format!("what the probe {} finds, and {},", probes.join(", "), facts.join(", ")),
        };
        let by = self.opened_by(open, predicted).or_else(|| predicted.changed_by()).unwrap_or("an earlier step");
        let anywhere = || MayMake { elsewhere: true, ..MayMake::default() };
        let may_make = table.map_or_else(anywhere, |table| resource::may_make(self.later.kind(), table));
        DesiredAtTurn::Open { name, on: by.to_owned(), note: format!("{what} is known then"), may_make }
    }

    /// The step on which probes and facts depend that are not known.
    fn opened_by<'s>(&self, open: &BTreeSet<String>, predicted: &'s PredictedState) -> Option<&'s str> {
        let of_probe = |probe: &&Probe| open.contains(&probe.name);
        let by_probe = self.later.probes().iter().filter(of_probe).find_map(|probe| match &probe.question {
            ProbeQuestion::Path(path) => predicted.path_affected_by(path),
            ProbeQuestion::Unit(unit) => predicted.unit_affected_by(unit),
            ProbeQuestion::Package(_) => predicted.affected_by(&query(&probe.question)),
            ProbeQuestion::Command { .. } => predicted.changed_by(),
        });
        let is_open = |fact: &str| open.contains(&format!("facts.{fact}"));
        let by_fact = || predicted.affected_facts().find(|(fact, _)| is_open(fact)).map(|(_, by)| by);
        by_probe.or_else(by_fact).or_else(|| predicted.brought_by())
    }
}

/// The facts as earlier steps leave them.
fn facts(predicted: &PredictedState) -> FactsAtTurn {
    FactsAtTurn {
        // A value of strings and numbers alone; where it is none, templates say what is undefined.
        value: serde_json::to_value(&predicted.facts).unwrap_or_default(),
        open: predicted.affected_facts().map(|(fact, _)| fact.to_owned()).collect(),
    }
}
