//! Tests of `rule`.

use super::*;

#[test]
fn a_line_of_ufw_is_written_back_as_it_was_read() {
    // Taken from a host with ufw 0.36.2.
    for (v6, line) in [
        (false, "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"),
        (false, "### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in comment=7765622d78"),
        (false, "### tuple ### deny any 53 0.0.0.0/0 any 10.0.0.0/8 in"),
        (true, "### tuple ### limit tcp 2222 ::/0 any ::/0 in_eth0"),
        (false, "### tuple ### allow tcp 25 1.2.3.4 any 0.0.0.0/0 out"),
        (false, "### tuple ### allow tcp 80,443,1000:1010 0.0.0.0/0 any 0.0.0.0/0 in"),
        (false, "### tuple ### allow tcp 100 0.0.0.0/0 99 0.0.0.0/0 in"),
        (false, "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in"),
        (true, "### tuple ### allow udp 53 2001:db8::1 any ::/0 out"),
    ] {
        let parsed = parse_list(line);
        assert!(matches!(parsed[..], [Line::Rule(_)]), "{line}");
        assert_eq!(list_text(&parsed, v6), format!("{line}\n").into_bytes());
    }
    let mask = "### tuple ### allow any any 0.0.0.0/0 any 10.0.0.0/255.0.255.0 in";
    assert_eq!(parse_list(mask), [Line::Other(mask.into())]);
}

#[test]
fn networks_lose_their_host_bits_as_ufw_drops_them() {
    for (given, kept) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("2001:DB8:0::1/128", "2001:db8::1"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ] {
        assert_eq!(given.parse::<Net>().unwrap().to_string(), kept);
    }
    for bad in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "example.org", "-s", "::1/129"] {
        assert!(bad.parse::<Net>().is_err(), "{bad}");
    }
}

#[test]
fn ports_are_sorted_and_bounded() {
    assert_eq!("443,80,1000:1010".parse::<Ports>().unwrap().to_string(), "80,443,1000:1010");
    for bad in ["", "0", "65536", "5:4", "a", "+22", "22,", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"] {
        assert!(bad.parse::<Ports>().is_err(), "{bad}");
    }
}
