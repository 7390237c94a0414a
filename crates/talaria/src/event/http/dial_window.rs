//! How many connections to one receiver may be opened at the same time.
//!
//! Like TCP's slow start: few at first, one more with each that succeeds, half as many after one that fails. A receiver with
//! a short accept queue is not offered more connections than it accepts, and one that accepts them all soon has as many as
//! are needed.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// At first.
const FIRST: usize = 4;
/// At most.
pub(super) const MAX: usize = 64;

/// The window of one receiver.
pub(super) struct DialWindow {
    permits: Arc<Semaphore>,
    size: Mutex<usize>,
}

/// The right to open one connection.
pub(super) struct DialPermit {
    window: Arc<DialWindow>,
    _permit: OwnedSemaphorePermit,
}

impl DialWindow {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { permits: Arc::new(Semaphore::new(FIRST)), size: Mutex::new(FIRST) })
    }

    /// Waits for its turn.
    pub(super) async fn permit(self: &Arc<Self>) -> DialPermit {
        loop {
            // The semaphore is never closed.
            if let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await {
                return DialPermit { window: Arc::clone(self), _permit: permit };
            }
        }
    }

    fn widen(&self) {
        let mut size = self.size.lock();
        if *size < MAX {
            *size += 1;
            self.permits.add_permits(1);
        }
    }

    /// Permits in use cannot be taken back, so the window of a receiver with many attempts shrinks by more than one failure.
    fn halve(&self) {
        let mut size = self.size.lock();
        *size -= self.permits.forget_permits(*size / 2);
    }
}

impl DialPermit {
    /// Records how the attempt ended, and makes room for the next one.
    pub(super) fn ended(self, is_connected: bool) {
        let window = Arc::clone(&self.window);
        drop(self);
        if is_connected {
            window.widen();
        } else {
            window.halve();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// As many permits as there are.
    fn all(window: &Arc<DialWindow>) -> Vec<DialPermit> {
        std::iter::from_fn(|| window.permit().now_or_never()).collect()
    }

    #[test]
    fn each_success_allows_one_more_up_to_the_maximum() {
        let window = DialWindow::new();
        for expected in [4, 8, 16, 32, 64, 64] {
            let permits = all(&window);
            assert_eq!(permits.len(), expected);
            permits.into_iter().for_each(|permit| permit.ended(true));
        }
    }

    #[test]
    fn failures_leave_at_least_one() {
        let window = DialWindow::new();
        for _ in 0..10 {
            all(&window).into_iter().for_each(|permit| permit.ended(false));
        }
        assert_eq!(all(&window).len(), 1);
    }

    #[test]
    fn an_attempt_that_is_given_up_changes_nothing() {
        let window = DialWindow::new();
        drop(all(&window));
        assert_eq!(all(&window).len(), 4);
    }
}
