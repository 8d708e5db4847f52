//! The order of package versions (Debian Policy 5.6.12, deb-version(7)).

use std::cmp::Ordering;

/// Compares two package versions as dpkg does.
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    let (left, right) = (parts(one), parts(other));
    left.0.cmp(&right.0).then_with(|| compare(left.1, right.1)).then_with(|| compare(left.2, right.2))
}

/// Epoch, upstream version and revision.
fn parts(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.parse().unwrap_or(0), upstream, revision)
}

/// The weight of a character: '~' before the end, the end before letters,
/// letters before everything else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(b) => i32::from(b) + 256,
    }
}

fn compare(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one.as_bytes(), other.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        // First what is no digit, one character after the other.
        let is_text = |bytes: &[u8]| bytes.first().is_some_and(|b| !b.is_ascii_digit());
        while is_text(left) || is_text(right) {
            let order = weight(left.first().copied()).cmp(&weight(right.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            (left, right) = (left.get(1..).unwrap_or_default(), right.get(1..).unwrap_or_default());
        }
        let (a, b) = (digits(&mut left), digits(&mut right));
        let order = a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the number at the front, without leading zeros.
fn digits<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let end = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
    let (number, rest) = bytes.split_at(end);
    *bytes = rest;
    let zeros = number.iter().position(|b| *b != b'0').unwrap_or(number.len());
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::compare_versions;
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        for (one, other, order) in [
            ("1.0", "1.0", Equal),
            ("1.0", "1.00", Equal),
            ("0:1.0", "1.0", Equal),
            ("1.0-0", "1.0", Equal),
            ("1.9", "1.10", Less),
            ("1.0~rc1", "1.0", Less),
            ("1.0~", "1.0~~", Greater),
            ("1.0a", "1.0", Greater),
            ("1.0+b1", "1.0a", Greater),
            ("1:0.1", "9.9", Greater),
            ("1.0-1", "1.0-1ubuntu1", Less),
            ("1.0-2", "1.0-10", Less),
            ("2.36-9+deb12u4", "2.36-9", Greater),
            ("1.2.3-4-5", "1.2.3-5", Greater),
        ] {
            assert_eq!(compare_versions(one, other), order, "{one} {other}");
            assert_eq!(compare_versions(other, one), order.reverse(), "{other} {one}");
        }
    }
}
