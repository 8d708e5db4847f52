//! `path`: a package file that lies on the host, or that an earlier step brings there.
//!
//! dpkg-deb(1) reads its name and version there, so that the plan tells them. A
//! file that a step of the run brings is read when the step's turn comes.

use super::{installed, refuse_held};
use crate::observe::{FileType, HostState, Known, Package, PathState, PredictedState, Queries, Query, Run};
use crate::plan::{Action, AptOptions, AptTarget, DesiredAtTurn, MayMake, Op, PackageOp, PlanError, Planned};
use crate::resource::{Args, Resource, directory};
use crate::values::{AbsPath, PackageName, compare_versions};
use std::cmp::Ordering;

#[derive(Debug)]
struct OnHost {
    path: AbsPath,
    options: AptOptions,
    may_remove: Vec<PackageName>,
}

/// Fields that go with `path`.
const WITH: [&str; 5] = ["path", "may_remove", "allow_downgrade", "recommends", "state"];

pub(super) fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    for field in super::KIND.fields.iter().filter(|field| !WITH.contains(&field.name)) {
        if args.node(field.name).is_some() {
            args.refuse(field.name, format!("'{}' has no meaning with 'path'", field.name));
        }
    }
    if args.string("state").is_some_and(|state| state != "present") {
        args.refuse("state", "'path' is for state = \"present\"");
    }
    let path: AbsPath = args.parse("path")?;
    let options = AptOptions {
        recommends: args.bool("recommends"),
        allow_downgrade: args.bool("allow_downgrade").unwrap_or(false),
        ..AptOptions::default()
    };
    Some(Box::new(OnHost { path, options, may_remove: args.parse_list("may_remove") }))
}

/// What a package file says of itself.
struct Control {
    name: PackageName,
    version: String,
}

impl OnHost {
    /// With what dpkg-deb has to say against a file.
    fn run(&self) -> Run {
        Run::new(["sh", "-c", "dpkg-deb -f \"$1\" Package Version Architecture 2>&1", "sh", self.path.as_str()])
    }

    fn control(&self, host: &HostState) -> Result<Control, PlanError> {
        let path = &self.path;
        let broken = |why: &str| PlanError::Refused(format!("{path} on the host is not a Debian package: {why}"));
        let Known::Is(output) = host.output(&self.run())? else {
            return Err(broken("what it is is known after apply"));
        };
        if output.code != 0 {
            return Err(broken(output.stdout.lines().next().unwrap_or("dpkg-deb cannot read it")));
        }
        let value = |key: &str| {
            let line = output.stdout.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.map(str::trim).ok_or_else(|| broken(&format!("it has no field '{key}'")))
        };
        let (name, version, arch) = (value("Package")?, value("Version")?, value("Architecture")?);
        let is_native = arch == "all" || arch == host.facts.arch;
        let name = if is_native { name.to_owned() } else { format!("{name}:{arch}") };
        let name = name.parse().map_err(|error| broken(&format!("{error}")))?;
        Ok(Control { name, version: version.to_owned() })
    }
}

impl Resource for OnHost {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Path(self.path.clone()));
        queries.ask(Query::Run(self.run()));
    }

    fn at_turn(&self, host: &PredictedState, _decided: bool) -> Option<Result<DesiredAtTurn, PlanError>> {
        let absent = host.path(&self.path) == Ok(&PathState::Absent);
        let brought = host.written_by(&self.path).or_else(|| host.commanded_by(&self.path));
        // An earlier step brings it that its own turn decides.
        let open = || host.is_uncertain(&self.path).then(|| host.uncertain_by(&self.path));
        let on = brought.or_else(open).or_else(|| host.brought_by().filter(|_| absent))?.to_owned();
        let note = format!("which package {} is, is read when it is there", self.path);
        Some(Ok(DesiredAtTurn::Open { name: None, on, note, may_make: MayMake::default() }))
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        let path = &self.path;
        match host.path(path)? {
            PathState::Absent => {
                return Err(PlanError::Refused(format!(
                    "there is no {path} on the host: bring it by a 'download' or 'file' step before this one"
                )));
            }
            PathState::Present(entry) if matches!(entry.file_type, FileType::Directory | FileType::Other) => {
                return Err(PlanError::Refused(format!(
                    "{path} is {} on the host, not a package file",
                    directory::in_the_way(entry.file_type)
                )));
            }
            PathState::Present(_) | PathState::AfterApply => {}
        }
        let Control { name, version } = self.control(host)?;
        let query = Query::Package(name.clone());
        if !host.asked(&query) {
            // The step is planned once this is known.
            planned.follow_up_queries.push(query);
            return Ok(planned);
        }
        let before = installed(host, &name)?;
        let is_broken = matches!(host.package(&name)?, Package::Broken(_));
        let mut freed = Vec::new();
        if let (Some((found, held)), false) = (&before, is_broken) {
            if *found == version {
                return Ok(planned);
            }
            let frees = *held && super::is_released_later(host, &name);
            refuse_held(&name, *held && !frees, &format!("brought to version {version}"), "")?;
            freed.extend(frees.then(|| name.clone()));
            if !self.options.allow_downgrade && compare_versions(&version, found) == Ordering::Less {
                return Err(PlanError::Refused(format!(
                    "package {name} is installed in version {found}, and {path} has the older {version}: \
                     allow_downgrade = true permits that"
                )));
            }
        }
        planned.action = Some(if before.is_some() { Action::Update } else { Action::Create });
        planned.change("package", None::<&str>, Some(name.to_string()));
        planned.change("version", before.map(|(found, _)| found), Some(version.as_str()));
        planned.ops.push(Op::Package(PackageOp::AptInstall {
            packages: vec![AptTarget { version: Some(version), path: Some(path.clone()), ..AptTarget::new(name) }],
            remove: Vec::new(),
            may_remove: self.may_remove.clone(),
            options: self.options.clone(),
        }));
        super::free(&freed, &mut planned);
        super::note_unfinished(host, &mut planned);
        Ok(planned)
    }
}
