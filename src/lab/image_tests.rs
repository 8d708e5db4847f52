//! Tests of `image`.

#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn an_image_is_named_after_all_it_is_made_from() {
    let base: Base = "registry.example:5000/Team/ubuntu:24.04".parse().unwrap();
    let name = cached_name(&base, "", &["sha256:1", "image", "ubuntu"]);
    assert!(name.starts_with("stockade-lab/registry-example-5000-team-ubuntu-24-04:"), "{name}");
    assert_eq!(name, cached_name(&base, "", &["sha256:1", "image", "ubuntu"]));
    assert_ne!(name, cached_name(&base, "", &["sha256:2", "image", "ubuntu"]));
    assert_ne!(name, cached_name(&base, "", &["sha256:1", "image", "none"]));
}

#[test]
fn the_build_context_holds_every_recipe_file() {
    let bytes = context().unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let names: Vec<String> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names, RECIPE.map(|(name, _)| name.to_owned()));
}

#[test]
fn the_recipe_scripts_are_valid_for_a_posix_shell() {
    for (name, content) in RECIPE.iter().filter(|(name, _)| name.ends_with(".sh")) {
        let mut command = Command::new("sh");
        command.arg("-n");
        let output = process::run(command, Input::Bytes(content.as_bytes()), PULL).unwrap();
        assert!(output.status.success(), "{name}: {}", process::tail(&output, 5));
    }
}
