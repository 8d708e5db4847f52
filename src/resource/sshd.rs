//! `sshd`: one option of the SSH server, judged by what sshd does.
//!
//! Files tell little: the first value of an option wins, `Match` blocks and the
//! command line win over files, and defaults differ between releases. So sshd
//! itself is asked (sshd(8), `-T`), for whoever no `Match` block names, for root and
//! for the account that logs in, once for all steps; a line of a block that is not
//! right overrides, whoever the block is for. An option that has another value is set
//! in a drop-in that is read before all others. What sshd does not tell is an error,
//! never a pass.

mod judged;
mod rule;

use super::in_force::{self, KEYWORDS_OF_SEVERAL_LINES, Said};
use super::text_file::{Missing, Target, TextFile};
use super::{Args, Field, Kind, Resource, Type, setting, text_file};
use crate::observe::{Known, Output, PredictedState, Queries, Query, Run, StateError};
use crate::plan::{Finding, InForce, KNOWN_AFTER_APPLY, PlanError, Planned};
use crate::values::AbsPath;
use judged::{Found, Judged};
use rule::{Desired, Rule};

pub(super) const KIND: Kind = Kind {
    name: "sshd",
    summary: "An option of the SSH server as sshd has it in force, set in /etc/ssh/sshd_config.d/00-stockade.conf.",
    main: "option",
    fields: &[
        Field::required("option", Type::String, "a keyword of sshd_config(5), such as \"MaxAuthTries\""),
        Field::optional(
            "value",
            Type::Scalar,
            "the value that is set where the one in force is not right; true and false mean yes and no; needed unless \
             'algorithms' or, of HostKey, 'at_least' is given",
        ),
        Field::optional("accept", Type::StringOrStrings, "other values that are right as well"),
        Field::optional("at_most", Type::Integer, "the largest number that is right as well"),
        Field::optional(
            "at_least",
            Type::Integer,
            "the least number that is right as well; of HostKey the bits that an RSA key must have: the keys of type \
             ed25519 and such RSA keys are used, of those that sshd uses or that stand at the usual places",
        ),
        Field::optional(
            "algorithms",
            Type::Strings,
            "of an option that lists algorithms: those that are right, most wanted first; where sshd offers another, the \
             list is set, without what OpenSSH of the host does not know",
        ),
        Field::optional(
            "ordered",
            Type::Bool,
            "of 'algorithms': whether sshd must list them in this order too; default false",
        ),
        Field::optional(
            "ignore_unknown",
            Type::Bool,
            "does nothing where sshd of the host does not know the option; default false: that is an error",
        ),
        Field::optional(
            "with_login",
            Type::Bool,
            "of AllowGroups and AllowUsers: adds the account that logs in, or its primary group, where 'value' does not \
             cover it; default false: that is an error. Any list that is in force and covers it is right",
        ),
    ],
    build,
};

/// Read before all other drop-ins: of an option the first value counts.
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-stockade.conf";
const PROGRAM: &str = "/usr/sbin/sshd";

#[derive(Debug)]
struct Sshd {
    /// As the step spells it.
    option: String,
    /// In small letters.
    keyword: String,
    rule: Rule,
    ignore_unknown: bool,
    target: Target,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let option = args.string("option")?;
    let keyword = option.to_ascii_lowercase();
    if keyword.is_empty() || !keyword.bytes().all(|b| b.is_ascii_alphanumeric()) {
        args.wrong_value("option", "'option' must be a keyword of sshd_config(5): letters and digits only");
    } else if ["match", "include"].contains(&keyword.as_str()) {
        args.wrong_value("option", format!("'{option}' has no value in force: use 'line' or 'block' for it"));
    }
    let rule = Rule::of(args, &keyword);
    let ignore_unknown = args.bool("ignore_unknown").unwrap_or(false);
    let target = Target { path: DROP_IN.parse().ok()?, missing: Missing::Create, parents: true };
    Some(Box::new(Sshd { option, keyword, rule: rule?, ignore_unknown, target }))
}

