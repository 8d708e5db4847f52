//! Choices that a number decides: the same number, the same faults.

/// A sequence of numbers (splitmix64).
pub struct Seed {
    /// The number that it began with.
    pub first: u64,
    state: u64,
}

impl Seed {
    /// STOCKADE_FAULT_SEED, or the one that is always used.
    pub fn of_environment() -> Seed {
        let text = std::env::var("STOCKADE_FAULT_SEED").unwrap_or_else(|_| "4".to_owned());
        let first = text.parse().expect("STOCKADE_FAULT_SEED is a number");
        Seed { first, state: first }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
    }

    /// So many of them, in their order.
    pub fn some<T>(&mut self, mut all: Vec<T>, count: usize) -> Vec<T> {
        while all.len() > count {
            let gone = self.below(all.len());
            all.remove(gone);
        }
        all
    }
}
