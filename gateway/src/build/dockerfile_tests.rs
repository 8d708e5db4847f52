use proptest::prelude::*;

use super::*;

fn id(c: char) -> String {
    c.to_string().repeat(64)
}

fn parsed(text: &str) -> Dockerfile {
    Dockerfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn refused(text: &str) -> String {
    match Dockerfile::parse(text.as_bytes()) {
        Ok(dockerfile) => panic!("{text:?} is accepted: {dockerfile:?}"),
        Err(error) => error.to_string(),
    }
}

fn args(list: &[(&str, Option<&str>)]) -> BuildArgs {
    list.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect()
}

fn names(text: &str, build_args: &BuildArgs, target: Option<&str>) -> Result<Vec<String>, DockerfileError> {
    let references = parsed(text).references(build_args, target)?;
    Ok(references.into_iter().map(|reference| reference.reference).collect())
}

/// Pins ids to themselves, and everything else to an id of its own.
fn pin(reference: &ImageReference) -> Option<String> {
    let text = &reference.reference;
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    Some(format!("sha256:{}", if hex { text.clone() } else { id('a') }))
}

fn rendered(text: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<_> = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    String::from_utf8(parsed(text).render(&BuildArgs::new(), None, &labels, &pin).unwrap()).unwrap()
}

#[test]
fn references_are_the_images_and_neither_stages_nor_scratch() {
    let none = BuildArgs::new();
    for (text, want) in [
        ("FROM a", &["a"][..]),
        ("from\ta:1\u{b}as b\nFROM B", &["a:1"]),
        (
            "FROM a AS x\nFROM b\nCOPY --from=x / /\nCOPY --from=X / /\nCOPY --from=0 / /\nCOPY --from=c:2 / /",
            &["a", "b", "c:2"],
        ),
        ("FROM scratch\nCOPY --from=x/y@sha256:0 / /", &["x/y@sha256:0"]),
        ("FROM a AS scratch\nFROM scratch", &["a"]),
        ("FROM later\nFROM b AS later", &["later", "b"]),
        ("FROM a\nCOPY --from= / /", &["a"]),
        ("FROM a\nCOPY --from=\"q\" / /", &["a", "q"]),
        ("FROM 'a'\"b\"\\c", &["abc"]),
        ("FR\\\n# c\nOM \\\n\n other/app", &["other/app"]),
        ("# escape=`\nFROM a`\nb\nRUN x \\\nUSER c", &["ab"]),
        ("FROM a\nCOPY \u{a0}--from=x y z", &["a"]),
        ("FROM a\nRUN echo --from=x", &["a"]),
    ] {
        assert_eq!(names(text, &none, None).unwrap(), want, "{text:?}");
    }
}

#[test]
fn build_arguments_stand_over_defaults_and_only_where_they_are_declared() {
    let text = "ARG A=one\nARG B=$A:1 C\nARG D=\"${C:-d}\"\nFROM $A\nFROM ${B}\nFROM ${C:-none}\nFROM $D\nFROM x$E";
    let all = |list| names(text, &args(list), None).unwrap();
    assert_eq!(all(&[]), ["one", "one:1", "none", "d", "x"]);
    assert_eq!(all(&[("A", Some("two")), ("E", Some("e"))]), ["two", "two:1", "none", "d", "x"]);
    assert_eq!(all(&[("A", None), ("C", Some("c"))]), ["one", "one:1", "c", "c", "x"]);
    // Arguments of one instruction do not see each other.
    assert_eq!(names("ARG A=1\nARG A=2 B=x$A\nFROM $B", &BuildArgs::new(), None).unwrap(), ["x1"]);
    assert_eq!(names("ARG A=1\nARG A\nFROM x$A", &BuildArgs::new(), None).unwrap(), ["x"]);
    // An argument of a stage is none of the next FROM.
    assert_eq!(names("FROM a\nARG A=1\nFROM x$A", &BuildArgs::new(), None).unwrap(), ["a", "x"]);
}

#[test]
fn a_reference_that_cannot_be_decided_is_refused() {
    for text in [
        "FROM $A",
        "FROM ''",
        "FROM a$",
        "FROM ${A-b}",
        "FROM ${A%b}",
        "FROM $HTTP_PROXY",
        "ARG https_proxy\nFROM a$https_proxy",
        "ARG A=${B-c}\nFROM $A",
        "ARG A=é\nFROM $A",
        "FROM \"a",
        "FROM a,b",
        "FROM --platform=$BUILDPLATFORM a",
        "FROM --platform=a;b a",
        "FROM a\nCOPY --from=$A / /",
        "FROM a\nCOPY --from=${A} / /",
        "FROM a\nCOPY --from=0 / /",
        "FROM a\nCOPY --from=1 / /",
        "FROM a\nFROM b\nCOPY --from=-1 / /",
        "FROM a\nCOPY --from=99999999999999999999 / /",
        "FROM a\nCOPY --from=scratch / /",
        "FROM a\nCOPY --from=a,b / /",
    ] {
        assert!(names(text, &BuildArgs::new(), None).is_err(), "{text:?}");
        assert!(parsed(text).render(&BuildArgs::new(), None, &[], &pin).is_err(), "{text:?}");
    }
    // What no FROM needs may stay undecided.
    assert_eq!(names("ARG A=${B-c}\nFROM a", &BuildArgs::new(), None).unwrap(), ["a"]);
    let bomb: String = (1..60).map(|n| format!("ARG A{n}=$A{0}$A{0}\n", n - 1)).collect();
    assert!(
        names(&format!("ARG A0=aaaa\n{bomb}FROM x"), &BuildArgs::new(), None).unwrap_err().message.contains("too long")
    );
}

#[test]
fn a_target_ends_the_build_at_its_stage() {
    let text = "FROM a AS one\nFROM b AS two\nADD http://h/x /\nFROM $c";
    let none = BuildArgs::new();
    assert_eq!(names(text, &none, Some("ONE")).unwrap(), ["a"]);
    assert_eq!(names(text, &none, Some("two")).unwrap(), ["a", "b"]);
    assert!(names(text, &none, None).is_err());
    assert!(names(text, &none, Some("1")).is_err());
    assert!(names(text, &none, Some("three")).is_err());
    assert_eq!(parsed(text).fetches(Some("one")).unwrap(), []);
    assert_eq!(parsed(text).steps(Some("two")).unwrap(), 3);
    let out = parsed(text).render(&none, Some("one"), &[], &pin).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), format!("FROM {} AS one\n", id('a')));
}

