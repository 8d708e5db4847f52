//! What a run finds when it comes to a step, where its own packages or
//! commands may have brought or changed that before.
//!
//! A package's file that a later step of the same run changes goes back to what
//! the package brought, not to what was there before the package.

use super::schedule::Scheduled;
use crate::observe::{Queries, Query};
use crate::plan::{ACCOUNT_FILES, CommandOp, NamedAccounts, Op};
use serde::{Deserialize, Serialize};

/// What is written down before one operation, for it and those that follow
/// until the next package or command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Found {
    /// The operation, from 0.
    #[serde(skip)]
    pub(super) before: usize,
    /// Paths that no operation before it changes.
    pub(super) paths: Vec<Query>,
    /// Users and groups, likewise.
    pub(super) accounts: NamedAccounts,
    /// Whether only packages come before it, no commands.
    pub(super) by_packages: bool,
}

impl Found {
    pub(super) fn questions(&self) -> Queries {
        let mut queries = Queries::new();
        queries.extend(self.paths.iter().cloned());
        if !self.accounts.is_empty() {
            let files = ACCOUNT_FILES.iter().filter(|file| !file.ends_with('-'));
            queries.extend(files.filter_map(|file| file.parse().ok()).map(Query::Content));
        }
        queries
    }
}

/// The users and groups that the run finds as it begins, and what it finds later.
pub(super) fn found(operations: &[Scheduled]) -> (NamedAccounts, Vec<Found>) {
    let (mut paths, mut named) = (Queries::new(), NamedAccounts::default());
    let (mut first, mut later): (NamedAccounts, Vec<Found>) = Default::default();
    // Whether packages or commands come before, and after what was written down last.
    let (mut packages, mut commands, mut changed) = (false, false, false);
    for (before, Scheduled { op, .. }) in operations.iter().enumerate() {
        let accounts = op.named_accounts().without(&named);
        let mut new = Queries::new();
        new.extend(op.undo_scope().into_iter().filter(is_path).filter(|query| !paths.contains(query)));
        named.add(&accounts);
        paths.extend(new.iter().cloned());
        if !packages && !commands {
            first.add(&accounts);
        } else if !new.is_empty() || !accounts.is_empty() {
            if std::mem::take(&mut changed) {
                let (paths, accounts) = (Vec::new(), NamedAccounts::default());
                later.push(Found { before, paths, accounts, by_packages: !commands });
            }
            if let Some(last) = later.last_mut() {
                last.paths.extend(new.iter().cloned());
                last.accounts.add(&accounts);
            }
        }
        let (is_apt, is_command) = (op.calls_dpkg(), matches!(op, Op::Command(CommandOp::Run { .. })));
        packages |= is_apt;
        commands |= is_command;
        changed |= is_apt || is_command;
    }
    (first, later)
}

fn is_path(query: &Query) -> bool {
    matches!(query, Query::Path(path) | Query::Content(path) if !ACCOUNT_FILES.contains(&path.as_str()))
}
