//! A file edited at plan time and one edited on the host come out the same.
//!
//! Where a file is known, the kinds `line` and `setting` decide its new content
//! here; where it is not, perl does on the host. Each case goes both ways.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what cannot be set up must stop the test

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use stockade::observe::{Content, Entry, FileType, HostState, PathState, Queries};
use stockade::plan::{Op, OpScript};
use stockade::resource::{self, Assets, Resource};
use stockade::values::{AbsPath, EnvKey, Mode, Secret, Source, parse_document};

struct Nothing;

impl Assets for Nothing {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(path.to_owned())
    }
    fn render(&self, path: &str) -> Result<String, String> {
        Err(path.to_owned())
    }
    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
    fn stage_env(&self) -> Option<&BTreeMap<EnvKey, Secret>> {
        None
    }
}

const CONTENTS: [&str; 14] = [
    "",
    "\n",
    "a=1",
    "a=1\n",
    "a=1\n\n\n",
    "#a=0\nb=2\n",
    "a=1\nb=2\na = 3\n",
    "  a =  1  \nab=1\n",
    "# a is prose about it\n#a one\na two\n",
    "a\ttwo\n",
    ";; a = 0\n[s]\n",
    "é=ü\na.b\n",
    "line (x) [y] $z\n\\d+\n",
    "a:1\na: 2\n#a: 3\n",
];

const STEPS: [(&str, &str); 24] = [
    ("line", r#"line = "a=1""#),
    ("line", r#"line = "a=9", match = "^a=""#),
    ("line", r#"line = "a=9", match = '^\s*#?\s*a\s*='"#),
    ("line", r#"line = "new", insert_after = "^a""#),
    ("line", r#"line = "new", insert_after = "^nothing$""#),
    ("line", r#"line = "new", match = "^b", insert_after = "a""#),
    ("line", r#"line = "line (x) [y] $z""#),
    ("line", r#"line = '$(id) `id` \1 $1 @x'"#),
    ("line", r#"line = "ö", match = "^é""#),
    ("line", r#"line = "ö", match = '^.=.$'"#),
    ("line", r#"line = "x", match = "^$""#),
    ("line", r#"state = "absent", line = "a=1""#),
    ("line", r#"state = "absent", match = "a""#),
    ("line", r#"state = "absent", match = "(?i)A", line = "b=2""#),
    ("line", r#"state = "absent", match = ".*""#),
    ("setting", r#"key = "a", value = 1"#),
    ("setting", r#"key = "a", value = "x y""#),
    ("setting", r#"key = "a", value = """#),
    ("setting", r#"key = "a", value = "two", separator = " ""#),
    ("setting", r#"key = "a", value = 2, separator = ":""#),
    ("setting", r#"key = "a", value = 2, comment = ";""#),
    ("setting", r#"key = "a.b", value = '$1 "q" \n'"#),
    ("setting", r#"key = "a", state = "absent""#),
    ("setting", r#"key = "a", state = "absent", separator = " ""#),
];

fn step(kind: &str, path: &str, fields: &str) -> Box<dyn Resource> {
    let source = Source::new("case", format!("step = {{ path = \"{path}\", {fields} }}"));
    let (tree, errors) = parse_document(&source);
    assert!(errors.is_empty(), "{}", errors[0]);
    let kind = resource::kind(kind).unwrap();
    resource::build(kind, tree.get("step").unwrap(), &Nothing).unwrap_or_else(|errors| panic!("{}", errors[0]))
}

/// The content after a plan for a file that is known.
fn at_plan_time(resource: &dyn Resource, path: &AbsPath, content: &str) -> String {
    let mut host = HostState::default();
    let (owner, group) = ("root".to_owned(), "root".to_owned());
    let entry =
        Entry { file_type: FileType::File, mode: Mode::from_bits(0o640), owner, group: group.clone(), target: None };
    host.set_path(path, PathState::Present(entry));
    host.set_content(path, Content::Bytes(content.into()));
    let planned = resource.plan(&host).unwrap();
    match &planned.ops[..] {
        [] => content.to_owned(),
        [Op::WriteFile { content, meta, .. }] => {
            assert_eq!((meta.mode, &meta.group), (Mode::from_bits(0o640), &group), "owner and mode are kept");
            String::from_utf8(content.clone()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The operation for a file that a package may bring.
fn deferred(resource: &dyn Resource) -> OpScript {
    let mut queries = Queries::new();
    resource.queries(&mut queries);
    let mut host = HostState::default();
    for query in queries.iter() {
        if let stockade::observe::Query::Path(path) = query {
            host.set_path(path, PathState::Absent);
        }
    }
    host.packages_will_appear();
    let planned = resource.plan(&host).unwrap();
    let [op @ Op::EditFile { .. }] = &planned.ops[..] else { panic!("{:?}", planned.ops) };
    OpScript::new(op, 0).unwrap()
}

#[test]
fn a_file_edited_on_the_host_comes_out_as_one_edited_at_plan_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    let path: AbsPath = file.to_str().unwrap().parse().unwrap();
    let (edit, program, new) = (folder.path().join("0"), folder.path().join("1"), folder.path().join("new"));
    let mut changed = 0;
    for (kind, fields) in STEPS {
        let resource = step(kind, path.as_str(), fields);
        let script = deferred(resource.as_ref());
        std::fs::write(&edit, &script.payloads[0]).unwrap();
        std::fs::write(&program, &script.payloads[1]).unwrap();
        for content in CONTENTS {
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
            let output = Command::new("perl").args([&program, &edit, &file, &new]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{kind} {fields} on {content:?}: {said}");
            let found = match std::fs::read_to_string(&new) {
                Ok(text) => {
                    assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o7777, 0o640);
                    assert_ne!(text, content, "{kind} {fields}: written though nothing changes");
                    changed += 1;
                    std::fs::remove_file(&new).unwrap();
                    text
                }
                Err(_) => content.to_owned(),
            };
            assert_eq!(found, at_plan_time(resource.as_ref(), &path, content), "{kind} {fields} on {content:?}");
        }
    }
    assert!(changed > 100, "only {changed} cases change anything");
}

#[test]
fn a_missing_file_is_an_error_unless_it_may_be_made_or_nothing_shall_be_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    let (edit, program, new) = (folder.path().join("0"), folder.path().join("1"), folder.path().join("new"));
    for (fields, made) in [
        (r#"line = "a""#, None),
        (r#"line = "a", create = true"#, Some("a\n")),
        (r#"line = "a", state = "absent""#, Some("")),
    ] {
        let script = deferred(step("line", file.to_str().unwrap(), fields).as_ref());
        std::fs::write(&edit, &script.payloads[0]).unwrap();
        std::fs::write(&program, &script.payloads[1]).unwrap();
        let output = Command::new("perl").args([&program, &edit, &file, &new]).output().unwrap();
        assert_eq!(output.status.success(), made.is_some(), "{fields}");
        assert_eq!(std::fs::read_to_string(&new).unwrap_or_default(), made.unwrap_or_default(), "{fields}");
        let _ = std::fs::remove_file(&new);
    }
}
