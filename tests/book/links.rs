//! Relative links and anchors.

use super::markdown::{anchors, links, prose, read};
use super::root;
use std::path::{Component, Path, PathBuf};

/// What is wrong with the links of a page, one line each.
pub fn wrong(page: &str) -> Vec<String> {
    let text = read(page);
    let wrong = links(&text).into_iter().filter_map(|link| {
        let why = fault(page, &text, &link.target)?;
        Some(format!("{page}:{}: {}: {why}", link.line, link.target))
    });
    wrong.collect()
}

/// Paths in code spans, such as `tests/layers.rs`, that are not in the repository.
pub fn missing_paths(page: &str) -> Vec<String> {
    const TOP: [&str; 9] =
        ["src/", "tests/", "gateway/", "docs/", "examples/", "playbooks/", "templates/", "fuzz/", ".ci/"];
    let text = read(page);
    let mut wrong = Vec::new();
    for (line, text) in prose(&text) {
        for code in text.split('`').skip(1).step_by(2) {
            let path = code.split(' ').next().unwrap();
            // A pattern names no file, and a changelog tells of files that were.
            let names = TOP.iter().any(|top| path.starts_with(top)) && !path.contains(['*', '<', '{']);
            if names && !root().join(path).exists() && page != "CHANGELOG.md" {
                wrong.push(format!("{page}:{line}: `{path}` is not in the repository"));
            }
        }
    }
    wrong
}

fn fault(page: &str, text: &str, target: &str) -> Option<String> {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    if path.starts_with('/') {
        return Some("a link is relative, so that it works on a git host and in a copy".into());
    }
    let of_page = path.is_empty();
    let Some(file) = normal(&Path::new(page).parent().unwrap().join(path)) else {
        return Some("it leads out of the repository".into());
    };
    if page.starts_with("docs/") && !of_page && !file.starts_with("docs") {
        return Some(
            "a page of the book links to nothing outside of docs/, which is not there in the built book".into(),
        );
    }
    if !of_page && !exists(&file) {
        return Some("there is no such file".into());
    }
    let anchor = anchor?;
    let known = if of_page { anchors(text) } else { anchors(&read(file.to_str().unwrap())) };
    (!known.iter().any(|name| name == anchor)).then(|| format!("no heading makes this anchor; there are {known:?}"))
}

/// Without `.` and `..`; none where it leads out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut made = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => made.push(name),
            Component::ParentDir if !made.pop() => return None,
            _ => {}
        }
    }
    Some(made)
}

/// Whether git has it, by exactly this name.
fn exists(file: &Path) -> bool {
    let Some(name) = file.file_name() else { return true };
    let dir = root().join(file.parent().unwrap_or(Path::new("")));
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| entry.file_name() == name)
}
