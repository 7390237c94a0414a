use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The memory that the unfinished messages of all devices may take together: each alone is within its limit, but a
/// million halves of long messages would still be too much (contract §14.18).
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Budget {
        Budget { used: AtomicUsize::new(0), limit }
    }

    /// One device's share changes, in bytes. Whether that is within the budget: a share that does not grow always is.
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
    fn what_is_given_back_may_be_used_again() {
        let budget = Budget::new(100);
        assert!(budget.change(0, 60));
        assert!(!budget.change(0, 60), "120 are over 100");
        assert!(budget.change(60, 0));
        assert!(budget.change(60, 90));
        assert!(!budget.change(0, 11));
    }
}
