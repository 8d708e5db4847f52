//! Tests of `apt_conf`.

use super::*;

#[test]
fn what_apt_config_takes_is_taken() {
    for text in [
        "",
        "A { B 1; };\n",
        "A { B 1; }\n",
        "A { B 1;\n",
        "}",
        "#foo x;\n",
        "#foo x\n",
        "A \"x\" \"y\";",
        "#clear A;\n",
        "/* x \n",
        "A x\"y z\";\n",
        "A:: \"x\";",
        "// c\nA \"//\"; # x\n",
        "A { \"x\"; \"y\" }\n",
        "\"a\" \"b\";",
        "A\n\"1\"\n;\n",
        "DPkg::Post-Invoke { \"a; b { c } || true\"; };\n",
    ] {
        assert_eq!(faults(text), [], "{text}");
    }
}

#[test]
fn what_apt_config_rejects_is_a_fault_of_a_line() {
    for (text, line) in [
        ("# x\nA::B \"1\"\n", 2),
        ("A::B \"1\"\nC \"2\";\n", 1),
        ("{ B 1; };", 1),
        ("\nA \"x;\nB 1;\n", 2),
        ("A B C;", 1),
        ("A { #clear B; };", 1),
        ("#clear;\n", 1),
        ("A [x;", 1),
        ("\"a;", 1),
    ] {
        assert_eq!(faults(text).first().map(|fault| fault.line), Some(line), "{text}");
    }
}
