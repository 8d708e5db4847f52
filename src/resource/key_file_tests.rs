//! Tests of `key_file`.

use super::*;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINocinsDp91Dc70suRj1rzzasKQ6uQIBJuUtwd6l8YTP";

fn want(text: &str, options: Option<&str>) -> DesiredKeyFile {
    DesiredKeyFile { key: text.parse().unwrap(), options: options.map(|o| o.parse().unwrap()) }
}

fn merged(old: &str, wanted: &[DesiredKeyFile], exclusive: bool) -> String {
    String::from_utf8(merge(old.as_bytes(), wanted, exclusive).content).unwrap()
}

#[test]
fn other_lines_stay_byte_for_byte_and_a_missing_newline_is_put_in() {
    let old = format!("# mine\r\n\n  {B}  old \nnot a key at all\n\tfrom=\"a b\" ssh-foo AAAA");
    let new = merged(&old, &[want(A, None)], false);
    assert_eq!(new, format!("{old}\n{A}\n"));
    assert_eq!(merged(&new, &[want(A, None)], false), new);
}

#[test]
fn a_key_is_found_behind_options_and_under_another_comment() {
    for line in [
        format!("command=\"echo \\\"x y\\\" ssh-rsa\",restrict {A} c"),
        format!("\t{A}\tother comment"),
        format!("restrict   {A}\r"),
    ] {
        assert_eq!(merged(&line, &[want(A, None)], false), line);
    }
}

#[test]
fn a_commented_key_and_a_certificate_authority_are_no_logins() {
    for line in [format!("#{A}\n"), format!("cert-authority {A}\n"), format!("restrict,cert-authority {A}\n")] {
        assert_eq!(merged(&line, &[want(A, None)], false), format!("{line}{A}\n"));
    }
}

#[test]
fn wanted_options_replace_others_and_leave_no_second_way_in() {
    let old = format!("{A} x\n{B}\nrestrict {A} y\n");
    let result = merge(old.as_bytes(), &[want(A, Some("from=\"192.0.2.1\""))], false);
    assert_eq!(String::from_utf8(result.content).unwrap(), format!("from=\"192.0.2.1\" {A}\n{B}\n"));
    assert_eq!(result.changes.len(), 2);
}

#[test]
fn exclusive_writes_exactly_the_wanted_keys() {
    let old = format!("# mine\n{B} x\n{A} y\nrubbish\n");
    assert_eq!(merged(&old, &[want(A, None)], true), format!("{A}\n"));
    assert_eq!(merged(&old, &[], true), "");
}

proptest::proptest! {
    #[test]
    fn merging_twice_changes_nothing_more(old: Vec<u8>, exclusive: bool, options: bool) {
        let wanted = [want(A, options.then_some("restrict")), want(B, None)];
        let once = merge(&old, &wanted, exclusive);
        let twice = merge(&once.content, &wanted, exclusive);
        proptest::prop_assert!(twice.changes.is_empty());
        proptest::prop_assert_eq!(twice.content, once.content);
    }
}
