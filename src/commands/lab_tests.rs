//! Tests of `lab`.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    lab: LabArgs,
}

fn parse(words: &[&str]) -> Result<LabArgs, clap::Error> {
    Line::try_parse_from(std::iter::once(&"lab").chain(words)).map(|line| line.lab)
}

#[test]
fn what_follows_two_dashes_is_the_remote_command() {
    let args = parse(&["ssh", "lab1", "--dir", "d", "--", "ls", "--dir", "-l"]).unwrap();
    assert_eq!(args.dir, PathBuf::from("d"));
    assert!(matches!(args.command, LabCommand::Ssh { ref remote, .. } if remote == &["ls", "--dir", "-l"]));
}

#[test]
fn a_bad_base_or_a_name_beside_all_is_refused_before_anything_is_done() {
    for words in [
        &["up", "--base", "--privileged"][..],
        &["up", "--dress", "fedora"],
        &["up", "--profile", "fedora"],
        &["down", "lab1", "--all"],
    ] {
        assert!(parse(words).is_err(), "{words:?}");
    }
}

#[test]
fn wrong_arguments_and_failures_have_codes_of_their_own() {
    let wrong = graded(LabError::NameTaken { name: "lab1".into() });
    assert_eq!(super::super::exit_of(&wrong), Exit::Input);
    assert_eq!(super::super::exit_of(&graded(LabError::DockerMissing)), Exit::Failed);
}
