//! Tests of `route`.

#![allow(clippy::unwrap_used)]
use super::*;

fn target() -> Target {
    Target {
        name: "web1".to_owned(),
        address: "web1.example".to_owned(),
        port: None,
        user: None,
        keys: Vec::new(),
        known_hosts: Vec::new(),
        jump: None,
        local_root: None,
    }
}

fn options() -> Options {
    Options {
        hostname: Some("192.0.2.7".to_owned()),
        port: Some(2222),
        user: Some("deploy".to_owned()),
        known_hosts: vec!["/k/%h".to_owned()],
        identity_files: vec!["/i/%r".to_owned()],
        proxy_jump: Some("bastion".to_owned()),
        ..Options::default()
    }
}

#[test]
fn what_the_target_leaves_open_comes_from_ssh_config() {
    let route = fill_in(&target(), options()).unwrap();
    assert_eq!((route.host.as_str(), route.port, route.user.as_str()), ("192.0.2.7", 2222, "deploy"));
    assert_eq!(route.known_as, "[192.0.2.7]:2222");
    assert_eq!(route.known_hosts, [PathBuf::from("/k/192.0.2.7")]);
    assert_eq!(route.usual_keys, [PathBuf::from("/i/deploy")]);
    assert_eq!(route.via, Via::Jump("bastion".to_owned()));
}

#[test]
fn what_the_target_says_wins() {
    let mut target = target();
    target.port = Some(22);
    target.user = Some("root".to_owned());
    target.keys = vec![PathBuf::from("/mine")];
    target.jump = Some("none".to_owned());
    let route = fill_in(&target, options()).unwrap();
    assert_eq!((route.known_as.as_str(), route.user.as_str(), route.via), ("192.0.2.7", "root", Via::Direct));
    assert_eq!((route.keys.len(), route.usual_keys.len()), (1, 0));
}

#[test]
fn a_host_key_alias_is_the_name_in_known_hosts() {
    let options = Options { host_key_alias: Some("cluster".to_owned()), ..options() };
    assert_eq!(fill_in(&target(), options).unwrap().known_as, "cluster");
}

#[test]
fn a_list_of_revoked_keys_that_is_not_read_is_refused() {
    let options = Options { revoked_host_keys: Some("/etc/ssh/krl".to_owned()), ..options() };
    assert!(fill_in(&target(), options).is_err());
}

#[test]
fn a_proxy_command_gets_its_tokens_as_words() {
    let options = Options { proxy_jump: None, proxy_command: Some("nc %h %p".to_owned()), ..options() };
    assert_eq!(fill_in(&target(), options).unwrap().via, Via::Command("nc 192.0.2.7 2222".to_owned()));
}

#[test]
fn words_that_ssh_would_take_for_options_or_a_shell_for_code_are_refused() {
    for bad in ["-oProxyCommand=x", "", "a b", "a;b", "$(x)", "a`x`", "a\nb"] {
        let address = Target { address: bad.to_owned(), ..target() };
        let jump = Target { jump: Some(bad.to_owned()), ..target() };
        assert!(check_words(&address).is_err(), "{bad:?}");
        assert!(check_words(&jump).is_err(), "{bad:?}");
    }
    assert!(check_words(&Target { address: "fe80::1%eth0".to_owned(), ..target() }).is_ok());
}
