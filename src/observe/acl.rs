//! Which files have an access control list (acl(5)). GNU ls marks them by a
//! plus after the mode; getfacl(1) is not on every host.

use super::reply::Section;
use super::{HostState, Queries, Query};
use crate::values::AbsPath;

/// Takes paths, each ended by a NUL.
pub(super) const PROBE: &str = include_str!("probes/acls.sh");

pub(super) fn read(host: &mut HostState, queries: &Queries, section: &Section) {
    let text = section.text();
    let marked: Vec<&str> =
        text.lines().filter(|line| line.split(' ').next().is_some_and(|mode| mode.ends_with('+'))).collect();
    for query in queries.iter() {
        let Query::Acl(path) = query else { continue };
        let name = quoted(path);
        host.set_acl(path, marked.iter().any(|line| line.ends_with(&name)));
    }
}

/// A path as ls writes it between quotes in the C locale.
fn quoted(path: &AbsPath) -> String {
    let mut text = String::from(" \"");
    for byte in path.as_str().bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\r' => text.push_str("\\r"),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text.push('"');
    text
}

impl HostState {
    /// Whether what stands at a path has an access control list
    /// ([`Query::Acl`]); false where nobody has asked.
    pub fn has_acl(&self, path: &AbsPath) -> bool {
        self.acls.contains(path)
    }

    /// Whether what stands at a path has an access control list.
    pub fn set_acl(&mut self, path: &AbsPath, has: bool) {
        self.mark_asked(Query::Acl(path.clone()));
        if has {
            self.acls.insert(path.clone());
        }
    }
}
