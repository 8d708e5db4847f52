//! Tests of `rolling`.

use super::*;
use std::sync::Mutex;

struct Silent;
impl Reporter for Silent {
    fn event(&self, _: &Event<'_>) {}
}

fn args(serial: &str, max_failures: &str) -> Rolling {
    let share = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    Rolling { serial: share(serial), max_failures: share(max_failures) }
}

/// Rolls over hosts; those with `!` before their name fail, those with `-`
/// could not be planned for. The batches as they were worked on, and the endings.
fn rolled(hosts: &[&str], args: &Rolling, forks: usize) -> (Vec<(usize, String)>, Vec<&'static str>) {
    let turn = |name: &&str| match name.strip_prefix('-') {
        Some(name) => QueuedHost::Over(Box::new(HostOutcome::new(name, HostStatus::Unreachable))),
        None => QueuedHost::Waiting((*name).to_owned(), (*name).to_owned()),
    };
    let begun = Mutex::new(Vec::new());
    let outcomes = roll(hosts.iter().map(turn).collect(), args, forks, &Silent, |name: String, batch| {
        begun.lock().unwrap().push((batch, name.clone()));
        let ending = if name.starts_with('!') { HostStatus::Failed } else { HostStatus::Converged };
        HostOutcome::new(name, ending)
    });
    let mut begun = begun.into_inner().unwrap();
    begun.sort();
    (begun, outcomes.unwrap().iter().map(|outcome| outcome.ending.word()).collect())
}

#[test]
fn a_share_rounds_up_to_whole_hosts_and_never_to_none() {
    for (text, hosts, size) in [("1", 9, 1), ("25%", 8, 2), ("25%", 9, 3), ("1%", 3, 1), ("100%", 7, 7)] {
        assert_eq!(args(text, "").batch(hosts), Some(size), "{text} of {hosts}");
    }
    for (text, hosts, allowed) in [("2", 9, 2), ("25%", 9, 2), ("10%", 9, 0), ("100%", 9, 9)] {
        assert_eq!(args("1", text).allowed(hosts), Some(allowed), "{text} of {hosts}");
    }
    assert_eq!((args("1", "").allowed(9), args("", "").allowed(9)), (Some(0), None));
    for wrong in ["", "%", "-1", "101%", "1.5", "+1", "a"] {
        assert!(wrong.parse::<Share>().is_err(), "{wrong}");
    }
    assert!(batch_size("0").is_err() && batch_size("0%").is_err());
}

#[test]
fn a_batch_with_a_failure_is_the_last() {
    let (begun, endings) = rolled(&["a", "!b", "c", "d", "e"], &args("2", ""), 20);
    assert_eq!(begun, [(0, "!b".to_owned()), (0, "a".to_owned())]);
    assert_eq!(endings, ["converged", "failed", "not-begun", "not-begun", "not-begun"]);
}

#[test]
fn failures_count_over_all_batches_and_so_do_hosts_without_a_plan() {
    let hosts = ["!a", "b", "c", "-d", "e", "f"];
    let (_, endings) = rolled(&hosts, &args("2", "1"), 1);
    assert_eq!(endings, ["failed", "converged", "converged", "unreachable", "not-begun", "not-begun"]);
    let (begun, endings) = rolled(&hosts, &args("50%", "34%"), 1);
    assert_eq!((begun.len(), endings[5]), (5, "converged"), "2 of 6 are not more than 34%");
}

#[test]
fn without_limits_all_hosts_run_and_with_a_limit_alone_no_further_one_begins() {
    let hosts = ["!a", "!b", "c", "d"];
    assert_eq!(rolled(&hosts, &args("", ""), 1).0.len(), 4);
    assert_eq!(rolled(&hosts, &args("", "0"), 1).1, ["failed", "not-begun", "not-begun", "not-begun"]);
    assert_eq!(rolled(&hosts, &args("", "1"), 1).1, ["failed", "failed", "not-begun", "not-begun"]);
}
