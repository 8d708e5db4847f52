//! Parse, run, exit code.

use clap::Parser;
use std::process::ExitCode;
use stockade::{cli::Cli, commands, report::Console};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut console = Console::standard();
    match commands::run(&cli.command, &mut console) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            console.remark(&format!("{error:#}"));
            ExitCode::from(commands::exit_of(&error) as u8)
        }
    }
}
