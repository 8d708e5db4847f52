//! The lines of an `authorized_keys` file (sshd(8), AUTHORIZED_KEYS FILE
//! FORMAT): the keys that a playbook gives, and how they are brought in.
//!
//! A key is known by its wire format alone; options and comments may differ.
//! Unless the file is to hold exactly the given keys, every line that is not
//! one of them stays as it is, byte for byte, malformed ones too.

use super::Args;
use crate::values::{Diagnostic, InvalidKey, KeyOptions, Node, NodeValue, PublicKey, fingerprint, is_key_type};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// A key that must be in the file.
#[derive(Debug, Clone)]
pub(super) struct DesiredKeyFile {
    pub key: PublicKey,
    /// What must stand before it; none leaves alone what does.
    pub options: Option<KeyOptions>,
}

impl DesiredKeyFile {
    fn line(&self) -> String {
        match &self.options {
            Some(options) => format!("{options} {}\n", self.key),
            None => format!("{}\n", self.key),
        }
    }

    /// For people: type, fingerprint, comment, and what restricts it.
    /// How a plan names the key.
    pub(super) fn label(&self) -> String {
        let label = label(self.key.algorithm(), self.key.blob(), self.key.comment());
        self.options.as_ref().map_or_else(|| label.clone(), |options| format!("{label} ({options})"))
    }
}

fn label(algorithm: &str, blob: &[u8], comment: &str) -> String {
    format!("{algorithm} {} {comment}", fingerprint(blob)).trim_end().to_owned()
}

/// The keys that a field gives: literal keys, paths and patterns of files
/// that hold one key each. What is wrong goes into the errors.
pub(super) fn given(args: &mut Args<'_>, field: &str, options: Option<&KeyOptions>) -> Vec<DesiredKeyFile> {
    let Some(node) = args.node(field) else { return Vec::new() };
    let items: Vec<&Node> = match &node.value {
        NodeValue::Array(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut wanted: Vec<DesiredKeyFile> = Vec::new();
    for item in items {
        let Some(text) = item.as_str() else { continue };
        match load(args, text) {
            Ok(keys) => {
                for key in keys {
                    if !wanted.iter().any(|w| w.key.blob() == key.blob()) {
                        wanted.push(DesiredKeyFile { key, options: options.cloned() });
                    }
                }
            }
            // The source line would show what was pasted.
            Err(why) if why.contains("private key") => {
                args.error(Diagnostic::general(format!("{}: '{field}': {why}", item.span)));
            }
            Err(why) => args.wrong(Diagnostic::new(item.span.clone(), why)),
        }
    }
    wanted
}

fn load(args: &Args<'_>, text: &str) -> Result<Vec<PublicKey>, String> {
    if is_literal(text) {
        return Ok(vec![text.parse().map_err(|why: InvalidKey| why.to_string())?]);
    }
    let paths = if text.contains(['*', '?', '[']) {
        let found = args.assets.glob(text)?;
        if found.is_empty() {
            return Err(format!("no file matches '{}'; at least one key must", text.escape_debug()));
        }
        found
    } else {
        vec![text.to_owned()]
    };
    let read = |path: &String| {
        let bytes = args.assets.read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| format!("'{path}' is not a text"))?;
        text.parse().map_err(|why: InvalidKey| format!("'{path}': {why}"))
    };
    paths.iter().map(read).collect()
}

/// Whether a text is meant to be a key, not the path of one.
fn is_literal(text: &str) -> bool {
    let begins = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| text.trim_start().starts_with(start));
    text.contains(['\n', '\r'])
        || text.contains("PRIVATE KEY")
        || text.trim().is_empty()
        || text.split([' ', '\t']).any(is_key_type)
        || begins && text.trim().contains([' ', '\t'])
}

/// What an existing line is.
struct Line<'a> {
    options: &'a [u8],
    algorithm: String,
    blob: Vec<u8>,
    comment: String,
}

