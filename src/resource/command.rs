//! `command`: shell text with the check that makes it idempotent.
//!
//! A guard is always required: without one nobody could say whether the host
//! differs, neither before the apply nor after it.

use super::{Args, Field, Kind, Resource, Type, directory, ownership, parents, shell_text};
use crate::observe::{
    Environment, FileType, HostState, Known, PathState, PredictedState, Queries, Query, Run, files_read,
};
use crate::plan::{Action, CommandOp, Guard, Op, PendingNames, PlanError, Planned, Postcondition, decided_at_its_turn};
use crate::shell::quote;
use crate::values::{AbsPath, Diagnostic, NodeValue, Secret, UserName};

pub(super) const KIND: Kind = Kind {
    name: "command",
    summary: "Shell text that runs where its guard says that it is due.",
    main: "run",
    fields: &[
        Field::required(
            "run",
            Type::String,
            "the shell text, run by sh with set -e: the first command that fails ends it",
        ),
        Field::optional("creates", Type::String, "a path; where it exists there is nothing to do"),
        Field::optional("removes", Type::String, "a path; where it does not exist there is nothing to do"),
        Field::optional(
            "unless",
            Type::String,
            "shell text that changes nothing, run by sh with set -e; where it exits with 0 there is nothing to do",
        ),
        Field::optional(
            "when_changed",
            Type::StringOrStrings,
            "names or tags of steps before it, or \"previous\": it runs when one of them has changed something, in this \
             run or in an earlier one that did not come so far or left it out by tags; a change that is made while its \
             'when' is false asks for nothing, unless a probe decides 'when'; no other guard is needed then",
        ),
        Field::optional("environment", Type::Map, "variables for 'run' and 'unless'; their values are kept secret"),
        Field::optional("as", Type::String, "the user who runs it and its guard, default \"root\""),
        Field::optional(
            "directory",
            Type::String,
            "where 'run' and 'unless' run, default \"/\"; it must be there, or be made by an earlier step",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Shell {
    run: String,
    creates: Option<AbsPath>,
    removes: Option<AbsPath>,
    unless: Option<Run>,
    /// The names under which a change that it follows is noted on the host.
    pending: Option<PendingNames>,
    environment: Environment,
    user: Option<UserName>,
    directory: Option<AbsPath>,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let run = args.string("run")?;
    if run.trim().is_empty() {
        args.refuse("run", "'run' is empty");
    }
    for field in ["run", "unless"] {
        if args.string(field).is_some_and(|text| text.contains('\0')) {
            args.wrong_value(field, format!("'{field}' holds a NUL byte, which no shell can take"));
        }
    }
    if ["creates", "removes", "unless", "when_changed"].iter().all(|field| args.node(field).is_none()) {
        args.error(
            Diagnostic::new(
                args.span("run"),
                "a command needs one of 'creates', 'removes' and 'unless', or 'when_changed'",
            )
            .with_help("it says when there is nothing to do; without it the command would run at every apply"),
        );
    }
    let user: Option<UserName> = args.parse("as");
    let directory: Option<AbsPath> = args.parse("directory");
    let environment = environment(args);
    let unless = args.string("unless").map(|text| {
        let text = within(directory.as_ref(), &text);
        Run { user: user.clone().filter(|u| !is_root(u)), environment: environment.clone(), ..Run::shell(&text) }
    });
    let pending = args.node("when_changed").map(|_| {
        // Of what has no step: the same command keeps its name.
        let who = user.as_ref().map_or("root", UserName::as_str);
        let text = format!("{who}\0{}\0{run}", args.string("directory").unwrap_or_default());
        PendingNames::new(&text, &text, &[])
    });
    Some(Box::new(Shell {
        run,
        pending,
        creates: args.parse("creates"),
        removes: args.parse("removes"),
        unless,
        environment,
        user: user.filter(|user| !is_root(user)),
        directory,
    }))
}

/// Text that is run in a directory; where that cannot be entered, it fails. The
/// lines keep their numbers, which the shell's errors tell.
fn within(directory: Option<&AbsPath>, text: &str) -> String {
    match directory.map(|directory| quote(directory.as_str())) {
        Some(Ok(directory)) => format!("cd -- {directory} 2>/dev/null || exit 1; {text}"),
        // No path holds a NUL byte.
        Some(Err(_)) | None => text.to_owned(),
    }
}

fn is_root(user: &UserName) -> bool {
    user.as_str() == "root"
}

fn environment(args: &mut Args<'_>) -> Environment {
    let entries = args.node("environment").and_then(|node| node.as_table()).unwrap_or_default();
    let mut variables = Vec::with_capacity(entries.len());
    for entry in entries {
        let value = match &entry.node.value {
            NodeValue::String(text) => text.clone(),
            NodeValue::Integer(number) => number.to_string(),
            NodeValue::Float(number) => number.to_string(),
            NodeValue::Bool(flag) => flag.to_string(),
            _ => continue,
        };
        if value.contains('\0') {
            args.error(Diagnostic::new(entry.node.span.clone(), "a variable's value cannot hold a NUL byte"));
        }
        match entry.key.parse() {
            Ok(key) => variables.push((key, Secret::new(value))),
            Err(error) => args.error(Diagnostic::new(entry.key_span.clone(), format!("{error}"))),
        }
    }
    variables.into_iter().collect()
}

/// What the guards say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    No,
    Yes,
    /// They are asked at its turn; what they depend on, as in "step 3".
    AtItsTurn(String),
}

impl Shell {
    /// Nothing is to be done as soon as one guard says so. What an earlier step
    /// of the run may change is asked again when the turn comes.
    fn due(&self, host: &PredictedState) -> Result<Due, PlanError> {
        let mut verdicts = Vec::new();
        let at_its_turn = |on: Option<&str>, known: Due| on.map_or(known, |on| Due::AtItsTurn(on.to_owned()));
        let brought = || host.brought_by().or(host.changed_by()).or(Some("an earlier step"));
        if let Some(pending) = &self.pending {
            verdicts.push(match pending.all().any(|name| host.is_pending(name)) {
                true => Due::Yes,
                false => at_its_turn(pending.all().find_map(|name| host.perhaps_pending_by(name)), Due::No),
            });
        }
        if let Some(path) = &self.creates {
            verdicts.push(match host.path(path)? {
                PathState::Present(_) => at_its_turn(host.commanded_by(path), Due::No),
                PathState::Absent => Due::Yes,
                PathState::AfterApply => match host.output(&Postcondition::promise(path)) {
                    Ok(Known::Is(output)) if output.code == 0 => at_its_turn(host.commanded_by(path), Due::No),
                    _ => at_its_turn(brought(), Due::No),
                },
            });
        }
        if let Some(path) = &self.removes {
            verdicts.push(match host.path(path)? {
                PathState::Present(_) => Due::Yes,
                PathState::Absent => at_its_turn(host.rewritten_by(path), Due::No),
                PathState::AfterApply => at_its_turn(brought(), Due::No),
            });
        }
        if let Some(run) = &self.unless {
            verdicts.push(match host.output(run)? {
                Known::Is(output) if output.code == 0 && host.still_answers(run) => Due::No,
                Known::Is(output) if output.code == 0 => at_its_turn(host.changed_by(), Due::No),
                // What a package brings may satisfy the guard before its turn comes, and so
                // may what a step makes of a file that the guard reads.
                Known::Is(_) => at_its_turn(host.packages_by().or_else(|| host.rereads(run)), Due::Yes),
                Known::AfterApply => at_its_turn(brought(), Due::No),
            });
        }
        let open = verdicts.iter().find(|verdict| matches!(verdict, Due::AtItsTurn(_)));
        Ok(match open {
            _ if verdicts.contains(&Due::No) => Due::No,
            Some(open) => open.clone(),
            None => Due::Yes,
        })
    }

    /// Its shell texts, by the fields that give them.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let unless = self.unless.as_ref().and_then(|run| run.argv.last());
        std::iter::once(("run", self.run.as_str())).chain(unless.map(|text| ("unless", text.as_str())))
    }

    /// Refuses a directory that will not be there.
    fn check_directory(&self, host: &PredictedState, planned: &mut Planned) -> Result<(), PlanError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        match host.path(directory)? {
            PathState::Present(entry) if matches!(entry.file_type, FileType::File | FileType::Other) => {
                Err(PlanError::Refused(format!(
                    "'directory' is {directory}, which is {} on the host",
                    directory::in_the_way(entry.file_type)
                )))
            }
            PathState::Absent => match host.appears_by(directory) {
                Some(on) => {
                    let any = host.brought_by_any().unwrap_or_else(|| on.to_owned());
                    planned.notes.push(format!("there is no {directory} yet: {any} must bring it"));
                    Ok(())
                }
                // Below a link that the run makes there may be what is not there now.
                None if directory.ancestors().any(|above| is_link(host, &above)) => Ok(()),
                None => Err(PlanError::Refused(format!(
                    "there is no {directory} on the host, which 'directory' names; add a step before this one: \
                     directory = {{ path = \"{directory}\" }}"
                ))),
            },
            PathState::Present(_) | PathState::AfterApply => Ok(()),
        }
    }

    /// What is asked right before it, where an earlier step may change the answer.
    fn guard(&self, host: &PredictedState, due: &Due) -> Option<Guard> {
        if *due == Due::Yes && self.pending.is_none() {
            host.changed_by()?;
        }
        let unless = self.unless.as_ref().and_then(|run| run.argv.last()).cloned();
        Some(Guard {
            creates: self.creates.clone(),
            removes: self.removes.clone(),
            unless,
            pending: self.pending.as_ref().map(|names| names.own.clone()),
            hands_on: Vec::new(),
        })
    }

    fn postconditions(&self) -> Vec<Postcondition> {
        let mut outcomes = Vec::new();
        outcomes.extend(self.creates.clone().map(Postcondition::Exists));
        outcomes.extend(self.removes.clone().map(Postcondition::Gone));
        outcomes.extend(self.unless.clone().map(Postcondition::Succeeds));
        outcomes.extend(self.pending.as_ref().map(|names| Postcondition::Followed(names.own.clone())));
        outcomes
    }
}

