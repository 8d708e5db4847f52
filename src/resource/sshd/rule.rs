//! Which values of an option are right.

use super::super::Args;
use super::super::in_force::{Client, meaning_in_sshd, same_in_sshd};
use super::judged::Judged;
use crate::observe::PredictedState;
use crate::plan::PlanError;

/// What a step says of its option.
#[derive(Debug)]
pub(super) enum Rule {
    /// One value, with others that are right as well.
    Value { value: String, accept: Vec<String>, at_least: Option<u64>, at_most: Option<u64> },
    /// Only algorithms of this list, and where the order counts, in its order.
    Algorithms { list: Vec<String>, ordered: bool },
    /// Only host keys of the type ed25519, or RSA with so many bits.
    HostKeys(u64),
    /// A list of users or groups that covers who logs in.
    Allow { value: String, with_login: bool },
}

/// What an option is to be on a host.
pub(super) struct Desired {
    pub(super) values: Vec<String>,
    /// Whether lists that are in force cover who logs in.
    pub(super) is_let_in: bool,
}

impl Desired {
    pub(super) fn values(values: impl IntoIterator<Item = String>) -> Desired {
        Desired { values: values.into_iter().collect(), is_let_in: false }
    }
}

/// Options that list algorithms, with the name by which `ssh -Q` tells those that are known.
const LISTS: [(&str, &str); 7] = [
    ("kexalgorithms", "kex"),
    ("ciphers", "cipher"),
    ("macs", "mac"),
    ("hostkeyalgorithms", "key-sig"),
    ("pubkeyacceptedalgorithms", "key-sig"),
    ("hostbasedacceptedalgorithms", "key-sig"),
    ("casignaturealgorithms", "key-sig"),
];

/// The name by which `ssh -Q` tells the algorithms that an option may list.
pub(super) fn listed(keyword: &str) -> Option<&'static str> {
    LISTS.iter().find(|(name, _)| *name == keyword).map(|(_, kind)| *kind)
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control) && !text.trim().starts_with('#')
}

impl Rule {
    /// What the fields of a step say.
    pub(super) fn of(args: &mut Args<'_>, keyword: &str) -> Option<Rule> {
        let is_allow = ["allowusers", "allowgroups"].contains(&keyword);
        if args.node("with_login").is_some() && !is_allow {
            args.refuse("with_login", "'with_login' goes with the options AllowUsers and AllowGroups only");
        }
        if args.node("ordered").is_some() && args.node("algorithms").is_none() {
            args.refuse("ordered", "'ordered' goes with 'algorithms' only");
        }
        if args.node("algorithms").is_some() {
            return Rule::algorithms(args, keyword);
        }
        if keyword == "hostkey" {
            return Rule::host_keys(args);
        }
        let value = match args.bool("value") {
            Some(flag) => Some(if flag { "yes" } else { "no" }.to_owned()),
            None => args.scalar("value"),
        };
        let Some(value) = value else {
            args.refuse("option", "an option of sshd needs a 'value', or 'algorithms'");
            return None;
        };
        if !is_line(&value) {
            args.wrong_value("value", "'value' must be one line that is not empty and no comment");
        }
        let value = value.trim().to_owned();
        if is_allow {
            Rule::refuse_beside(args, &["accept", "at_most", "at_least"], "AllowUsers and AllowGroups");
            return Some(Rule::Allow { value, with_login: args.bool("with_login").unwrap_or(false) });
        }
        let accept: Vec<String> = args.parse_list("accept");
        let [at_least, at_most] = ["at_least", "at_most"]
            .map(|field| args.integer(field, 0, i64::MAX).and_then(|number| u64::try_from(number).ok()));
        let has_bounds = at_least.is_some() || at_most.is_some();
        if has_bounds && !within(&value, at_least, at_most) {
            args.refuse("value", "'value' must be a number from 'at_least' to 'at_most'");
        }
        Some(Rule::Value { value, accept, at_least, at_most })
    }

