//! Tests of `sudo_rules`.

use super::*;

fn read(text: &str) -> Sudoers {
    let mut sudoers = Sudoers::default();
    let host = HostState::default();
    if let Ok(main) = MAIN.parse::<AbsPath>() {
        assert!(sudoers.read(&host, &main, text, 0).is_ok());
    }
    sudoers
}

#[test]
fn rules_are_read_with_their_tags_and_lists() {
    let text = "a, b ALL = (root) NOPASSWD: /bin/x, !/bin/y, PASSWD: /bin/z : h2 = ALL # why\n#12 ALL=(ALL:ALL) ALL\n";
    let sudoers = read(text);
    let shown: Vec<String> = sudoers
        .rules
        .iter()
        .map(|r| {
            format!("{}@{} {} {} {} {}", r.users.join(","), r.hosts.join(","), r.command, r.allowed, r.password, r.line)
        })
        .collect();
    let expected = [
        "a,b@ALL /bin/x true false 1",
        "a,b@ALL /bin/y false false 1",
        "a,b@ALL /bin/z true true 1",
        "a,b@h2 ALL true true 1",
        "#12@ALL ALL true true 2",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn aliases_and_refusals_in_lists_are_followed() {
    let sudoers = read("User_Alias ADMINS = deploy, !old : OPS = %ops\nADMINS ALL=ALL\n");
    let named = |name: &str, list: &str| sudoers.lists(&[list.to_owned()], &|word| word == name, 0);
    assert_eq!(named("deploy", "ADMINS"), Some(true));
    assert_eq!(named("old", "ADMINS"), Some(false));
    assert_eq!(named("%ops", "OPS"), Some(true));
    assert_eq!(named("%ops", "!OPS"), Some(false));
}

#[test]
fn defaults_have_a_scope_and_several_settings() {
    let sudoers = read("Defaults:deploy timestamp_timeout=5, !lecture\nDefaults env_keep += \"X\"\n");
    let shown: Vec<_> = sudoers.defaults.iter().map(|d| (d.scope.as_str(), d.name.as_str(), d.value.clone())).collect();
    assert_eq!(shown, [(":deploy", "timestamp_timeout", Some("5".into())), (":deploy", "lecture", None)]);
}
