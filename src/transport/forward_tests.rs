//! Tests of `forward`.

use super::*;

fn target() -> Target {
    Target {
        name: "web1".to_owned(),
        address: "192.0.2.7".to_owned(),
        port: Some(2222),
        user: Some("deploy".to_owned()),
        keys: vec![PathBuf::from("/k/it's 100%")],
        known_hosts: vec![PathBuf::from("/k/known")],
        jump: Some("me@bastion:2200".to_owned()),
        local_root: None,
    }
}

#[test]
fn the_hop_gets_the_keys_of_the_login_too_and_no_token_is_replaced_in_them() {
    let (target, policy) = (target(), Policy { use_ssh_config: false, ..Policy::default() });
    let route = route::find(&target, &policy).unwrap();
    let command = command(&route, &policy, true).unwrap();
    let arguments: Vec<_> = command.get_args().map(|word| word.to_str().unwrap()).collect();
    let proxy = arguments.iter().find_map(|word| word.strip_prefix("ProxyCommand=")).unwrap();
    assert!(proxy.starts_with("ssh -F none "), "{proxy}");
    assert!(proxy.contains("100%%") && proxy.ends_with(" -W 192.0.2.7:2222 -- bastion"), "{proxy}");
    assert!(arguments.contains(&"/k/it's 100%") && arguments.contains(&"StrictHostKeyChecking=yes"));
}

#[test]
fn a_host_that_is_this_machine_has_no_ssh_to_forward_by() {
    let local = Target { local_root: Some(PathBuf::from("/")), ..target() };
    let error = Forward::open(&local, &Policy::default(), ("127.0.0.1", 1), true).err().unwrap();
    assert!(error.to_string().contains("not reached by SSH"), "{error}");
}
