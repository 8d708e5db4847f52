//! Tests of `apt_sources`.

use super::*;

#[test]
fn lines_are_judged_as_apt_does() {
    for line in [
        "deb http://x/ y z",
        "deb http://x/ y/",
        "deb [arch=amd64 signed-by=/x] http://x y z # c",
        "deb [ arch=amd64 signed-by=/x ] http://x y z",
        "deb [] http://x y z",
        "  # foo",
        "",
        "deb cdrom:[foo bar]/ y z",
        "deb \"http://x\" y z",
        "deb [arch=,] http://x y z",
        "deb [foo=bar] http://x y z",
        "deb [arch=amd64 ] http://x y z\r",
    ] {
        assert_eq!(of_lines(line), [], "{line}");
    }
    for line in [
        "deb http://x/ y",
        "deb http://x/ y/ main",
        "deb",
        "http://x y z",
        "deb [arch] http://x y z",
        "deb [trusted=yes http://x y z",
        "deb x y z",
        "DEB http://x y z",
        "deb[arch=amd64] http://x y z",
        "deb [arch=amd64]http://x y z",
        "deb [arch=] http://x y z",
        "deb [=x] http://x y z",
        "deb http://x y \"",
    ] {
        assert_eq!(of_lines(&format!("# x\n{line}\n")).first().map(|fault| fault.line), Some(2), "{line}");
    }
}

#[test]
fn stanzas_are_judged_as_apt_does() {
    let right = "Types: deb\nURIs: http://x\nSuites: y\nComponents: z\n";
    for text in [
        right,
        "",
        "# x\n\nTypes: deb\nURIs: http://x\n# foo\nSuites: y\nComponents: z\n\n# bar\n",
        "Enabled: no\nTypes: deb\n",
        "Types:\nURIs: http://x\nSuites: y\nComponents: z\n",
        "Types: deb\n  deb-src\nURIs: http://x\nSuites: y\nComponents: z\n",
        "Types: deb\r\nURIs: http://x\r\nSuites: y\r\nComponents: z\r\n",
        "Types: deb\nURIs: http://x\nSuites: ./\nSigned-By:\n -----BEGIN\n .\n x\n",
    ] {
        assert_eq!(of_stanzas(text), [], "{text}");
    }
    for (text, line) in [
        ("Types: deb\nURIs: http://x\nSuites: y\n", 3),
        ("URIs: http://x\nSuites: y\n", 1),
        ("# x\nTypes: foo\nURIs: http://x\nSuites: y\nComponents: z\n", 2),
        ("Types: deb\nURIs: x\nSuites: y\nComponents: z\n", 2),
        ("Types: deb\nURIs: http://x\nSuites: y/\nComponents: z\n", 3),
        ("deb http://x y z\n", 1),
        ("Types: deb\nfoo\nURIs: http://x\nSuites: y\nComponents: z\n", 2),
        (&format!("{right}foo\n"), 5),
        (&format!("{right}\n\nTypes: deb\nURIs: http://x\n"), 7),
        (" Types: deb\nURIs: http://x\nSuites: y\nComponents: z\n", 1),
        ("Types: deb\nURIs: \nSuites: y\nComponents: z\n", 1),
        ("Enabled: no\nTypes: foo\n", 2),
        (&format!("{right}   \nTypes: foo"), 6),
    ] {
        assert_eq!(of_stanzas(text).first().map(|fault| fault.line), Some(line), "{text}");
    }
}
