//! Tests of `authority`.

use super::*;

fn made() -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::at(folder.path().join("ca"));
    authority.init("a test").unwrap();
    (folder, authority)
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn openssl_trusts_what_the_authority_issues() {
    let (_folder, authority) = made();
    let Issued::Made(path) = authority.issue("web1", &names(&["web1", "192.0.2.1"]), 10, false).unwrap() else {
        unreachable!()
    };
    let output = std::process::Command::new("openssl")
        .args(["verify", "-purpose", "sslserver", "-verify_ip", "192.0.2.1", "-CAfile"])
        .arg(authority.certificate())
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["ca.key", "hosts/web1.key"] {
        let mode = fs::metadata(authority.folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_certificate_is_kept_until_its_names_or_its_authority_change_or_it_ends() {
    let (_folder, authority) = made();
    let one = names(&["web1"]);
    assert!(matches!(authority.issue("web1", &one, 100, false), Ok(Issued::Made(_))));
    assert!(matches!(authority.issue("web1", &one, 100, false), Ok(Issued::Kept(_))));
    assert!(matches!(authority.issue("web1", &one, 100, true), Ok(Issued::Made(_))));
    assert!(matches!(authority.issue("web1", &names(&["web1", "10.0.0.1"]), 20, false), Ok(Issued::Made(_))));
    // It ends in 20 days.
    assert!(matches!(authority.issue("web1", &one, 100, false), Ok(Issued::Made(_))));
    fs::remove_file(authority.certificate()).unwrap();
    fs::remove_file(authority.key()).unwrap();
    authority.init("another").unwrap();
    assert!(matches!(authority.issue("web1", &one, 100, false), Ok(Issued::Made(_))));
}

#[test]
fn an_authority_is_not_overwritten_and_its_key_is_not_for_others() {
    let (_folder, authority) = made();
    assert!(authority.init("again").unwrap_err().to_string().contains("is there already"));
    fs::set_permissions(authority.key(), fs::Permissions::from_mode(0o640)).unwrap();
    let error = authority.issue("web1", &names(&["web1"]), 10, false).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn names_that_are_no_names_are_refused() {
    let (_folder, authority) = made();
    assert!(authority.issue("../x", &names(&["x"]), 10, false).is_err());
    assert!(authority.issue("x", &names(&["a b"]), 10, false).is_err());
    assert!(authority.issue("x", &names(&["*"]), 10, false).is_err());
}
