//! Tests of `harmless`.

use super::may_configure_apt;

#[test]
fn only_texts_of_known_programs_leave_apt_as_it_is() {
    for text in [
        "touch /etc/x",
        "mkdir -p /srv/a && chown www-data: /srv/a",
        "if ! getent group x; then groupadd x; fi",
        "X=1 /usr/bin/install -m 600 a b\n# a note\nsystemctl restart nginx | cat",
        "for i in 1 2; do echo $i >/srv/$i; done",
        "swapoff -a; dd if=/dev/zero of=/swap bs=1M count=1 2>/dev/null",
    ] {
        assert!(!may_configure_apt(text, None, None), "{text}");
    }
    for text in [
        "add-apt-repository -y ppa:x/y",
        "echo 'deb http://x ./' >/etc/apt/sources.list.d/x.list",
        "dpkg --add-architecture i386",
        "curl -fsSL https://x.example/setup.sh | sh",
        "./setup.sh",
        "/opt/touch x",
        "/usr/local/bin/touch x",
        "PATH=/opt touch x",
        "touch x; sh -c 'y'",
        "echo $(wget -O- x)",
        "cat <<END\nhello there\nEND",
        "$PROGRAM x",
        "cp -r overlay/. /",
        "cd /etc && cp -r /srv/x/. .",
    ] {
        assert!(may_configure_apt(text, None, None), "{text}");
    }
    assert!(may_configure_apt("cp x y", None, Some(&"/etc/apt/sources.list.d".parse().unwrap())));
    let user = "ada".parse().unwrap();
    assert!(!may_configure_apt("./build.sh", Some(&user), None), "only root writes below /etc/apt");
    assert!(may_configure_apt("sudo ./build.sh", Some(&user), None));
}
