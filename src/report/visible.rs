//! Text from elsewhere, made safe to show.
//!
//! What a host prints may hold escape sequences that repaint the operator's
//! terminal, or characters that reorder a line (CVE-2021-42574). Whatever is
//! shown passes through here first.

use std::borrow::Cow;

/// The text with control characters (all but newline and tab) and characters
/// that change the direction of writing replaced by visible escapes.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            _ if !hidden(c) => shown.push(c),
            '\r' => shown.push_str("\\r"),
            _ if (c as u32) < 0x100 => shown.push_str(&format!("\\x{:02x}", c as u32)),
            _ => shown.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

/// The text on one line: as [`visible`], with newlines and tabs escaped too.
pub fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// The last lines of what a host printed, at most `count`; empty ones at the
/// end are dropped, and of a line that was redrawn only its last form is kept.
pub fn last_lines(text: &str, count: usize) -> Vec<String> {
    let redrawn = |line: &str| {
        let line = line.trim_end_matches('\r');
        visible(line.rsplit('\r').next().unwrap_or(line)).into_owned()
    };
    let lines: Vec<&str> = text.trim_end().split('\n').collect();
    let skipped = lines.len().saturating_sub(count);
    lines[skipped..].iter().map(|line| redrawn(line)).filter(|line| !line.is_empty()).collect()
}

/// Whether a character is not shown as it is: a control, or one that changes the
/// direction of writing or ends a line unseen.
pub(super) fn hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_reordering_become_visible() {
        assert_eq!(visible("a\x1b[2Jb\x07\u{9b}1m"), "a\\x1b[2Jb\\x07\\x9b1m");
        assert_eq!(visible("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(visible("plain\n\tümläut"), "plain\n\tümläut");
        assert_eq!(one_line("a\nb"), "a\\nb");
    }

    #[test]
    fn only_the_last_lines_are_kept_and_redrawn_lines_once() {
        assert_eq!(last_lines("1\n2\n3\n\n", 2), ["2", "3"]);
        assert_eq!(last_lines("10%\r50%\r100%\r\nE: no\n", 5), ["100%", "E: no"]);
    }
}
