//! A link for tests of what stands on one: the bootstrap protocol with a shell
//! of the tester's own, on this machine, with no rights that the tester lacks.

use super::{BOOTSTRAP, Link, TransportError, local};
use std::process::Command;

/// `/bin/sh -c BOOTSTRAP` as a child process.
///
/// # Errors
/// The shell cannot be started.
pub fn sandbox(host: &str) -> Result<Box<dyn Link>, TransportError> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(BOOTSTRAP);
    Ok(Box::new(local::start(host, command)?))
}
