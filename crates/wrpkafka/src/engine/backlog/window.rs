//! Topics that take smaller batches than the client makes.
//!
//! Of such a lane the client holds at most as much as fits in one batch ([`LaneRoom::set_window`](super::LaneRoom)): however it
//! divides that, no batch is refused. A refused one would let records of one key overtake each other, if the broker has not seen
//! the client write to the partition before (contract §8.18).

use std::sync::atomic::Ordering;

use super::Backlog;
use super::lanes::Lanes;
use super::primitives::{Lock as _, Primitives};

impl<P: Primitives> Backlog<P> {
    /// Notes the largest batch of the client.
    pub(crate) fn set_batch_bytes(&self, bytes: usize) {
        self.locked.with(|locked| {
            self.batch_bytes.store(bytes, Ordering::Relaxed);
            self.publish_windows(locked);
        });
    }

    /// Notes the largest batch that a topic takes. Returns the largest one of the client if that is larger, which is news.
    pub(crate) fn set_largest_batch(&self, topic: &str, bytes: usize) -> Option<usize> {
        self.locked.with(|locked| {
            let is_news = locked.set_largest_batch(topic, bytes)?;
            self.publish_windows(locked);
            let of_client = self.batch_bytes.load(Ordering::Relaxed);
            (is_news && bytes < of_client).then_some(of_client)
        })
    }

    /// Whether records may wait because their topic takes small batches only. What the client holds of them is not enough for
    /// a full batch, so that nothing but its linger would send it.
    pub(crate) fn waits_for_window(&self) -> bool {
        self.has_windows.load(Ordering::Relaxed) && self.capacity.is_wanted()
    }

    pub(super) fn publish_windows(&self, locked: &Lanes) {
        let of_client = self.batch_bytes.load(Ordering::Relaxed);
        let mut has_windows = false;
        for (id, lane) in locked.iter() {
            let window = lane.largest_batch.filter(|bytes| *bytes < of_client);
            has_windows |= window.is_some();
            self.lane(id).set_window(window);
        }
        self.has_windows.store(has_windows, Ordering::Relaxed);
    }
}
