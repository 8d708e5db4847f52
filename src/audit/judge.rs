//! From what was planned for the steps of a playbook to how its controls stand.
//!
//! Each step is judged on the host as it was found, by itself: what an earlier
//! step would bring is not there yet. What cannot be read is an error, never a pass.

use super::evidence::{KEPT, of_override, short};
use super::{ControlInfo, ControlResult, Counts, Evidence, Place, Source, Status};
use crate::plan::{Action, FieldChange, Finding, PlanError, StepAbout, StepPlan, Verdict};
use crate::values::{Control, Demand, Severity, Span};
use std::sync::Arc;

/// A step, judged by itself on the host as it was found.
#[derive(Debug)]
pub struct JudgedStep {
    /// See [`StepPlan::id`].
    pub id: String,
    /// See [`StepPlan::name`].
    pub name: String,
    /// The resource kind.
    pub kind: &'static str,
    /// What it is about.
    pub about: Arc<StepAbout>,
    /// Where it was written.
    pub span: Option<Span>,
    /// What would be done, or why that cannot be said.
    pub outcome: Result<StepPlan, PlanError>,
    /// What the host answered to its questions.
    pub evidence: Vec<Evidence>,
}

/// What one step, or all steps of a control, come to.
struct Judgement {
    status: Status,
    expected: String,
    actual: String,
    evidence: Vec<Evidence>,
    remedy: Vec<String>,
    reason: Option<String>,
    place: Option<Place>,
}

/// The place of a span.
pub fn place(span: &Span) -> Place {
    let (line, column) = span.source.position(span.range.start);
    Place { file: span.source.name.clone(), line, column }
}

/// A control, as reports describe it.
pub fn info(demand: &Demand) -> ControlInfo {
    let control = &demand.control;
    ControlInfo {
        id: control.id.clone(),
        title: control.title().to_owned(),
        severity: control.severity,
        level: control.level,
        group: control.group.clone(),
        refs: control.refs.clone(),
        rationale: control.rationale.clone(),
        breaks: control.breaks.clone(),
        report_only: control.report_only.clone(),
        place: place(&control.span),
    }
}

/// How all controls stand on a host, in their order, and the steps without a
/// control that are not as they should be.
pub fn judge(demands: &[Demand], steps: &[JudgedStep]) -> (Vec<ControlResult>, Vec<ControlResult>) {
    let results = demands.iter().map(|demand| {
        let of_it =
            |step: &&JudgedStep| step.about.control.as_ref().is_some_and(|control| control.id == demand.control.id);
        let judged: Vec<Judgement> =
            steps.iter().filter(of_it).map(|step| judged(step, Some(&demand.control))).collect();
        let title = demand.control.title().to_owned();
        let place = place(&demand.control.span);
        let together = if judged.is_empty() { left_out(demand) } else { together(judged) };
        result(&demand.control.id, title, demand.control.severity, together, place)
    });
    let results = results.collect();
    let drift = steps.iter().filter(|step| step.about.control.is_none() && is_state(step)).filter_map(|step| {
        let judgement = judged(step, None);
        let place = step.span.as_ref().map(place)?;
        let id = format!("step {}", step.id);
        let found = result(&id, step.name.clone(), Severity::Medium, judgement, place);
        found.status.is_finding().then_some(found)
    });
    (results, drift.collect())
}

/// Whether a step describes a state of the host: a flush and a reboot do not.
fn is_state(step: &JudgedStep) -> bool {
    !matches!(step.kind, "flush" | "reboot")
}

fn result(id: &str, title: String, severity: Severity, judgement: Judgement, place: Place) -> ControlResult {
    let Judgement { status, expected, actual, mut evidence, mut remedy, reason, place: of_step } = judgement;
    evidence.truncate(KEPT);
    remedy.truncate(KEPT);
    ControlResult {
        id: id.to_owned(),
        title,
        severity,
        status,
        expected: short(&expected),
        actual: short(&actual),
        evidence,
        remedy: remedy.iter().map(|text| short(text)).collect(),
        reason: reason.map(|reason| short(&reason)),
        waiver: None,
        change: None,
        place: Some(of_step.unwrap_or(place)),
    }
}

/// A control of which this host has no step.
fn left_out(demand: &Demand) -> Judgement {
    let conditions = demand.conditions.join("; ");
    let reason = match demand.conditions.is_empty() {
        true => "the playbook has no step of it for this host".to_owned(),
        false => format!("left out by its condition: {conditions}"),
    };
    Judgement {
        status: Status::NotApplicable,
        expected: demand.control.title().to_owned(),
        actual: String::new(),
        evidence: Vec::new(),
        remedy: Vec::new(),
        reason: Some(reason),
        place: None,
    }
}

