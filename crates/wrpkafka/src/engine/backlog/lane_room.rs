//! The atomic word of one lane: how much of it the client holds, and what a new record meets. Its protocol is the
//! [backlog](super)'s.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::counts::{FLAGS, Layout};
use super::flow::Flow;
use super::primitives::AtomicWord;
use super::share::Share;

/// Records and bytes of the [`Layout`], above the [`Flow`]. Lanes are used by different threads at once, so each has a cache
/// line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct LaneRoom<A> {
    value: A,
    layout: Layout,
}

impl<A: AtomicWord> LaneRoom<A> {
    /// A lane that is [`Flow::Closed`]. Its word has the bits that the whole room needs.
    pub(super) fn new(layout: Layout) -> Self {
        Self { value: A::new(Flow::Closed as u64), layout }
    }

    /// Whether a record would go to the client, as far as the lane is concerned. Otherwise says what it meets; that is
    /// [`Flow::Open`] if the lane holds its share.
    pub(super) fn admits(&self, share: Share) -> Result<(), Flow> {
        let word = self.value.load(Relaxed);
        if flow(word) == Flow::Open && self.allows(word, share) { Ok(()) } else { Err(flow(word)) }
    }

    /// Counts one record for which the client has room, if nothing waits and the lane's share allows it. Otherwise says
    /// what the record meets, as [`LaneRoom::admits`].
    pub(super) fn add_if_open(&self, bytes: usize, share: Share) -> Result<(), Flow> {
        let add = |word: u64| {
            let admits = flow(word) == Flow::Open && self.allows(word, share);
            admits.then(|| word + self.layout.unit(bytes))
        };
        // Acquire: point 2 of the protocol.
        self.value.update(Acquire, Relaxed, add).map(drop).map_err(flow)
    }

    /// Whether the lane's share allows one more record.
    pub(super) fn has_share(&self, share: Share) -> bool {
        self.allows(self.value.load(Relaxed), share)
    }

    /// Counts a record that waited and for which the client has room. For the holder of the lock.
    pub(super) fn add(&self, bytes: usize) {
        self.value.fetch_add(self.layout.unit(bytes), Relaxed);
    }

    /// Gives back the room of one record. Returns what a new one meets.
    pub(super) fn release(&self, bytes: usize) -> Flow {
        flow(self.value.fetch_sub(self.layout.unit(bytes), Relaxed))
    }

    /// Changes the flow. For the holder of the lock.
    pub(super) fn set_flow(&self, flow: Flow) {
        // Release: point 2 of the protocol. Cannot fail, as the change is never refused.
        let _ = self.value.update(Release, Relaxed, |word| Some(word & !FLAGS | flow as u64));
    }

    /// Records and bytes of the lane in the client.
    pub(super) fn used(&self) -> (u64, u64) {
        self.layout.counts(self.value.load(Relaxed))
    }

    fn allows(&self, word: u64, share: Share) -> bool {
        let (records, bytes) = self.layout.counts(word);
        share.allows(records, bytes)
    }
}

fn flow(word: u64) -> Flow {
    match word & FLAGS {
        0 => Flow::Open,
        1 => Flow::Queued,
        2 => Flow::Suspended,
        3 => Flow::Failing,
        _ => Flow::Closed,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn open() -> LaneRoom<AtomicU64> {
        let lane = LaneRoom::new(Layout::new(4, 100));
        lane.set_flow(Flow::Open);
        lane
    }

    #[test]
    fn new_records_are_counted_only_while_the_flow_is_open() {
        let lane = open();
        lane.set_flow(Flow::Queued);
        assert_eq!(lane.admits(Share::WHOLE), Err(Flow::Queued));
        assert_eq!(lane.add_if_open(1, Share::WHOLE), Err(Flow::Queued));
        lane.add(1);
        lane.set_flow(Flow::Open);
        assert_eq!(lane.add_if_open(1, Share::WHOLE), Ok(()));
        assert_eq!(lane.used(), (2, 2));
        lane.release(1);
        assert_eq!(lane.used(), (1, 1));
    }

    #[test]
    fn a_lane_holds_no_more_than_its_share() {
        let lane = open();
        let share = Share::of_free(1, 5);
        assert_eq!(lane.add_if_open(10, share), Ok(()), "below its share before it");
        assert_eq!(lane.add_if_open(1, share), Err(Flow::Open), "10 bytes are as many as 2 times 5");
        assert_eq!(lane.add_if_open(1, Share::of_free(1, 6)), Ok(()));
        assert!(!lane.has_share(Share::of_free(1, 60)), "two records");
        assert!(lane.has_share(Share::WHOLE));
    }
}
