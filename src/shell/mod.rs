//! The only place where shell text is made.
//!
//! Whatever a playbook says reaches a POSIX shell as one single-quoted word,
//! built here; no other module may put a value between quotes. The result of
//! [`quote`] is one word to every POSIX shell whatever the value holds (POSIX
//! XCU 2.2.2): inside single quotes nothing is special but the quote itself.
//! A NUL byte cannot be in a word at all and is refused.

mod script;

pub use script::{Command, Script};

/// The shell's function `run_text`, by which every text of an operator's is run.
pub const RUN_TEXT: &str = include_str!("text.sh");

/// What stands before a program of this crate's own that gives an operator's
/// text to `sh -c`: the text is then run as [`RUN_TEXT`] runs it.
pub const STRICT: &str = "sh() { command sh -e \"$@\"; }\n";

/// A value that no shell word can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value with a NUL byte cannot be given to a shell")]
pub struct NulByte;

/// The value as one shell word.
///
/// # Errors
/// [`NulByte`] if the value holds one.
pub fn quote(value: &str) -> Result<String, NulByte> {
    if value.contains('\0') {
        return Err(NulByte);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b);
    // '=' and '~' matter only at certain places; a leading one is quoted too.
    if !value.is_empty() && value.bytes().all(plain) && !value.contains('=') {
        return Ok(value.to_owned());
    }
    Ok(format!("'{}'", value.replace('\'', r"'\''")))
}
