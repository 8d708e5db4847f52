//! `dropin`: a file that adds to a unit's settings (systemd.unit(5)).
//!
//! What systemd would refuse or ignore is found before it is written: lines
//! outside a section, and an `ExecStart=` that adds a second command to a
//! service that can have only one.

use super::in_force::{self, Said};
use super::{Args, Field, Kind, Resource, Type, docker_daemon, file, rejected, service};
use crate::observe::{FileType, HostState, Known, PathState, PredictedState, Queries, Query, Run};
use crate::plan::{FileOp, InForce, Meta, Op, PlanError, Planned, UnitOp};
use crate::values::{AbsPath, UnitFile, UnitName};

pub(super) const KIND: Kind = Kind {
    name: "dropin",
    summary: "A file in /etc/systemd/system/<unit>.d that adds to or replaces settings of a unit.",
    main: "unit",
    fields: &[
        Field::required("unit", Type::String, "the unit; \".service\" is added to a name without a unit type"),
        Field::required(
            "name",
            Type::String,
            "the file's name, with or without \".conf\"; files are read in the order of their names",
        ),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional("content", Type::String, "the content itself"),
        Field::optional("source", Type::String, "a local file whose bytes are the content"),
        Field::optional("template", Type::String, "a local file that is rendered to the content"),
    ],
    build,
};

#[derive(Debug)]
struct DropIn {
    unit: UnitName,
    path: AbsPath,
    /// None: the file shall be absent.
    content: Option<(Vec<u8>, UnitFile)>,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let unit = service::unit_name(args, "unit");
    let name = args.string("name").unwrap_or_default();
    let stem = name.strip_suffix(".conf").unwrap_or(&name);
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-:@+".contains(&b);
    if stem.is_empty() || stem.starts_with(['.', '-']) || !stem.bytes().all(legal) || stem.len() > 200 {
        args.wrong_value(
            "name",
            format!("'{}' is not a name for a drop-in: use letters, digits and '_.-:@+'", name.escape_debug()),
        );
    }
    let content = if args.absent() {
        file::no_content(args);
        None
    } else {
        let (bytes, parsed) = unit_content(args)?;
        if unit.as_ref().is_some_and(|unit| unit.as_str().ends_with(".service"))
            && let Err(why) = one_command(&parsed)
        {
            args.wrong_value(file::content_field(args), why);
        }
        Some((bytes, parsed))
    };
    let unit = unit?;
    let path = directory(&unit)?.join(&format!("{stem}.conf")).ok()?;
    Some(Box::new(DropIn { unit, path, content }))
}

fn directory(unit: &UnitName) -> Option<AbsPath> {
    format!("/etc/systemd/system/{unit}.d").parse().ok()
}

/// The content of a unit file or drop-in, which systemd must be able to read.
pub(super) fn unit_content(args: &mut Args<'_>) -> Option<(Vec<u8>, UnitFile)> {
    let bytes = file::content(args)?;
    let field = file::content_field(args);
    let parsed = match std::str::from_utf8(&bytes) {
        Ok(text) => UnitFile::parse(text).map_err(|error| error.to_string()),
        Err(_) => Err("it is not UTF-8".to_owned()),
    };
    match parsed {
        Ok(parsed) => Some((bytes, parsed)),
        Err(why) => {
            args.wrong_value(field, format!("systemd cannot use this content: {why}"));
            None
        }
    }
}

/// systemd.service(5): unless Type=oneshot there is exactly one ExecStart=, and
/// a drop-in adds to the unit's own unless it clears it with an empty one.
fn one_command(file: &UnitFile) -> Result<(), String> {
    if file.values("Service", "Type").last() == Some("oneshot") {
        return Ok(());
    }
    let (mut cleared, mut commands) = (false, 0);
    for value in file.values("Service", "ExecStart") {
        if value.is_empty() {
            (cleared, commands) = (true, 0);
        } else {
            commands += 1;
        }
    }
    match (commands, cleared) {
        (0, _) | (1, true) => Ok(()),
        (_, false) => Err("this ExecStart= adds a second command to the unit's own, and systemd refuses to start it: \
             put an empty 'ExecStart=' line before it to replace the command. (For a unit of Type=oneshot, \
             where a second command is right, say Type=oneshot in the drop-in too)"
            .to_owned()),
        (_, true) => Err("there are several ExecStart= lines, which only a unit of Type=oneshot may have".to_owned()),
    }
}

