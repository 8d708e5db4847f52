//! `docs/defaults.md` and the table of `SECURITY.md`, from the manual in
//! `src/manual/`.

use super::root;

/// The doc comment of a module, without its title.
fn text(file: &str) -> String {
    let source = std::fs::read_to_string(root().join("src/manual").join(file)).unwrap();
    let lines =
        source.lines().filter_map(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
    let text = lines.collect::<Vec<_>>().join("\n");
    let (_, rest) = text.split_once("\n\n").unwrap();
    format!("{}\n", rest.trim())
}

pub fn defaults() -> String {
    format!(
        "# Defaults\n\nWhat happens where you say nothing, and why. Made from `src/manual/defaults.rs`.\n\n{}",
        text("defaults.rs")
    )
}

pub fn threats() -> String {
    let text = text("threats.rs");
    let at = text.find("## ").unwrap();
    format!("\n{}\n", &text[at..].replace("## ", "### "))
}
