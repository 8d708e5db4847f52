//! What a looking text reads, where its words tell.
//!
//! What a command finds holds after a change that is confined to files which it
//! does not read. A text may read anything, so that this is told only of simple
//! commands of programs that read no more than the files named to them.

use crate::values::AbsPath;
use std::collections::BTreeSet;

/// Programs that read only the files that their words name.
const PROGRAMS: [&str; 13] =
    ["[", "cat", "cmp", "cut", "echo", "false", "grep", "head", "readlink", "tail", "test", "true", "wc"];

/// The files that a shell text reads, run in `/`; none where it may read others.
pub fn files_read(text: &str) -> Option<BTreeSet<AbsPath>> {
    let text = text.trim().replace("2>/dev/null", " ").replace("&&", ";").replace("||", ";");
    let mut files = BTreeSet::new();
    for command in text.split(['\n', ';', '|']) {
        let mut words = command.split_whitespace();
        let Some(program) = words.next() else { continue };
        let program = if program == "!" { words.next()? } else { program };
        if !PROGRAMS.contains(&program) {
            return None;
        }
        for word in words {
            let word = unquoted(word)?;
            match word.strip_prefix('-') {
                // grep(1) goes through the working directory where it shall descend and no file is named.
                Some(option) if option.contains(['/', '-']) => return None,
                Some(option) if program == "grep" && option.contains(['r', 'R', 'd']) => return None,
                // A file of patterns may be a part of the word.
                Some(option) if program == "grep" && option.len() > 1 && option.contains('f') => return None,
                Some(_) => {}
                // A name without a directory may be one of a file in the root directory.
                None => files.extend(place(word)?),
            }
        }
    }
    Some(files)
}

/// A word without the quotes around it; none where the shell may make another of it.
fn unquoted(word: &str) -> Option<&str> {
    let quoted = |sign: char| word.strip_prefix(sign)?.strip_suffix(sign);
    let inner = quoted('\'').or_else(|| quoted('"')).unwrap_or(word);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=+,:@%^]![".contains(c);
    let is_pattern = inner == word && (word.len() > 1 && word.contains(['[', '!']));
    (inner.chars().all(is_plain) && !is_pattern).then_some(inner)
}

/// The file that a word may name; an inner none for one that can be no name.
fn place(word: &str) -> Option<Option<AbsPath>> {
    if word.is_empty() {
        return Some(None);
    }
    let path = if word.starts_with('/') { word.to_owned() } else { format!("/{word}") };
    // A path that is not in its simple form could lead anywhere.
    path.parse().ok().map(Some)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::files_read;

    #[test]
    fn what_simple_commands_read_is_told_and_of_others_nothing() {
        for (text, files) in [
            ("cat /srv/said", &["/srv/said"][..]),
            ("test -e /srv/a && ! grep -q x /srv/b 2>/dev/null", &["/srv/a", "/srv/b", "/x"]),
            ("[ -s '/srv/a' ] || cat /srv/b | head -n 1", &["/1", "/]", "/srv/a", "/srv/b"]),
            ("true", &[]),
        ] {
            let read = files_read(text).unwrap();
            assert_eq!(read.iter().map(|path| path.as_str()).collect::<Vec<_>>(), files, "{text}");
        }
        for text in [
            "cat /srv/*",
            "cat $HOME/x",
            "cat `ls`",
            "cat /srv/../etc/x",
            "cat </srv/x",
            "id -un",
            "(cat /srv/x)",
            "grep --file=/srv/p x",
            "cat \"a b\"",
            "cat /srv/x &",
            "cat ~/x",
            "X=1 cat /srv/x",
            "cat /srv/[ab]",
            "grep -rq x",
            "grep -fp x",
        ] {
            assert_eq!(files_read(text), None, "{text}");
        }
    }
}