/// What the steps of a control come to: the worst, with what is wrong in each;
/// what does not belong to the host does not count beside what does.
fn together(judged: Vec<Judgement>) -> Judgement {
    let status = judged.iter().map(|one| one.status).filter(|status| *status != Status::NotApplicable).max();
    let status = status.unwrap_or(Status::NotApplicable);
    let counts = |one: &Judgement| match status.is_finding() {
        true => one.status.is_finding(),
        false => one.status == status,
    };
    let place = judged.iter().find(|one| one.status == status).and_then(|one| one.place.clone());
    let mut kept: Vec<Judgement> = judged.into_iter().filter(counts).collect();
    let joined = |text: fn(&Judgement) -> &str, kept: &[Judgement]| {
        let mut once: Vec<&str> = Vec::new();
        for one in kept.iter().map(text).filter(|text| !text.is_empty()) {
            if !once.contains(&one) {
                once.push(one);
            }
        }
        once.join("; ")
    };
    let (expected, actual) = (joined(|one| &one.expected, &kept), joined(|one| &one.actual, &kept));
    let reason = joined(|one| one.reason.as_deref().unwrap_or_default(), &kept);
    let mut evidence: Vec<Evidence> = Vec::new();
    let mut remedy: Vec<String> = Vec::new();
    for one in &mut kept {
        evidence.extend(one.evidence.drain(..).filter(|found| !evidence.contains(found)).collect::<Vec<_>>());
        remedy.extend(one.remedy.drain(..).filter(|text| !remedy.contains(text)).collect::<Vec<_>>());
    }
    Judgement { status, expected, actual, evidence, remedy, reason: (!reason.is_empty()).then_some(reason), place }
}

fn judged(step: &JudgedStep, control: Option<&Control>) -> Judgement {
    let mut judgement = Judgement {
        status: Status::Error,
        expected: step.about.described.clone(),
        actual: String::new(),
        evidence: step.evidence.iter().filter(|found| is_about(step, found)).cloned().collect(),
        remedy: Vec::new(),
        reason: None,
        place: step.span.as_ref().map(place),
    };
    match &step.outcome {
        Err(PlanError::State(error)) => judgement.reason = Some(error.to_string()),
        Err(PlanError::Missing(why)) => {
            judgement.status = Status::NotApplicable;
            judgement.reason = Some(why.clone());
        }
        Err(PlanError::Refused(why)) => {
            judgement.status = Status::Fail;
            judgement.actual.clone_from(why);
            judgement.remedy.push(
                "an apply refuses this step unless a step before it, or the operator, brings what it needs".to_owned(),
            );
        }
        Ok(plan) => match &plan.finding {
            // What holds by other means than the step's own is right, though an apply adds these.
            Some(finding)
                if plan.overridden.is_empty() && (plan.action == Action::None || finding.verdict == Verdict::Holds) =>
            {
                of_finding(finding, plan, &mut judgement);
            }
            _ => of_plan(plan, &mut judgement),
        },
    }
    if judgement.status.is_finding()
        && let Some(why) = control.and_then(|control| control.report_only.as_ref())
    {
        judgement.remedy.push(format!("this is reported and never changed: {why}"));
    }
    judgement
}

/// Whether evidence is about what a step describes: of the paths that are looked
/// at for its sake, those that it names.
fn is_about(step: &JudgedStep, found: &Evidence) -> bool {
    let words = step.about.described.split(|c: char| c.is_whitespace() || c == ',');
    found.source != Source::Path || words.filter(|word| word.len() > 4).any(|word| found.at.contains(word))
}

/// What a look found that no operation is planned for.
fn of_finding(finding: &Finding, plan: &StepPlan, judgement: &mut Judgement) {
    judgement.actual.clone_from(&finding.actual);
    if !plan.sensitive {
        judgement.expected.clone_from(&finding.expected);
        judgement.evidence =
            vec![Evidence { source: Source::Command, at: short(&finding.command), said: short(&finding.said) }];
    }
    if judgement.actual.is_empty() && finding.verdict == Verdict::Holds {
        "as demanded".clone_into(&mut judgement.actual);
    }
    match &finding.verdict {
        Verdict::Holds => judgement.status = if plan.dormant { Status::NotLive } else { Status::Pass },
        Verdict::Fails => {
            judgement.status = Status::Fail;
            judgement.remedy.clone_from(&finding.remedy);
        }
        Verdict::NotApplicable(why) => {
            judgement.status = Status::NotApplicable;
            judgement.reason = Some(why.clone());
        }
        Verdict::Unreadable(why) => judgement.reason = Some(why.clone()),
    }
}

