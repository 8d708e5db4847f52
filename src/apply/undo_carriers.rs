//! Packages that a run brought and that the host is reached by now: they stay
//! when the run is taken back, and their units are left alone. No guard brings
//! packages back.

use super::undo::{Undo, UndoPackages};
use super::undo_packages::{Came, HELD_SINCE};
use crate::observe::probe::UNIT_DIRECTORIES;
use crate::observe::{Query, StateError};
use crate::plan::{Access, Op, PackageOp, carries};
use crate::values::{PackageName, UnitName};

impl Undo<'_> {
    /// Finds which packages stay, on the host as it is: nothing is stopped yet.
    pub(super) fn carriers(&mut self, how: &UndoPackages) -> Result<(), StateError> {
        let UndoPackages::Restore(refused) = how else { return Ok(()) };
        let Came { packages: came, released, held_since } = self.came()?;
        let now = &self.states.now;
        let access = Access::of(now);
        let protected = access.packages();
        let mut follow_up_queries = Vec::new();
        for name in came.iter().filter(|_| access.remote) {
            // Its modules of PAM and its units are among its files.
            let files = Query::Shipped(name.clone());
            if !now.asked(&files) {
                follow_up_queries.push(files);
                continue;
            }
            let why = match carries(&access, name, now, &mut follow_up_queries) {
                Some(carrier) => Some(carrier.why),
                None if protected.contains(&name.bare()) => Some("is what you log in with".to_owned()),
                None => None,
            };
            let Some(why) = why else { continue };
            self.staying.insert(name.clone(), format!("left alone: it {why}"));
            let unit = |file: &String| -> Option<UnitName> {
                let (directory, unit) = file.rsplit_once('/')?;
                UNIT_DIRECTORIES.contains(&directory).then(|| unit.parse().ok()).flatten()
            };
            self.staying_units.extend(now.shipped(name)?.files.iter().filter_map(unit));
        }
        self.follow_up_queries.extend(follow_up_queries);
        for name in &came {
            if held_since.contains(name) {
                self.staying.entry(name.clone()).or_insert_with(|| HELD_SINCE.to_owned());
            }
            if let Some(why) = refused.get(name.as_str()) {
                self.staying.entry(name.clone()).or_insert_with(|| format!("left alone: {why}"));
            }
        }
        let rest: Vec<&PackageName> = came.iter().filter(|name| !self.staying.contains_key(*name)).collect();
        if !self.staying.is_empty() && self.follow_up_queries.is_empty() {
            self.needed_by_staying(&rest, &released);
        }
        Ok(())
    }

    /// What a package that stays cannot be without stays, too: apt is asked what
    /// goes with the others.
    fn needed_by_staying(&mut self, rest: &[&PackageName], released: &[PackageName]) {
        // What apt says is true of the host as it is, not as another undo will have left it.
        if rest.is_empty() || self.states.now.changed_by().is_some() {
            return;
        }
        let call = |chosen: &[usize]| {
            let packages = chosen.iter().filter_map(|at| rest.get(*at)).map(|name| (*name).clone()).collect();
            Op::Package(PackageOp::AptRemove { packages, purge: true, may_remove: Vec::new() })
        };
        for (at, why) in self.objections(rest.len(), released, call) {
            self.refused.extend(rest.get(at).map(|name| (name.to_string(), why)));
        }
    }
}
