//! Every test that the manual and `SECURITY.md` name exists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a source that cannot be read must stop the test

use std::path::Path;

fn sources(dir: &Path, text: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_threats_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    sources(&root.join("gateway/src"), &mut code);
    sources(&root.join("gateway/tests"), &mut code);
    // The source of the table, and the table itself.
    for (file, start) in [("src/manual/threats.rs", "//! | "), ("SECURITY.md", "| ")] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with(start) && line.ends_with("` |")).collect();
        assert!(rows.len() > 40, "the table of {file} was not understood");
        for row in rows {
            // All names in the last column.
            let names: Vec<&str> = row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2).collect();
            assert!(!names.is_empty(), "{file}: {row}");
            for name in names {
                assert!(code.contains(&format!("fn {name}(")), "{file}: no test is called {name}: {row}");
            }
        }
    }
}
