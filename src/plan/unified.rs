//! Unified diffs of file contents.

use similar::TextDiff;

/// What a plan says where only the apply will tell.
pub const KNOWN_AFTER_APPLY: &str = "(known after apply)";

/// The unified diff of a file's content, for people; binary content is only
/// measured. `before` is none where there is no file yet, `after` none where
/// there will be none.
pub fn diff_files(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    let text = |bytes: Option<&[u8]>| std::str::from_utf8(bytes.unwrap_or_default()).ok().map(str::to_owned);
    let has_controls = |t: &str| t.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'));
    match (text(before), text(after)) {
        (Some(old), Some(new)) if !has_controls(&old) && !has_controls(&new) => {
            let from = if before.is_some() { path } else { "/dev/null" };
            let to = if after.is_some() { path } else { "/dev/null" };
            TextDiff::from_lines(old.as_str(), new.as_str())
                .unified_diff()
                .context_radius(3)
                .header(from, to)
                .to_string()
        }
        _ => {
            let size = |bytes: Option<&[u8]>| bytes.map_or("absent".to_owned(), |b| format!("{} bytes", b.len()));
            format!("binary content: {} -> {}\n", size(before), size(after))
        }
    }
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
}
