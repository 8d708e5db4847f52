//! The packages of a run that is taken back: what came goes, what went comes
//! back, and what has another version gets the one that it had.
//!
//! A version that no repository offers any more cannot be had. That is said
//! before anything is done; the rest is put back.

use super::undo::{Undo, UndoPackages};
use crate::observe::{HostState, InstalledPackage, Package, Query, StateError};
use crate::plan::{Action, AptOptions, AptTarget, FieldChange, LISTS_ARE_OLD, Mark, Op, PackageOp};
use crate::values::PackageName;
use std::collections::{BTreeMap, BTreeSet};

/// Packages that differ from how they were before a run.
#[derive(Default)]
pub(super) struct Moved {
    came: Vec<PackageName>,
    went: Vec<AptTarget>,
    /// Those that the run brought to another version: the one that is there now, and the former one.
    changed: Vec<(PackageName, String, String)>,
    /// Those that were there only because others need them.
    automatic: Vec<PackageName>,
    /// Those that the run held, which are released.
    released: Vec<PackageName>,
    /// Those that the run released or removed, which are held again.
    held: Vec<PackageName>,
    /// Those that were held at their former version and are at the new one: released for
    /// the way back and held again.
    lifted: Vec<PackageName>,
    /// Those that somebody has held since, at what the run made of them.
    held_since: BTreeSet<PackageName>,
}

/// Packages that a run brought.
pub(super) struct Came {
    pub(super) packages: Vec<PackageName>,
    /// Packages that the run held, which are released.
    pub(super) released: Vec<PackageName>,
    /// Packages that somebody has held since.
    pub(super) held_since: BTreeSet<PackageName>,
}

pub(super) const HELD_SINCE: &str = "left alone: it has been held since by someone else";

