//! Tests of `key_options`.

use super::*;

#[test]
fn what_sshd_documents_is_accepted() {
    for good in [
        "restrict",
        "from=\"192.0.2.0/24,!192.0.2.9\",restrict,pty",
        "command=\"echo \\\"a, b\\\" c\",no-x11-forwarding",
        "permitopen=\"localhost:80\",permitopen=\"localhost:443\"",
    ] {
        assert_eq!(good.parse::<KeyOptions>().map(|o| o.to_string()), Ok(good.to_owned()));
    }
}

#[test]
fn what_would_end_the_options_or_void_the_line_is_refused() {
    let refused = |text: &str| text.parse::<KeyOptions>().err();
    assert_eq!(refused(" "), Some(InvalidOptions::Empty));
    assert_eq!(refused("restrict\nssh-ed25519 AAAA"), Some(InvalidOptions::Control));
    assert_eq!(refused("restrict ssh-ed25519"), Some(InvalidOptions::Space));
    assert_eq!(refused("command=\"x"), Some(InvalidOptions::Quote));
    assert_eq!(refused("command=\"x\\\""), Some(InvalidOptions::Quote));
    assert_eq!(refused("restrct"), Some(InvalidOptions::Unknown("restrct".into(), Some("restrict"))));
    assert_eq!(refused("from=192.0.2.1"), Some(InvalidOptions::NeedsValue("from".into())));
    assert_eq!(refused("pty=\"x\""), Some(InvalidOptions::TakesNone("pty".into())));
    assert_eq!(refused("restrict,Cert-Authority"), Some(InvalidOptions::CertAuthority));
    assert!(matches!(refused("restrict,,pty"), Some(InvalidOptions::Unknown(..))));
}