#[test]
fn what_the_daemon_fetches_is_listed_or_refused() {
    let fetched = |source: &str| {
        let all = parsed(&format!("FROM a\nADD {source} /x")).fetches(None).unwrap();
        all.into_iter().map(|fetch| (fetch.host, fetch.port)).collect::<Vec<_>>()
    };
    let one = |host: &str, port| vec![(host.to_owned(), port)];
    assert_eq!(fetched("http://127.0.0.1:8080/a"), one("127.0.0.1", 8080));
    assert_eq!(fetched("HTTPS://Host.example?x"), one("host.example", 443));
    assert_eq!(fetched("--chown=1:1 http://[::1]/a"), one("[::1]", 80));
    assert_eq!(fetched("a http://h b"), one("h", 80));
    assert_eq!(fetched("file"), []);
    assert_eq!(fetched("https.txt http:/x ./github.com/x"), []);
    let json = parsed("FROM a\nADD [\"htt\\u0070://h:1/\", \"/x y\"]").fetches(None).unwrap();
    assert_eq!((json[0].url.as_str(), json[0].port, json[0].line), ("http://h:1/", 1, 2));
    for source in [
        "$URL",
        "${URL}",
        "\\http://h/",
        "\"http://h/\"",
        "'a'",
        "`a",
        "http://u@h/",
        "http://u:p@h/",
        "http://h:0/",
        "http://h:/",
        "http://h:99999/",
        "http://h:080/",
        "http://",
        "http://h%2f/",
        "http://[::1/",
        "http://[x]/",
        "http://hé/",
        "git@h:x",
        "git://h/x",
        "ssh://h/x",
        "github.com/a/b",
        "x.git#main",
        "ftp://h/x",
        "https://h/x.git#$a",
    ] {
        refused(&format!("FROM a\nADD {source} /x"));
        refused(&format!("FROM a\nONBUILD ADD {source} /x"));
    }
    refused("FROM a\nADD [\"$a\", \"/x\"]");
    refused("FROM a\nONBUILD ADD http://h/ /x");
    assert!(refused("FROM a\nADD $URL /x").contains("COPY"));
    // COPY fetches nothing.
    parsed("FROM a\nCOPY $x \"y\" http://h/ $z\nADD x $HOME/");
}

