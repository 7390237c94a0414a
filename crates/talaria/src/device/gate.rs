//! The gate: whether the operator lets new devices connect (contract §7.1).

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Whether new devices may connect. It is open at the start; connected devices stay when it is closed.
#[derive(Debug)]
pub struct Gate {
    is_open: AtomicBool,
    since: Mutex<Timestamp>,
    changes: watch::Sender<()>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            is_open: AtomicBool::new(true),
            since: Mutex::new(Timestamp::now()),
            changes: watch::Sender::new(()),
        }
    }
}

impl Gate {
    /// Whether new devices may connect.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Whether new devices may connect, and since when that has been so.
    #[must_use]
    pub fn state(&self) -> (bool, Timestamp) {
        let since = self.since.lock();
        (self.is_open(), *since)
    }

    /// Learns of each change.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Opens or closes it. Returns whether that changed anything.
    pub fn set_open(&self, is_open: bool) -> bool {
        let mut since = self.since.lock();
        let has_changed = self.is_open.swap(is_open, Ordering::AcqRel) != is_open;
        if has_changed {
            *since = Timestamp::now();
            self.changes.send_replace(());
        }
        has_changed
    }
}
