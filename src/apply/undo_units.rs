//! The units and live values of a run that is taken back.

use super::undo::{CHANGED_SINCE, Undo};
use super::undo_files::same;
use super::undo_sysctl::applies_files;
use crate::observe::{Content, HostState, Known, PathState, Query, REBOOT_PENDING, RcLinks, StateError, Unit};
use crate::plan::{Action, CommandOp, FieldChange, FileOp, Op, SystemOp, UnitOp, Verb};
use crate::values::{AbsPath, UnitName};

impl Undo<'_> {
    /// Units that the run brought must not run when their files go.
    pub(super) fn quiet_units(&mut self) -> Result<(), StateError> {
        for name in self.unit_names() {
            let (Known::Is(before), Known::Is(now)) = (self.states.before.unit(&name)?, self.states.now.unit(&name)?)
            else {
                continue;
            };
            if before.load != "not-found" || now.load == "not-found" {
                continue;
            }
            if self.staying_units.contains(&name) {
                self.skip("service", name.to_string(), "left alone: its package stays");
                continue;
            }
            let mut ops = Vec::new();
            if now.active != "inactive" {
                ops.push(Op::Unit(UnitOp::Systemctl { verb: Verb::Stop, unit: name.clone() }));
            }
            let links = match (&now.rc_links, self.script_goes(&name)) {
                // The script goes, and its links with it.
                (Some(links), true) if self.is_as_left(&name)? => restored(&RcLinks::new(), links),
                _ => Vec::new(),
            };
            if !links.is_empty() {
                ops.extend(links);
            } else if now.file.starts_with("enabled") {
                ops.push(Op::Unit(UnitOp::Systemctl { verb: Verb::Disable, unit: name.clone() }));
            }
            // There was no mask either, which needs no file of the unit.
            if is_masked(now) && self.is_as_left(&name)? {
                ops.push(Op::Unit(UnitOp::Systemctl { verb: Verb::Unmask, unit: name.clone() }));
            }
            if !ops.is_empty() {
                let after = if is_masked(now) { "not masked" } else { "stopped, disabled" };
                let change = FieldChange::new("state", Some(format!("{} {}", now.active, now.file)), Some(after));
                self.step("service", name.to_string(), Action::Update, Some(change), ops);
            }
        }
        Ok(())
    }

    /// Whether the script goes of which a unit is made: the run brought it.
    fn script_goes(&self, unit: &UnitName) -> bool {
        Unit::script_of(unit).is_some_and(|script| {
            self.record.questions().contains(&Query::Path(script.clone()))
                && matches!(self.states.before.path(&script), Ok(PathState::Absent))
        })
    }

    /// Whether a unit runs, and is enabled or masked, as the run has left it. One
    /// that has failed since has not been stopped by anybody.
    fn is_as_left(&self, name: &UnitName) -> Result<bool, StateError> {
        let (Known::Is(after), Known::Is(now)) = (self.states.after.unit(name)?, self.states.now.unit(name)?) else {
            return Ok(false);
        };
        let failed_since = has_failed(now) && after.active != "inactive";
        Ok(after.file == now.file && after.rc_links == now.rc_links && (is_up(after) == is_up(now) || failed_since))
    }

    /// A firewall that the run turned on is turned off before its files go.
    pub(super) fn firewall_off(&mut self) -> Result<(), StateError> {
        let Ok(conf) = "/etc/ufw/ufw.conf".parse::<AbsPath>() else { return Ok(()) };
        if !self.record.questions().contains(&Query::Content(conf.clone())) {
            return Ok(());
        }
        let enabled = |state: &HostState| -> Result<bool, StateError> {
            Ok(matches!(state.content(&conf)?, Content::Bytes(bytes)
                if String::from_utf8_lossy(bytes).lines().any(|line| line.trim() == "ENABLED=yes")))
        };
        if enabled(&self.states.now)? && !enabled(&self.states.before)? {
            let argv = ["ufw", "--force", "disable"].map(str::to_owned).to_vec();
            let change = FieldChange::new("enabled", Some("true"), Some("false"));
            self.step(
                "firewall",
                "ufw".into(),
                Action::Update,
                Some(change),
                vec![Op::Command(CommandOp::Exec { argv, postconditions: Vec::new() })],
            );
        }
        Ok(())
    }

    /// Kernel parameters, modules and the host's name, where they are live.
    pub(super) fn live_values(&mut self) -> Result<(), StateError> {
        self.live_parameters()?;
        for query in self.record.questions().iter() {
            match query {
                Query::Module(name) => {
                    let (before, now) = (self.states.before.module(name)?.loaded, self.states.now.module(name)?.loaded);
                    if before != now {
                        let change = FieldChange::new("loaded", Some(now.to_string()), Some(before.to_string()));
                        let op = Op::System(SystemOp::Module { name: name.clone(), load: before });
                        self.step("kernel_module", name.clone(), Action::Update, Some(change), vec![op]);
                    }
                }
                Query::Content(path) if path.as_str() == "/etc/hostname" => {
                    if let (false, Content::Bytes(bytes)) =
                        (same(&self.states.before, &self.states.now, path)?, self.states.before.content(path)?)
                    {
                        let name = String::from_utf8_lossy(bytes).trim().to_owned();
                        let change = FieldChange::new("live", None::<&str>, Some(name.as_str()));
                        self.step(
                            "hostname",
                            name.clone(),
                            Action::Update,
                            Some(change),
                            vec![Op::System(SystemOp::SetHostname { name })],
                        );
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The files of sysctl.d(5) are applied as they are again, where the run had its own
    /// applied: before single parameters are put back, which these may change.
    pub(super) fn apply_files(&mut self) -> Result<(), StateError> {
        let changed = self.steps.iter().any(|step| !step.ops.is_empty());
        let mut units = self.unit_names();
        units.retain(|unit| changed && applies_files(unit) && self.record.restarted.contains(unit));
        for unit in units {
            let (Known::Is(before), Known::Is(now)) = (self.states.before.unit(&unit)?, self.states.now.unit(&unit)?)
            else {
                continue;
            };
            if is_up(before) && is_up(now) && self.is_as_left(&unit)? {
                let change = FieldChange::new("files", Some("changed"), Some("applied again"));
                let op = Op::Unit(UnitOp::Systemctl { verb: Verb::Restart, unit: unit.clone() });
                self.step("service", unit.to_string(), Action::Run, Some(change), vec![op]);
            }
        }
        Ok(())
    }

    /// Units that were there before go back to how they were, and those that
    /// the run restarted for its new files are restarted for the old ones.
    pub(super) fn units(&mut self) -> Result<(), StateError> {
        let changed = self.steps.iter().any(|step| !step.ops.is_empty());
        for name in self.unit_names() {
            let (Known::Is(before), Known::Is(now)) = (self.states.before.unit(&name)?, self.states.now.unit(&name)?)
            else {
                continue;
            };
            // A unit that is gone comes back only with its file.
            let stays_gone = matches!(self.now.unit(&name)?, Known::Is(unit) if unit.load == "not-found");
            let masks = is_masked(before) && !is_masked(now);
            if before.load == "not-found" || stays_gone && !masks {
                continue;
            }
            if !self.is_as_left(&name)? {
                self.skip("service", name.to_string(), CHANGED_SINCE);
                self.left_units.insert(name);
                continue;
            }
            let verb = |verb| Op::Unit(UnitOp::Systemctl { verb, unit: name.clone() });
            let mut ops = Vec::new();
            let links = match (&before.rc_links, &now.rc_links) {
                (Some(before), Some(now)) => restored(before, now),
                _ => Vec::new(),
            };
            match (before.file.as_str(), now.file.as_str()) {
                // The links of a script say more than whether it is enabled.
                _ if !links.is_empty() => ops.extend(links),
                (b, n) if b == n => {}
                // What is not there cannot be stopped.
                ("masked", _) if now.load == "not-found" => ops.push(verb(Verb::Mask)),
                ("masked", _) => ops.extend([verb(Verb::Stop), verb(Verb::Mask)]),
                (b, "masked") => {
                    ops.push(verb(Verb::Unmask));
                    if b == "enabled" {
                        ops.push(verb(Verb::Enable));
                    }
                }
                ("enabled", _) => ops.push(verb(Verb::Enable)),
                (_, "enabled") => ops.push(verb(Verb::Disable)),
                _ => {}
            }
            let restarts = changed && self.record.restarted.contains(&name) && !applies_files(&name);
            match (is_up(before), is_up(now)) {
                // It did not come up with the run's files, or waits to be started once more.
                (true, false) if has_failed(now) => ops.push(verb(Verb::Restart)),
                (true, false) => ops.push(verb(Verb::Start)),
                (false, true) => ops.push(verb(Verb::Stop)),
                (true, true) if restarts => ops.push(verb(Verb::Restart)),
                _ => {}
            }
            if !ops.is_empty() {
                let text = |unit: &Unit| format!("{} {}", unit.active, unit.file).trim_end().to_owned();
                let change = FieldChange::new("state", Some(text(now)), Some(text(before)));
                self.step("service", name.to_string(), Action::Update, Some(change), ops);
            }
        }
        self.switched_too()
    }

    /// Units that were enabled or disabled before, and are switched with others that
    /// go back (`Also=`), stay as they were.
    fn switched_too(&mut self) -> Result<(), StateError> {
        for name in self.unit_names() {
            let (Known::Is(before), Known::Is(now)) = (self.states.before.unit(&name)?, self.now.unit(&name)?) else {
                continue;
            };
            let verb = match (before.file.as_str(), now.file.as_str()) {
                // The links of a script are put back one by one.
                _ if now.load != "loaded" || now.rc_links.is_some() || self.left_units.contains(&name) => continue,
                ("enabled", "disabled") => Verb::Enable,
                ("disabled", "enabled") => Verb::Disable,
                _ => continue,
            };
            let change = FieldChange::new("enabled", Some(now.file.clone()), Some(before.file.clone()));
            let ops = vec![Op::Unit(UnitOp::Systemctl { verb, unit: name.clone() })];
            self.step("service", name.to_string(), Action::Update, Some(change), ops);
        }
        Ok(())
    }

    /// What the run's changes ask for and nobody has done is not asked for any more.
    pub(super) fn pending(&mut self) {
        let noted = &self.states.now.left.pending;
        // A unit that is left alone runs with what the undo takes away.
        let left: Vec<String> =
            self.left_units.iter().flat_map(|unit| [format!("restart:{unit}"), format!("reload:{unit}")]).collect();
        let asked = self.record.pending.iter().filter(|name| noted.contains(*name) && !left.contains(name));
        for pending in asked.cloned().collect::<Vec<_>>() {
            let (name, what) = match pending.strip_prefix("run:") {
                Some(_) => ("pending command".to_owned(), "run".to_owned()),
                None if pending == REBOOT_PENDING => ("pending reboot".to_owned(), "reboot".to_owned()),
                None => (format!("pending {}", pending.replacen(':', " of ", 1)), pending.clone()),
            };
            let change = FieldChange::new("pending", Some(what), None::<&str>);
            self.step("service", name, Action::Delete, Some(change), vec![Op::Unit(UnitOp::Forget { pending })]);
        }
    }
}

/// What puts the links of a script back, which systemd reads then.
fn restored(before: &RcLinks, now: &RcLinks) -> Vec<Op> {
    let gone = now.keys().filter(|path| !before.contains_key(*path));
    let removed = gone.map(|path| Op::File(FileOp::Remove { path: path.clone(), recursive: false }));
    let other = before.iter().filter(|(path, target)| now.get(*path) != Some(*target));
    let made = other.map(|(path, target)| Op::File(FileOp::MakeLink { path: path.clone(), target: target.clone() }));
    let mut ops: Vec<Op> = removed.chain(made).collect();
    if !ops.is_empty() {
        ops.push(Op::Unit(UnitOp::DaemonReload));
    }
    ops
}

/// Whether a unit runs; a reload that is under way does not stop it.
fn is_up(unit: &Unit) -> bool {
    matches!(unit.active.as_str(), "active" | "reloading" | "activating") && !has_failed(unit)
}

/// Whether it ended with a failure, also where systemd waits to start it once more.
fn has_failed(unit: &Unit) -> bool {
    unit.active == "failed" || unit.active == "activating" && !unit.result.is_empty()
}

fn is_masked(unit: &Unit) -> bool {
    unit.file.starts_with("masked")
}
