//! A share of a long table, so that a run in CI ends in time.
//!
//! STOCKADE_SAMPLE=PERCENT takes so many of its entries, spread evenly; STOCKADE_SEED
//! decides which: of seeds that follow each other, others.
//! `tests/programs.py` chooses tests the same way.

#![allow(clippy::expect_used)]

/// The entries of this run: all of them without STOCKADE_SAMPLE, one at least with it.
///
/// # Panics
/// A variable is not a number.
pub fn share<T>(all: Vec<T>) -> Vec<T> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<usize>().expect("a number"));
    match number("STOCKADE_SAMPLE") {
        None => all,
        // A test that is itself one of a sample runs every so many seeds: its entries take
        // turns by how often it has run.
        Some(percent) => chosen(all, percent, number("STOCKADE_SEED").unwrap_or(0) * percent / 100),
    }
}

fn chosen<T>(all: Vec<T>, percent: usize, seed: usize) -> Vec<T> {
    let (shift, count) = (seed % 100, all.len().max(1));
    let is_in = |at: usize| (at + shift) * percent / 100 < (at + shift + 1) * percent / 100;
    let lone = if (0..count).any(is_in) { None } else { Some(shift % count) };
    let entries = all.into_iter().enumerate();
    entries.filter(|(at, _)| is_in(*at) || lone == Some(*at)).map(|(_, entry)| entry).collect()
}

#[test]
fn seeds_that_follow_each_other_take_all_entries() {
    for (count, percent) in [(14, 50), (7, 40), (3, 10), (1, 1), (621, 33)] {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let of_seed = chosen((0..count).collect(), percent, seed);
            assert!(
                !of_seed.is_empty() && of_seed.len() <= count * percent / 100 + 1,
                "{count} {percent}: {of_seed:?}"
            );
            seen.extend(of_seed);
        }
        assert_eq!(seen.len(), count, "{count} entries, {percent} %");
    }
    assert_eq!(chosen(vec![1, 2, 3], 100, 7), [1, 2, 3]);
}