impl Resource for DropIn {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Digest(self.path.clone()));
        queries.extend(self.path.parent().map(Query::Path));
        if self.content.is_some() {
            docker_daemon::unit_queries(&self.unit, queries);
            in_force::ask_unit(queries, self.unit.as_str());
        }
        // systemctl(1) cannot show a template, only its instances.
        if !self.unit.is_template() {
            queries.ask(Query::Unit(self.unit.clone()));
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = match &self.content {
            None => file::absent(host, &self.path)?,
            Some((bytes, parsed)) => {
                docker_daemon::check_unit(host, &self.unit, parsed)?;
                let mut planned = file::present(host, &self.path, bytes, &Meta::root(0o644), &None)?;
                if let (Some(directory), false) = (self.path.parent(), planned.ops.is_empty()) {
                    make_room(host, directory, &mut planned)?;
                }
                planned
            }
        };
        let unit = if self.unit.is_template() { None } else { Some(host.unit(&self.unit)?) };
        let writes = self.content.is_some() && !planned.ops.is_empty();
        if writes && matches!(unit, Some(Known::Is(unit)) if unit.load == "not-found") {
            planned.notes.push(format!("there is no unit {} on this host yet", self.unit));
        }
        reload(host, unit, &mut planned);
        if let Some((bytes, parsed)) = &self.content {
            unknown_words(host, self.unit.as_str(), parsed, bytes, &mut planned)?;
            rejected::check_units(host, rejected::Whose::OwnUnit, &mut planned)?;
        }
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match &self.content {
            Some(_) => {
                let mut found = in_force::unit_file(host, self.unit.as_str(), &self.path, Said::File, None)?;
                found.overridden.extend(in_force::alias_without_link(host, &self.unit, &self.path));
                found.overridden.extend(in_force::unusable(host, &self.unit));
                Ok(found)
            }
            None => Ok(InForce::default()),
        }
    }

    fn layer(&self) -> Option<&AbsPath> {
        self.content.as_ref().map(|_| &self.path)
    }
}

/// The directory of the drop-ins, made first if it is not there.
fn make_room(host: &HostState, directory: AbsPath, planned: &mut Planned) -> Result<(), PlanError> {
    match host.path(&directory)? {
        PathState::Absent => {
            planned.ops.insert(0, Op::File(FileOp::MakeDirectory { path: directory, meta: Meta::root(0o755) }));
            Ok(())
        }
        PathState::Present(entry) if matches!(entry.file_type, FileType::File | FileType::Other) => {
            Err(PlanError::Refused(format!("{directory} is not a directory on the host: remove it first")))
        }
        _ => Ok(()),
    }
}

/// Has systemd read unit files again if some change now, or did without it.
pub(super) fn reload(host: &HostState, unit: Option<&Known<crate::observe::Unit>>, planned: &mut Planned) {
    if host.facts.init != "systemd" {
        return;
    }
    let stale = matches!(unit, Some(Known::Is(unit)) if unit.needs_reload);
    if planned.ops.is_empty() && stale {
        planned.change("files", Some("changed since systemd read them"), Some("read again"));
    }
    if stale || !planned.ops.is_empty() {
        planned.ops.push(Op::Unit(UnitOp::DaemonReload));
    }
}

/// Notes sections and settings of a text that is to be written which the host's
/// systemd does not know, and therefore ignores with a warning in its journal.
pub(super) fn unknown_words(
    host: &HostState,
    unit: &str,
    parsed: &UnitFile,
    bytes: &[u8],
    planned: &mut Planned,
) -> Result<(), PlanError> {
    let writes = |op: &Op| matches!(op, Op::File(FileOp::WriteFile { content, .. }) if content == bytes);
    if host.facts.init != "systemd" || !planned.ops.iter().any(writes) {
        return Ok(());
    }
    let text =
        "p=/usr/lib/systemd/systemd; [ -x \"$p\" ] || p=/lib/systemd/systemd; exec \"$p\" --dump-configuration-items";
    let question = Run::new(["sh", "-c", text]);
    if !host.asked(&Query::Run(question.clone())) {
        planned.follow_up_queries.push(Query::Run(question));
        return Ok(());
    }
    let Known::Is(output) = host.output(&question)? else { return Ok(()) };
    // Where it does not answer, nothing is known.
    let items = |section: &str| items(&output.stdout, section);
    if items("Unit").is_empty() {
        return Ok(());
    }
    for section in parsed.sections() {
        let is_own = section == "Unit" || section == "Install" || section.eq_ignore_ascii_case(kind_of(unit));
        if !is_own && !section.starts_with("X-") {
            planned.notes.push(format!("systemd ignores the section [{section}] in a file of {unit}"));
        }
    }
    for (section, key) in parsed.keys() {
        let is_own = section == "Unit" || section == "Install" || section.eq_ignore_ascii_case(kind_of(unit));
        let known = items(section);
        if is_own && !key.starts_with("X-") && !known.is_empty() && !known.contains(&key) {
            planned.notes.push(format!("systemd on this host does not know {key}= in [{section}] and ignores it"));
        }
    }
    Ok(())
}

/// The settings of a section, out of what systemd tells of all that it knows.
fn items<'a>(all: &'a str, section: &str) -> Vec<&'a str> {
    let header = format!("[{section}]");
    let lines = all.lines().skip_while(|line| *line != header).skip(1).take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once('=')?.0)).collect()
}

/// A unit's type, which its own section is named after.
fn kind_of(unit: &str) -> &str {
    unit.rsplit('.').next().unwrap_or(unit)
}
