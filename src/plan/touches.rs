//! What an operation may change, as questions: the runner answers them before
//! the first operation and after the last, and `undo` compares.

use super::Op;
use crate::observe::Query;
use crate::values::AbsPath;

/// The files that hold users and groups, with the copies their tools keep.
pub const ACCOUNT_FILES: [&str; 12] = [
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/group",
    "/etc/group-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/subuid",
    "/etc/subuid-",
    "/etc/subgid",
    "/etc/subgid-",
];

impl Op {
    /// Everything that this operation may change, as far as it can be put
    /// back. What the operator's own commands do is not known.
    pub fn touches(&self) -> Vec<Query> {
        let file = |path: &AbsPath| vec![Query::Content(path.clone())];
        let files = |paths: &[&str]| paths.iter().filter_map(|p| p.parse().ok()).map(Query::Content).collect();
        match self {
            Op::WriteFile { path, .. }
            | Op::MakeLink { path, .. }
            | Op::MakeDirectory { path, .. }
            | Op::Remove { path, .. }
            | Op::SetMeta { path, .. }
            | Op::Download { path, .. } => file(path),
            Op::SetTree { path, across, .. } => {
                vec![Query::Path(path.clone()), Query::Tree { top: path.clone(), across: *across }]
            }
            Op::UserAdd { home, .. } => {
                let mut queries: Vec<Query> = files(&ACCOUNT_FILES);
                // useradd(8) makes the directories above it too.
                let above = home.iter().flat_map(AbsPath::ancestors).filter(|path| path.as_str() != "/");
                queries.extend(home.iter().cloned().chain(above).map(Query::Path));
                queries
            }
            Op::UserChange { home: Some(home), move_home: true, .. } => {
                let mut queries: Vec<Query> = files(&ACCOUNT_FILES);
                queries.push(Query::Path(home.clone()));
                queries
            }
            Op::GroupAdd { .. }
            | Op::GroupChange { .. }
            | Op::GroupRemove { .. }
            | Op::UserChange { .. }
            | Op::UserRemove { .. }
            | Op::SetPasswordHash { .. }
            | Op::LockPassword { .. }
            | Op::SetExpiry { .. }
            | Op::Join { .. }
            | Op::Leave { .. } => files(&ACCOUNT_FILES),
            // What goes or comes with a package is known only when it has happened.
            Op::AptInstall { .. }
            | Op::AptRemove { .. }
            | Op::AptUpgrade { .. }
            | Op::AptAutoremove { .. }
            | Op::AptMark { .. } => {
                vec![Query::Packages]
            }
            Op::Systemctl { unit, .. } | Op::Pending { unit, .. } => vec![Query::Unit(unit.clone())],
            Op::Sysctl { key, .. } => vec![Query::Sysctl(key.clone())],
            Op::Module { name, .. } => vec![Query::Module(name.clone())],
            Op::SetHostname { .. } => files(&["/etc/hostname"]),
            Op::SetTimezone { .. } => files(&["/etc/localtime", "/etc/timezone"]),
            Op::Exec { achieves, .. } | Op::Run { achieves, .. } => {
                let held = achieves.iter().filter_map(|outcome| match outcome {
                    super::Outcome::Holds(path, _) => Some(Query::Content(path.clone())),
                    _ => None,
                });
                held.collect()
            }
            Op::AptUpdate { .. }
            | Op::Debconf { .. }
            | Op::DaemonReload
            | Op::Forget { .. }
            | Op::Check(_)
            | Op::Reboot { .. } => Vec::new(),
        }
    }
}
