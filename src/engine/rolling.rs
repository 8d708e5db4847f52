//! Rolling runs: hosts in batches, in the order of the inventory, until too
//! many have failed.
//!
//! Whatever keeps a host from converging counts: a failed step (a `check` that
//! does not hold is one), no connection, a plan that could not be made. A host
//! whose turn does not come is not touched, and the run does not end well. A
//! plan is only as good as the moment it was made in: hosts of later batches
//! are looked at again right before they begin.

use super::carry_out::Replan;
use super::{Prepared, for_each_host, is_unreachable};
use crate::plan::HostPlan;
use crate::report::{Event, HostOutcome, HostStatus, Reporter};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size of batches, and how many failures end a rolling run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rolling {
    /// Hosts in a batch; none: all are one batch.
    pub serial: Option<Share>,
    /// Hosts that may fail before no further one begins; none: 0 with `serial`, else any number.
    pub max_failures: Option<Share>,
}

/// A number of hosts, or a share of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Count(usize),
    /// So many of a hundred.
    Percent(usize),
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let wrong = || format!("'{}' is neither a number of hosts nor a share such as 25%", text.escape_debug());
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse::<usize>().map_err(|_| wrong()),
            false => Err(wrong()),
        };
        match text.strip_suffix('%') {
            None => number(text).map(Share::Count),
            Some(digits) => match number(digits)? {
                share @ 0..=100 => Ok(Share::Percent(share)),
                _ => Err("a share is at most 100%".to_owned()),
            },
        }
    }
}

/// Reads the size of a batch.
///
/// # Errors
/// It is no share, or of no host.
pub fn batch_size(text: &str) -> Result<Share, String> {
    match text.parse()? {
        Share::Count(0) | Share::Percent(0) => Err("a batch has at least one host".to_owned()),
        share => Ok(share),
    }
}

impl Rolling {
    /// Hosts in a batch; none: all are one batch.
    fn batch(&self, hosts: usize) -> Option<usize> {
        self.serial.map(|serial| match serial {
            Share::Count(count) => count,
            Share::Percent(share) => (hosts * share).div_ceil(100),
        })
    }

    /// Failed hosts after which others still begin; none: whatever happens.
    fn allowed(&self, hosts: usize) -> Option<usize> {
        match self.max_failures {
            Some(Share::Count(count)) => Some(count),
            Some(Share::Percent(share)) => Some(hosts * share / 100),
            None => self.serial.map(|_| 0),
        }
    }
}

/// A host before its turn.
pub enum QueuedHost<H> {
    /// Its plan is made; it waits.
    Waiting(String, H),
    /// It has ended already: no plan could be made for it.
    Over(Box<HostOutcome>),
}

/// Works on the hosts, batch by batch; `work` gets a host and the number of its
/// batch, from 0. The outcomes are in the hosts' order.
///
/// # Errors
/// The work on a host has panicked.
pub fn roll<H: Send>(
    hosts: Vec<QueuedHost<H>>,
    args: &Rolling,
    forks: usize,
    reporter: &dyn Reporter,
    work: impl Fn(H, usize) -> HostOutcome + Sync,
) -> anyhow::Result<Vec<HostOutcome>> {
    let all = hosts.len();
    let size = args.batch(all).unwrap_or(all).max(1);
    let batches = all.div_ceil(size);
    let allowed = args.allowed(all);
    let failed = AtomicUsize::new(0);
    let too_many = || allowed.filter(|allowed| failed.load(Ordering::SeqCst) > *allowed);
    let mut outcomes: Vec<HostOutcome> = Vec::with_capacity(all);
    let mut rest = hosts.into_iter();
    for number in 0..batches {
        let batch: Vec<QueuedHost<H>> = rest.by_ref().take(size).collect();
        let over = too_many();
        if batches > 1 && over.is_none() {
            let names: Vec<&str> = batch.iter().map(QueuedHost::name).collect();
            let text = format!("batch {} of {batches}: {}", number + 1, names.join(", "));
            reporter.event(&Event::Notice { host: None, text: &text });
        }
        outcomes.extend(for_each_host(batch, forks, |turn| {
            let (name, host) = match turn {
                QueuedHost::Over(outcome) => {
                    failed.fetch_add(1, Ordering::SeqCst);
                    return *outcome;
                }
                QueuedHost::Waiting(name, host) => (name, host),
            };
            // A batch that has begun is finished; where all are one batch, each host is a beginning.
            let stop = if args.serial.is_some() { over } else { too_many() };
            if let Some(allowed) = stop {
                return not_begun(&name, failed.load(Ordering::SeqCst), allowed, reporter);
            }
            let outcome = work(host, number);
            if outcome.ending != HostStatus::Converged {
                failed.fetch_add(1, Ordering::SeqCst);
            }
            outcome
        })?);
    }
    Ok(outcomes)
}

