//! Tests of `environment_file`.

use super::*;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<EnvKey, Secret> {
    pairs.iter().map(|(key, value)| (key.parse().unwrap(), Secret::new(*value))).collect()
}

#[test]
fn values_are_quoted_sorted_and_below_one_comment() {
    let bytes = write(&environment(&[("B", "a\nb"), ("A", "\"$x`\\ #;'")])).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text, format!("{HEADER}A=\"\\\"\\$x\\`\\\\ #;'\"\nB=\"a\nb\"\n"));
}

#[test]
fn what_systemd_would_drop_is_refused_without_showing_it() {
    for bad in ["top\0secret", "top\x1bsecret", "top\x7fsecret", "top\u{fdd0}secret", "top\u{1fffe}secret"] {
        let error = write(&environment(&[("KEY", bad)])).unwrap_err().to_string();
        assert!(error.contains("'KEY'") && !error.contains("secret"), "{error}");
    }
    let long = "x".repeat(LONGEST - "KEY=".len() - 1);
    assert!(write(&environment(&[("KEY", &long)])).is_ok());
    assert!(write(&environment(&[("KEY", &format!("{long}x"))])).is_err());
}

#[test]
fn a_file_written_by_hand_is_read_as_systemd_reads_it() {
    let text =
        "# c\n; c\n\nA = b  c \nB='x\\y\n z' \nC=\"a\\nb\\\"\\\nc\"\nD=a\\\nb\nnothing\n1X=no\nE=\nA=last\nF=\"a\"'b'c";
    let expected = [("A", "last"), ("B", "x\\y\n z"), ("C", "a\\nb\"c"), ("D", "ab"), ("E", ""), ("F", "abc")];
    assert_eq!(read(text.as_bytes()), environment(&expected));
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_read_back(values in proptest::collection::vec("[\\PC\n\t\r]{0,12}", 0..6)) {
        let pairs = values.iter().enumerate();
        let all: BTreeMap<EnvKey, Secret> =
            pairs.map(|(n, value)| (format!("K{n}").parse().unwrap(), Secret::new(value.as_str()))).collect();
        if let Ok(bytes) = write(&all) {
            proptest::prop_assert!(read(&bytes).iter().map(|(k, v)| (k, v.expose())).eq(all.iter().map(|(k, v)| (k, v.expose()))));
        }
    }
}