#[test]
fn reserved_labels_cannot_be_set() {
    for label in [
        "io.stockade.tenant=x",
        "a=b io.stockade.tenant=x",
        "\"io.stockade.tenant\"=x",
        "'io.stockade.x'=y",
        "io.stockade.tenant x",
        "IO.Stockade.tenant=x",
        "io.\u{17f}tockade.tenant=x",
        "io.stoc\u{212a}ade.tenant=x",
        "$k=x",
        "io.${s}.tenant=x",
        "io.stock\\ade.tenant=x",
        "io.stock`ade.tenant=x",
        "io.\"stockade\".tenant=x",
        "\"io\".stockade.tenant=x",
        "\"\"=x",
        "$k x",
    ] {
        for before in ["", "ONBUILD ", "onbuild\t"] {
            refused(&format!("FROM a\n{before}LABEL {label}"));
        }
    }
    // A later build reads the trigger with a backslash as the escape character.
    refused("# escape=`\nFROM a\nONBUILD LABEL a=b` io.stockade.tenant=x");
    refused("# escape=`\nFROM a\nONBUILD LABEL a=b\\ io.stockade.tenant=x");
    parsed("FROM a\nLABEL io.stockadex=1 \"com.example v\"='$x y' stockade.io=\"a\\\"b\"\nLABEL b c d");
}

#[test]
fn what_needs_buildkit_or_is_doubtful_is_refused_with_its_line() {
    for (text, want) in [
        ("FROM a\nRUN <<EOF\nx\nEOF", "line 2: heredocs"),
        ("FROM a\nRUN cat <<-'E' x", "heredocs"),
        ("FROM a\nRUN [ -f x ] && cat 3<<E", "heredocs"),
        ("FROM a\nCOPY <<E /x", "heredocs"),
        ("FROM a\nCOPY [\"<<E\", \"/x\"]", "<<"),
        ("FROM a\nONBUILD RUN cat <<E", "heredocs"),
        ("FROM a\nRUN --mount=type=bind,from=b x", "needs BuildKit"),
        ("FROM a\nRUN --network=host x", "needs BuildKit"),
        ("FROM a\nRUN --security=insecure x", "needs BuildKit"),
        ("FROM a\nCOPY --chmod=1 a b", "needs BuildKit"),
        ("FROM a\nADD --checksum=x a b", "needs BuildKit"),
        ("FROM a\nCOPY --from=a --from=b x y", "twice"),
        ("FROM a\nCOPY --fr\\om=a x y", "escape"),
        ("FROM a\nCOPY --from x y", "needs a value"),
        ("FROM a\nCOPY --from=\"a b\" x y", "white space"),
        ("FROM a\nCOPY --from=\"a x y", "white space"),
        ("FROM a\nCOPY --from=é x y", "ASCII"),
        ("FROM a\nCMD --help", "flag"),
        ("FROM a\nARG --x a", "flag"),
        ("FROM a\nRUN [\"a\"] b", "text follows"),
        ("FROM a\nRUN [1]", "strings only"),
        ("FROM a\nRUN []", "empty"),
        ("FROM a\nRUN", "needs an argument"),
        ("FROM a\nRUN --", "needs an argument"),
        ("FROM a\nSHELL sh", "JSON"),
        ("FROM a\nVOLUME [\"\"]", "empty"),
        ("FROM a\nCOPY x", "destination"),
        ("FROM a\nHEALTHCHECK", "argument"),
        ("FROM a\nHEALTHCHECK NONE x", "NONE"),
        ("FROM a\nHEALTHCHECK CMD", "CMD"),
        ("FROM a\nHEALTHCHECK CMD []", "command"),
        ("FROM a\nLABEL a", "name and a value"),
        ("FROM a\nLABEL a=b c", "name=value"),
        ("FROM a\nENV a='b", "not closed"),
        ("FROM a\nENV =b", "name=value"),
        ("ARG 'a=b'\nFROM a", "name"),
        ("FROM a b", "FROM takes"),
        ("FROM a is b", "FROM takes"),
        ("FROM a a\u{17f} b", "ASCII"),
        ("FROM a AS 1", "name"),
        ("FROM a AS b\nFROM c AS B", "used already"),
        ("FROM a AS ${b}", "name"),
        ("RUN x\nFROM a", "before the first FROM"),
        ("ARG a", "no FROM"),
        ("", "no FROM"),
        ("# c", "no FROM"),
        ("FROM a\nwor\u{212a}dir x", "no instruction"),
        ("FROM a\nFROM\u{a0}b", "no instruction"),
        ("FROM a\n\\", "no instruction"),
        ("FROM a\nINCLUDE x", "no instruction"),
        ("FROM a\nONBUILD ONBUILD RUN x", "trigger"),
        ("FROM a\nONBUILD FROM x", "trigger"),
        ("FROM a\nONBUILD MAINTAINER x", "trigger"),
        ("FROM a\nONBUILD -- RUN x", "no flags"),
        ("FROM a\nONBUILD COPY --from=b x y", "pinned"),
        ("FROM a\nONBUILD COPY --from=$b x y", "pinned"),
    ] {
        let message = refused(text);
        assert!(message.contains(want), "{text:?}: {message}");
    }
    refused(&format!("FROM a AS {}", id('b')));
    let long: String = (0..40).map(|_| format!("{} \\\n", "y".repeat(2000))).collect();
    let error = parsed(&format!("FROM a\nRUN {long}x")).render(&BuildArgs::new(), None, &[], &pin).unwrap_err();
    assert!(error.to_string().starts_with("Dockerfile line 2: ") && error.message.contains("64 KiB"), "{error}");
    for text in ["FROM a\nRUN cat <<<x", "FROM a\nRUN echo $((1<<2)) a<<b", "FROM a\nRUN [\"cat\", \"<<E\"]"] {
        parsed(text);
    }
}

