//! The waiting events of one device.

use std::collections::VecDeque;

use wrp::QosLevel;

use super::shares::{Arrivals, Holding, Sizes};

/// Levels of quality of service.
pub(super) const LEVELS: usize = 4;

/// What a device may send in its turn before the next one has its own, in bytes: an event of the usual length, so that a device with
/// a single event waits for one event of each other one.
pub(super) const TURN: usize = 1536;

/// The events of a device that wait, and those of a device that has none but had some lately.
pub(super) struct DeviceEvents<T> {
    /// By level, oldest first, with the sequence numbers.
    levels: [VecDeque<(u64, Queued<T>)>; LEVELS],
    pub(super) count: usize,
    /// What they take of the room.
    pub(super) size: usize,
    /// What is left of its turn.
    left: usize,
    pub(super) turn: Turn,
    pub(super) arrivals: Arrivals,
}

/// An event with its sizes.
pub(super) struct Queued<T> {
    pub(super) event: T,
    pub(super) sizes: Sizes,
}

/// Whether a device takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is not in the list of turns.
    None,
    /// It is in the list, also if its events have given way since.
    Waits,
    /// It may not have one until its event under way has ended.
    HeldBack,
}

impl<T> DeviceEvents<T> {
    pub(super) fn new() -> Self {
        Self {
            levels: Default::default(),
            count: 0,
            size: 0,
            left: 0,
            turn: Turn::None,
            arrivals: Arrivals::default(),
        }
    }

    pub(super) fn holding(&self) -> Holding {
        Holding {
            events: self.count,
            size: self.size,
            arrived: self.arrivals.lately(),
            steady: self.arrivals.steady(),
        }
    }

    pub(super) fn push(&mut self, sequence: u64, level: QosLevel, queued: Queued<T>) {
        if self.count == 0 {
            // A device with its first event has waited for its turn when it comes to the front.
            self.left = TURN;
        }
        self.count += 1;
        self.size += queued.sizes.room;
        self.levels[level as usize].push_back((sequence, queued));
    }

    /// What its oldest event costs; none without one.
    pub(super) fn next_cost(&self) -> Option<usize> {
        Some(self.levels[self.oldest()?].front()?.1.sizes.turn)
    }

    /// Takes its oldest event.
    pub(super) fn take(&mut self) -> Option<Queued<T>> {
        let taken = self.remove_oldest(self.oldest()?);
        self.forget_turn_if_empty();
        taken
    }

    /// Takes the oldest event of its lowest level.
    pub(super) fn take_lowest(&mut self) -> Option<Queued<T>> {
        let taken = self.remove_oldest(self.lowest()?);
        self.forget_turn_if_empty();
        taken
    }

    /// The lowest level of its events.
    pub(super) fn lowest(&self) -> Option<usize> {
        self.levels.iter().position(|level| !level.is_empty())
    }

    /// The sequence number of the oldest event of a level.
    pub(super) fn oldest_of(&self, level: usize) -> Option<u64> {
        self.levels[level].front().map(|(sequence, _)| *sequence)
    }

    /// Whether an event of this cost may leave in this turn.
    pub(super) fn can_pay(&self, cost: usize) -> bool {
        cost <= self.left
    }

    /// Pays for an event. A device that is alone may not have enough left.
    pub(super) fn pay(&mut self, cost: usize) {
        self.left = self.left.saturating_sub(cost);
    }

    /// Its next turn begins. What was left of the one before is added: an event that is longer than a turn waits for several.
    pub(super) fn begin_turn(&mut self) {
        self.left += TURN;
    }

    /// All events, with their sequence numbers.
    pub(super) fn into_events(self) -> impl Iterator<Item = (u64, T)> {
        self.levels.into_iter().flatten().map(|(sequence, queued)| (sequence, queued.event))
    }

    fn remove_oldest(&mut self, level: usize) -> Option<Queued<T>> {
        let (_, queued) = self.levels[level].pop_front()?;
        self.count -= 1;
        self.size -= queued.sizes.room;
        Some(queued)
    }

    /// The level of its oldest event.
    fn oldest(&self) -> Option<usize> {
        let first = |level: &usize| self.oldest_of(*level).unwrap_or(u64::MAX);
        (0..LEVELS).min_by_key(first).filter(|_| self.count > 0)
    }

    /// No device saves turns for later.
    fn forget_turn_if_empty(&mut self) {
        if self.count == 0 {
            self.left = 0;
            self.levels = Default::default();
        }
    }
}
