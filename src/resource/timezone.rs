//! `timezone`: the host's time zone, by its name in the time zone database.

use super::{Args, Field, Kind, Resource, Type};
use crate::observe::{Content, FileType, PathState, PredictedState, Queries, Query};
use crate::plan::{InForce, Op, Override, PlanError, Planned, SystemOp};
use crate::values::AbsPath;

pub(super) const KIND: Kind = Kind {
    name: "timezone",
    summary: "The time zone of the host.",
    main: "value",
    fields: &[Field::required("value", Type::String, "a name such as \"Europe/Berlin\" or \"Etc/UTC\"")],
    build,
};

/// The link that the C library follows.
const LOCALTIME: &str = "/etc/localtime";
/// Where a variable may give logins another zone.
const ENVIRONMENT: &str = "/etc/environment";

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
        queries.extend(LOCALTIME.parse().ok().map(Query::Path));
        queries.extend(ENVIRONMENT.parse().ok().map(Query::Content));
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        // A copy in place of the link says no name: it may be of any zone.
        let is_copy = LOCALTIME.parse().is_ok_and(
            |path| matches!(host.path(&path), Ok(PathState::Present(entry)) if entry.file_type == FileType::File),
        );
        let before = if is_copy { "a copy" } else { host.facts.timezone.as_str() };
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
        planned.ops.push(Op::System(SystemOp::SetTimezone { zone: self.name.clone() }));
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        let mut found = InForce::default();
        let path = ENVIRONMENT.parse().map_err(|_| PlanError::Refused(format!("{ENVIRONMENT} is not a path")))?;
        let Content::Bytes(bytes) = host.content(&path)? else { return Ok(found) };
        let text = String::from_utf8_lossy(bytes);
        let zone = |line: &str| Some(line.strip_prefix("TZ=")?.trim().trim_matches(['"', '\'', ':']).to_owned());
        let last = text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, zone(line)?))).last();
        if let Some((line, zone)) = last.filter(|(_, zone)| canonical(zone) != canonical(&self.name)) {
            let message = format!("logins get the time zone {zone} by this line: remove it there");
            found.overridden.push(Override::new(ENVIRONMENT, Some(line), message));
        }
        Ok(found)
    }
}