#[test]
fn a_base_images_triggers_are_judged_as_instructions() {
    let dockerfile = parsed("FROM a AS one\nFROM b AS two\nFROM c");
    let check = |stage, trigger: &str| dockerfile.check_onbuild(stage, &[trigger.to_owned()]);
    for trigger in ["RUN x", "copy . /app", "COPY --from=one / /", "COPY --from=0 / /", "ADD x /x", "LABEL a=b"] {
        assert_eq!(check(1, trigger), Ok(Triggers { unlabelled: 1 }), "{trigger}");
    }
    for trigger in [
        "COPY --from=two / /",
        "COPY --from=other/app / /",
        "COPY --from=1 / /",
        "ADD http://h/ /",
        "ADD $x /",
        "LABEL io.stockade.tenant=x",
        "FROM x",
        "ONBUILD RUN x",
        "RUN --mount=type=bind,from=x y",
        "RUN cat <<E",
        "RUN x\nRUN y",
        "# escape=`\nRUN x",
        "RUN x\\",
        "",
        "# x",
        "nothing",
    ] {
        let error = check(1, trigger).unwrap_err();
        assert_eq!(error.line, 2, "{trigger}");
    }
    assert_eq!(check(2, "COPY --from=two / /"), Ok(Triggers { unlabelled: 1 }));
}

