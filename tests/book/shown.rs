//! The commands of a console block, and whether what they print is what the page shows.

use super::markdown::Block;

/// A command with the output that a page shows for it.
pub struct Shown {
    pub line: usize,
    pub command: String,
    pub output: String,
}

pub fn shown(block: &Block) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => {
                found.push(Shown { line: block.line + 1 + number, command: command.to_owned(), output: String::new() })
            }
            (None, Some(last)) if goes_on(&last.command) => {
                last.command.push('\n');
                last.command.push_str(line);
            }
            (None, Some(last)) => {
                last.output.push_str(line);
                last.output.push('\n');
            }
            (None, None) => panic!("line {}: a console block begins with '$ command'", block.line),
        }
    }
    found
}

/// Whether a command goes on in the next line: after a backslash, and up to the
/// end of a here-document.
fn goes_on(command: &str) -> bool {
    command.ends_with('\\') || command.contains("<<'END'") && !command.ends_with("\nEND")
}

/// Whether output is as shown; `…` stands for what varies.
pub fn matches(shown: &str, printed: &str) -> bool {
    let lines =
        |text: &str| -> Vec<String> { text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect() };
    lines_match(&lines(shown), &lines(printed))
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((any, rest)) if any.trim() == "…" => (0..=printed.len()).any(|skip| lines_match(rest, &printed[skip..])),
        Some((line, rest)) => {
            printed.first().is_some_and(|first| line_matches(line, first)) && lines_match(rest, &printed[1..])
        }
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let Some((before, rest)) = shown.split_once('…') else { return shown == printed };
    let Some(after) = printed.strip_prefix(before) else { return false };
    let starts = after.char_indices().map(|(at, _)| at).chain([after.len()]);
    starts.into_iter().any(|at| line_matches(rest, &after[at..]))
}
