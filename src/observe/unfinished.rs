//! What dpkg has left unfinished of packages: it was interrupted, or a script
//! of theirs failed.

use super::{HostState, reply::Section};
use std::collections::BTreeMap;

/// What dpkg has left of a package when it was interrupted, or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its state, such as `half-configured` (dpkg(1)).
    pub state: String,
    /// Whether it must be unpacked anew.
    pub reinstall: bool,
}

impl HostState {
    /// Packages that dpkg has left unfinished on the host; known where a package
    /// is asked about.
    pub fn unfinished_packages(&self) -> &BTreeMap<String, Unfinished> {
        &self.apt.unfinished
    }

    /// The names of those among them that must be unpacked anew, or of the others,
    /// with their states; empty if there are none.
    pub fn unfinished_names(&self, reinstall: bool) -> String {
        let of_these = self.apt.unfinished.iter().filter(|(_, left)| left.reinstall == reinstall);
        of_these.map(|(name, left)| format!("{name} ({})", left.state)).collect::<Vec<_>>().join(", ")
    }

    /// Sets what dpkg has left unfinished, for tests and the parser.
    pub fn set_unfinished(&mut self, name: &str, left: Unfinished) {
        self.apt.unfinished.insert(name.to_owned(), left);
    }

    /// Whether apt's simulations hold: dpkg was not cut short in the middle of its work.
    pub fn dpkg_is_whole(&self) -> bool {
        !self.facts.apt.interrupted && !self.apt.unfinished.values().any(|left| left.reinstall)
    }
}

/// Lines `package<TAB>flag<TAB>state` of what dpkg has left unfinished.
pub(super) fn read(host: &mut HostState, section: &Section) {
    for line in section.text().lines() {
        if let [name, flag, state] = line.split('\t').collect::<Vec<_>>()[..] {
            host.set_unfinished(name, Unfinished { state: state.to_owned(), reinstall: flag == "reinstreq" });
        }
    }
}
