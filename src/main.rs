//! Parse, run, exit code.

use clap::Parser;
use std::process::ExitCode;
use stockade::commands::{self, Exit};
use stockade::{cli::Cli, report::Console};

fn main() -> ExitCode {
    let mut console = Console::standard();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are results; a wrong argument is wrong input, code 1.
        Err(text) if !text.use_stderr() => {
            console.print(&text.render().to_string());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            console.remark(error.render().to_string().trim_end());
            return ExitCode::from(Exit::Input.code());
        }
    };
    match commands::run(&cli.command, &mut console) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            console.remark(&format!("{error:#}"));
            ExitCode::from(commands::exit_of(&error).code())
        }
    }
}
