//! The text of systemd unit files and drop-ins, as systemd reads it.
//!
//! Syntax after systemd.syntax(7): sections, assignments, `#` and `;`
//! comments, and lines continued by a last backslash (a comment between
//! continued lines does not end them).

/// A unit file: its assignments, each with its section, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFile {
    sections: Vec<String>,
    assignments: Vec<Assignment>,
}

/// One `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Assignment {
    section: String,
    key: String,
    value: String,
}

/// Why a text is not a unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct InvalidUnitFile {
    line: usize,
    reason: &'static str,
}

impl UnitFile {
    /// Reads a unit file.
    ///
    /// # Errors
    /// What systemd would ignore with a warning: a line before the first
    /// section, a line that is no assignment, a broken section header.
    pub fn parse(text: &str) -> Result<UnitFile, InvalidUnitFile> {
        let mut file = UnitFile::default();
        let mut pending: Option<(usize, String)> = None;
        for (index, raw) in text.lines().enumerate() {
            let trimmed = raw.trim();
            if trimmed.starts_with(['#', ';']) || (trimmed.is_empty() && pending.is_none()) {
                continue;
            }
            let (line, mut whole) = pending.take().unwrap_or((index + 1, String::new()));
            match raw.strip_suffix('\\') {
                Some(start) => {
                    whole.push_str(start);
                    whole.push(' ');
                    pending = Some((line, whole));
                }
                None => {
                    whole.push_str(raw);
                    file.line(line, whole.trim())?;
                }
            }
        }
        if let Some((line, whole)) = pending {
            file.line(line, whole.trim())?;
        }
        match file.sections.first() {
            Some(_) => Ok(file),
            None => Err(InvalidUnitFile { line: 1, reason: "there is no section header such as [Service]" }),
        }
    }

    fn line(&mut self, line: usize, text: &str) -> Result<(), InvalidUnitFile> {
        let refuse = |reason| Err(InvalidUnitFile { line, reason });
        if text.is_empty() {
            return Ok(());
        }
        if let Some(rest) = text.strip_prefix('[') {
            return match rest.strip_suffix(']') {
                Some(name) if !name.is_empty() && !name.contains(['[', ']']) => {
                    self.sections.push(name.to_owned());
                    Ok(())
                }
                _ => refuse("this section header has no end"),
            };
        }
        let Some(section) = self.sections.last() else {
            return refuse("this stands before the first section header such as [Service]");
        };
        let Some((key, value)) = text.split_once('=') else {
            return refuse("this is neither a section header nor an assignment (key=value)");
        };
        let (section, key, value) = (section.clone(), key.trim().to_owned(), value.trim().to_owned());
        if key.is_empty() || key.contains(char::is_whitespace) {
            return refuse("the name before '=' must be one word");
        }
        self.assignments.push(Assignment { section, key, value });
        Ok(())
    }

    /// Whether there is a section of this name.
    pub fn has_section(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section == name)
    }

    /// The names of the sections, each once.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        let first = |(at, name): &(usize, &String)| !self.sections[..*at].contains(name);
        self.sections.iter().enumerate().filter(first).map(|(_, name)| name.as_str())
    }

    /// The settings of a section with their values, in order.
    pub fn section<'a>(&'a self, section: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.assignments.iter().filter(move |a| a.section == section).map(|a| (a.key.as_str(), a.value.as_str()))
    }

    /// All settings with their sections, in order.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.assignments.iter().map(|a| (a.section.as_str(), a.key.as_str()))
    }

    /// All values given to a key, in order; an empty one clears those before it.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.assignments.iter().filter(move |a| a.section == section && a.key == key).map(|a| a.value.as_str())
    }

    /// Whether `systemctl enable` has something to do for this unit.
    pub fn can_be_enabled(&self) -> bool {
        ["WantedBy", "RequiredBy", "UpheldBy", "Also", "Alias"]
            .iter()
            .any(|key| self.values("Install", key).any(|value| !value.is_empty()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sections_comments_and_continued_lines_are_read_as_systemd_does() {
        let text = "# c\n[Service]\nExecStart=\nExecStart=/bin/a \\\n; a comment between\n  --b\n[Install]\nWantedBy = x.target\n";
        let file = UnitFile::parse(text).unwrap();
        let starts: Vec<_> = file.values("Service", "ExecStart").collect();
        assert_eq!(starts, ["", "/bin/a    --b"]);
        assert!(file.can_be_enabled() && file.has_section("Install") && !file.has_section("Unit"));
    }

    #[test]
    fn what_systemd_would_ignore_is_an_error_with_its_line() {
        for (text, part) in [
            ("", "no section header"),
            ("# only\n", "no section header"),
            ("A=b\n[Service]\n", "line 1: this stands before"),
            ("[Service\nA=b\n", "line 1: this section header has no end"),
            ("[Service]\nExecStart /bin/a\n", "line 2: this is neither"),
            ("[Service]\n=x\n", "line 2: the name before '='"),
        ] {
            let shown = UnitFile::parse(text).unwrap_err().to_string();
            assert!(shown.contains(part), "{text:?}: {shown}");
        }
    }
}
