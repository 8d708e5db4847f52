//! `timezone`: the host's time zone, by its name in the time zone database.

use super::{Args, Field, Kind, Resource, Type};
use crate::observe::{HostState, PathState, Queries, Query};
use crate::plan::{Op, PlanError, Planned};
use crate::values::AbsPath;

pub(super) const KIND: Kind = Kind {
    name: "timezone",
    summary: "The time zone of the host.",
    main: "value",
    fields: &[Field::required("value", Type::String, "a name such as \"Europe/Berlin\" or \"Etc/UTC\"")],
    build,
};

#[derive(Debug)]
struct TimeZone {
    name: String,
    file: AbsPath,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let name = args.string("value")?;
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    let parts: Vec<&str> = name.split('/').collect();
    // Abbreviations such as EST are kept by the database for old times only; UTC is what it says.
    if !(2..=3).contains(&parts.len()) && name != "UTC" || !parts.iter().all(|p| part(p)) {
        args.wrong_value(
            "value",
            format!(
                "'{}' is not a time zone: write Area/City, such as \"Europe/Berlin\", or \"Etc/UTC\"",
                name.escape_debug()
            ),
        );
        return None;
    }
    let file = format!("/usr/share/zoneinfo/{name}").parse().ok()?;
    Some(Box::new(TimeZone { name, file }))
}

/// The names of UTC are one zone.
fn canonical(name: &str) -> &str {
    match name {
        "UTC" | "Etc/UCT" | "Etc/Universal" | "Etc/Zulu" | "UCT" | "Universal" | "Zulu" => "Etc/UTC",
        other => other,
    }
}

impl Resource for TimeZone {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Path(self.file.clone()));
    }

    fn plan(&self, host: &HostState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        let before = host.facts.timezone.as_str();
        if canonical(before) == canonical(&self.name) {
            return Ok(planned);
        }
        if *host.path(&self.file)? == PathState::Absent {
            if !host.accounts_may_appear() {
                return Err(PlanError::Refused(format!(
                    "this host knows no time zone {}: check the name, or install the package tzdata before this step",
                    self.name
                )));
            }
            planned
                .notes
                .push("the host does not know this time zone yet: a package installed before must bring it".to_owned());
        }
        planned.change("value", Some(before).filter(|zone| !zone.is_empty()), Some(&self.name));
        planned.ops.push(Op::SetTimezone { zone: self.name.clone() });
        Ok(planned)
    }
}
