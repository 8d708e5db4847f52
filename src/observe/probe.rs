//! The batched probe: all questions in one program.
//!
//! Whatever the number of questions, the program starts a constant number of
//! processes (xargs may split a very long list) and is one message over one
//! channel. Texts that the operator wrote (`unless`) are one process each.
//!
//! Answers come in sections: a line `<nonce>:<name>`, the section's standard
//! output, a line `<nonce>!<exit code>`, its standard error. The nonce is made
//! anew for each session, so no file content can look like a section.

use super::{Facts, HostState, Queries, Query, Run, Text};
use super::{acl, apt, mounts, processes, reply, shipped, syntax, sysctl, verify};
use crate::shell::{Command, RUN_TEXT, STRICT, Script};
use crate::values::{AbsPath, UserName};
use std::collections::BTreeSet;

/// Size above which a file's bytes are not fetched.
pub const CONTENT_LIMIT: u64 = 4 << 20;

/// The files that every change to an account rewrites.
pub const ACCOUNT_DATABASES: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];

const SECTION: &str = include_str!("probes/questions.sh");

/// The program that answers these questions, after the facts if `with_facts`.
pub fn program(queries: &Queries, with_facts: bool) -> Script {
    let mut script = Script::new();
    script.line(SECTION);
    if with_facts {
        script.line("q_facts() {").line(include_str!("probes/facts.sh")).line(include_str!("probes/left.sh"));
        script.line(":").line("}").line("section facts q_facts");
    }
    ask_paths(&mut script, queries);
    ask_accounts(&mut script, queries);
    ask_packages(&mut script, queries);
    ask_units_and_kernel(&mut script, queries);
    ask_syntax(&mut script, queries);
    ask_runs(&mut script, queries);
    script
}

/// How many commands run at a time, where there are many.
const AT_A_TIME: usize = 4;

/// Runs all commands. Many are split into groups that run side by side: the first
/// writes to a pipe that is read when the next one, whose output a variable holds,
/// has ended, and so on. So answers do not mix, and no file is made for them.
fn ask_runs(script: &mut Script, queries: &Queries) {
    let all: Vec<(usize, &Run)> = runs(queries).enumerate().collect();
    if !all.is_empty() {
        script.line(RUN_TEXT).line("LIMIT=60");
    }
    let texts: BTreeSet<&str> = all.iter().filter_map(|(_, run)| run.as_script()).map(|(text, _)| text).collect();
    // Many inspections are of one script: its text is sent once.
    for (number, text) in texts.iter().enumerate() {
        script.run(Command::new("q_text").arg(number.to_string()).arg(text));
    }
    let run_command = |number: usize, run: &Run| match run.as_script() {
        Some((text, arguments)) => {
            let place = texts.range(..text).count();
            Command::new("q_script").arg(format!("run{number}")).arg(place.to_string()).args(arguments)
        }
        None => run_command(number, run),
    };
    let is_small = |run: &Run| matches!(run.text, Text::Around | Text::Script);
    let many = all.iter().filter(|(_, run)| is_small(run)).count();
    if many < 2 * AT_A_TIME {
        for (number, run) in all {
            script.run(run_command(number, run));
        }
        return;
    }
    let mut groups: [Vec<Command>; AT_A_TIME] = Default::default();
    let mut next = (0..AT_A_TIME).cycle();
    for (number, run) in all {
        // Others are few, and may print what a variable does not hold.
        let place = if is_small(run) { next.next().unwrap_or_default() } else { 0 };
        if let Some(group) = groups.get_mut(place) {
            group.push(run_command(number, run));
        }
    }
    let last = groups.len() - 1;
    for (place, group) in groups.into_iter().enumerate() {
        script.line("{");
        for command in group {
            script.run(command);
        }
        script.line(if place == last { "} 3>&1 </dev/null" } else { "} 3>&1 </dev/null | { o=$(" });
    }
    for _ in 0..last {
        script.line("); cat; printf '%s\\n' \"$o\"; }");
    }
}

/// The words of the queries of one sort, in their order.
fn words(queries: &Queries, pick: fn(&Query) -> Option<&str>) -> Vec<String> {
    queries.iter().filter_map(pick).map(str::to_owned).collect()
}

