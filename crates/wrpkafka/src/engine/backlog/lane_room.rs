//! The atomic word of one lane: how much of it the client holds, and what a new record meets. Its protocol is the
//! [backlog](super)'s.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::counts::{FLAGS, Layout};
use super::flow::Flow;
use super::primitives::AtomicWord;
use super::share::Share;

/// What a record takes of a batch beside its key, value and headers: lengths, time, and those of a few headers.
const FRAMING: u64 = 64;

/// Records and bytes of the [`Layout`], above the [`Flow`]. Lanes are used by different threads at once, so each has a cache
/// line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct LaneRoom<A> {
    value: A,
    layout: Layout,
    /// The most bytes of the lane that the client may hold, so that no batch is larger than the topic takes; `usize::MAX`:
    /// batches of any size. A lane without records may send any record. Guards nothing.
    window: AtomicUsize,
}

impl<A: AtomicWord> LaneRoom<A> {
    /// A lane that is [`Flow::Closed`]. Its word has the bits that the whole room needs.
    pub(super) fn new(layout: Layout) -> Self {
        Self { value: A::new(Flow::Closed as u64), layout, window: AtomicUsize::new(usize::MAX) }
    }

    /// Whether a record would go to the client, as far as the lane is concerned. Otherwise says what it meets; that is
    /// [`Flow::Open`] if the lane holds its share.
    pub(super) fn admits(&self, bytes: usize, share: Share) -> Result<(), Flow> {
        let word = self.value.load(Relaxed);
        if flow(word) == Flow::Open && self.allows(word, bytes, share) { Ok(()) } else { Err(flow(word)) }
    }

    /// Counts one record for which the client has room, if nothing waits and the lane's share allows it. Otherwise says
    /// what the record meets, as [`LaneRoom::admits`].
    pub(super) fn add_if_open(&self, bytes: usize, share: Share) -> Result<(), Flow> {
        let add = |word: u64| {
            let admits = flow(word) == Flow::Open && self.allows(word, bytes, share);
            admits.then(|| word + self.layout.unit(bytes))
        };
        // Acquire: point 2 of the protocol.
        self.value.update(Acquire, Relaxed, add).map(drop).map_err(flow)
    }

    /// Whether the lane's share allows one more record.
    pub(super) fn has_share(&self, bytes: usize, share: Share) -> bool {
        self.allows(self.value.load(Relaxed), bytes, share)
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

    /// Lets the client hold no more of the lane than one batch of this size; none: as much as there is room for.
    pub(super) fn set_window(&self, largest_batch: Option<usize>) {
        // A tenth is left for records with many headers.
        let window = largest_batch.map_or(usize::MAX, |bytes| bytes.saturating_mul(9) / 10);
        self.window.store(window, Relaxed);
    }

    /// Whether the client may hold only as much of the lane as fits in one batch.
    pub(super) fn has_window(&self) -> bool {
        self.window.load(Relaxed) != usize::MAX
    }

    /// Whether half of the window is free. If each record that leaves the client made room for the next one, each would be
    /// a batch by itself.
    pub(super) fn window_is_half_empty(&self) -> bool {
        if !self.has_window() {
            return true;
        }
        let (records, held) = self.used();
        records == 0 || self.fits(2 * records, 2 * held)
    }

    fn allows(&self, word: u64, bytes: usize, share: Share) -> bool {
        let (records, held) = self.layout.counts(word);
        share.allows(records, held) && (records == 0 || self.fits(records + 1, held + bytes as u64))
    }

    fn fits(&self, records: u64, bytes: u64) -> bool {
        let window = self.window.load(Relaxed);
        window == usize::MAX || bytes + records * FRAMING <= window as u64
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
        assert_eq!(lane.admits(1, Share::WHOLE), Err(Flow::Queued));
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
        assert!(!lane.has_share(1, Share::of_free(1, 60)), "two records");
        assert!(lane.has_share(1, Share::WHOLE));
    }

    #[test]
    fn a_lane_with_a_window_holds_no_more_than_one_batch_or_one_record() {
        let lane: LaneRoom<AtomicU64> = LaneRoom::new(Layout::new(9, 10_000));
        lane.set_flow(Flow::Open);
        assert!(!lane.has_window());
        lane.set_window(Some(1000));
        assert_eq!(lane.add_if_open(5000, Share::WHOLE), Ok(()), "it is alone");
        assert_eq!(lane.add_if_open(1, Share::WHOLE), Err(Flow::Open));
        lane.release(5000);
        assert_eq!(lane.add_if_open(500, Share::WHOLE), Ok(()));
        assert!(lane.has_share(272, Share::WHOLE) && !lane.has_share(273, Share::WHOLE));
        assert_eq!(lane.admits(273, Share::WHOLE), Err(Flow::Open));
        assert!(!lane.window_is_half_empty(), "two times 564 bytes");
        lane.set_window(None);
        assert_eq!(lane.add_if_open(5000, Share::WHOLE), Ok(()));
    }
}