fn is_link(host: &HostState, path: &AbsPath) -> bool {
    let entry = host.path(path).ok().and_then(PathState::entry);
    entry.is_some_and(|entry| entry.file_type == FileType::Link)
}

impl Resource for Shell {
    fn queries(&self, queries: &mut Queries) {
        self.texts().for_each(|(_, text)| shell_text::ask(queries, text));
        for path in self.creates.iter().chain(&self.removes) {
            queries.ask(Query::Path(path.clone()));
        }
        if let Some(run) = &self.unless {
            queries.ask(Query::Run(run.clone()));
            // Whether a change is one of what it reads.
            queries.extend(run.argv.last().and_then(|text| files_read(text)).into_iter().flatten().map(Query::Path));
        }
        queries.extend(self.user.as_ref().map(|user| Query::User(user.to_string())));
        if let Some(directory) = &self.directory {
            queries.ask(Query::Path(directory.clone()));
            parents::queries(directory, queries);
        }
    }

    fn identify(&mut self, names: &PendingNames) {
        if self.pending.is_some() {
            self.pending = Some(names.clone());
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        self.texts().try_for_each(|(field, text)| shell_text::check(host, field, text))?;
        let due = self.due(host)?;
        if due == Due::No {
            return Ok(planned);
        }
        planned.action = Some(Action::Run);
        if let Due::AtItsTurn(on) = &due {
            planned.action = Some(Action::Unknown);
            planned.notes.push(decided_at_its_turn(on));
        }
        planned.change("run", None::<&str>, Some(self.run.trim_end()));
        if let Some(user) = &self.user {
            planned.change("as", None::<&str>, Some(user.as_str()));
            if !host.has_user(user.as_str())? {
                ownership::missing(host, "user", user.as_str(), &mut planned)?;
            }
        }
        if due == Due::Yes {
            self.check_directory(host, &mut planned)?;
        }
        for key in self.environment.keys() {
            planned.change(format!("environment.{key}"), None::<&str>, Some(Secret::MASK));
        }
        planned.ops.push(Op::Command(CommandOp::Run {
            script: self.run.clone(),
            guard: self.guard(host, &due),
            environment: self.environment.clone(),
            user: self.user.clone(),
            directory: self.directory.clone(),
            postconditions: self.postconditions(),
        }));
        Ok(planned)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
#[path = "command_tests.rs"]
mod tests;
