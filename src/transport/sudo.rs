//! Becoming root: the command that is executed, and what sudo's words mean.
//!
//! sudo may be sudo-rs, so nothing depends on the form of a prompt: the prompt
//! is text of our own with random bits in it.

use super::{BOOTSTRAP, TransportError};
use crate::values::hex;

/// Texts that only we know, to follow a sudo that asks for a password.
pub(super) struct Marks {
    /// What sudo prompts with.
    pub(super) prompt: String,
    /// What the root shell says when it has been reached.
    pub(super) ready: String,
}

impl Marks {
    /// New texts.
    ///
    /// # Errors
    /// The machine gives no random numbers.
    pub(super) fn new() -> Result<Marks, String> {
        let mut bytes = [0u8; 8];
        getrandom::fill(&mut bytes).map_err(|error| format!("this machine gives no random numbers: {error}"))?;
        let nonce = hex(&bytes);
        Ok(Marks { prompt: format!("stockade-{nonce}"), ready: format!("ready-{nonce}") })
    }
}

/// The command for the login shell, whichever that is: words that sh, bash,
/// zsh, fish and csh read alike. With marks, sudo reads a password first.
pub(super) fn command(user: &str, marks: Option<&Marks>) -> String {
    let word = |text: &str| crate::shell::quote(text).unwrap_or_default();
    match marks {
        _ if user == "root" => format!("exec /bin/sh -c {}", word(BOOTSTRAP)),
        None => format!("exec env LC_ALL=C sudo -n -- /bin/sh -c {}", word(BOOTSTRAP)),
        Some(marks) => format!(
            "exec env LC_ALL=C sudo -k -S -p {} -- /bin/sh -c {}",
            word(&marks.prompt),
            word(&format!("echo {}; {BOOTSTRAP}", marks.ready))
        ),
    }
}

/// Whether these are the words of a sudo that did not start the shell.
pub(super) fn is_refusal(said: &str) -> bool {
    said.contains("sudo")
}

/// Whether a password might help.
pub(super) fn wants_password(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.contains("password") || said.contains("authentication")
}

/// How often the prompt was shown.
pub(super) fn asked(said: &[u8], marks: &Marks) -> usize {
    String::from_utf8_lossy(said).matches(&marks.prompt).count()
}

/// The refusal, with sudo's own words and what to do.
pub(super) fn error(host: &str, user: &str, said: &str) -> TransportError {
    let advice = if wants_password(said) {
        format!("run on a terminal to be asked for the password, log in as root, or give {user} a NOPASSWD rule")
    } else if said.contains("not found") {
        "install sudo there, or log in as root".to_owned()
    } else {
        format!("give {user} a sudo rule, or log in as root or as another user")
    };
    TransportError::Privilege { host: host.to_owned(), why: format!("{}; {advice}", said.trim()) }
}