impl<H> QueuedHost<H> {
    /// The host's name in the inventory.
    pub fn name(&self) -> &str {
        match self {
            QueuedHost::Waiting(name, _) => name,
            QueuedHost::Over(outcome) => &outcome.name,
        }
    }
}

fn not_begun(name: &str, failed: usize, allowed: usize, reporter: &dyn Reporter) -> HostOutcome {
    let hosts = if failed == 1 { "1 host" } else { &format!("{failed} hosts") };
    let error = format!("not begun: {hosts} failed before it, and {allowed} may");
    reporter.event(&Event::HostFailed { host: name, error: &error });
    HostOutcome { error: Some(error), ..HostOutcome::new(name, HostStatus::NotBegun) }
}

/// Looks and plans again right before a host begins, over a new connection if
/// the old one is dead. A plan that is not the one that was shown goes on only
/// if it `may_differ`.
///
/// # Errors
/// What became of the host, which was not touched.
pub fn refresh(host: &mut Prepared, may_differ: bool, reporter: &dyn Reporter) -> Result<(), Box<HostOutcome>> {
    let name = host.plan.name.clone();
    let given_up = |ending, error: String| {
        reporter.event(&Event::HostFailed { host: &name, error: &error });
        Box::new(HostOutcome { error: Some(error), ..HostOutcome::new(&name, ending) })
    };
    let plan = look(host).map_err(|error| {
        let ending = if is_unreachable(&error) { HostStatus::Unreachable } else { HostStatus::Failed };
        given_up(ending, format!("{error:#}"))
    })?;
    let differing = differing(&host.plan, &plan);
    if !differing.is_empty() {
        let text = format!("the plan has changed since it was shown, at: {}", differing.join(", "));
        reporter.event(&Event::Notice { host: Some(&name), text: &text });
        if !may_differ {
            let error = format!("{text}; nothing was touched: apply again to see it, or give --yes");
            return Err(given_up(HostStatus::Failed, error));
        }
        reporter.event(&Event::Planned { plan: &plan });
        host.plan = plan;
    }
    Ok(())
}

fn look(host: &mut Prepared) -> anyhow::Result<HostPlan> {
    host.host.revive()?;
    host.plan_again()
}

/// The steps in which two plans for a host are not the same.
fn differing(shown: &HostPlan, now: &HostPlan) -> Vec<String> {
    let mut names = Vec::new();
    for step in &now.steps {
        let same = shown.steps.iter().any(|other| {
            (&other.id, other.action, &other.changes, &other.ops) == (&step.id, step.action, &step.changes, &step.ops)
        });
        if !same {
            names.push(format!("step {} ({})", step.id, step.name));
        }
    }
    let gone = shown.steps.iter().filter(|step| !now.steps.iter().any(|other| other.id == step.id));
    names.extend(gone.map(|step| format!("step {} ({}), no longer due", step.id, step.name)));
    names
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "rolling_tests.rs"]
mod tests;
