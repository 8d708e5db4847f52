//! From bytes to logical lines: byte order mark, parser directives, comments,
//! continuations. After `parser.Parse` of buildkit, in the version that moby
//! 20.10 has and in the newest; where they differ, the text is refused.

use super::error::DockerfileError;
use crate::shown::shown;

/// Bytes of one line that every engine's scanner takes: `bufio.MaxScanTokenSize`
/// is 64 KiB, the line's end included.
pub const LINE_LIMIT: usize = 64 * 1024 - 2;

/// The white space that buildkit splits words at, `[\t\v\f\r ]`.
pub const BLANK: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// Logical lines, and the escape character that they are written with.
#[derive(Debug)]
pub struct Source {
    /// A backslash or a backtick.
    pub escape: char,
    /// In the order of the file, none of them empty.
    pub lines: Vec<LogicalLine>,
}

/// One instruction's text, its continuations joined.
#[derive(Debug)]
pub struct LogicalLine {
    /// Where it begins, counted from 1.
    pub number: usize,
    /// Neither a line feed nor a carriage return is in it.
    pub text: String,
}

/// Splits a Dockerfile into logical lines.
///
/// # Errors
/// Bytes that are not UTF-8, NUL, a byte order mark or a carriage return out of
/// place, a line that is too long, and directives that engines read differently.
pub fn split(bytes: &[u8]) -> Result<Source, DockerfileError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        DockerfileError::new(line_of(before), "the text is not UTF-8; save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = text.find(['\0', '\u{feff}']) {
        let line = line_of(text.as_bytes().get(..at).unwrap_or_default());
        return Err(DockerfileError::new(line, "a NUL or a byte order mark is in the text; remove it"));
    }
    let mut physical = physical_lines(text)?.into_iter();
    let mut directives = Directives::default();
    let mut source = Source { escape: '\\', lines: Vec::new() };
    while let Some((number, raw)) = physical.next() {
        let line = raw.trim_start();
        if let Some(escape) = directives.read(line, number)? {
            source.escape = escape;
        }
        let line = if line.starts_with('#') { "" } else { line };
        let (first, mut more) = continued(line, source.escape);
        if !more && first.is_empty() {
            continue;
        }
        let mut joined = first.to_owned();
        while more {
            let Some((_, raw)) = physical.next() else { break };
            let trimmed = raw.trim_start();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let (piece, next) = continued(raw, source.escape);
            joined.push_str(piece);
            more = next;
        }
        source.lines.push(LogicalLine { number, text: joined });
    }
    Ok(source)
}