fn ask_paths(script: &mut Script, queries: &Queries) {
    let paths = words(queries, |q| if let Query::Path(p) = q { Some(p.as_str()) } else { None });
    let digests = words(queries, |q| match q {
        Query::Digest(p) | Query::Content(p) => Some(p.as_str()),
        _ => None,
    });
    let contents = words(queries, |q| if let Query::Content(p) = q { Some(p.as_str()) } else { None });
    let names = words(queries, |q| if let Query::Names(p) = q { Some(p.as_str()) } else { None });
    piped(script, "path", &paths, "| q_find");
    let mut flagged = paths;
    if queries.contains(&Query::Accounts) {
        flagged.extend(ACCOUNT_DATABASES.map(str::to_owned));
    }
    piped(script, "flags", &flagged, "| q_flags");
    if !flagged.is_empty() {
        script.line(mounts::PROBE).line("section mounts q_mounts");
    }
    piped(script, "digest", &digests, "| q_sum");
    piped(script, "content", &contents, "| q_tar");
    piped(script, "names", &names, "| q_names");
    let mut fragments = words(queries, |q| if let Query::Fragments(p) = q { Some(p.as_str()) } else { None });
    for query in queries.iter() {
        let Query::DropIns(name) = query else { continue };
        fragments.extend(drop_in_directories(name).iter().map(ToString::to_string));
    }
    piped(script, "fragments", &fragments, "| q_fragments");
    let trees = |wanted: bool| -> Vec<String> {
        let top = |q: &Query| match q {
            Query::Tree { top, across } if *across == wanted => Some(top.to_string()),
            _ => None,
        };
        queries.iter().filter_map(top).collect()
    };
    piped(script, "tree", &trees(false), "| q_tree");
    piped(script, "trees", &trees(true), "| q_trees");
    let listed = words(queries, |q| if let Query::Acl(p) = q { Some(p.as_str()) } else { None });
    if !listed.is_empty() {
        script.line(acl::PROBE);
    }
    piped(script, "acls", &listed, "| q_acls");
}

fn ask_accounts(script: &mut Script, queries: &Queries) {
    if queries.contains(&Query::Accounts) {
        script
            .line("section passwd getent passwd")
            .line("section group getent group")
            .line("section shadow getent shadow")
            .line("section local q_local");
    }
    // Not every source of names lists all that it knows: these are asked for by name.
    let users = words(queries, |q| if let Query::User(name) = q { Some(name) } else { None });
    called(script, Command::new("section user getent passwd"), &users);
    let groups = words(queries, |q| if let Query::Group(name) = q { Some(name) } else { None });
    called(script, Command::new("section usergroup getent group"), &groups);
}

fn ask_packages(script: &mut Script, queries: &Queries) {
    // dpkg-query(1) takes the architecture by its letter, apt as a word for the host's own too.
    let mut packages = words(queries, |q| if let Query::Package(p) = q { Some(p.bare()) } else { None });
    packages.dedup();
    const FORMAT: &str =
        "${binary:Package}\\t${Architecture}\\t${Version}\\t${db:Status-Status}\\t${db:Status-Want}\\n";
    called(script, Command::new("section package dpkg-query -W -f").arg(FORMAT).arg("--"), &packages);
    if !packages.is_empty() {
        script.line("section automatic q_automatic");
    }
    if !packages.is_empty() || apt::calls(queries).next().is_some() {
        script.line("section unfinished q_unfinished");
    }
    let candidates = words(queries, |q| if let Query::Candidate(p) = q { Some(p.as_str()) } else { None });
    called(script, Command::new("section candidate apt-cache policy --"), &candidates);
    if queries.iter().any(|q| matches!(q, Query::Provided(_))) {
        script.line("section provided q_provided");
    }
    let virtuals = words(queries, |q| if let Query::Providers(p) = q { Some(p.as_str()) } else { None });
    called(script, Command::new("section providers apt-cache showpkg --"), &virtuals);
    if queries.contains(&Query::Packages) {
        script.line("section installed q_installed");
    }
    let shipped = words(queries, |q| if let Query::Shipped(p) = q { Some(p.bare()) } else { None });
    called(script, Command::new("section shipped q_shipped").arg(shipped::FORMAT), &shipped);
    for (number, words) in apt::calls(queries).enumerate() {
        script.run(Command::new("section").arg(format!("transaction{number}")).arg("q_transaction").args(words));
    }
}

