//! The members of tables that templates name: which paths lead to nothing.
//!
//! Of what the program itself gives (`host`, `facts`) the members are known
//! before any host is asked, so that a slip is told by `check`; of a variable
//! they are known where its value is.

use super::code::{ELEMENT, PathUse};
use super::fault::Fault;
use super::template::Needs;
use crate::values::suggest;
use serde_json::Value;
use std::ops::Range;
use tera::Context;

/// A fault in the engine's words, in ours where it is about an undefined value:
/// then all that are undefined.
pub(super) fn clearer(faults: Vec<Fault>, needs: &Needs, context: &Context) -> Vec<Fault> {
    let about = ["is undefined", "is not defined", "undefined value"];
    let fault = match &faults[..] {
        [fault] if fault.file.is_none() && about.iter().any(|words| fault.message.contains(words)) => fault,
        _ => return faults,
    };
    let meant = |path: &PathUse| {
        let overlaps = |range: &Range<usize>| path.range.start < range.end && range.start < path.range.end;
        path.certain || fault.range.as_ref().is_some_and(overlaps)
    };
    let mut found = dead_ends(needs, context, meant);
    if found.is_empty() {
        found = dead_ends(needs, context, |_| true);
        found.truncate(1);
    }
    if found.is_empty() { faults } else { found }
}

/// The tables that the program gives.
pub(super) const OWN_TABLES: [&str; 3] = ["host", "stage", "facts"];

/// What a path stops at.
enum Stop {
    /// A table without this member; its members.
    Table(Vec<String>),
    /// A value that has none: what it is.
    Scalar(&'static str),
}

/// The paths among those asked for that lead to nothing though nothing says they may.
pub(super) fn dead_ends(needs: &Needs, context: &Context, asked: impl Fn(&PathUse) -> bool) -> Vec<Fault> {
    let step = |value: &tera::Value, name: &str| -> Result<Option<tera::Value>, Stop> {
        // Elements need not have the same members.
        if name == ELEMENT {
            return Ok(None);
        }
        match value.get_from_path(name) {
            Some(inner) if !inner.is_undefined() => Ok(Some(inner.clone())),
            _ => Err(match value.as_map() {
                Some(map) => Stop::Table(map.keys().filter_map(|key| key.as_str()).map(str::to_owned).collect()),
                None if value.as_str().is_some() => Stop::Scalar("a string"),
                None => Stop::Scalar("not a table"),
            }),
        }
    };
    walk(
        needs,
        |path| {
            let root = &path.names[0];
            context.get(root).filter(|_| needs.variables.contains(root) && asked(path)).cloned()
        },
        step,
    )
}

/// The paths below a name that its example has not.
pub(super) fn no_such_members(needs: &Needs, name: &str, example: &Value) -> Vec<Fault> {
    let step = |value: &Value, name: &str| match (value, name) {
        (Value::Array(items), ELEMENT) => Ok(items.first().cloned()),
        (_, ELEMENT) => Ok(None),
        (Value::Object(map), name) => match map.get(name) {
            Some(inner) => Ok(Some(inner.clone())),
            None => Err(Stop::Table(map.keys().cloned().collect())),
        },
        (Value::Array(_), _) => Err(Stop::Scalar("an array")),
        (Value::String(_), _) => Err(Stop::Scalar("a string")),
        (Value::Number(_), _) => Err(Stop::Scalar("a number")),
        (Value::Bool(_), _) => Err(Stop::Scalar("a boolean")),
        (Value::Null, _) => Ok(None),
    };
    walk(needs, |path| Some(example.clone()).filter(|_| path.names[0] == *name), step)
}

/// Follows paths from their variable on; a fault for each that stops.
fn walk<V>(
    needs: &Needs,
    begin: impl Fn(&PathUse) -> Option<V>,
    step: impl Fn(&V, &str) -> Result<Option<V>, Stop>,
) -> Vec<Fault> {
    let guarded: Vec<&[String]> = needs.paths.iter().filter(|p| p.guarded).map(|p| p.names.as_slice()).collect();
    let mut faults: Vec<Fault> = Vec::new();
    'paths: for path in &needs.paths {
        let Some(mut value) = begin(path) else { continue };
        for (depth, name) in path.names.iter().enumerate().skip(1) {
            let stop = match step(&value, name) {
                Ok(Some(inner)) => {
                    value = inner;
                    continue;
                }
                Ok(None) => continue 'paths,
                Err(stop) => stop,
            };
            let so_far = &path.names[..=depth];
            let message = format!("'{}' is undefined", path.written);
            let expected = guarded.iter().any(|known| so_far.starts_with(known) || known.starts_with(so_far));
            if !expected && !faults.iter().any(|fault| fault.message == message) {
                let of = path.names[..depth].join(".").replace(".[]", "[]");
                let (help, possible) = match stop {
                    Stop::Scalar(what) => (Some(format!("'{of}' is {what} and has no members")), None),
                    Stop::Table(names) if names.is_empty() => (None, None),
                    Stop::Table(names) => (
                        suggest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean '{near}'?")),
                        Some(format!("'{of}' has: {}", names.join(", "))),
                    ),
                };
                let range = Some(path.range.clone());
                faults.push(Fault { help, possible, file: path.elsewhere.clone(), ..Fault::new(message, range) });
            }
            continue 'paths;
        }
    }
    faults
}
