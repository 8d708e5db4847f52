//! Tests of `public_key`.

use super::*;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHAEObYnFNlKAbU+b49v7BMpEvaEsOHG7W1ZGqvk4R7/ test ed25519";
const RSA_3072: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC5Z3LNtUFUQ/fB9AegfcjZpC/tCBRW0hxAYlypeujFBtbw1ecAv2A42MhiOBLhKfn52+YBQfk03RSJd/63/tnGEqI/AQ2wrnYblIkpPv/lxgbpsMmoHaqgzQDmqsws/IHztRwFxGDFmp0dK2AMUjgYAKaEGfs0DR/kieWzjO+I0oxKEqd4h1UtsZ+89/x4kGf9O79Sf2gCjtMoT4Yofzs4dMSiSbq1dQ+44DJcnsU3hcLrZqKZxlslW9Vvigfjt6lC1A1LUvmANJE3e5KJZmzXzMoVfkCsiMIwcbL+hMdZS/S9jYg7B5sjP8EY60lvrb9zeXrcz0tAO7bpELjhqhz9pwgB8ET49fjniUmLeCdMolMCO6BW3icn8LU5J6rlNBYJH1N164JUv3lJPyvZ5JhmLYUqXIt/BN7dn2MGq+TbEL2TUh9QpgKemrlQ2s4J7EzBJH8rJVuvACzFVmvdpVu/v90jOnF6I2e3ki3JeIuTDg/V5TuzNn3+4SCxZliErK8= test rsa-b3072";
const RSA_2048: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCyPV4a129s4D3eooV3uedlS1L47AnScMFmUF5la/ZXAfZPnuROgCfEfzl/NIYPthmY+RCs0HL9/mxqSTjyo+bF6/NJVZYjwYb/CD6SksFiF/GIzvv07lMUuIl+g3iqcBOTag3PrCQC8jEwcJKFI7UQvAA718lFDj2Sw5duXTT7SFC6nohtt9XDcC9tJ4gq+RTcVN/0J6SeRHvPalkM908/S7zUxGJwt35o9NdVQsh+DBZWt7vja44GQC7/Fn9StrbJu8Pl36vBSf5nyee5BBjugxVcnbtKitp03dgPz553qbcq/eh3TWUo6xtCE9jjmZK6nulHcijK+bNKSe9JqwLf test rsa-b2048";
const NISTP256: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAddcyCLm98EO/ubVyiq45JuSZdpv6Ipr0Chju9efjocmqwzClw64X2wqVsc8JXHEVNZZRUjf+gT65bo/3Le7eY= test ecdsa-b256";
const NISTP521: &str = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBACduymK1ELdC9IzuVLbLoS37q9lWwib7tjQ4ocf04I+MAL1VHIrZSgEAap2OHOWRYqPseZOntKAp+pPnj9+EUyWIAD2WXI8UxapnuOooTlcRL4Dj8Q4nuW4yNQ8S75VCcLMxuCUgFT5Nir5L2oATrpIYOkBtk08DhpfeTPNCQsdtoa7Zg== test ecdsa-b521";
const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAO/Ct9rmi1aj9EI1T7qOinSkJCyNRLCZtfOQUsOKXxv+5i7TMwxNTvUHfDtOzLU4PQIp+DHfpXxZQafcG/Aqv7AD2KdL1HdJvBDIAe2/S6svowR0yo+RP9+tp1K4cc5+nFEhQ4gLocJULmGlq66KFWaLc77peQrFGKnMf58sMOyZAAAAFQDRSQePL8lDGIGcwDiLihuGOYRlVwAAAIEA7GIuTHgG07fo7dRd+ejdJHSqS7ypXXkl0eDGCcMDUhvX/KQKpvuQtRlu8KuTkUplDK9VZDbirHB9PGozoartJnS4jysXd8a4HJSL0mP8dxLgv0Gm+8axiroA+dHSBXND25m9Y151So0xobWaYqZO9sS+5DhzAyk4uGyZMIq6SKUAAACBAJj5Ta38t9EVrS20o/nEGcRNgdh9fvE/YNN+PfG5cPttFfwtnBvyKvAuc9UsW9GV/0yeVmpfqYrKPic9BqohVBsFNx+WMjp2B+TCjoF5z8Xi3OC4mdSX/ZCzUJGM/VUhOnkgonLZPMGeXYGp1ziv1aZaq/x+1gCRae5dFYAY1y3x test dsa";

fn parse(text: &str) -> Result<PublicKey, InvalidKey> {
    text.parse()
}

fn wire(fields: &[&[u8]]) -> Vec<u8> {
    let field = |f: &&[u8]| [&u32::try_from(f.len()).unwrap().to_be_bytes(), *f].concat();
    fields.iter().flat_map(field).collect()
}