impl Undo<'_> {
    /// All packages that the run changed, also those that it did not name; none
    /// that has changed since.
    pub(super) fn packages(&mut self, how: &UndoPackages) -> Result<(), StateError> {
        let moved = self.moved()?;
        match how {
            UndoPackages::Leave => {
                let all = moved.names();
                if !all.is_empty() {
                    let why = "left alone: packages are put back only with --packages";
                    self.skip("package", names(&all), why);
                }
            }
            UndoPackages::Restore(refused) => self.restore(moved, refused),
        }
        Ok(())
    }

    /// Packages that the run brought, and that are there, with the holds that are on them.
    pub(super) fn came(&self) -> Result<Came, StateError> {
        let Moved { came, released, held_since, .. } = self.moved()?;
        Ok(Came { packages: came, released, held_since })
    }

    fn moved(&self) -> Result<Moved, StateError> {
        let mut moved = Moved::default();
        let questions = self.record.questions();
        if questions.contains(&Query::Packages) {
            let (before, after) = (self.states.before.installed_packages()?, self.states.after.installed_packages()?);
            moved.compare(before, after, self.states.now.installed_packages()?);
        }
        // What runs before this form have kept: the packages that they named.
        for query in questions.iter() {
            let Query::Package(name) = query else { continue };
            match (self.states.before.package(name)?, self.states.now.package(name)?) {
                (Package::Absent | Package::ConfigFiles, Package::Installed { .. }) => moved.came.push(name.clone()),
                (Package::Installed { .. }, Package::Absent | Package::ConfigFiles) => {
                    moved.went.push(AptTarget::new(name.clone()));
                }
                _ => {}
            }
        }
        Ok(moved)
    }

    fn restore(&mut self, moved: Moved, refused: &BTreeMap<String, String>) {
        let Moved { mut came, mut went, changed, mut automatic, mut released, mut held, lifted, .. } = moved;
        came.retain(|name| !self.staying.contains_key(name));
        // The hold of a package that stays stays with it.
        released.retain(|name| !self.staying.contains_key(name));
        let mut notes = self.forget_gone_versions(&mut went);
        let (mut back, mut stay) = (Vec::new(), Vec::new());
        for (name, now, former) in changed {
            if moved.held_since.contains(&name) {
                stay.push((name, HELD_SINCE.to_owned()));
                continue;
            }
            let brought = format!("left alone: the run brought it from {former} to {now}, and");
            match (refused.get(name.as_str()), self.offers(&name, &former)) {
                (Some(why), _) => stay.push((name, format!("{brought} apt refuses the way back: {why}"))),
                (None, Some(false)) => stay.push((name, format!("{brought} no repository offers {former} any more"))),
                (None, known) => {
                    if known.is_none() {
                        notes.push(format!(
                            "whether {name} {former} is still offered is known after the package lists are updated; it stays at {now} if not"
                        ));
                    }
                    back.push((name, now, former));
                }
            }
        }
        automatic.retain(|name| !stay.iter().any(|(other, _)| other == name));
        let lifted = lifted.into_iter().filter(|name| back.iter().any(|(other, ..)| other == name));
        for name in lifted {
            released.push(name.clone());
            held.push(name);
        }
        if !released.is_empty() {
            self.marks(&released, Mark::Hold, Mark::Unhold);
        }
        if !went.is_empty() || !back.is_empty() {
            let action = if back.is_empty() { Action::Create } else { Action::Update };
            let all = went.iter().map(|target| &target.name).chain(back.iter().map(|(name, _, _)| name));
            let all: Vec<PackageName> = all.cloned().collect();
            let field = |name: &PackageName| if all.len() == 1 { "version".to_owned() } else { name.to_string() };
            let present = |target: &AptTarget| {
                let version = target.version.clone().unwrap_or_else(|| "present".to_owned());
                FieldChange::new(field(&target.name), None::<&str>, Some(version))
            };
            let older = |(name, now, former): &(PackageName, String, String)| {
                FieldChange::new(field(name), Some(now), Some(former))
            };
            let changes: Vec<FieldChange> = went.iter().map(present).chain(back.iter().map(older)).collect();
            let target = |(name, _, former): &(PackageName, String, String)| AptTarget {
                version: Some(former.clone()),
                ..AptTarget::new(name.clone())
            };
            let options = AptOptions {
                any_version: true,
                recommends: Some(false),
                allow_downgrade: !back.is_empty(),
                ..AptOptions::default()
            };
            let packages = went.iter().cloned().chain(back.iter().map(target)).collect();
            // What the run installed in their place goes for them.
            let install =
                Op::Package(PackageOp::AptInstall { packages, remove: Vec::new(), may_remove: came.clone(), options });
            self.judge(&install, &went, &back, &came, &released);
            let mut ops = vec![install];
            if !automatic.is_empty() {
                ops.push(Op::Package(PackageOp::AptMark { packages: automatic, mark: Mark::Auto }));
            }
            self.step("package", names(&all), action, changes, ops);
            notes.iter().for_each(|note| self.note(note));
        } else if !automatic.is_empty() {
            let change = FieldChange::new("automatic", Some("false"), Some("true"));
            let op = Op::Package(PackageOp::AptMark { packages: automatic.clone(), mark: Mark::Auto });
            self.step("package", names(&automatic), Action::Update, [change], vec![op]);
        }
        if !came.is_empty() {
            let change = FieldChange::new("state", Some("present"), Some("absent"));
            let op = Op::Package(PackageOp::AptRemove { packages: came.clone(), purge: true, may_remove: Vec::new() });
            self.step("package", names(&came), Action::Delete, [change], vec![op]);
        }
        if !held.is_empty() {
            self.marks(&held, Mark::Unhold, Mark::Hold);
        }
        for (name, why) in stay.into_iter().chain(self.staying.clone()) {
            self.skip("package", name.to_string(), &why);
        }
    }

    /// Lets packages come in the version that there is, where theirs is offered no
    /// more, and tells it.
    fn forget_gone_versions(&mut self, went: &mut [AptTarget]) -> Vec<String> {
        let mut notes = Vec::new();
        for target in went {
            let Some(version) = target.version.clone() else { continue };
            if self.offers(&target.name, &version) == Some(false) {
                let name = &target.name;
                notes.push(format!(
                    "no repository offers {name} {version} any more: it comes in the version that there is"
                ));
                target.version = None;
            }
        }
        notes
    }

    fn marks(&mut self, packages: &[PackageName], before: Mark, after: Mark) {
        let word = |mark| Some((mark == Mark::Hold).to_string());
        let change = FieldChange::new("held", word(before), word(after));
        let op = Op::Package(PackageOp::AptMark { packages: packages.to_vec(), mark: after });
        self.step("package", names(packages), Action::Update, [change], vec![op]);
    }

    /// Whether a repository offers a version; none where the lists on the host
    /// cannot tell, or have not been asked yet.
    fn offers(&mut self, name: &PackageName, version: &str) -> Option<bool> {
        // Nor where this undo itself brings sources back: they are read before the install.
        if !lists_are_fresh(&self.states.now) || self.brings_sources() {
            return None;
        }
        match self.states.now.candidate(name) {
            Ok(candidate) => Some(candidate.offered.iter().any(|offered| offered == version)),
            Err(_) => {
                self.follow_up_queries.ask(Query::Candidate(name.clone()));
                None
            }
        }
    }

    /// Asks apt whether it would do it. Where it would not, the former versions
    /// to which that is due are left out.
    fn judge(
        &mut self,
        install: &Op,
        went: &[AptTarget],
        back: &[(PackageName, String, String)],
        came: &[PackageName],
        released: &[PackageName],
    ) {
        // What apt says is true of the host as it is, not as another undo will have left it.
        let is_found = self.states.now.changed_by().is_none();
        if back.is_empty() || !is_found || !self.follow_up_queries.is_empty() || !lists_are_fresh(&self.states.now) {
            return;
        }
        let Op::Package(PackageOp::AptInstall { packages, options, .. }) = install else { return };
        let call = |chosen: &[usize]| {
            let chosen_back = chosen.iter().filter_map(|at| packages.get(went.len() + at));
            Op::Package(PackageOp::AptInstall {
                packages: packages.iter().take(went.len()).chain(chosen_back).cloned().collect(),
                remove: Vec::new(),
                may_remove: came.to_vec(),
                options: options.clone(),
            })
        };
        for (at, why) in self.objections(back.len(), released, call) {
            self.refused.extend(back.get(at).map(|(name, _, _)| (name.to_string(), why)));
        }
    }
}