/// A user for whom sshd does not do what it should.
struct Failing {
    user: String,
    before: String,
}

/// What a step must do.
enum Verdict {
    /// Nothing; for whom sshd was asked last, and what it does for them.
    Right(Option<(String, String)>),
    /// Nothing, and why.
    Left(String),
    /// It is decided when its turn comes; what it depends on.
    Open(String),
    /// The option is to have these values.
    Wrong { failing: Failing, values: Vec<String>, is_for_some: bool },
}

impl Sshd {
    fn several(&self) -> bool {
        KEYWORDS_OF_SEVERAL_LINES.contains(&self.keyword.as_str())
    }

    /// What sshd does, and what the steps before make of it.
    fn verdict(&self, host: &PredictedState) -> Result<Verdict, PlanError> {
        let program: AbsPath = PROGRAM.parse().map_err(|_| PlanError::Refused(format!("{PROGRAM} is no path")))?;
        let Some(output) = answer(host, &judged::look())? else { return Ok(Verdict::Open(turn(host))) };
        let judged = match judged::read(&output.stdout)? {
            Found::Judged(judged) => judged,
            Found::Absent => {
                if let Some(on) = host.appears_by(&program) {
                    return Ok(Verdict::Open(on.to_owned()));
                }
                return Err(PlanError::Missing(format!(
                    "there is no {PROGRAM} on the host: add a step before this one: package = {{ name = \"openssh-server\" }}"
                )));
            }
        };
        if !judged.knows(&self.keyword) {
            let what = format!("sshd of this host does not know the option {}", self.option);
            return match self.ignore_unknown {
                true => Ok(Verdict::Left(what)),
                false => Err(PlanError::Refused(format!("{what}: check its name, or say ignore_unknown = true"))),
            };
        }
        self.judge(host, &judged)
    }

    fn judge(&self, host: &PredictedState, judged: &Judged) -> Result<Verdict, PlanError> {
        let desired = match self.desired(host, judged)? {
            Some(desired) => desired,
            None => return Ok(Verdict::Open(turn(host))),
        };
        let written = in_force::written(host, &self.keyword, self.several())?;
        let mut found = Vec::new();
        for (user, values) in &judged.users {
            let values = written.as_ref().or_else(|| values.get(&self.keyword)).cloned().unwrap_or_default();
            found.push((user, self.rule.holds(&self.keyword, &values, &desired), values));
        }
        let is_for_some = found.iter().any(|(_, _, values)| found.iter().any(|(_, _, other)| other != values));
        Ok(match found.into_iter().find(|(_, holds, _)| !holds) {
            _ if desired.is_let_in => Verdict::Right(None),
            None => Verdict::Right(judged.users.last().map(|(user, values)| {
                let values = written.as_ref().or_else(|| values.get(&self.keyword)).cloned().unwrap_or_default();
                (user.clone(), shown(&values))
            })),
            Some((user, _, values)) => {
                let failing = Failing { user: user.clone(), before: shown(&values) };
                Verdict::Wrong { failing, values: desired.values, is_for_some }
            }
        })
    }

