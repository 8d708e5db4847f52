//! Under which names a host notes that a command is pending which follows changes.
//!
//! A step notes the commands that follow it before its first operation, so that
//! no change is lost. A command has a name of its own. Where its items, or what
//! it follows, are known only when its turn comes, the change is noted under the
//! word by which `when_changed` may mean the step; the first command that is
//! carried out then hands it on to all that it was meant for.

use super::{CommandOp, DesiredStep, Op, StepPlan};
use crate::observe::{PredictedState, REBOOT_PENDING};
use crate::values::sha256;
use std::collections::BTreeSet;

/// The names of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingNames {
    /// Its own.
    pub own: String,
    /// Those that stand for it until its turn comes.
    pub provisional: Vec<String>,
    /// What tells the commands of one step of a playbook from others.
    pub stem: String,
}

impl PendingNames {
    /// The names of the command of this identity; `stem` is that of all items
    /// of its step, `words` are those of its `when_changed`.
    pub fn new(identity: &str, stem: &str, words: &[String]) -> PendingNames {
        PendingNames {
            own: PendingNames::own(identity),
            provisional: words.iter().map(|word| PendingNames::provisional(stem, word)).collect(),
            stem: stem.to_owned(),
        }
    }

    /// The name of the command of this identity.
    pub fn own(identity: &str) -> String {
        format!("run:{}", digest(identity))
    }

    /// The name that stands for commands of this stem until their turn comes.
    pub fn provisional(stem: &str, word: &str) -> String {
        format!("{}{}", PendingNames::beginning(stem), digest(word))
    }

    fn beginning(stem: &str) -> String {
        format!("run:{}~", digest(stem))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.own).chain(&self.provisional)
    }
}

fn digest(of: &str) -> String {
    sha256(of.as_bytes())[..16].to_owned()
}

/// Every step before a reboot that is due after changes asks for it: where the
/// run ends before it, in a phase or in a failure, it stays pending.
pub(super) fn ask_for_reboot(steps: &[(usize, &DesiredStep)], plans: &mut [StepPlan]) {
    let reboots = steps.iter().filter(|(_, step)| step.resource.follows_all());
    if let Some(before) = reboots.map(|(at, _)| *at).max() {
        plans.iter_mut().take(before).for_each(|plan| plan.followed_by.push(REBOOT_PENDING.to_owned()));
    }
}

/// Has the first command of a step hand on what was noted before its items, or
/// what they follow, were known: all of them are pending then.
pub(super) fn hand_on(steps: &[(usize, &DesiredStep)], plans: &mut [StepPlan], predicted: &mut PredictedState) {
    let all = || steps.iter().filter_map(|(at, step)| Some((*at, step.pending.as_ref()?)));
    // What stands for a command until its turn does not count where that has come.
    let decided = |names: &PendingNames| !names.provisional.is_empty();
    let came: BTreeSet<&String> =
        all().map(|(_, names)| names).filter(|names| decided(names)).map(|names| &names.own).collect();
    let names = || all().filter(|(_, names)| decided(names) || !came.contains(&names.own));
    let mut handed_on = BTreeSet::new();
    for (at, own) in names() {
        let Some(plan) = plans.get_mut(at) else { continue };
        let guard = plan.ops.iter_mut().find_map(|op| match op {
            Op::Command(CommandOp::Run { guard: Some(guard), .. }) if guard.pending.as_ref() == Some(&own.own) => {
                Some(guard)
            }
            _ => None,
        });
        let Some(guard) = guard else { continue };
        for noted in own.provisional.iter().filter(|noted| handed_on.insert((*noted).clone())) {
            if !predicted.is_pending(noted) && predicted.perhaps_pending_by(noted).is_none() {
                continue;
            }
            // An item that is open still has not said what it follows.
            let meant = |other: &&PendingNames| {
                other.stem == own.stem && (!decided(other) || other.provisional.contains(noted))
            };
            let all: BTreeSet<String> =
                names().map(|(_, other)| other).filter(meant).map(|one| one.own.clone()).collect();
            guard.hands_on.push((noted.clone(), all.into_iter().collect()));
        }
        // Of a word that none of them has turned out to have nothing is left.
        let others = || names().map(|(_, other)| other).filter(|other| other.stem == own.stem);
        if others().all(decided) {
            let beginning = PendingNames::beginning(&own.stem);
            let stale = predicted.left.pending.iter().filter(|noted| noted.starts_with(&beginning));
            let stale = stale.filter(|noted| !others().any(|other| other.provisional.contains(noted)));
            guard.hands_on.extend(stale.map(|noted| (noted.clone(), Vec::new())));
        }
    }
    handed_on.iter().for_each(|noted| predicted.forget_pending(noted));
}
