//! The token gateway as a program; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    stockade_gateway::cli::run(std::env::args_os(), Box::new(std::io::stdout()), &mut out, &mut err)
}
