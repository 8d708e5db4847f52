//! The doc comments of a source file, as far as a reference needs them.

use super::root;

/// A field of a struct, or a variant of an enum.
#[derive(Debug)]
pub struct Item {
    pub name: String,
    /// The type of a field; empty for a variant.
    pub ty: String,
    /// The doc comment in one line.
    pub doc: String,
}

/// What stands in a struct or enum of a source file, in its order.
pub fn items(file: &str, head: &str) -> Vec<Item> {
    let source = std::fs::read_to_string(root().join(file)).unwrap();
    let (_, rest) = source.split_once(&format!("{head} {{\n")).unwrap_or_else(|| panic!("{file} has no {head}"));
    let (body, _) = rest.split_once("\n}").unwrap();
    let mut doc = Vec::new();
    let mut found = Vec::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if !line.is_empty() && !line.starts_with("#[") {
            let line = line.trim_start_matches("pub ").trim_end_matches(',');
            let (name, ty) = line.split_once(": ").unwrap_or((line, ""));
            found.push(Item { name: name.to_owned(), ty: ty.to_owned(), doc: std::mem::take(&mut doc).join(" ") });
        }
    }
    found
}
