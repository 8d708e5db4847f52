//! What the host's state answers to the probes of a playbook.

use crate::observe::{FileType, Known, Package, PathState, PredictedState, Query, Run, StateError};
use crate::plan::{KNOWN_AFTER_APPLY, PlanError};
use crate::playbook::{Probe, ProbeAnswers, ProbeQuestion};
use crate::values::{AbsPath, PackageName, UnitName};
use serde_json::Value;
use std::collections::BTreeMap;

/// The shell text of a probe that is one.
pub(super) fn text(question: &ProbeQuestion) -> Option<&str> {
    match question {
        ProbeQuestion::Command { text, .. } => Some(text),
        ProbeQuestion::Path(_) | ProbeQuestion::Package(_) | ProbeQuestion::Unit(_) => None,
    }
}

pub(super) fn query(question: &ProbeQuestion) -> Query {
    match question {
        ProbeQuestion::Path(path) => Query::Path(path.clone()),
        ProbeQuestion::Package(name) => Query::Package(name.clone()),
        ProbeQuestion::Unit(name) => Query::Unit(name.clone()),
        ProbeQuestion::Command { text, user } => {
            Query::Run(Run { user: user.clone().filter(|user| user.as_str() != "root"), ..Run::shell(text) })
        }
    }
}

/// The answers that hold where `state` is what earlier steps leave.
pub(super) fn answers(probes: &[Probe], state: &PredictedState) -> Result<ProbeAnswers, PlanError> {
    for probe in probes {
        if let Some(Some(why)) = text(&probe.question).map(|text| state.syntax(text)).transpose()? {
            let name = &probe.name;
            return Err(PlanError::Refused(format!(
                "the command of the probe '{name}' cannot be read by the host's shell: {why}"
            )));
        }
    }
    let of = |probe: &Probe| -> Result<_, StateError> {
        let fields = match &probe.question {
            ProbeQuestion::Path(path) => of_path(path, state)?,
            ProbeQuestion::Package(name) => of_package(name, state)?,
            ProbeQuestion::Unit(name) => of_unit(name, state)?,
            ProbeQuestion::Command { .. } => of_command(&query(&probe.question), state)?,
        };
        Ok((probe.name.clone(), fields))
    };
    Ok(probes.iter().map(of).collect::<Result<_, _>>()?)
}

type Fields = BTreeMap<&'static str, Option<Value>>;

fn nothing_known(fields: &[&'static str]) -> Fields {
    fields.iter().map(|field| (*field, None)).collect()
}

const PATH_FIELDS: [&str; 7] = ["exists", "type", "mode", "owner", "group", "size", "target"];

fn of_path(path: &AbsPath, state: &PredictedState) -> Result<Fields, StateError> {
    let now = state.path(path)?;
    if state.path_affected_by(path).is_some() {
        return Ok(nothing_known(&PATH_FIELDS));
    }
    let fields = match now {
        PathState::AfterApply => nothing_known(&PATH_FIELDS),
        PathState::Absent => Fields::from([
            ("exists", Some(false.into())),
            ("type", Some("".into())),
            ("mode", Some("".into())),
            ("owner", Some("".into())),
            ("group", Some("".into())),
            ("size", Some(0.into())),
            ("target", Some("".into())),
        ]),
        PathState::Present(entry) => {
            let size = if entry.file_type == FileType::File { state.size(path) } else { Some(0) };
            Fields::from([
                ("exists", Some(true.into())),
                ("type", Some(entry.file_type.name().into())),
                ("mode", Some(entry.mode.to_string().into())),
                ("owner", Some(entry.owner.clone().into())),
                ("group", Some(entry.group.clone().into())),
                ("size", size.map(Value::from)),
                ("target", Some(entry.target.clone().unwrap_or_default().into())),
            ])
        }
    };
    Ok(fields)
}

fn of_package(name: &PackageName, state: &PredictedState) -> Result<Fields, StateError> {
    // A package brings others with it, and a command may do so.
    if state.affected_by(&Query::Package(name.clone())).is_some() {
        return Ok(nothing_known(&["installed", "version"]));
    }
    let (installed, version) = match state.package(name)? {
        Package::Installed { version: Known::Is(version), .. } => (true, Some(version.as_str().into())),
        Package::Installed { version: Known::AfterApply, .. } => (true, None),
        Package::Absent | Package::ConfigFiles | Package::Broken(_) => (false, Some("".into())),
    };
    Ok(Fields::from([("installed", Some(installed.into())), ("version", version)]))
}

const UNIT_FIELDS: [&str; 5] = ["exists", "active", "enabled", "masked", "state"];

fn of_unit(name: &UnitName, state: &PredictedState) -> Result<Fields, StateError> {
    let Known::Is(unit) = state.unit(name)? else { return Ok(nothing_known(&UNIT_FIELDS)) };
    if state.unit_affected_by(name).is_some() {
        return Ok(nothing_known(&UNIT_FIELDS));
    }
    let known = |text: &str, value: Value| (text != KNOWN_AFTER_APPLY).then_some(value);
    let active = matches!(unit.active.as_str(), "active" | "reloading");
    Ok(Fields::from([
        ("exists", known(&unit.load, (unit.load != "not-found").into())),
        ("active", known(&unit.active, active.into())),
        ("enabled", known(&unit.file, matches!(unit.file.as_str(), "enabled" | "enabled-runtime").into())),
        ("masked", known(&unit.load, (unit.load == "masked" || unit.file.starts_with("masked")).into())),
        ("state", known(&unit.active, unit.active.as_str().into())),
    ]))
}

fn of_command(query: &Query, state: &PredictedState) -> Result<Fields, StateError> {
    let Query::Run(run) = query else { return Ok(Fields::new()) };
    let output = match state.output(run)? {
        // Any change may be what the command looks at, unless its words tell.
        Known::Is(output) if state.still_answers(run) => output,
        _ => return Ok(nothing_known(&["ok", "code", "output"])),
    };
    Ok(Fields::from([
        ("ok", Some((output.code == 0).into())),
        ("code", Some(output.code.into())),
        ("output", Some(output.stdout.trim_end_matches(['\n', '\r']).into())),
    ]))
}
