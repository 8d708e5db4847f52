//! File modes.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The permission bits of a file, 0 to 07777 (chmod(1), octal form).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u16);

/// Why a text is not a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a file mode: write three or four octal digits, such as \"0644\"", .0.escape_debug())]
pub struct InvalidMode(String);

impl Mode {
    /// A mode from its bits; what lies above 07777 is cut off.
    pub const fn from_bits(bits: u16) -> Mode {
        Mode(bits & 0o7777)
    }

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl FromStr for Mode {
    type Err = InvalidMode;
    fn from_str(text: &str) -> Result<Self, InvalidMode> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        match u16::from_str_radix(text, 8) {
            Ok(bits) if octal => Ok(Mode(bits)),
            _ => Err(InvalidMode(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Mode {
    type Error = InvalidMode;
    fn try_from(text: String) -> Result<Self, InvalidMode> {
        text.parse()
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> String {
        mode.to_string()
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_three_or_four_octal_digits() {
        assert_eq!("644".parse::<Mode>().unwrap().to_string(), "0644");
        assert_eq!("4755".parse::<Mode>().unwrap().bits(), 0o4755);
        for bad in ["999", "", "64", "00644", "u+x", "-644", "+644", "0o644"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad:?}");
        }
    }
}