fn line_of(before: &[u8]) -> usize {
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Lines without their ends, with their numbers.
fn physical_lines(text: &str) -> Result<Vec<(usize, &str)>, DockerfileError> {
    let mut lines = Vec::new();
    for (index, line) in text.split_terminator('\n').enumerate() {
        let number = index + 1;
        if line.len() > LINE_LIMIT {
            return Err(DockerfileError::new(number, "the line is longer than 64 KiB"));
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.contains('\r') {
            let message = "a carriage return is not at the end of its line; use LF or CRLF line ends";
            return Err(DockerfileError::new(number, message));
        }
        lines.push((number, line));
    }
    Ok(lines)
}

/// The line without its continuation character, and whether it had one: the
/// escape character, not after another, before spaces and tabs at the end.
pub fn continued(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(body) if !body.ends_with(escape) => (body, true),
        _ => (line, false),
    }
}

/// Parser directives: comments of the form `# key=value` at the top of the file.
#[derive(Default)]
struct Directives {
    done: bool,
    seen: Vec<&'static str>,
}

impl Directives {
    /// The escape character that the line sets.
    fn read(&mut self, line: &str, number: usize) -> Result<Option<char>, DockerfileError> {
        if self.done {
            return Ok(None);
        }
        let Some((key, value, plain)) = directive(line) else {
            self.done = true;
            return Ok(None);
        };
        if !plain {
            let message = "unusual white space stands before a parser directive; write \"# escape=`\"";
            return Err(DockerfileError::new(number, message));
        }
        if self.seen.contains(&key) {
            return Err(DockerfileError::new(number, format!("the parser directive {key} is given twice")));
        }
        self.seen.push(key);
        if key != "escape" {
            return Ok(None);
        }
        // Engines before 27 do not know `check`, and end the directives there.
        if self.seen.contains(&"check") {
            let message = "the parser directive escape comes after check, where older engines ignore it; \
                           write escape first";
            return Err(DockerfileError::new(number, message));
        }
        match value {
            "`" => Ok(Some('`')),
            "\\" => Ok(Some('\\')),
            other => {
                let message = format!("the escape character is ` or \\, not {:?}", shown(other));
                Err(DockerfileError::new(number, message))
            }
        }
    }
}

/// A known directive, its value, and whether all engines see it as one.
fn directive(line: &str) -> Option<(&'static str, &str, bool)> {
    // The older expression's `\s`, and the newer one's `unicode.IsSpace`.
    const SPACE: [char; 3] = [' ', '\t', '\u{c}'];
    let rest = line.strip_prefix('#')?;
    let body = rest.trim_start();
    let plain = body.len() == rest.trim_start_matches(SPACE).len();
    let end = body.find(|c: char| !c.is_ascii_alphanumeric())?;
    let (name, rest) = body.split_at_checked(end)?;
    let value = rest.trim_start_matches(SPACE).strip_prefix('=')?;
    if value.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let key = ["escape", "syntax", "check"].into_iter().find(|key| name.eq_ignore_ascii_case(key))?;
    Some((key, value.trim_matches(SPACE), plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        split(text.as_bytes()).unwrap().lines.into_iter().map(|line| line.text).collect()
    }

    fn message(text: &[u8]) -> String {
        split(text).unwrap_err().to_string()
    }

    #[test]
    fn comments_and_blank_lines_inside_a_continuation_do_not_end_it() {
        for (text, want) in [
            ("FROM a\nRUN x \\\n# note\n\n  \t\n  y\n", &["FROM a", "RUN x   y"][..]),
            ("FROM a\nRUN x \\\n  # note \\\n y \\ \t\nz", &["FROM a", "RUN x  y z"]),
            ("FR\\\nOM a", &["FROM a"]),
            ("\\\nFROM a", &["FROM a"]),
            ("FROM a\nRUN x\\\\\nUSER b", &["FROM a", "RUN x\\\\", "USER b"]),
            ("FROM a\nRUN x\\\\\\\nUSER b", &["FROM a", "RUN x\\\\\\", "USER b"]),
            ("FROM a\nRUN x \\", &["FROM a", "RUN x "]),
            ("FROM a\nRUN x\\\u{b}\nUSER b", &["FROM a", "RUN x\\\u{b}", "USER b"]),
            ("\u{feff}FROM a\r\nUSER b\r", &["FROM a", "USER b"]),
            ("  # c\n\t FROM a", &["FROM a"]),
            ("# c \\\nFROM a", &["FROM a"]),
        ] {
            assert_eq!(lines(text), want, "{text:?}");
        }
    }

    #[test]
    fn directives_count_only_before_everything_else() {
        for (text, escape) in [
            ("# escape=`\nFROM a", '`'),
            ("#ESCAPE = ` \nFROM a", '`'),
            ("# syntax=x\n# escape=`\nFROM a", '`'),
            ("# comment\n# escape=`\nFROM a", '\\'),
            ("\n# escape=`\nFROM a", '\\'),
            ("# unknown=1\n# escape=`\nFROM a", '\\'),
            ("FROM a\n# escape=`\n", '\\'),
            ("# escape=\nFROM a", '\\'),
            ("# escape=\\\nFROM a", '\\'),
            ("# check=skip=all\n# syntax=x\nFROM a", '\\'),
        ] {
            assert_eq!(split(text.as_bytes()).unwrap().escape, escape, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_engines_read_differently_is_refused() {
        assert_eq!(message(b"# escape=x\nFROM a"), "Dockerfile line 1: the escape character is ` or \\, not \"x\"");
        for text in [
            &b"# escape=`\n# escape=`\n"[..],
            b"# escape=`\n#escape=\\\n",
            b"# syntax=a\n# Syntax=b\n",
            b"# check=x\n# escape=`\n",
            b"#\x0b escape=`\n",
            b"#\xc2\xa0escape=`\n",
            b"# escape=  \n",
            b"FROM a\rUSER b",
            b"FROM a\r\r\n",
            b"FROM a\0",
            b"FROM \xff",
            b"FROM a\n\xef\xbb\xbfUSER b",
        ] {
            assert!(split(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
        let long = format!("FROM a\nRUN {}\n", "x".repeat(LINE_LIMIT));
        assert_eq!(message(long.as_bytes()), "Dockerfile line 2: the line is longer than 64 KiB");
    }
}
