//! crontab(5), as load_env and load_entry of Debian's cron read it. Forms that
//! other crons know and this one does not ('~', a leading '-') are not judged.

use super::Fault;
use crate::values::UserName;

/// The fields of time: what they are, the lowest and the highest number, and names for the numbers.
struct Field {
    what: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { what: "minute", low: 0, high: 59, names: &[] },
    Field { what: "hour", low: 0, high: 23, names: &[] },
    Field { what: "day of the month", low: 1, high: 31, names: &[] },
    Field {
        what: "month",
        low: 1,
        high: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field {
        what: "day of the week",
        low: 0,
        high: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    },
];

const SPECIAL: [&str; 8] = ["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// What is wrong with a crontab; `of_system`: a line names the user that runs it.
pub(super) fn faults(text: &str, of_system: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (line, entry) in entries(text) {
        match judge(entry, of_system) {
            Err(why) => faults.push(Fault::fatal(line, why)),
            Ok("") => faults.push(Fault::passed_over(line, "this entry has no command, so that it runs nothing")),
            Ok(command) if has_newline_sign(command) => faults.push(Fault::passed_over(
                line,
                "cron takes the first '%' in the command for its end, and what follows for its input: write '\\%' for \
                 the sign itself (crontab(5))",
            )),
            Ok(_) => {}
        }
    }
    faults
}

/// The users that a system's crontab names, with their lines.
pub(super) fn users(text: &str) -> Vec<(usize, UserName)> {
    let user = |(line, entry)| Some((line, after_time(entry).ok()?.split_whitespace().next()?.parse().ok()?));
    entries(text).filter_map(user).collect()
}

/// The lines that are neither empty nor a comment nor a variable, with their numbers.
fn entries(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_start_matches([' ', '\t'])));
    lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#') && !is_variable(line))
}

/// `NAME = value`, with or without quotes around each; behind quotes stands nothing more.
fn is_variable(line: &str) -> bool {
    let rest = match line.chars().next() {
        Some(quote @ ('"' | '\'')) => line[1..].split_once(quote).map(|(_, rest)| rest),
        _ => line.find(|c: char| c == '=' || c.is_whitespace()).map(|at| &line[at..]),
    };
    let Some(value) = rest.and_then(|rest| rest.trim_start().strip_prefix('=')).map(str::trim) else { return false };
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).is_some_and(|(_, rest)| rest.is_empty()),
        _ => true,
    }
}

/// The command of an entry.
fn judge(entry: &str, of_system: bool) -> Result<&str, String> {
    let rest = after_time(entry)?;
    if !of_system {
        return Ok(rest);
    }
    let (user, command) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    if user.parse::<UserName>().is_err() {
        return Err("the user that runs the command must stand between the times and the command".to_owned());
    }
    Ok(command.trim())
}

/// What stands behind the times of an entry.
fn after_time(entry: &str) -> Result<&str, String> {
    let cut = |text: &'_ str| text.find([' ', '\t']).unwrap_or(text.len());
    if entry.starts_with('@') {
        let (name, rest) = entry.split_at(cut(entry));
        return match SPECIAL.contains(&name.trim_end()) {
            true => Ok(rest.trim_start_matches([' ', '\t'])),
            false => Err(format!("cron knows {} and no other word with '@'", SPECIAL.join(", "))),
        };
    }
    let mut rest = entry;
    for (at, field) in FIELDS.iter().enumerate() {
        let (value, after) = rest.split_at(cut(rest));
        if value.trim().is_empty() {
            return Err("there must be five times (minute, hour, day, month, day of the week)".to_owned());
        }
        let is_foreign = value.contains('~') || value.starts_with('-');
        if !is_foreign && !value.split(',').all(|one| field.takes(one)) {
            return Err(format!(
                "field {}, the {}, is no list of '*', numbers from {} to {}{} and ranges of these",
                at + 1,
                field.what,
                field.low,
                field.high,
                if field.names.is_empty() { "" } else { ", names of three letters" }
            ));
        }
        rest = after.trim_start_matches([' ', '\t']);
    }
    Ok(rest)
}

impl Field {
    fn takes(&self, one: &str) -> bool {
        let (range, step) = match one.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (one, None),
        };
        if !step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0)) {
            return false;
        }
        match range.split_once('-') {
            // What follows the star is not looked at.
            _ if range.starts_with('*') => true,
            Some((from, to)) => match (self.number(from), self.number(to.split('-').next().unwrap_or_default())) {
                // One that ends before it begins never comes, and is taken all the same.
                (Some(_), Some(_)) => true,
                _ => false,
            },
            // A step is one of a range (crontab(5)).
            None => step.is_none() && self.number(range).is_some(),
        }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let named = || {
            let at = self.names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
            Some(u32::try_from(at).ok()? + self.low)
        };
        let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten().or_else(named)?;
        (self.low..=self.high).contains(&number).then_some(number)
    }
}

/// Whether a '%' without a backslash stands in a command.
fn has_newline_sign(command: &str) -> bool {
    let mut escaped = false;
    command.chars().any(|c| {
        let found = c == '%' && !escaped;
        escaped = c == '\\' && !escaped;
        found
    })
}

#[cfg(test)]
#[path = "crontab_tests.rs"]
mod tests;
