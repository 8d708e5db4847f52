//! Stanzas of fields as apt reads them (deb822(5)): separated by empty lines,
//! a line that begins with a blank goes on with the field above it.

use super::Fault;

/// A stanza: its first line, and its fields with their lines and values.
pub(super) struct Stanza {
    pub(super) line: usize,
    fields: Vec<(usize, String, String)>,
}

impl Stanza {
    /// A field's line and value; of several the last one counts.
    pub(super) fn field(&self, name: &str) -> Option<(usize, &str)> {
        let is_it = |field: &&(usize, String, String)| field.1.eq_ignore_ascii_case(name);
        self.fields.iter().rev().find(is_it).map(|(line, _, value)| (*line, value.as_str()))
    }

    /// All fields, by their names in small letters, with their values.
    pub(super) fn all(&self) -> impl Iterator<Item = (String, String)> {
        self.fields.iter().map(|(_, name, value)| (name.to_ascii_lowercase(), value.clone()))
    }

    /// Whether it has no field: lines that go on with none.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The words of a field; none where it is missing.
    pub(super) fn words(&self, name: &str) -> Vec<&str> {
        self.field(name).map(|(_, value)| value.split_whitespace().collect()).unwrap_or_default()
    }

    /// The line of a field, or else of the stanza.
    pub(super) fn line_of(&self, name: &str) -> usize {
        self.field(name).map_or(self.line, |(line, _)| line)
    }
}

/// The stanzas of a text.
///
/// # Errors
/// A line is neither a field nor part of one.
pub(super) fn parse(text: &str) -> Result<Vec<Stanza>, Fault> {
    let mut stanzas: Vec<Stanza> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if line.starts_with('#') {
            continue;
        }
        if line.trim_end_matches('\r').is_empty() {
            open = false;
            continue;
        }
        if !open {
            stanzas.push(Stanza { line: number, fields: Vec::new() });
            open = true;
        }
        let Some(stanza) = stanzas.last_mut() else { continue };
        if line.starts_with([' ', '\t']) {
            if let Some((_, _, value)) = stanza.fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(Fault::fatal(
                number,
                "this line is no field ('Name: value'), and it does not begin with a blank to go on with the one above it",
            ));
        };
        stanza.fields.push((number, name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(stanzas)
}