    /// The values that the option is to have on this host; none while an answer is not known.
    fn desired(&self, host: &PredictedState, judged: &Judged) -> Result<Option<Desired>, PlanError> {
        Ok(match &self.rule {
            Rule::Value { value, .. } => Some(Desired::values([value.clone()])),
            Rule::Algorithms { list, .. } => {
                let Some(output) = answer(host, &judged::algorithms())? else { return Ok(None) };
                let known = judged::known_algorithms(&output.stdout, rule::listed(&self.keyword).unwrap_or("kex"))
                    .map_err(PlanError::Refused)?;
                let own: Vec<&str> =
                    list.iter().map(String::as_str).filter(|algorithm| known.contains(algorithm)).collect();
                if own.is_empty() {
                    let known = known.join(", ");
                    return Err(PlanError::Refused(format!(
                        "OpenSSH of this host knows none of the algorithms of 'algorithms'; it knows {known}"
                    )));
                }
                Some(Desired::values([own.join(",")]))
            }
            Rule::HostKeys(least) => {
                let Some(output) = answer(host, &judged::host_keys())? else { return Ok(None) };
                let keys = judged::acceptable_keys(&output.stdout, *least);
                if keys.is_empty() {
                    return Err(PlanError::Refused(format!(
                        "sshd has no host key of the type ed25519, and none of RSA with {least} bits: make one in a step \
                         before, with 'ssh-keygen -t ed25519 -N \"\" -f /etc/ssh/ssh_host_ed25519_key'"
                    )));
                }
                Some(Desired::values(keys))
            }
            Rule::Allow { value, with_login } => {
                let lists = ["allowusers", "allowgroups"].map(|keyword| self.list(host, judged, keyword));
                let [users, groups] = lists;
                rule::allow(host, judged, &self.keyword, value, *with_login, &[users?, groups?]).map(Some)?
            }
        })
    }

    /// Adds the lines of `Match` blocks that are not right.
    fn add_blocks(&self, host: &PredictedState, found: &mut InForce) -> Result<(), PlanError> {
        // What counts by all of its lines is judged by its lists.
        if self.several() {
            return Ok(());
        }
        let nothing = Desired::values([]);
        let is_right = |value: &str| self.rule.holds(&self.keyword, &[value.to_owned()], &nothing);
        let blocks = in_force::blocks_against(host, &self.keyword, is_right)?;
        for by in blocks.overridden {
            if !found.overridden.iter().any(|told| told.file == by.file && told.line == by.line) {
                found.overridden.push(by);
            }
        }
        found.follow_up_queries.extend(blocks.follow_up_queries);
        Ok(())
    }

    /// What sshd does for a user, for audits.
    fn finding(&self, verdict: crate::plan::Verdict, user: &str, value: &str) -> Finding {
        Finding {
            verdict,
            expected: format!("{} {}", self.option, self.rule.shown().unwrap_or_default()).trim_end().to_owned(),
            actual: format!("{} {value}", self.option),
            command: match user {
                judged::ANYBODY => "sshd -T".to_owned(),
                user => format!("sshd -T -C user={user},host=localhost,addr=127.0.0.1"),
            },
            said: format!("{} {value}", self.keyword),
            remedy: Vec::new(),
        }
    }

    /// The words of a list for who logs in.
    fn list(&self, host: &PredictedState, judged: &Judged, keyword: &str) -> Result<Vec<String>, PlanError> {
        if let Some(written) = in_force::written(host, keyword, true)? {
            return Ok(written);
        }
        let of_login = judged.users.iter().find(|(user, _)| *user == judged.login);
        Ok(of_login.and_then(|(_, values)| values.get(keyword)).cloned().unwrap_or_default())
    }
}

/// The answer to a question; none where it is known after apply only.
fn answer<'a>(host: &'a PredictedState, run: &Run) -> Result<Option<&'a Output>, PlanError> {
    match host.output(run)? {
        Known::Is(output) if output.code == 0 => Ok(Some(output)),
        Known::Is(output) => Err(PlanError::State(StateError::Unreadable {
            what: "what sshd does".to_owned(),
            why: format!("{} ended with code {}", run.argv.last().map_or("sshd", String::as_str), output.code),
        })),
        Known::AfterApply => Ok(None),
    }
}

fn turn(host: &PredictedState) -> String {
    host.brought_by().or(host.changed_by()).unwrap_or("an earlier step").to_owned()
}

fn shown(values: &[String]) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(" ") }
}

