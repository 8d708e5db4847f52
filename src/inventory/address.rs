//! `user@address:port` as the operator writes it.

/// What such a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub user: Option<String>,
    pub address: String,
    pub port: Option<u16>,
}

impl Address {
    /// What a host is called that is known only by its address.
    pub fn name(&self) -> String {
        match self.port {
            None => self.address.clone(),
            Some(port) if self.address.contains(':') => format!("[{}]:{port}", self.address),
            Some(port) => format!("{}:{port}", self.address),
        }
    }
}

/// Why a text cannot be an address or a login: it could be read as an option
/// or as two words.
pub(super) fn unfit(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty")
    } else if text.starts_with('-') {
        Some("it begins with '-'")
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '@' | '/' | '\\' | '\'' | '"')) {
        Some("it has a character that no address has")
    } else {
        None
    }
}

/// Reads `user@address:port`; user and port may be left out.
pub(super) fn parse(text: &str) -> Result<Address, String> {
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (address, port) = if let Some(inner) = rest.strip_prefix('[') {
        let (address, after) = inner.split_once(']').ok_or("the '[' is not closed")?;
        match after {
            "" => (address, None),
            _ => (address, Some(after.strip_prefix(':').ok_or("after ']' only ':port' may stand")?)),
        }
    } else if rest.matches(':').count() > 1 {
        (rest, None)
    } else {
        rest.split_once(':').map_or((rest, None), |(address, port)| (address, Some(port)))
    };
    let port = match port {
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Some(port),
            _ => return Err(format!("'{}' is no port (1 to 65535)", digits.escape_debug())),
        },
    };
    for (what, part) in [("the user", user), ("the address", Some(address))] {
        if let Some(why) = part.and_then(unfit) {
            return Err(format!("{what}: {why}"));
        }
    }
    Ok(Address { user: user.map(str::to_owned), address: address.to_owned(), port })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_address_is_read() {
        for (text, user, address, port, name) in [
            ("web1", None, "web1", None, "web1"),
            ("u@192.0.2.1:2222", Some("u"), "192.0.2.1", Some(2222), "192.0.2.1:2222"),
            ("u@[2001:db8::1]:22", Some("u"), "2001:db8::1", Some(22), "[2001:db8::1]:22"),
            ("2001:db8::1", None, "2001:db8::1", None, "2001:db8::1"),
            ("[::1]", None, "::1", None, "::1"),
        ] {
            let found = parse(text).unwrap();
            assert_eq!(found.name(), name);
            assert_eq!(found, Address { user: user.map(str::to_owned), address: address.to_owned(), port }, "{text}");
        }
    }

    #[test]
    fn what_could_be_an_option_or_two_words_is_no_address() {
        for text in [
            "",
            "@a",
            "u@",
            "-oProxyCommand=x",
            "u@-x",
            "-l@a",
            "a b",
            "a:0",
            "a:99999",
            "a:",
            "a:x",
            "[::1",
            "[::1]x",
            "a\nb",
            "a:+1",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
