//! apt_preferences(5), as ReadPinFile in apt's policy.cc reads it.

use super::Fault;
use super::stanzas::{Stanza, parse};

pub(super) fn faults(text: &str) -> Vec<Fault> {
    match parse(text) {
        Ok(stanzas) => stanzas.iter().filter_map(|stanza| fault(stanza).err()).collect(),
        Err(fault) => vec![fault],
    }
}

fn fault(stanza: &Stanza) -> Result<(), Fault> {
    let names = stanza.words("Package");
    if names.is_empty() && !stanza.is_empty() {
        return Err(Fault::fatal(stanza.line, "this record has no 'Package' that names one"));
    }
    let Some((at, pin)) = stanza.field("Pin") else { return Ok(()) };
    let kind = pin.split_whitespace().next().unwrap_or_default();
    let is = |word: &str| kind.eq_ignore_ascii_case(word);
    if is("version") && names == ["*"] {
        return Err(Fault::passed_over(at, "apt ignores this pin: one by version is for named packages, not for '*'"));
    }
    if !(is("version") || is("release") || is("origin")) {
        return Err(Fault::passed_over(at, "apt ignores this pin: it begins with none of version, release and origin"));
    }
    let at = stanza.line_of("Pin-Priority");
    let priority = stanza.field("Pin-Priority").map_or("", |(_, value)| value);
    if priority == "never" {
        return match names[..] {
            ["*"] => Ok(()),
            _ => Err(Fault::fatal(at, "the priority 'never' is for 'Package: *' only")),
        };
    }
    let digits: String = priority
        .char_indices()
        .take_while(|(at, c)| c.is_ascii_digit() || (*at == 0 && (*c == '-' || *c == '+')))
        .map(|(_, c)| c)
        .collect();
    match digits.parse::<i64>() {
        Ok(0) => Err(Fault::fatal(at, "the priority is 0, which apt takes for none")),
        Ok(number) if i16::try_from(number).is_err() => {
            Err(Fault::fatal(at, "the priority must be from -32768 to 32767"))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::fatal(at, "there is no Pin-Priority that is a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<(usize, bool)> {
        faults(text).first().map(|fault| (fault.line, fault.fatal))
    }

    #[test]
    fn records_are_judged_as_apt_does() {
        let rest = "Pin: version 1\nPin-Priority: 900\n";
        for (text, wanted) in [
            (format!("Package: bash\n{rest}"), None),
            (format!("# c\n\nPackage: bash\n{rest}"), None),
            (format!("Package: src:bash\n{rest}"), None),
            ("Package: bash\nPin-Priority: 100\n".to_owned(), None),
            ("Package: *\nPin: release a=x\nPin-Priority: -1\n".to_owned(), None),
            ("Package: bash\nPin: release\nPin-Priority: 9x\n".to_owned(), None),
            ("Package: bash\nPin: version 1\nPin-Priority: +5\n".to_owned(), None),
            ("Package: bash\nPin: version 1\nPin-Priority: 1 2\n".to_owned(), None),
            (" foo".to_owned(), None),
            ("Package: bash\nPin: version 1\n".to_owned(), Some((1, true))),
            (rest.to_owned(), Some((1, true))),
            ("Package: bash\nPin: version 1\nPin-Priority: high\n".to_owned(), Some((3, true))),
            ("Package: bash\nPin: version 1\nPin-Priority: 99999\n".to_owned(), Some((3, true))),
            ("Package: bash\nPin: version 1\nPin-Priority: 0\n".to_owned(), Some((3, true))),
            ("Package: bash\nPin: version 1\nPin-Priority: never\n".to_owned(), Some((3, true))),
            (format!("Explanation: x\n\nPackage: bash\n{rest}"), Some((1, true))),
            (format!("foo bar\nPackage: bash\n{rest}"), Some((1, true))),
            (format!("Package: bash\n{rest}foo\n"), Some((4, true))),
            ("Package:\nPin: release a=x\nPin-Priority: 3".to_owned(), Some((1, true))),
            ("Package: bash\nPin: foo 1\nPin-Priority: 900\n".to_owned(), Some((2, false))),
            (format!("Package: *\n{rest}"), Some((2, false))),
        ] {
            assert_eq!(first(&text), wanted, "{text}");
        }
    }
}
