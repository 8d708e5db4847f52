//! Options before a key in an `authorized_keys` file (sshd(8)).
//!
//! sshd ignores a whole line for one option it does not know: a key with a
//! misspelt option never logs in. The names are checked here, before that.

use std::{fmt, str::FromStr};

/// The text of options, such as `from="192.0.2.0/24",restrict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOptions(String);

/// Why a text is not such options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum InvalidOptions {
    #[error("the options are empty; leave 'options' out")]
    Empty,
    #[error("a control character is in the options")]
    Control,
    #[error("a space outside of double quotes would end the options")]
    Space,
    #[error("a double quote is not closed")]
    Quote,
    #[error("'{}' is not an option of sshd(8){}", .0.escape_debug(), .1.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default())]
    Unknown(String, Option<&'static str>),
    #[error("the option '{0}' needs a value in double quotes: {0}=\"…\"")]
    NeedsValue(String),
    #[error("the option '{0}' takes no value")]
    TakesNone(String),
    #[error("'cert-authority' would accept every certificate of that key; it is not a key to log in with")]
    CertAuthority,
}

const FLAGS: [&str; 15] = [
    "agent-forwarding",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-verify-required",
    "no-X11-forwarding",
    "port-forwarding",
    "pty",
    "restrict",
    "touch-required",
    "user-rc",
    "verify-required",
    "X11-forwarding",
];
const WITH_VALUE: [&str; 8] =
    ["command", "environment", "expiry-time", "from", "permitlisten", "permitopen", "principals", "tunnel"];

impl KeyOptions {
    /// The text, as it stands before the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyOptions {
    type Err = InvalidOptions;

    fn from_str(text: &str) -> Result<KeyOptions, InvalidOptions> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidOptions::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidOptions::Control);
        }
        split(text)?.into_iter().try_for_each(check)?;
        Ok(KeyOptions(text.to_owned()))
    }
}

/// Cuts at the commas outside of quotes; `\"` inside of quotes is a quote in the value.
fn split(text: &str) -> Result<Vec<&str>, InvalidOptions> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            ' ' if !quoted => return Err(InvalidOptions::Space),
            _ => {}
        }
        // As sshd has it: a quote right after a backslash is part of the value.
        escaped = c == '\\';
    }
    if quoted {
        return Err(InvalidOptions::Quote);
    }
    parts.extend(text.get(start..));
    Ok(parts)
}

fn check(option: &str) -> Result<(), InvalidOptions> {
    let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
    let is = |known: &&&str| known.eq_ignore_ascii_case(name);
    if name.eq_ignore_ascii_case("cert-authority") {
        return Err(InvalidOptions::CertAuthority);
    }
    if FLAGS.iter().any(|known| is(&known)) {
        return if value.is_none() { Ok(()) } else { Err(InvalidOptions::TakesNone(name.to_owned())) };
    }
    if WITH_VALUE.iter().any(|known| is(&known)) {
        let whole = value.is_some_and(|v| v.len() > 1 && v.starts_with('"') && v.ends_with('"'));
        return if whole { Ok(()) } else { Err(InvalidOptions::NeedsValue(name.to_owned())) };
    }
    let near = super::suggest(name, FLAGS.into_iter().chain(WITH_VALUE));
    Err(InvalidOptions::Unknown(name.to_owned(), near))
}

impl fmt::Display for KeyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[path = "key_options_tests.rs"]
mod tests;
