//! Tests of `alias`.

use super::*;
use crate::observe::PredictedState;
use crate::values::Mode;

fn path(text: &str) -> AbsPath {
    text.parse().unwrap()
}

fn entry(file_type: FileType, target: Option<&str>) -> PathState {
    let (owner, group) = ("root".to_owned(), "root".to_owned());
    let mode = Mode::from_bits(0o755);
    PathState::Present(Entry { file_type, mode, owner, group, target: target.map(str::to_owned) })
}

/// A host as it answers: links by their targets, nothing at the other paths.
fn host(links: &[(&str, &str)], absent: &[&str]) -> HostState {
    let mut host = HostState::default();
    for (at, target) in links {
        host.put_path(&path(at), entry(FileType::Link, Some(target)));
    }
    absent.iter().for_each(|at| host.put_path(&path(at), PathState::Absent));
    host
}

#[test]
fn every_part_but_the_last_is_followed_as_the_kernel_does() {
    let host = host(
        &[("/a", "/b"), ("/b", "c/../d"), ("/d/up", ".."), ("/ring", "ring"), ("/root", "/"), ("/out", "../../x")],
        &[],
    );
    for (name, real) in [
        ("/a", "/a"),
        ("/a/f", "/d/f"),
        ("/a/up/f", "/f"),
        ("/ring/f", "/ring/f"),
        ("/root/f", "/f"),
        ("/root/root", "/root"),
        ("/out/f", "/x/f"),
        ("/ab/f", "/ab/f"),
    ] {
        assert_eq!(host.real_place(&path(name)), path(real), "{name}");
    }
    assert_eq!(host.followed(&path("/a")).0, path("/d"));
    assert_eq!(host.followed(&path("/root")).0, path("/"));
}

#[test]
fn what_is_written_at_one_name_is_there_at_all() {
    let found = host(&[("/l", "d"), ("/l-near", "d")], &["/l/f", "/d/f", "/l-near/f", "/l.x/f"]);
    let mut host = PredictedState::of(&found);
    host.set_path(&path("/l/f"), entry(FileType::File, None));
    host.set_content(&path("/d/f"), Content::Bytes(b"x".to_vec()));
    for name in ["/l/f", "/d/f", "/l-near/f"] {
        assert_eq!(host.content(&path(name)), Ok(&Content::Bytes(b"x".to_vec())), "{name}");
    }
    assert_eq!(host.path(&path("/l.x/f")), Ok(&PathState::Absent));
    // A link goes, and with it what was seen through it; its target stays.
    host.remove_tree(&path("/l"));
    assert_eq!(host.path(&path("/l/f")), Ok(&PathState::Absent));
    assert!(matches!(host.path(&path("/d/f")), Ok(PathState::Present(_))));
    host.remove_tree(&path("/d"));
    assert_eq!(host.path(&path("/l-near/f")), Ok(&PathState::Absent));
}

#[test]
fn a_new_link_shows_what_it_leads_to_or_asks_for_it() {
    let mut host = host(&[], &["/l", "/l/f", "/l/g", "/d/f"]);
    host.put_path(&path("/d/f"), entry(FileType::File, None));
    let mut host = PredictedState::of(&host);
    host.set_path(&path("/l"), entry(FileType::Link, Some("/d")));
    assert!(matches!(host.path(&path("/l/f")), Ok(PathState::Present(_))));
    assert_eq!(host.path(&path("/l/g")), Ok(&PathState::AfterApply));
    let open: Vec<Query> = host.open_places().iter().filter(|query| !host.asked(query)).cloned().collect();
    let at = path("/d/g");
    let expected = [Query::Path(path("/d")), Query::Path(at.clone()), Query::Digest(at.clone()), Query::Content(at)];
    assert_eq!(open, expected);
}