#[test]
fn what_is_rendered_is_one_line_an_instruction_pinned_and_labelled() {
    let text = "# syntax=evil/frontend\n# note\nARG V=1\nfrom --platform=linux/amd64 other/app:$V as Build\n\
                RUN a \\\n  # no\n\n  && b\ncopy  --chown=1:1  --from=x/y  a\t b\nFROM build\nCOPY --from=BUILD / /\n\
                CMD -- --help\nHEALTHCHECK --interval=\"5s\" CMD x\nFROM scratch";
    let a = id('a');
    assert_eq!(
        rendered(text, &[("io.stockade.tenant", "te\"a$m\\")]),
        format!(
            "ARG V=1\nFROM --platform=linux/amd64 {a} AS build\nLABEL io.stockade.tenant=\"te\\\"a\\$m\\\\\"\n\
             RUN a   && b\nCOPY --chown=1:1 --from={a} a\t b\nFROM build\n\
             LABEL io.stockade.tenant=\"te\\\"a\\$m\\\\\"\nCOPY --from=0 / /\nCMD -- --help\n\
             HEALTHCHECK --interval=5s CMD x\nFROM scratch\nLABEL io.stockade.tenant=\"te\\\"a\\$m\\\\\"\n"
        )
    );
    assert_eq!(
        rendered("# escape=`\nFROM a\nRUN dir C:\\ `\n x\nUSER b\\", &[("l", "a`\\")]),
        format!("# escape=`\nFROM {a}\nLABEL l=\"a``\\\"\nRUN dir C:\\  x\nUSER b\\\n")
    );
    let render = |labels: &[(String, String)], pin: &dyn Fn(&ImageReference) -> Option<String>| {
        parsed("FROM a\nUSER b\\\u{b}").render(&BuildArgs::new(), None, labels, pin)
    };
    // Without the vertical tab the line would be continued.
    assert!(render(&[], &pin).unwrap_err().message.contains("one line"));
    assert!(parsed("FROM a").render(&BuildArgs::new(), None, &[("a b".into(), String::new())], &pin).is_err());
    assert!(parsed("FROM a").render(&BuildArgs::new(), None, &[("a".into(), "\n".into())], &pin).is_err());
    for id in ["sha256:abc", "other/app", &id('a'), &format!("sha256:{}", id('A'))] {
        assert!(parsed("FROM a").render(&BuildArgs::new(), None, &[], &|_| Some(id.to_owned())).is_err(), "{id}");
    }
    let error = parsed("FROM other/app").render(&BuildArgs::new(), None, &[], &|_| None).unwrap_err();
    assert_eq!(error.to_string(), "Dockerfile line 1: the image \"other/app\" is not known");
}

fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "FROM a",
        "FROM $V AS b",
        "from ${V:-x}",
        "FROM scratch",
        "ARG V=a",
        "ARG V",
        "RUN x",
        "RUN [\"a\", \"b\"]",
        "RUN [ -f x ] && y",
        "COPY --from=b x y",
        "COPY --from=0 x y",
        "COPY --from=img x y",
        "COPY -- --a b",
        "ADD x y",
        "ADD http://h:1/a b",
        "LABEL a=b",
        "LABEL \"a\"='b c'",
        "LABEL a b",
        "ENV a=b\\ c",
        "USER a\\",
        "USER a`",
        "ONBUILD RUN x",
        "ONBUILD COPY --from=0 x y",
        "# c",
        "# escape=`",
        "\\",
        "`",
        " ",
        "\t",
        "\u{b}",
        "\n",
        "\n",
        "\n",
        "\n",
        "\\\n",
        "`\n",
        "\r\n",
        "\"",
        "'",
        "$",
        "{",
        "}",
        "<<E",
        "--",
        "[",
        "]",
        "é",
        "\u{a0}",
        "HEALTHCHECK CMD x",
        "CMD []",
        "VOLUME /a",
        "EXPOSE 1 2",
        "SHELL [\"a\"]",
        "WORKDIR /a",
    ]);
    known.prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn rendering_keeps_every_instruction_and_is_a_fixed_point(
        pieces in prop::collection::vec(piece(), 0..14),
        lines in any::<bool>(),
    ) {
        let text = format!("FROM a\n{}", pieces.join(if lines { "\n" } else { "" }));
        let Ok(first) = Dockerfile::parse(text.as_bytes()) else { return Ok(()) };
        let Ok(once) = first.render(&BuildArgs::new(), None, &[], &pin) else { return Ok(()) };
        let second = Dockerfile::parse(&once).unwrap();
        let twice = second.render(&BuildArgs::new(), None, &[], &pin).unwrap();
        prop_assert_eq!(String::from_utf8(once), String::from_utf8(twice));
        prop_assert_eq!(first.steps(None).unwrap(), second.steps(None).unwrap());
        for reference in second.references(&BuildArgs::new(), None).unwrap() {
            prop_assert_eq!(reference.reference.len(), 64);
        }
        let plain = |dockerfile: &Dockerfile| {
            let all = dockerfile.meta.iter().chain(dockerfile.stages.iter().flat_map(|stage| &stage.instructions));
            all.map(|found| (found.keyword, found.args.clone(), found.flag("chown").map(str::to_owned)))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(plain(&first), plain(&second));
        let names = |dockerfile: &Dockerfile| dockerfile.stages.iter().map(|stage| stage.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&first), names(&second));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Dockerfile::parse(text.as_bytes());
        let _ = Dockerfile::parse(format!("FROM a\n{text}").as_bytes());
        let _ = Dockerfile::parse(&bytes);
    }
}
