//! Tests of `names`.

#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn only_labels_of_host_names_are_host_names() {
    for good in ["lab1", "a", "web-7", &"x".repeat(63)] {
        assert!(check_host_name(good).is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "a.b", "a b", "Lab", "a_b", "ü", "--all", "a\nb", "$(id)", &"x".repeat(64)] {
        assert!(check_host_name(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn names_without_a_wish_are_the_next_free_ones() {
    let taken = ["lab1".to_owned(), "lab3".to_owned()];
    assert_eq!(choose(None, 3, &taken).unwrap(), ["lab2", "lab4", "lab5"]);
}

#[test]
fn a_given_name_is_numbered_only_for_several_hosts() {
    assert_eq!(choose(Some("web"), 1, &[]).unwrap(), ["web"]);
    assert_eq!(choose(Some("web"), 2, &[]).unwrap(), ["web-1", "web-2"]);
    assert!(matches!(choose(Some("web"), 1, &["web".to_owned()]), Err(LabError::NameTaken { .. })));
    assert!(choose(Some(&"x".repeat(62)), 2, &[]).is_err());
    assert!(choose(None, 0, &[]).is_err());
    assert!(choose(None, 101, &[]).is_err());
}

#[test]
fn bases_are_images_or_suites() {
    assert_eq!("ubuntu:24.04".parse::<Base>().unwrap(), Base::Image("ubuntu:24.04".into()));
    assert_eq!("debootstrap:bookworm".parse::<Base>().unwrap(), Base::Suite("bookworm".into()));
    let pinned = format!("registry.example:5000/a/b@sha256:{}", "0".repeat(64));
    assert_eq!(pinned.parse::<Base>().unwrap().to_string(), pinned);
    for bad in ["", "debootstrap:", "debootstrap:../x", "debootstrap:--help", "--privileged", "a b", "a;b"] {
        assert!(bad.parse::<Base>().is_err(), "{bad:?}");
    }
}

#[test]
fn containers_of_two_labs_never_share_a_name() {
    let (one, two) = (container(Path::new("/a"), "lab1"), container(Path::new("/b"), "lab1"));
    assert_ne!(one, two);
    assert!(one.starts_with("stockade-lab-") && one.ends_with("-lab1"), "{one}");
}
