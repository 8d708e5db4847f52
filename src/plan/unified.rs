//! Unified diffs of file contents.

use similar::TextDiff;

/// What a plan says where only the apply will tell.
pub const KNOWN_AFTER_APPLY: &str = "(known after apply)";

/// The most bytes of a content that is shown line by line.
const LONGEST: usize = 256 << 10;

/// The most lines of it: the time of a comparison grows with their product.
const MOST_LINES: usize = 10_000;

/// The unified diff of a file's content, for people; binary and very large
/// content is only measured. `before` is none where there is no file yet,
/// `after` none where there will be none.
pub fn diff_files(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    let size = |bytes: Option<&[u8]>| bytes.map_or("absent".to_owned(), |b| format!("{} bytes", b.len()));
    let measured = |what: &str| format!("{what}: {} -> {}\n", size(before), size(after));
    let (Some(old), Some(new)) = (text(before), text(after)) else { return measured("binary content") };
    if is_large(old) || is_large(new) {
        return measured("content too large to be shown");
    }
    let from = if before.is_some() { path } else { "/dev/null" };
    let to = if after.is_some() { path } else { "/dev/null" };
    TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(from, to).to_string()
}

/// What stands for the diff of a file whose present bytes are not known: there
/// are too many of them to be fetched, or an earlier step brings them.
pub fn diff_unread(after: &[u8]) -> String {
    format!(
        "the present content is not shown: it is too large to be fetched, or known by its digest only; the new one has {} bytes\n",
        after.len()
    )
}

/// The bytes as text, if they are text that a terminal can show.
fn text(bytes: Option<&[u8]>) -> Option<&str> {
    let text = std::str::from_utf8(bytes.unwrap_or_default()).ok()?;
    (!text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'))).then_some(text)
}

fn is_large(text: &str) -> bool {
    text.len() > LONGEST || text.lines().count() > MOST_LINES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_shown_against_dev_null() {
        let shown = diff_files("/etc/x", None, Some(b"a\nb\n"));
        assert_eq!(shown, "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    }

    #[test]
    fn terminal_escapes_in_content_are_never_printed() {
        assert_eq!(diff_files("/x", None, Some(b"\x1b[2J")), "binary content: absent -> 4 bytes\n");
    }

    #[test]
    fn very_large_content_is_only_measured() {
        let long = "line\n".repeat(MOST_LINES + 1);
        let wide = "x".repeat(LONGEST + 1);
        for large in [&long, &wide] {
            let shown = diff_files("/x", Some(b"a\n"), Some(large.as_bytes()));
            assert_eq!(shown, format!("content too large to be shown: 2 bytes -> {} bytes\n", large.len()));
        }
        assert!(diff_files("/x", Some(b"a\n"), Some(&long.as_bytes()[5..])).starts_with("--- /x\n"));
    }

    #[test]
    fn a_changed_line_end_is_a_changed_line() {
        let shown = diff_files("/x", Some(b"a\r\nb\r\n"), Some(b"a\nb\r\n"));
        assert!(shown.contains("-a\r\n+a\n b\r\n"), "{shown:?}");
    }
}