fn line(fields: &[&[u8]]) -> String {
    format!("{} {} x", String::from_utf8_lossy(fields[0]), BASE64.encode(wire(fields)))
}

#[test]
fn keys_made_by_openssh_come_back_byte_for_byte() {
    for text in [ED25519, RSA_3072, NISTP256, NISTP521] {
        assert_eq!(parse(&format!("{text}\r\n")).unwrap().to_string(), text);
    }
    assert_eq!(parse(ED25519).unwrap().fingerprint(), "SHA256:/lBShE9gtno38Vnwidok1hR2ucR+UEKx2odAoCYij+A");
}

#[test]
fn weak_keys_are_refused_with_the_reason() {
    assert_eq!(parse(RSA_2048), Err(InvalidKey::WeakRsa(2048)));
    assert_eq!(parse(DSA), Err(InvalidKey::Dsa));
    // 385 bytes whose first is small: 3072 bits by length, fewer in fact.
    let modulus = [[0x01].as_slice(), &[0xff; 383]].concat();
    assert_eq!(parse(&line(&[b"ssh-rsa", &[3], &modulus])), Err(InvalidKey::WeakRsa(3065)));
}

#[test]
fn a_second_key_cannot_be_smuggled_in() {
    for glue in ["\n", "\r", "\r\n", "\u{2028}", "\n\n"] {
        assert_eq!(parse(&format!("{ED25519}{glue}{NISTP256}")), Err(InvalidKey::SecondLine), "{glue:?}");
    }
    let two = parse(&format!("{ED25519} {NISTP256}")).unwrap();
    assert_eq!(two.to_string().lines().count(), 1);
    assert_eq!(two.blob(), parse(ED25519).unwrap().blob());
}

#[test]
fn options_certificates_and_private_keys_are_refused() {
    assert_eq!(parse(&format!("command=\"x y\" {ED25519}")), Err(InvalidKey::Options));
    assert!(matches!(parse("ssh-ed25519-cert-v01@openssh.com AAAA x"), Err(InvalidKey::Certificate(_))));
    assert!(matches!(parse("ssh-foo AAAA"), Err(InvalidKey::UnknownType(_))));
    assert_eq!(parse(" \n"), Err(InvalidKey::Empty));
    let private = parse("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n").unwrap_err();
    assert_eq!(private, InvalidKey::Private);
    assert!(!private.to_string().contains("b3Bl"));
}

#[test]
fn damaged_keys_never_pass_and_never_panic() {
    let point: &[u8] = &[7; 32];
    let empty_number = line(&[b"ssh-rsa", b"", b""]);
    let trailing = line(&[b"ssh-ed25519", point, b"more"]);
    let short = line(&[b"ssh-ed25519", &point[1..]]);
    let other_type = format!("ssh-rsa {}", BASE64.encode(wire(&[b"ssh-ed25519", point])));
    let other_curve = line(&[b"ecdsa-sha2-nistp256", b"nistp384", &[4; 65]]);
    let huge_length = format!("ssh-ed25519 {}", BASE64.encode([0xff; 40]));
    let exponent_one = line(&[b"ssh-rsa", &[1], &[0x7f; 400]]);
    for bad in [&empty_number, &trailing, &short, &other_type, &other_curve, &huge_length, &exponent_one] {
        assert!(matches!(parse(bad), Err(InvalidKey::Damaged(_))), "{bad}: {:?}", parse(bad));
    }
    for cut in 0..ED25519.len() - 14 {
        assert!(parse(&ED25519[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn keys_on_security_tokens_are_accepted() {
    let ed = line(&[b"sk-ssh-ed25519@openssh.com", &[7; 32], b"ssh:"]);
    let point = [[4].as_slice(), &[7; 64]].concat();
    let ec = line(&[b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", &point, b"ssh:"]);
    for text in [ed, ec] {
        assert_eq!(parse(&text).unwrap().to_string(), text);
    }
}

#[test]
fn a_comment_is_one_line_of_visible_text() {
    let base = ED25519.trim_end_matches(" test ed25519");
    let odd = parse(&format!("{base}   a\t b \u{202e}c \u{fc} ")).unwrap();
    assert_eq!(odd.comment(), "a b c \u{fc}");
    assert_eq!(parse(&format!("{base} a\u{1b}[2Jb")), Err(InvalidKey::Control));
    assert_eq!(parse(base).unwrap().to_string(), base);
}

proptest::proptest! {
    #[test]
    fn any_bytes_after_a_type_are_an_answer_not_a_panic(kind in 0..TYPES.len(), bytes: Vec<u8>) {
        let fields = wire(&[TYPES[kind].as_bytes()]);
        let text = format!("{} {}", TYPES[kind], BASE64.encode([fields, bytes].concat()));
        if let Ok(key) = parse(&text) {
            proptest::prop_assert_eq!(key.to_string(), text);
        }
    }
}
