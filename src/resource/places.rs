//! Where a step may change something of which not all is known yet.

use super::fields::is_template;
use crate::plan::MayMake;
use crate::values::{AbsPath, Node, UnitName};

/// The places that the known values of a step's table name; strings in it may
/// be templates that are not rendered yet.
pub fn may_make(kind: &str, table: &Node) -> MayMake {
    let mut made = MayMake::default();
    match kind {
        "unit" => own_unit(table, "name", &mut made),
        "dropin" => own_unit(table, "unit", &mut made),
        "service" => unit(table, "name", &mut made),
        "env" => {
            path(table, &mut made);
            if table.get("unit").is_some() {
                own_unit(table, "unit", &mut made);
            }
        }
        "file" | "directory" | "link" | "line" | "setting" | "replace" | "block" | "download" | "binary" => {
            path(table, &mut made);
        }
        _ => made.elsewhere = true,
    }
    made
}

fn known<'a>(table: &'a Node, field: &str) -> Option<&'a str> {
    table.get(field).filter(|node| !is_template(node)).and_then(Node::as_str)
}

fn path(table: &Node, made: &mut MayMake) {
    match known(table, "path").and_then(|text| text.parse::<AbsPath>().ok()) {
        Some(path) => {
            made.units.extend(unit_of(&path));
            made.paths.push(path);
        }
        None => made.elsewhere = true,
    }
}

/// The unit whose file stands at a path.
fn unit_of(path: &AbsPath) -> Option<UnitName> {
    let is_place = path.parent().is_some_and(|parent| parent.as_str().ends_with("/systemd/system"));
    path.file_name().parse().ok().filter(|_| is_place)
}

fn unit(table: &Node, field: &str, made: &mut MayMake) {
    match known(table, field).and_then(|text| UnitName::named(text).ok()) {
        Some(name) => made.units.push(name),
        None => made.elsewhere = true,
    }
}

/// A unit, and what an administrator says of it in a file.
fn own_unit(table: &Node, field: &str, made: &mut MayMake) {
    unit(table, field, made);
    let places: Vec<AbsPath> = made
        .units
        .iter()
        .flat_map(|unit| ["", ".d"].map(|end| format!("/etc/systemd/system/{unit}{end}")))
        .filter_map(|place| place.parse().ok())
        .collect();
    made.paths.extend(places);
}
