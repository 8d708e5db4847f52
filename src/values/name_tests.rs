//! Tests of `name`.

use super::*;

#[test]
fn a_name_that_could_be_an_option_a_path_or_two_words_is_refused() {
    for bad in ["", "-r", "a b", "a/b", "a\nb", "12", "a:b", "a,b", "@x", "$(x)", "a@b ", &"a".repeat(33)] {
        assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
    }
    for good in ["root", "_apt", "deploy-2", "jane.doe", "wsvc$"] {
        assert_eq!(good.parse::<UserName>().map(|name| name.can_be_made()), Ok(Ok(())), "{good:?}");
    }
    // These come from elsewhere only.
    for foreign in
        ["joe@corp.example", "CORP\\joe", "CORP\\Joe Doe", "1a", "é", "a$b", &format!("{}@b", "a".repeat(33))]
    {
        assert!(foreign.parse::<UserName>().is_ok_and(|name| name.can_be_made().is_err()), "{foreign:?}");
    }
}

#[test]
fn groups_may_have_spaces_but_no_separators_or_options() {
    for good in ["domain users", "c++", "docker", "DOMAIN\\team", "2fa-users"] {
        assert!(good.parse::<GroupName>().is_ok(), "{good:?}");
    }
    for bad in ["", "-x", "+x", "a:b", "a,b", "a\nb", "a ", " a", "1000", "a/b", "~x"] {
        assert!(bad.parse::<GroupName>().is_err(), "{bad:?}");
    }
}

#[test]
fn units_need_a_type_and_packages_must_not_carry_apt_instructions() {
    assert!("docker.service".parse::<UnitName>().is_ok());
    for good in ["getty@tty1.service", "-.mount", "-.slice", "dev-disk-by\\x2duuid.swap", "home-my\\x20data.mount"] {
        assert!(good.parse::<UnitName>().is_ok(), "{good:?}");
    }
    for bad in ["docker", ".service", "a/b.service", "-x.service", "x.conf"] {
        assert!(bad.parse::<UnitName>().is_err(), "{bad:?}");
    }
    for good in ["docker-ce", "libstdc++6", "g++", "libc6:amd64"] {
        assert!(good.parse::<PackageName>().is_ok(), "{good:?}");
    }
    for bad in ["docker-", "docker+", "-y", "Docker", "a", "x=1", "x/stable", "libc6:"] {
        assert!(bad.parse::<PackageName>().is_err(), "{bad:?}");
    }
}

#[test]
fn keys_of_environment_and_kernel_follow_their_own_rules() {
    assert!("A_1".parse::<EnvKey>().is_ok());
    assert!("1A".parse::<EnvKey>().is_err());
    assert!("A-B".parse::<EnvKey>().is_err());
    assert!("net.ipv4.conf.eth0/1.rp_filter".parse::<SysctlKey>().is_ok());
    assert!("kernel".parse::<SysctlKey>().is_err());
    for (written, path) in [
        ("net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.100/rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"),
        ("net.ipv4.conf.eth0/100.rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"),
    ] {
        let key: SysctlKey = written.parse().unwrap();
        assert_eq!(key.proc_path(), path, "{written}");
    }
    let same: SysctlKey = "net/ipv4/conf/eth0.100/rp_filter".parse().unwrap();
    assert_eq!(same.as_str(), "net.ipv4.conf.eth0/100.rp_filter");
    for bad in ["net/ipv4/../x", "/proc/sys/vm/x", "net//x", "net/ipv4/"] {
        assert!(bad.parse::<SysctlKey>().is_err(), "{bad:?}");
    }
    assert!("net..x".parse::<SysctlKey>().is_err());
}