impl Moved {
    fn compare(
        &mut self,
        before: &BTreeMap<String, InstalledPackage>,
        after: &BTreeMap<String, InstalledPackage>,
        now: &BTreeMap<String, InstalledPackage>,
    ) {
        for (name, was) in before {
            let Ok(package) = name.parse::<PackageName>() else { continue };
            match (after.get(name), now.get(name)) {
                (None, None) => {
                    let version = Some(was.version.clone());
                    self.held.extend(was.held.then(|| package.clone()));
                    self.went.push(AptTarget { version, ..AptTarget::new(package.clone()) });
                    self.automatic.extend(was.automatic.then_some(package));
                }
                (Some(then), Some(is)) => {
                    if then.held == is.held && is.held != was.held {
                        let list = if was.held { &mut self.held } else { &mut self.released };
                        list.push(package.clone());
                    }
                    if then.version != was.version && then.version == is.version {
                        match (was.held, then.held, is.held) {
                            (true, true, true) => self.lifted.push(package.clone()),
                            (_, false, true) => _ = self.held_since.insert(package.clone()),
                            (_, _, false) | (false, true, true) => {}
                        }
                        self.changed.push((package.clone(), is.version.clone(), was.version.clone()));
                        self.automatic.extend(was.automatic.then_some(package));
                    } else if was.automatic && !then.automatic && !is.automatic {
                        self.automatic.push(package);
                    }
                }
                _ => {}
            }
        }
        for (name, then) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            let (Some(is), Ok(package)) = (now.get(name), name.parse::<PackageName>()) else { continue };
            match (then.held, is.held) {
                (true, true) => self.released.push(package.clone()),
                (false, true) => _ = self.held_since.insert(package.clone()),
                (_, false) => {}
            }
            self.came.push(package);
        }
    }

    fn names(&self) -> Vec<PackageName> {
        let went = self.went.iter().map(|target| &target.name);
        let changed = self.changed.iter().map(|(name, _, _)| name);
        let marks = self.released.iter().chain(&self.held).chain(&self.automatic);
        let all = self.came.iter().chain(went).chain(changed).chain(marks);
        all.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn lists_are_fresh(host: &HostState) -> bool {
    host.facts.apt.lists_age.is_some_and(|age| age < LISTS_ARE_OLD)
}

fn names(list: &[PackageName]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