/// What a plan says: what differs, what overrides it, what is not in effect yet.
fn of_plan(plan: &StepPlan, judgement: &mut Judgement) {
    let finding = plan.finding.as_ref().filter(|_| !plan.sensitive);
    if let Some(finding) = finding {
        judgement.expected.clone_from(&finding.expected);
        judgement.evidence =
            vec![Evidence { source: Source::Command, at: short(&finding.command), said: short(&finding.said) }];
    }
    judgement.evidence.splice(0..0, plan.overridden.iter().map(of_override));
    if let Some(on) = &plan.open {
        judgement.reason = Some(format!("cannot be judged before {on} is done"));
        return;
    }
    if plan.action == Action::None && plan.overridden.is_empty() {
        judgement.status = if plan.dormant { Status::NotLive } else { Status::Pass };
        judgement.reason = plan.dormant.then(|| plan.notes.join("; "));
        judgement.actual = finding.map_or_else(|| "as demanded".to_owned(), |finding| finding.actual.clone());
        return;
    }
    let side = |text: fn(&FieldChange) -> Option<&String>| {
        let words = |change: &FieldChange| {
            let value = text(change).map_or("none", String::as_str);
            format!("{}: {}", change.field, value.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        plan.changes.iter().map(words).collect::<Vec<_>>().join(", ")
    };
    let all_of = |field: &str| !plan.changes.is_empty() && plan.changes.iter().all(|change| change.field == field);
    judgement.status = Status::Fail;
    if plan.overridden.is_empty() && all_of("live") {
        judgement.status = Status::NotLive;
        judgement.reason = Some("persisted, not live".to_owned());
    } else if plan.overridden.is_empty() && all_of("persisted") {
        judgement.status = Status::NotLive;
        judgement.reason = Some("live, not persisted".to_owned());
    }
    if let Some(diff) = plan.diff.as_ref().filter(|_| !plan.sensitive) {
        let named = |mark: &str| diff.lines().find_map(|line| line.strip_prefix(mark)).filter(|at| *at != "/dev/null");
        let at = named("+++ ").or_else(|| named("--- ")).unwrap_or(&plan.name);
        judgement.evidence.push(Evidence { source: Source::Path, at: short(at), said: short(diff) });
    }
    let overridden: Vec<String> = plan.overridden.iter().map(ToString::to_string).collect();
    judgement.actual = match (plan.changes.is_empty(), overridden.is_empty()) {
        (false, _) => side(|change| change.before.as_ref()),
        (true, false) => overridden.join("; "),
        (true, true) if plan.diff.is_some() => "the content differs".to_owned(),
        (true, true) => "not as demanded".to_owned(),
    };
    if !plan.changes.is_empty() && finding.is_none() {
        judgement.expected = format!("{} ({})", side(|change| change.after.as_ref()), judgement.expected);
    }
    // What holds and is overridden for some: what overrides it was found.
    if let Some(finding) = finding.filter(|finding| finding.verdict != Verdict::Holds) {
        judgement.actual.clone_from(&finding.actual);
    }
    if plan.action != Action::None {
        let what = if plan.changes.is_empty() { String::new() } else { format!(": {}", side(|c| c.after.as_ref())) };
        judgement.remedy.push(format!("an apply does step {} '{}'{what}", plan.id, plan.name));
    }
    judgement.remedy.extend(plan.overridden.iter().map(|by| format!("{}: {}", by.place(), by.message)));
}

/// The score over applicable, unwaived results, weighted by severity: from 0 to
/// 100, none where nothing counts.
pub fn score(results: &[ControlResult]) -> Option<f64> {
    let weight = |counts: fn(Status) -> bool| -> u32 {
        results.iter().filter(|result| counts(result.status)).map(|result| result.severity.weight()).sum()
    };
    let passed = weight(|status| status == Status::Pass);
    let failed = weight(Status::is_finding);
    let all = passed + failed;
    (all > 0).then(|| (f64::from(passed) * 1000.0 / f64::from(all)).round() / 10.0)
}

/// How many results have each status.
pub fn counts(results: &[ControlResult]) -> Counts {
    let mut counts = Counts::default();
    for result in results {
        match result.status {
            Status::Pass => counts.pass += 1,
            Status::Fail => counts.fail += 1,
            Status::NotLive => counts.not_live += 1,
            Status::Error => counts.error += 1,
            Status::Waived => counts.waived += 1,
            Status::NotApplicable => counts.not_applicable += 1,
        }
    }
    counts
}
