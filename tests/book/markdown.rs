//! As much of CommonMark as the pages use: fenced blocks, headings, links.

use super::root;
use std::path::Path;

/// The pages, as paths from the root: README and its like, the book, and what
/// explains the examples.
pub fn pages() -> Vec<String> {
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let mut found: Vec<String> =
        top.iter().filter(|name| root().join(name).is_file()).map(|name| (*name).to_owned()).collect();
    for dir in ["docs", "examples"] {
        walk(&root().join(dir), &mut found);
    }
    found
}

fn walk(dir: &Path, found: &mut Vec<String>) {
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "md") {
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
}

pub fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The info string behind the opening fence.
    pub info: String,
    /// The line of the opening fence, from 1.
    pub line: usize,
    pub text: String,
}

pub fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(String, Block)> = None;
    for (number, line) in text.lines().enumerate() {
        let fence: String = line.trim_start().chars().take_while(|c| *c == '`').collect();
        match &mut open {
            Some((opened, _)) if fence.len() >= opened.len() && line.trim() == fence => {
                found.extend(open.take().map(|(_, block)| block));
            }
            Some((_, block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            None if fence.len() >= 3 => {
                let info = line.trim().trim_start_matches('`').trim().to_owned();
                open = Some((fence, Block { info, line: number + 1, text: String::new() }));
            }
            None => {}
        }
    }
    assert!(open.is_none(), "a block is never closed: {open:?}");
    found
}

/// The lines outside of fenced blocks, numbered from 1.
pub fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

#[derive(Debug)]
pub struct Link {
    pub line: usize,
    pub target: String,
}

/// Where inline links, images, reference definitions and the `src` and `href`
/// of HTML lead.
pub fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        let mut add = |target: &str| found.push(Link { line: number, target: target.trim().to_owned() });
        for (at, _) in line.match_indices("](") {
            add(line[at + 2..].split([')', ' ']).next().unwrap());
        }
        for attribute in ["src=\"", "href=\"", "srcset=\""] {
            for (at, _) in line.match_indices(attribute) {
                add(line[at + attribute.len()..].split('"').next().unwrap());
            }
        }
        if let Some((name, target)) = line.split_once("]: ")
            && name.starts_with('[')
            && !name.contains(' ')
        {
            add(target);
        }
    }
    found
}

/// The anchors of a page's headings, as git hosts and mdBook make them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let Some(title) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#')) else { continue };
        let Some(title) = title.strip_prefix(' ') else { continue };
        let slug: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect();
        let again = found.iter().filter(|known| **known == slug).count();
        found.push(if again == 0 { slug } else { format!("{slug}-{again}") });
    }
    found
}
