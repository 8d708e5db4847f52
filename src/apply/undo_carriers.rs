//! Packages that a run brought and that the host is reached by now: they stay
//! when the run is taken back, and their units are left alone. No guard brings
//! packages back.

use super::undo::{Undo, UndoPackages};
use super::undo_packages::{Came, HELD_SINCE};
use crate::observe::probe::UNIT_DIRECTORIES;
use crate::observe::{Query, StateError};
use crate::plan::{Access, Op, PackageOp, blame, carries, with_released};
use crate::values::{PackageName, UnitName};
use std::collections::BTreeMap;

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
        let mut reasons: BTreeMap<Vec<usize>, String> = BTreeMap::new();
        let mut takes_others = |chosen: &[usize]| -> Option<bool> {
            let packages: Vec<PackageName> =
                chosen.iter().filter_map(|at| rest.get(*at)).map(|name| (*name).clone()).collect();
            let op =
                Op::Package(PackageOp::AptRemove { packages: packages.clone(), purge: true, may_remove: Vec::new() });
            // What this undo releases is still held when apt is asked.
            let words = with_released(op.apt_words()?, released.iter());
            let why = match self.states.now.transaction(&words) {
                Ok(found) => super::undo_packages::objection(found, &packages, &self.states.now.facts.arch),
                Err(StateError::NotAsked(_)) => {
                    self.follow_up_queries.ask(Query::Transaction(words));
                    return None;
                }
                Err(error) => Some(error.to_string()),
            };
            let takes = why.is_some();
            reasons.extend(why.map(|why| (chosen.to_vec(), why)));
            Some(takes)
        };
        let all: Vec<usize> = (0..rest.len()).collect();
        if takes_others(&all) != Some(true) {
            return;
        }
        let Some(groups) = blame::groups(rest.len(), takes_others) else { return };
        for group in groups {
            let why = reasons.get(&group).or_else(|| reasons.get(&all)).cloned().unwrap_or_default();
            let names = group.iter().filter_map(|at| rest.get(*at));
            self.refused.extend(names.map(|name| (name.to_string(), why.clone())));
        }
    }
}
