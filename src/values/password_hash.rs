//! Password hashes in the form of crypt(5).

use super::Secret;
use std::str::FromStr;

/// A password hash by a method that still holds: yescrypt, gost-yescrypt,
/// scrypt, SHA-512, SHA-256 or bcrypt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(Secret);

/// Why a text is not such a hash; never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum InvalidHash {
    #[error("a locked password is no hash; leave it out and write locked = true")]
    Locked,
    #[error(
        "this hash is by a method that is quickly broken (DES, MD5, NT); make one with: mkpasswd --method=yescrypt"
    )]
    Weak,
    #[error("this is not a password hash of crypt(5); make one with: mkpasswd --method=yescrypt")]
    NotAHash,
    #[error("this password hash is cut off or has a character that cannot be in one")]
    Damaged,
}

/// Prefixes of methods with the length of their last part (crypt(5)).
const METHODS: [(&str, usize); 8] =
    [("$y$", 43), ("$gy$", 43), ("$7$", 43), ("$6$", 86), ("$5$", 43), ("$2b$", 53), ("$2a$", 53), ("$2y$", 53)];

impl PasswordHash {
    /// The hash.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

impl FromStr for PasswordHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<PasswordHash, InvalidHash> {
        if text.is_empty() || text.starts_with(['!', '*', 'x']) && text.len() < 3 || text.starts_with('!') {
            return Err(InvalidHash::Locked);
        }
        let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || b"./$=,-".contains(&b);
        let Some((_, length)) = METHODS.iter().find(|(prefix, _)| text.starts_with(prefix)) else {
            let weak_prefix = ["$1$", "$md5", "$3$", "$sha1$", "_"].iter().any(|prefix| text.starts_with(prefix));
            let des = text.len() == 13 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
            return Err(if weak_prefix || des { InvalidHash::Weak } else { InvalidHash::NotAHash });
        };
        let last = text.rsplit('$').next().unwrap_or_default();
        if !text.bytes().all(in_alphabet) || last.len() != *length || text.len() > 384 {
            return Err(InvalidHash::Damaged);
        }
        Ok(PasswordHash(Secret::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_strong_methods_are_accepted_and_never_shown() {
        let last = |length: usize| "a/.Z9".repeat(20).chars().take(length).collect::<String>();
        for (start, length) in
            [("$y$j9T$salt$", 43), ("$6$salt$", 86), ("$6$rounds=5000$salt$", 86), ("$5$salt$", 43), ("$2b$12$", 53)]
        {
            let text = format!("{start}{}", last(length));
            let hash: Result<PasswordHash, _> = text.parse();
            assert!(hash.is_ok(), "{text}");
            assert!(!format!("{hash:?}").contains("a/.Z9"));
            assert_eq!(text[..text.len() - 1].parse::<PasswordHash>(), Err(InvalidHash::Damaged));
            assert_eq!(format!("{text}\n").parse::<PasswordHash>(), Err(InvalidHash::Damaged));
        }
    }

    #[test]
    fn weak_methods_locks_and_plain_passwords_are_refused() {
        let refused = |text: &str| text.parse::<PasswordHash>().err();
        assert_eq!(refused("$1$abcdefgh$0123456789012345678901"), Some(InvalidHash::Weak));
        assert_eq!(refused("abJnggxhB/yWI"), Some(InvalidHash::Weak));
        for lock in ["", "!", "*", "!!", "x", "!$6$salt$x"] {
            assert_eq!(refused(lock), Some(InvalidHash::Locked), "{lock:?}");
        }
        assert_eq!(refused("correct horse"), Some(InvalidHash::NotAHash));
        assert_eq!(refused("$6$sa:t$x"), Some(InvalidHash::Damaged));
    }
}