/// Reads a line as sshd does; none for what is not a key to log in with.
fn identify(line: &[u8]) -> Option<Line<'_>> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return None;
    }
    let (first, rest) = word(line);
    let (options, name, rest) = if is_key_type(std::str::from_utf8(first).ok()?) {
        (&line[..0], first, rest)
    } else {
        let (options, rest) = line.split_at(options_end(line)?);
        let (name, rest) = word(rest.trim_ascii_start());
        (options, name, rest)
    };
    let authority = options.split(|b| *b == b',').any(|o| o.eq_ignore_ascii_case(b"cert-authority"));
    let algorithm = std::str::from_utf8(name).ok().filter(|name| is_key_type(name) && !authority)?.to_owned();
    let (data, comment) = word(rest);
    let blob = BASE64.decode(data).ok()?;
    let comment = String::from_utf8_lossy(comment).chars().filter(|c| !c.is_control()).collect();
    Some(Line { options, algorithm, blob, comment })
}

/// The first word, and what follows it and its spaces.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_ascii_start())
}

/// Where options end: at the first space outside of quotes; none if they do not.
fn options_end(line: &[u8]) -> Option<usize> {
    let (mut quoted, mut before) = (false, 0);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' if before != b'\\' => quoted = !quoted,
            b' ' | b'\t' if !quoted => return Some(at),
            _ => {}
        }
        before = *byte;
    }
    None
}

/// A file with the wanted keys brought in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    /// The new content; equal to the old if nothing differs.
    pub content: Vec<u8>,
    /// What happens to which key: before and after, as labels.
    pub changes: Vec<(Option<String>, Option<String>)>,
}

/// Brings keys into a file. `exclusive` leaves nothing else in it.
pub(super) fn merge(old: &[u8], wanted: &[DesiredKeyFile], exclusive: bool) -> Merged {
    let mut merged = Merged::default();
    let mut seen = vec![false; wanted.len()];
    for line in old.split_inclusive(|b| *b == b'\n') {
        let found = identify(line);
        let place = found.as_ref().and_then(|f| wanted.iter().position(|w| w.key.blob() == f.blob));
        match (found, place) {
            (Some(found), Some(place)) => {
                let keep = bring(&mut merged, line, &found, &wanted[place], seen[place]);
                merged.content.extend_from_slice(&keep);
                seen[place] = true;
            }
            (Some(found), None) if exclusive => {
                merged.changes.push((Some(label(&found.algorithm, &found.blob, &found.comment)), None));
            }
            _ => merged.content.extend_from_slice(line),
        }
    }
    for (want, _) in wanted.iter().zip(&seen).filter(|(_, seen)| !**seen) {
        if merged.content.last().is_some_and(|last| *last != b'\n') {
            merged.content.push(b'\n');
        }
        merged.content.extend_from_slice(want.line().as_bytes());
        merged.changes.push((None, Some(want.label())));
    }
    if exclusive {
        merged.content = wanted.iter().map(DesiredKeyFile::line).collect::<String>().into_bytes();
    }
    merged
}

/// What becomes of a line that holds a wanted key.
fn bring(merged: &mut Merged, line: &[u8], found: &Line<'_>, want: &DesiredKeyFile, again: bool) -> Vec<u8> {
    let Some(options) = &want.options else { return line.to_vec() };
    if !again && found.options == options.as_str().as_bytes() {
        return line.to_vec();
    }
    let old = label(&found.algorithm, &found.blob, &found.comment);
    let before = match String::from_utf8_lossy(found.options) {
        text if text.is_empty() => format!("{old} (no options)"),
        text => format!("{old} ({})", text.escape_debug()),
    };
    // sshd takes the first line that fits: a second one with other options would undo the first.
    merged.changes.push((Some(before), (!again).then(|| want.label())));
    if again { Vec::new() } else { want.line().into_bytes() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
#[path = "key_file_tests.rs"]
mod tests;
