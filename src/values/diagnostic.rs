//! What is wrong with a text, where, and what to write instead.

use super::Span;
use std::fmt;

/// One error in something the operator wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where; none where no file is to blame (a command-line value).
    pub span: Option<Span>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { span: Some(span), message: message.into(), help: None }
    }

    /// An error that no file is to blame for.
    pub fn general(message: impl Into<String>) -> Diagnostic {
        Diagnostic { span: None, message: message.into(), help: None }
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// The same error, with "did you mean …" where a near name exists.
    #[must_use]
    pub fn with_suggestion<'a>(self, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        match suggest(wrong, names) {
            Some(near) => self.with_help(format!("did you mean '{near}'?")),
            None => self,
        }
    }
}

/// Advice about an unknown key: the one that was meant, where one is near, and
/// all that are possible there.
pub fn possible_keys<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() {
        return "it takes no keys: write {}".to_owned();
    }
    let all = format!("possible keys: {}", names.join(", "));
    match suggest(wrong, names) {
        Some(near) => format!("did you mean '{near}'? {all}"),
        None => all,
    }
}

impl fmt::Display for Diagnostic {
    /// The message, its place, the source line with carets, and the advice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(span) = &self.span {
            let (line, column) = span.source.position(span.range.start);
            let text = span.source.line(line);
            let margin = line.to_string().len();
            let left = text.chars().count().saturating_sub(column - 1).max(1);
            let wide =
                span.source.text.get(span.range.clone()).map_or(1, |t| t.lines().next().unwrap_or("").chars().count());
            // Tabs before the caret are kept, so that it stands below its text.
            let lead: String = text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let carets = "^".repeat(wide.clamp(1, left));
            write!(
                f,
                "\n{:margin$}--> {span}\n{:margin$} |\n{line} | {text}\n{:margin$} | {lead}{carets}",
                "", "", ""
            )?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// The name nearest to a wrong one, if one is near enough to be meant.
pub fn suggest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (wrong.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Source;

    #[test]
    fn a_diagnostic_points_at_the_words_to_blame() {
        let source = Source::new("p.toml", "a = 1\nuesr = 2\n");
        let span = Span { source, range: 6..10 };
        let shown = Diagnostic::new(span, "unknown key 'uesr'").with_suggestion("uesr", ["file", "user"]).to_string();
        assert_eq!(
            shown,
            "error: unknown key 'uesr'\n --> p.toml:2:1\n  |\n2 | uesr = 2\n  | ^^^^\n  help: did you mean 'user'?"
        );
    }

    #[test]
    fn a_far_name_is_not_suggested() {
        assert_eq!(suggest("zzz", ["user", "file"]), None);
    }
}
