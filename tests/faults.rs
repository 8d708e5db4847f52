//! Faults that an apply must survive, on real hosts: the program as an operator
//! runs it, killed, cut off, and refused what it needs, at every step of a run.
//!
//! No hook in the product: on the host, programs of the test stand before the
//! ones that a run calls (`faults/trap.sh`), and between controller and host
//! stands a relay that cuts connections. After each fault the same is asked of
//! the host ([`site::Site::survives`]). Chosen by a seed: STOCKADE_FAULT_SEED.
//! STOCKADE_FAULTS=COUNT injects a sample of about so many, of each class its share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

#[path = "faults/access.rs"]
mod access;
#[path = "faults/connection.rs"]
mod connection;
#[path = "faults/controllers.rs"]
mod controllers;
#[path = "faults/demands.rs"]
mod demands;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/packages.rs"]
mod packages;
#[path = "faults/runner.rs"]
mod runner;
#[path = "faults/seed.rs"]
mod seed;
#[path = "faults/site.rs"]
mod site;
#[path = "faults/tally.rs"]
mod tally;

use seed::Seed;
use site::{Call, Site};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use tally::Tally;

/// Makes a fault happen, and says what did not hold.
pub type Inject = Box<dyn FnOnce(&mut Site) -> Result<(), String> + Send>;

/// A fault, and the way the hosts must go when it happens, if it matters.
pub struct Fault {
    /// What sort of fault; a row of the table.
    pub class: &'static str,
    /// What happens where.
    pub name: String,
    /// To `new` or to `old`.
    pub to: Option<&'static str>,
    /// Makes it happen.
    pub inject: Inject,
}

/// A fault that may happen on the way to either state.
fn fault(
    class: &'static str,
    name: impl Into<String>,
    inject: impl FnOnce(&mut Site) -> Result<(), String> + Send + 'static,
) -> Fault {
    Fault { class, name: name.into(), to: None, inject: Box::new(inject) }
}

/// The first call of the runner that looks like this.
fn runner(pattern: &str) -> Call {
    Call { place: "runner".into(), pattern: pattern.into(), nth: 1 }
}

/// Hosts that are worked on at once: most of a fault is waiting.
const HOSTS: usize = 4;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn every_fault_is_survived() {
    let mut seed = Seed::of_environment();
    let mut site = Site::new();
    // What a run calls, on its way to each state.
    let normal = site.normal();
    let mut faults: Vec<Fault> = Vec::new();
    faults.extend(runner::faults(&normal, &mut seed));
    faults.extend(connection::faults(&normal, &mut seed));
    faults.extend(controllers::faults(&normal, &mut seed));
    faults.extend(machine::faults());
    faults.extend(disk::faults());
    faults.extend(packages::faults());
    faults.extend(access::faults(&mut seed));
    // For work on one class or one fault.
    if let Ok(only) = std::env::var("STOCKADE_FAULT_ONLY") {
        let is_wanted = |name: String| only.split('|').any(|part| name.contains(part));
        faults.retain(|fault| is_wanted(format!("{}: {}", fault.class, fault.name)));
    }
    seed.shuffle(&mut faults);
    let classes: BTreeSet<&str> = faults.iter().map(|fault| fault.class).collect();
    let all = faults.len();
    let sample = std::env::var("STOCKADE_FAULTS").ok().map(|count| count.parse().expect("STOCKADE_FAULTS is a number"));
    if let Some(count) = sample {
        faults = share_of_each_class(faults, count);
    }
    let complete = sample.is_none() && std::env::var_os("STOCKADE_FAULT_ONLY").is_none();

    let tally = Mutex::new(Tally::new());
    let queue = Mutex::new(faults);
    std::thread::scope(|scope| {
        let (queue, tally) = (&queue, &tally);
        scope.spawn(move || work(site, queue, tally));
        for _ in 1..HOSTS {
            scope.spawn(move || work(Site::new(), queue, tally));
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{}", tally.table());
    println!("seed {}; the same seed gives the same faults: STOCKADE_FAULT_SEED={}", seed.first, seed.first);
    println!("{} of {all} faults injected, {} survived", tally.injected(), tally.survived());
    assert!(tally.failures().is_empty(), "{}", tally.failures().join("\n\n"));
    assert_eq!(tally.classes(), classes, "every class was tried");
    assert!(!complete || tally.injected() >= 300, "at least 300 faults");
}

/// About so many of shuffled faults: of each class the first ones, as many as its
/// share of all, and one at least.
fn share_of_each_class(faults: Vec<Fault>, count: usize) -> Vec<Fault> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    faults.iter().for_each(|fault| *sizes.entry(fault.class).or_default() += 1);
    let all = faults.len().max(1);
    let mut left: BTreeMap<&str, usize> =
        sizes.into_iter().map(|(class, size)| (class, (size * count).div_ceil(all))).collect();
    let mut is_chosen = |fault: &Fault| {
        let left = left.get_mut(fault.class).unwrap();
        let chosen = *left > 0;
        *left = left.saturating_sub(1);
        chosen
    };
    faults.into_iter().filter(|fault| is_chosen(fault)).collect()
}

/// One host, until no fault is left.
fn work(mut site: Site, queue: &Mutex<Vec<Fault>>, tally: &Mutex<Tally>) {
    loop {
        let next = {
            let mut queue = queue.lock().unwrap();
            let fits = |fault: &Fault| fault.to.is_none_or(|to| to == site.other());
            match queue.iter().rposition(fits) {
                Some(at) => Some(queue.remove(at)),
                None if queue.is_empty() => return,
                None => None,
            }
        };
        let Some(fault) = next else {
            site.turn();
            continue;
        };
        let began = std::time::Instant::now();
        let name = format!("{}: {}", fault.class, fault.name);
        let result = (fault.inject)(&mut site);
        if std::env::var_os("STOCKADE_FAULT_VERBOSE").is_some() {
            let word = if result.is_ok() { "survived" } else { "NOT SURVIVED" };
            eprintln!("{:6.1} s  {word}  {name}", began.elapsed().as_secs_f64());
        }
        if let Err(why) = &result {
            eprintln!("NOT SURVIVED  {name}: {why}");
            site.heal();
        }
        tally.lock().unwrap().add(fault.class, &name, result, began.elapsed());
    }
}
