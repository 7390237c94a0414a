//! The bound on the memory for unfinished messages (contract §14.18).

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// The memory that the unfinished messages of all devices may take together. Each message has a limit of its own, but a
/// million halves of long messages would still be too much.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Budget {
        Budget { used: AtomicUsize::new(0), limit }
    }

    /// The share of one device changes from one number of bytes to another. Returns whether the budget allows it; a share
    /// that does not grow is always allowed.
    pub(super) fn change(&self, from: usize, to: usize) -> bool {
        if to <= from {
            self.used.fetch_sub(from - to, Relaxed);
            return true;
        }
        let more = to - from;
        self.used.fetch_add(more, Relaxed) + more <= self.limit
    }

    /// The limit in bytes.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn memory_that_is_given_back_may_be_used_again() {
        let budget = Budget::new(100);
        assert!(budget.change(0, 60));
        assert!(!budget.change(0, 60), "120 are over 100");
        assert!(budget.change(60, 0));
        assert!(budget.change(60, 90));
        assert!(!budget.change(0, 11));
    }
}
