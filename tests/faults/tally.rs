//! What was injected and what came of it, by class.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Default)]
struct Row {
    injected: usize,
    survived: usize,
    time: Duration,
}

/// How the reason begins why a fault cannot be made on this machine.
pub const NOT_MADE: &str = "cannot be made here: ";

/// The table.
pub struct Tally {
    rows: BTreeMap<&'static str, Row>,
    failures: Vec<String>,
}

impl Tally {
    pub fn new() -> Tally {
        Tally { rows: BTreeMap::new(), failures: Vec::new() }
    }

    pub fn add(&mut self, class: &'static str, name: &str, result: Result<(), String>, time: Duration) {
        let row = self.rows.entry(class).or_default();
        row.time += time;
        row.injected += 1;
        match result {
            Ok(()) => row.survived += 1,
            Err(why) => self.failures.push(format!("{name}: {why}")),
        }
    }

    pub fn injected(&self) -> usize {
        self.rows.values().map(|row| row.injected).sum()
    }

    pub fn survived(&self) -> usize {
        self.rows.values().map(|row| row.survived).sum()
    }

    pub fn classes(&self) -> BTreeSet<&str> {
        self.rows.keys().copied().collect()
    }

    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    pub fn table(&self) -> String {
        let row = |(class, row): (&&str, &Row)| {
            format!(
                "{:4} injected {:4} survived {:6.1} s  {class}\n",
                row.injected,
                row.survived,
                row.time.as_secs_f64()
            )
        };
        self.rows.iter().map(row).collect()
    }
}
