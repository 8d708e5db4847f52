//! Owner, group and modes of all that is below a directory.

use crate::observe::{AccountNumbers, Entry, FileType, PredictedState, Tree};
use crate::shell::Command;
use crate::values::{AbsPath, Mode};

/// What is wanted of everything below a directory; none: as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeMeta {
    /// A user's name or number; of links their own.
    pub owner: Option<String>,
    /// A group's name or number; of links their own.
    pub group: Option<String>,
    /// The mode of regular files.
    pub files: Option<Mode>,
    /// The mode of directories.
    pub directories: Option<Mode>,
}

impl TreeMeta {
    /// What becomes of an entry. A name that has the number of the one that it
    /// belongs to changes nothing, nor does chown(1) run for it.
    pub fn of(&self, entry: &Entry, numbers: &AccountNumbers) -> Entry {
        let mut new = entry.clone();
        if let Some(owner) = self.owner.as_ref().filter(|owner| !numbers.is_same_user(owner, &entry.owner)) {
            new.owner.clone_from(owner);
        }
        if let Some(group) = self.group.as_ref().filter(|group| !numbers.is_same_group(group, &entry.group)) {
            new.group.clone_from(group);
        }
        match (entry.file_type, self.files, self.directories) {
            (FileType::File, Some(mode), _) | (FileType::Directory, _, Some(mode)) => new.mode = mode,
            // chown(2) clears the set-id bits of a file.
            (FileType::File, None, _) if (&new.owner, &new.group) != (&entry.owner, &entry.group) => {
                new.mode = Mode::from_bits(entry.mode.bits() & 0o1777);
            }
            _ => {}
        }
        new
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        *self == TreeMeta::default()
    }

    pub(super) fn effect(&self, host: &mut PredictedState, top: &AbsPath, tree: &Tree) {
        let numbers = host.account_numbers();
        host.change_tree(top, &tree.mounts, |entry| self.of(entry, &numbers));
    }

    /// The programs that make it so: find(1) changes into each directory
    /// before it names what is in it, so no link that is put in the place of
    /// a directory meanwhile leads out of the tree.
    pub(super) fn commands(&self, top: &AbsPath, across: bool, mounts: &[String]) -> Vec<Command> {
        let find = |kind: Option<&str>| {
            let mut command = Command::new("find").args(["-P", top.as_str()]);
            if !across {
                command = command.arg("-xdev");
            }
            command = command.args(["-mindepth", "1"]);
            for mount in mounts.iter().filter(|_| !across) {
                command = command.args(["!", "-path", &pattern(&format!("{top}/{mount}"))]);
            }
            match kind {
                Some(letter) => command.args(["-type", letter]),
                None => command,
            }
        };
        let mut commands = Vec::new();
        let named = [(&self.owner, "-user", ""), (&self.group, "-group", ":")];
        for (name, test, sign) in named {
            if let Some(name) = name {
                let who = format!("{sign}{name}");
                commands
                    .push(find(None).args(["!", test, name]).args(["-execdir", "chown", "-h", "--", &who, "{}", "+"]));
            }
        }
        for (mode, letter) in [(self.files, "f"), (self.directories, "d")] {
            if let Some(mode) = mode {
                // Five digits: with fewer, chmod(1) keeps the set-id bits of a directory.
                let (mode, test) = (format!("0{mode}"), mode.to_string());
                let find = find(Some(letter)).args(["!", "-perm", &test]);
                commands.push(find.args(["-execdir", "chmod", "--", &mode, "{}", "+"]));
            }
        }
        commands
    }
}

/// A path as a pattern of find(1) that matches nothing else.
fn pattern(path: &str) -> String {
    let mut pattern = String::new();
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