    fn refuse_beside(args: &mut Args<'_>, fields: &[&str], what: &str) {
        for field in fields {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with {what}"));
            }
        }
    }

    fn algorithms(args: &mut Args<'_>, keyword: &str) -> Option<Rule> {
        let list: Vec<String> = args.parse_list("algorithms");
        if listed(keyword).is_none() {
            args.refuse("algorithms", "'algorithms' goes with options that list algorithms, such as Ciphers");
        }
        Rule::refuse_beside(args, &["value", "accept", "at_most", "at_least"], "'algorithms'");
        let is_name = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if list.is_empty()
            || !list.iter().all(is_name)
            || list.iter().any(|name| name.starts_with(['+', '-', '^', '#']))
        {
            args.wrong_value("algorithms", "'algorithms' must be names of algorithms, one at least");
        }
        Some(Rule::Algorithms { list, ordered: args.bool("ordered").unwrap_or(false) })
    }

    fn host_keys(args: &mut Args<'_>) -> Option<Rule> {
        Rule::refuse_beside(args, &["value", "accept", "at_most"], "HostKey");
        let Some(least) = args.integer("at_least", 1024, 16_384) else {
            args.refuse("option", "HostKey needs 'at_least': the bits that an RSA key must have");
            return None;
        };
        u64::try_from(least).ok().map(Rule::HostKeys)
    }

    /// Whether values that are in force are right.
    pub(super) fn holds(&self, keyword: &str, found: &[String], desired: &Desired) -> bool {
        match self {
            Rule::Value { value, accept, at_least, at_most } => {
                let [found] = found else { return false };
                let has_bounds = at_least.is_some() || at_most.is_some();
                std::iter::once(value).chain(accept).any(|right| same_in_sshd(keyword, found, right))
                    || has_bounds && within(&meaning_in_sshd(keyword, found), *at_least, *at_most)
            }
            Rule::Algorithms { list, ordered } => {
                let [found] = found else { return false };
                let place = |name: &str| list.iter().position(|right| right == name);
                let places: Option<Vec<usize>> = found.split(',').map(place).collect();
                places.is_some_and(|places| !ordered || places.is_sorted())
            }
            Rule::HostKeys(_) => !found.is_empty() && found.iter().all(|key| desired.values.contains(key)),
            // Decided by both lists.
            Rule::Allow { .. } => desired.is_let_in,
        }
    }

    /// As a plan shows it where it is not known yet.
    pub(super) fn shown(&self) -> Option<String> {
        match self {
            Rule::Value { value, .. } | Rule::Allow { value, .. } => Some(value.clone()),
            Rule::Algorithms { list, .. } => Some(list.join(",")),
            Rule::HostKeys(_) => None,
        }
    }
}

fn within(text: &str, at_least: Option<u64>, at_most: Option<u64>) -> bool {
    let Ok(number) = text.parse::<u64>() else { return false };
    at_least.is_none_or(|least| number >= least) && at_most.is_none_or(|most| number <= most)
}

/// What AllowUsers or AllowGroups is to be: what is in force where that covers who
/// logs in, else the value of the step.
///
/// # Errors
/// The value would shut out who logs in.
pub(super) fn allow(
    host: &PredictedState,
    judged: &Judged,
    keyword: &str,
    value: &str,
    with_login: bool,
    [users, groups]: &[Vec<String>; 2],
) -> Result<Desired, PlanError> {
    let login = judged.login.as_str();
    // Groups that an earlier step puts them into are groups of theirs as well.
    let client = Client::anywhere(host, login)?;
    let also: Vec<String> = client.into_iter().flat_map(|client| client.groups).map(str::to_owned).collect();
    if judged.lets_login_in(users, groups, &also) {
        return Ok(Desired { values: vec![value.to_owned()], is_let_in: true });
    }
    let given = [value.to_owned()];
    let (is_covered, missing) = match keyword {
        "allowusers" => (judged.names_login(&given), Some(login.to_owned())),
        _ => (judged.names_group_of_login(&given, &also), judged.groups.first().cloned()),
    };
    let values = match (is_covered, missing) {
        (true, _) => vec![value.to_owned()],
        (false, Some(missing)) if with_login => vec![format!("{value} {missing}")],
        (false, _) => {
            return Err(PlanError::Refused(format!(
                "'{value}' does not cover {login}, the account that logs in, whom sshd would let in no more: say \
                 with_login = true, or name the account or one of its groups in 'value'"
            )));
        }
    };
    Ok(Desired { values, is_let_in: false })
}