impl Resource for Sshd {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Run(judged::look()));
        queries.extend(PROGRAM.parse().ok().map(Query::Path));
        text_file::queries(&self.target.path, queries);
        in_force::ask(queries, &self.target.path);
        match &self.rule {
            Rule::Value { .. } => {}
            Rule::Algorithms { .. } => queries.ask(Query::Run(judged::algorithms())),
            Rule::HostKeys(_) => queries.ask(Query::Run(judged::host_keys())),
            Rule::Allow { .. } => queries.ask(Query::Accounts),
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        let (failing, values, is_for_some) = match self.verdict(host)? {
            Verdict::Right(found) => {
                planned.finding = found.map(|(user, value)| self.finding(crate::plan::Verdict::Holds, &user, &value));
                return Ok(planned);
            }
            Verdict::Left(why) => {
                planned.finding = Some(Finding {
                    verdict: crate::plan::Verdict::NotApplicable(why.clone()),
                    expected: format!("{} {}", self.option, self.rule.shown().unwrap_or_default()),
                    actual: why.clone(),
                    command: "sshd -T".to_owned(),
                    said: String::new(),
                    remedy: Vec::new(),
                });
                planned.notes.push(why);
                return Ok(planned);
            }
            Verdict::Open(on) => {
                planned.leave_open(&on);
                planned.change(self.option.as_str(), Some(KNOWN_AFTER_APPLY), self.rule.shown());
                return Ok(planned);
            }
            Verdict::Wrong { failing, values, is_for_some } => (failing, values, is_for_some),
        };
        let after = shown(&values);
        let finding = self.finding(crate::plan::Verdict::Fails, &failing.user, &failing.before);
        if let Some(planned) = text_file::left_open(host, &self.target.path, (&self.option, Some(&after)))? {
            return Ok(planned);
        }
        let Some(file) = TextFile::read(host, &self.target, &mut planned)? else { return Ok(planned) };
        let several = matches!(self.rule, Rule::HostKeys(_));
        let edited = setting::with_sshd_values(&self.target.path, &file.text, &self.option, &values, several);
        let text = match edited {
            Ok(text) => text,
            Err(why) => {
                let path = &self.target.path;
                return text_file::refuse(host, path, format!("{} in {path}: {why}", self.option));
            }
        };
        // The drop-in says it, and sshd does something else: `in_force` tells by what.
        if text == file.text {
            planned.finding = Some(finding);
            return Ok(planned);
        }
        planned.finding = Some(Finding { expected: format!("{} {after}", self.option), ..finding });
        planned.change(self.option.as_str(), Some(failing.before), Some(after));
        if is_for_some {
            let user = match failing.user.as_str() {
                judged::ANYBODY => "whoever no Match block names",
                user => user,
            };
            planned.notes.push(format!("judged by what sshd does for {user}"));
        }
        file.replace(host, text, &mut planned)?;
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        let path = &self.target.path;
        let (failing, values) = match self.verdict(host)? {
            Verdict::Wrong { failing, values, .. } => (Some(failing), values),
            // What a step of this run has written may be overridden for some.
            Verdict::Right(_) if host.written_by(path).is_some() => {
                (None, in_force::written(host, &self.keyword, self.several())?.unwrap_or_default())
            }
            Verdict::Right(_) => (None, Vec::new()),
            Verdict::Left(_) | Verdict::Open(_) => return Ok(InForce::default()),
        };
        let lines: Vec<String> = values.iter().map(|value| format!("{} {value}", self.option)).collect();
        let mut found = match (&lines[..], &values[..]) {
            ([], _) => InForce::default(),
            ([_], [value]) => in_force::text(host, path, Said::Setting(&self.option, value))?,
            _ => in_force::text(host, path, Said::Lines(&lines))?,
        };
        if let Some(failing) = failing.filter(|_| found.overridden.is_empty() && found.follow_up_queries.is_empty()) {
            found.overridden.push(in_force::against(host, path, &self.keyword, &failing.before)?);
        }
        self.add_blocks(host, &mut found)?;
        Ok(found)
    }

    fn says(&self, path: &str, line: &str) -> bool {
        match &self.rule {
            Rule::Value { value, .. } => {
                self.target.path.as_str() == path && Said::Setting(&self.option, value).covers(line)
            }
            Rule::Algorithms { .. } | Rule::HostKeys(_) | Rule::Allow { .. } => false,
        }
    }
}
