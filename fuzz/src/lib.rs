//! What the targets share: identities, a daemon that knows a few objects, and
//! two readers of what was rebuilt that are written apart from the gateway's.

pub mod daemon;
pub mod go;
pub mod identity;
pub mod request;

/// Choices out of the fuzzer's bytes.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// One of a list.
    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.byte()) % list.len()]
    }

    /// Up to `most` bytes.
    pub fn some(&mut self, most: usize) -> &'a [u8] {
        let count = usize::from(self.byte()) % (most + 1);
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Whether any are left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
