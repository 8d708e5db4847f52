//! The tables of `docs/commands.md`, from the definitions of the command line
//! and of the exit codes.

use super::cell;
use super::rust_source::items;
use clap::{Arg, Command, CommandFactory};
use std::fmt::Write;
use stockade::cli::Cli;

pub fn exit_codes() -> String {
    let mut text = String::from("\n| code | meaning |\n|---|---|\n");
    for item in items("src/commands/mod.rs", "pub enum Exit") {
        // "Done, or nothing differs: 0."
        let Some((meaning, code)) = item.doc.trim_end_matches('.').rsplit_once(": ") else { continue };
        assert!(code.parse::<u8>().is_ok(), "{item:?}");
        writeln!(text, "| {code} | {} |", cell(meaning)).unwrap();
    }
    text.push('\n');
    text
}

pub fn reference() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = String::new();
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        section(&mut text, command, "", 2);
    }
    text.push('\n');
    text
}

fn section(text: &mut String, command: &Command, above: &str, depth: usize) {
    let name = format!("{above}{}", command.get_name());
    let about = command.get_about().unwrap_or_default().to_string();
    write!(text, "\n{} {name}\n\n{about}.\n", "#".repeat(depth)).unwrap();
    let arguments: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set() && !is_general(arg)).collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | |\n|---|---|\n");
        for arg in arguments {
            writeln!(text, "| {} | {} |", cell(&spelling(arg)), cell(&help(arg))).unwrap();
        }
    }
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        section(text, sub, &format!("{name} "), depth + 1);
    }
}

/// Every command has these.
fn is_general(arg: &Arg) -> bool {
    ["help", "version"].contains(&arg.get_id().as_str())
}

/// "`-i`, `--inventory FILE`"
fn spelling(arg: &Arg) -> String {
    let names: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let takes = arg.get_action().takes_values();
    let Some(long) = arg.get_long() else { return format!("`{}`", names.join(" ")) };
    let short = arg.get_short().map(|c| format!("`-{c}`, ")).unwrap_or_default();
    let value = if takes { format!(" {}", names.join(" ")) } else { String::new() };
    format!("{short}`--{long}{value}`")
}

fn help(arg: &Arg) -> String {
    let mut text = arg.get_help().unwrap_or_default().to_string();
    if !arg.get_action().takes_values() {
        return text;
    }
    let words: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !words.is_empty() {
        write!(text, "; one of {}", words.join(", ")).unwrap();
    }
    let defaults: Vec<&str> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    if !defaults.is_empty() {
        write!(text, "; default `{}`", defaults.join(" ")).unwrap();
    }
    text
}
