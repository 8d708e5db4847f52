//! What a body may hold, as data: each member by its exact name, with the
//! form its value must have. A member that is not listed is refused.
//!
//! What must hold: a value that is Go's zero value counts as absent and is
//! left out, except where the zero means something (`MaskedPaths: []` unmasks).

use serde_json::{Map, Value};

use super::super::Refusal;
use super::json::folded;
use super::parse::is_key_sequence;
use super::refusal::{denied, malformed, shown};

/// The members of an object.
pub type Members = &'static [(&'static str, Shape)];

/// The form of a value. `null` always counts as absent.
#[derive(Debug)]
pub enum Shape {
    /// true or false.
    Flag,
    /// A whole number.
    Int,
    /// A string.
    Text,
    /// A string that names keys, such as `ctrl-p,ctrl-q`.
    Keys,
    /// A list of strings.
    Texts,
    /// A string or a list of strings (Go's `strslice`).
    Command,
    /// An object of strings.
    TextMap,
    /// An object whose values are empty objects (Go's sets).
    Set,
    /// An object with these members.
    Object(Members),
    /// The same, where others are left out: the daemon does not read them.
    Loose(Members),
    /// A list.
    List(&'static Shape),
    /// An object with free names.
    Map(&'static Shape),
    /// Understood and left out: the daemon does not use it.
    Ignored,
    /// Another spelling of a member, which some clients write and Go's decoder
    /// reads alike. Not to be given beside it.
    Alias(&'static str),
    /// Denied unless it is zero or the role has the grant.
    Grant(&'static str, &'static Shape),
    /// Denied unless it is null or the role has the grant: here even an empty value acts.
    GrantUnlessNull(&'static str, &'static Shape),
    /// Denied unless it is zero, whatever the role has.
    Denied,
}

/// Checks an object and takes out what counts as absent. `at` is the rule's
/// name so far (`create.HostConfig`).
///
/// # Errors
/// The member that is not allowed, by its path.
pub fn check(map: &mut Map<String, Value>, members: Members, at: &str, grants: &[String]) -> Result<(), Refusal> {
    // Clients write out members of other versions as null, which says nothing.
    map.retain(|name, value| !value.is_null() || spelling(members, name).is_some());
    for name in map.keys() {
        if members.iter().any(|(known, _)| known == name) {
            continue;
        }
        let message = match spelling(members, name) {
            Some(known) => format!("the member {:?} must be spelt exactly {known:?}", shown(name)),
            None => format!("the member {:?} in {at} is not known", shown(name)),
        };
        return Err(denied(format!("{at}.unknown"), message));
    }
    for (name, shape) in members {
        let Shape::Alias(proper) = shape else { continue };
        let Some(value) = map.shift_remove(*name) else { continue };
        if map.contains_key(*proper) {
            return Err(denied(format!("{at}.unknown"), format!("{name:?} and {proper:?} are one member in {at}")));
        }
        map.insert((*proper).to_owned(), value);
    }
    let mut gone = Vec::new();
    for (name, shape) in members {
        let Some(value) = map.get_mut(*name) else { continue };
        if !keep(value, shape, &format!("{at}.{name}"), grants)? {
            gone.push(*name);
        }
    }
    for name in gone {
        map.shift_remove(name);
    }
    Ok(())
}

/// The member that Go's decoder would take a name for.
fn spelling(members: Members, name: &str) -> Option<&'static str> {
    members.iter().map(|(known, _)| *known).find(|known| folded(known) == folded(name))
}

/// Whether the value stays.
fn keep(value: &mut Value, shape: &Shape, at: &str, grants: &[String]) -> Result<bool, Refusal> {
    if value.is_null() {
        return Ok(false);
    }
    let granted = |grant: &str| grants.iter().any(|held| held == grant);
    match (shape, &mut *value) {
        (Shape::Flag, Value::Bool(_)) | (Shape::Text | Shape::Command, Value::String(_)) => {}
        (Shape::Int, Value::Number(number)) if number.is_i64() => {}
        (Shape::Texts | Shape::Command, Value::Array(list)) if list.iter().all(Value::is_string) => {}
        (Shape::TextMap, Value::Object(map)) if map.values().all(Value::is_string) => {}
        (Shape::Keys, Value::String(text)) if is_key_sequence(text) => {}
        (Shape::Set, Value::Object(map)) if map.values().all(is_element) => {
            // `null` is an element too, and is written as the empty object.
            map.values_mut().for_each(|value| *value = Value::Object(Map::new()));
        }
        (Shape::Object(members), Value::Object(map)) => check(map, members, at, grants)?,
        (Shape::Loose(members), Value::Object(map)) => {
            map.retain(|name, _| spelling(members, name).is_some());
            check(map, members, at, grants)?;
        }
        (Shape::List(inner), Value::Array(list)) => {
            for (index, item) in list.iter_mut().enumerate() {
                if !keep(item, inner, &format!("{at}[{index}]"), grants)? {
                    return Err(malformed(at, format!("{at}[{index}] may not be null")));
                }
            }
        }
        (Shape::Map(inner), Value::Object(map)) => {
            let mut gone = Vec::new();
            for (name, item) in map.iter_mut() {
                if !keep(item, inner, at, grants)? {
                    gone.push(name.clone());
                }
            }
            let nothing = match inner {
                Shape::List(_) => Value::Array(Vec::new()),
                _ => Value::Object(Map::new()),
            };
            for name in gone {
                map.insert(name, nothing.clone());
            }
        }
        (Shape::Ignored, _) => return Ok(false),
        (Shape::Denied, value) => return if zero(value) { Ok(false) } else { Err(not_granted(at, None)) },
        (Shape::Grant(grant, inner), value) => {
            return match zero(value) {
                true => Ok(false),
                false if granted(grant) => keep(value, inner, at, grants),
                false => Err(not_granted(at, Some(grant))),
            };
        }
        (Shape::GrantUnlessNull(grant, inner), value) => {
            return if granted(grant) { keep(value, inner, at, grants) } else { Err(not_granted(at, Some(grant))) };
        }
        _ => return Err(malformed(at, format!("{at} has a value of the wrong kind"))),
    }
    Ok(true)
}

/// What Go's decoder takes for an element of a set (`map[string]struct{}`).
fn is_element(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

fn not_granted(at: &str, grant: Option<&str>) -> Refusal {
    let member = at.split_once('.').map_or(at, |(_, member)| member);
    let message = match grant {
        Some(grant) => format!("{member} is not allowed: the role lacks the grant {grant:?}"),
        None => format!("{member} is not allowed through the gateway"),
    };
    denied(at, message)
}

/// Whether Go would take the value for "not given": false, 0, "", an empty
/// list or object, and objects and lists of such.
pub fn zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(zero),
    }
}