fn ask_units_and_kernel(script: &mut Script, queries: &Queries) {
    let units = words(queries, |q| if let Query::Unit(u) = q { Some(u.as_str()) } else { None });
    called(script, Command::new("section unit q_units"), &units);
    let keys = queries.iter().filter_map(|q| if let Query::Sysctl(k) = q { Some(k) } else { None });
    let pairs: Vec<String> = keys.flat_map(|key| [key.to_string(), key.proc_path()]).collect();
    called(script, Command::new("section sysctl q_sysctl"), &pairs);
    called(script, Command::new("section fixed q_fixed"), &pairs);
    let paths = sysctl::patterns(queries).filter_map(|pattern| pattern.proc_paths());
    let of_interfaces: Vec<String> = paths.flat_map(|(directory, name)| [directory, name.to_owned()]).collect();
    called(script, Command::new("section sysctls q_sysctls"), &of_interfaces);
    if queries.iter().any(|q| matches!(q, Query::Module(_))) {
        script.line("section module q_modules");
    }
    if queries.contains(&Query::Processes) {
        script.line(processes::PROBE).line("section processes q_processes");
    }
}

/// What the programs of the host say of texts that are to be written.
fn ask_syntax(script: &mut Script, queries: &Queries) {
    let texts = syntax::texts(queries);
    if !texts.is_empty() {
        script.line(syntax::PROBE);
        called(script, Command::new("section syntax q_syntax"), &texts);
    }
    let units: Vec<String> = verify::texts(queries).into_iter().flat_map(|(name, text)| [name, text]).collect();
    if !units.is_empty() {
        script.line(verify::PROBE);
        called(script, Command::new("section verify q_verify"), &units);
    }
}

/// Directories that systemd reads units from, what stands first wins
/// (systemd.unit(5), "Unit File Load Path").
pub const UNIT_DIRECTORIES: [&str; 11] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// The directories that [`Query::DropIns`] asks about, what stands first wins.
pub fn drop_in_directories(name: &str) -> Vec<AbsPath> {
    UNIT_DIRECTORIES.iter().filter_map(|top| format!("{top}/{name}.d").parse().ok()).collect()
}

/// The operator's commands, in the order in which they are asked and answered.
pub(super) fn runs(queries: &Queries) -> impl Iterator<Item = &Run> {
    queries.iter().filter_map(|q| if let Query::Run(run) = q { Some(run) } else { None })
}

/// A question about a list that may be long: the words go through a pipe.
fn piped(script: &mut Script, name: &'static str, words: &[String], filter: &'static str) {
    if words.is_empty() {
        return;
    }
    script.line("q_list() {").run(Command::new("printf").arg("%s\\0").args(words).raw(filter)).line("}");
    script.run(Command::new("section").arg(name).arg("q_list"));
}

fn called(script: &mut Script, command: Command, words: &[String]) {
    if !words.is_empty() {
        script.run(command.args(words));
    }
}

/// Runs the text that comes through descriptor 8.
const FROM_PIPE: &str = "_text=$(cat <&8); exec 8<&-; eval \"$_text\"";

fn run_command(number: usize, run: &Run) -> Command {
    let command = Command::new("section").arg(format!("run{number}"));
    let user = run.user.as_ref().map_or("", UserName::as_str);
    match (run.text, run.argv.last()) {
        (Text::Operator, Some(text)) if !run.environment.is_empty() => {
            // Every user may read the arguments of a process: the text comes through a pipe.
            let Ok(text) = run.environment.around(text) else { return command.arg(text).arg("\0") };
            let piped = Command::new("printf").args(["%s", &text]).raw("| section").arg(format!("run{number}"));
            piped.args(["run_text", user, "-c", FROM_PIPE]).raw("8<&0")
        }
        (Text::Operator, Some(text)) => command.args(["run_text", user, "-c", text]),
        (Text::Around, Some(text)) => {
            command.args(["timeout", "-k", "5", "60", "sh", "-c"]).arg(format!("{STRICT}{text}"))
        }
        _ if user.is_empty() => command.args(["timeout", "-k", "5", "60"]).args(&run.argv),
        _ => command.args(["timeout", "-k", "5", "60", "runuser", "-u", user, "--"]).args(&run.argv),
    }
}

/// Adds a program's answers to what is known of the host.
///
/// # Errors
/// The answer is not one to these questions.
pub fn read_reply(
    host: &mut HostState,
    queries: &Queries,
    with_facts: bool,
    nonce: &str,
    output: &[u8],
) -> Result<(), reply::Malformed> {
    let sections = reply::sections(nonce, output)?;
    if with_facts {
        let section = sections.get("facts").ok_or_else(|| reply::Malformed::missing("facts"))?;
        let text = section.text();
        let (facts, left) = Facts::parse(&text).map_err(reply::Malformed::because)?;
        host.day = Facts::day(&text);
        host.facts = facts;
        host.left = left;
    }
    reply::fill(host, queries, &sections)
}
