//! Panics of what the publisher calls: they are counted, and cost no record but the one that they met.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many panics were caught.
#[derive(Debug, Default)]
pub(crate) struct Panics(AtomicU64);

impl Panics {
    /// Runs this, and catches its panic. What it changes must stay usable if it is left in the middle: listeners and
    /// receipts own what they change, and the publisher's own state is changed in steps.
    pub(crate) fn catch(&self, of: &'static str, run: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
            tracing::error!(of, "panic caught, kafka publisher goes on");
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
