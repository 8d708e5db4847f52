//! Tests of `ssh_config`.

#![allow(clippy::unwrap_used)]
use super::*;

const OUTPUT: &str = "host web1\nuser deploy\nhostname 192.0.2.7\nport 2222\naddressfamily any\n\
        identityfile ~/.ssh/work key\nidentityfile ~/.ssh/id_ed25519\nidentitiesonly yes\n\
        userknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2\n\
        globalknownhostsfile /etc/ssh/ssh_known_hosts\nproxyjump admin@bastion:2200\nproxycommand none\n";

#[test]
fn the_options_of_ssh_g_are_read() {
    let options = parse(OUTPUT);
    assert_eq!(options.hostname.as_deref(), Some("192.0.2.7"));
    assert_eq!((options.port, options.user.as_deref()), (Some(2222), Some("deploy")));
    assert_eq!(options.identity_files, ["~/.ssh/work key", "~/.ssh/id_ed25519"]);
    assert_eq!(options.known_hosts.len(), 3);
    assert_eq!(options.known_hosts[2], "/etc/ssh/ssh_known_hosts");
    assert_eq!(options.proxy_jump.as_deref(), Some("admin@bastion:2200"));
    assert_eq!(options.proxy_command, None);
    assert!(options.identities_only);
}

#[test]
fn a_line_without_value_or_with_a_port_out_of_range_is_passed_over() {
    let options = parse("port 99999\nhostname\n\n  \nuser x\n");
    assert_eq!((options.port, options.hostname, options.user.as_deref()), (None, None, Some("x")));
}

#[test]
fn tokens_are_replaced_and_an_unknown_one_is_refused() {
    let tokens = Tokens { given: "web", host: "192.0.2.7", port: 22, user: "u x" };
    let word = |text: &str| crate::shell::quote(text).unwrap();
    assert_eq!(tokens.expand("nc %h %p %% %r %n", word).unwrap(), "nc 192.0.2.7 22 % 'u x' web");
    assert!(tokens.expand("nc %C", word).is_err());
    assert!(tokens.expand("nc %", word).is_err());
}
