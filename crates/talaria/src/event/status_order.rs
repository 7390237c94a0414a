//! The order of the online and offline events of each device at one sink, and their room (contract §14.22, §14.23).
//!
//! Several events are on their way to a sink at the same time, so one that is sent later may arrive earlier. Of the events
//! with the same key, therefore, the next one starts only after the one before has ended: delivered or given up.
//!
//! These events have room of their own, because no device can send them again: bounded in events and bytes, for all devices,
//! and a sixteenth of the events for one of them, whose oldest waiting event makes room for its newest, which says whether it is
//! online. An event takes its room until it has ended.
//!
//! Deliberately absent: how a sink delivers an event. Start reading at [`StatusOrder::enter`].

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::config::QueueLimit;

/// The events of one key may take this part of the room, in events: a sixteenth.
const KEY_SHARE: usize = 16;

/// How often a caller that waits for room looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The events on their way to a sink, by their key.
pub(super) struct StatusOrder<K, J> {
    state: Mutex<State<K, J>>,
    /// Notified when the last event has ended.
    drained: Notify,
}

struct State<K, J> {
    limit: QueueLimit,
    messages: usize,
    bytes: usize,
    /// One event of each key is under way; these wait for it.
    waiting: HashMap<K, VecDeque<(J, usize)>>,
    is_closed: bool,
}

/// What becomes of an event that is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered<J> {
    /// It starts now; [`leave`](StatusOrder::leave) has to be called when it has ended.
    Now(J),
    /// It waits for the one before it.
    Waiting,
    /// It waits, and this older one of the same key is dropped for it.
    Displaced(J),
    /// There is no room.
    Full(J),
}

impl<K: Eq + Hash, J> StatusOrder<K, J> {
    pub(super) fn new(limit: QueueLimit) -> Self {
        let state = State { limit, messages: 0, bytes: 0, waiting: HashMap::new(), is_closed: false };
        Self { state: Mutex::new(state), drained: Notify::new() }
    }

    /// Another bound, for the events that come.
    pub(super) fn set_limit(&self, limit: QueueLimit) {
        self.state.lock().limit = limit;
    }

    /// An event of so many bytes.
    pub(super) fn enter(&self, key: K, bytes: usize, job: J) -> Entered<J> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.is_closed || !state.limit.has_room(state.messages, state.bytes, bytes) {
            return Entered::Full(job);
        }
        state.messages += 1;
        state.bytes += bytes;
        let Some(waiting) = state.waiting.get_mut(&key) else {
            state.waiting.insert(key, VecDeque::new());
            return Entered::Now(job);
        };
        waiting.push_back((job, bytes));
        if waiting.len() <= (state.limit.messages / KEY_SHARE).max(1) {
            return Entered::Waiting;
        }
        let Some((oldest, freed)) = waiting.pop_front() else { return Entered::Waiting };
        state.messages -= 1;
        state.bytes -= freed;
        Entered::Displaced(oldest)
    }

    /// The event of this key that was under way, of so many bytes, has ended. Returns the next one, which starts now, with
    /// its bytes.
    pub(super) fn leave(&self, key: &K, bytes: usize) -> Option<(J, usize)> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.messages -= 1;
        state.bytes -= bytes;
        let waiting = state.waiting.get_mut(key)?;
        let next = waiting.pop_front();
        if next.is_none() {
            state.waiting.remove(key);
        } else if waiting.is_empty() {
            // The memory of a burst does not stay.
            *waiting = VecDeque::new();
        }
        let is_drained = state.messages == 0;
        drop(guard);
        if is_drained {
            self.drained.notify_waiters();
        }
        next
    }

    /// Accepts no more events. Returns those that wait; those under way go on to their end.
    pub(super) fn close(&self) -> Vec<J> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.is_closed = true;
        let waiting: Vec<_> = state.waiting.values_mut().flat_map(|waiting| waiting.drain(..)).collect();
        state.messages -= waiting.len();
        state.bytes -= waiting.iter().map(|(_, bytes)| bytes).sum::<usize>();
        waiting.into_iter().map(|(job, _)| job).collect()
    }

    /// Whether any event that waits is one of these.
    pub(super) fn has_waiting(&self, is_one: impl Fn(&J) -> bool) -> bool {
        self.state.lock().waiting.values().flatten().any(|(job, _)| is_one(job))
    }

    /// Waits until all events have ended, at most until `deadline`.
    pub(super) async fn drained(&self, deadline: Instant) {
        loop {
            let drained = self.drained.notified();
            if self.state.lock().messages == 0 || timeout_at(deadline, drained).await.is_err() {
                return;
            }
        }
    }

    /// Whether at least half of the room is free.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state.lock();
        let limit = state.limit;
        state.is_closed || state.messages <= limit.messages / 2 && state.bytes <= limit.bytes / 2
    }

    /// Waits until at least half of the room is free, at most until `deadline`. For those who make many events at once.
    pub(super) async fn room(&self, deadline: Instant) {
        while !self.has_room() && Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn order(messages: usize, bytes: usize) -> StatusOrder<&'static str, u32> {
        StatusOrder::new(QueueLimit { messages, bytes })
    }

    #[test]
    fn the_next_event_of_a_device_starts_when_the_one_before_has_ended_and_no_other_device_waits() {
        let order = order(100, 1000);
        assert_eq!(order.enter("a", 10, 1), Entered::Now(1));
        assert_eq!(order.enter("a", 20, 2), Entered::Waiting);
        assert_eq!(order.enter("a", 30, 3), Entered::Waiting);
        assert_eq!(order.enter("b", 10, 4), Entered::Now(4));
        assert_eq!(order.leave(&"a", 10), Some((2, 20)));
        assert_eq!(order.leave(&"a", 20), Some((3, 30)));
        assert_eq!(order.leave(&"a", 30), None);
        assert_eq!(order.enter("a", 10, 5), Entered::Now(5));
    }

    #[test]
    fn the_room_is_bounded_in_events_and_bytes_until_they_have_ended() {
        let order = order(2, 100);
        assert_eq!(order.enter("a", 60, 1), Entered::Now(1));
        assert_eq!(order.enter("b", 60, 2), Entered::Full(2), "bytes");
        assert_eq!(order.enter("b", 10, 2), Entered::Now(2));
        assert_eq!(order.enter("c", 10, 3), Entered::Full(3), "events");
        assert!(!order.has_room());
        assert_eq!(order.leave(&"a", 60), None);
        assert!(order.has_room());
        assert_eq!(order.enter("c", 10, 3), Entered::Now(3));
    }

    #[test]
    fn of_a_device_with_too_many_events_the_oldest_is_dropped_and_the_newest_stays() {
        let order = order(32, 1000);
        for event in 1..=3 {
            order.enter("a", 10, event);
        }
        assert_eq!(order.enter("a", 10, 4), Entered::Displaced(2), "a sixteenth may wait");
        assert_eq!(order.leave(&"a", 10), Some((3, 10)));
        assert_eq!(order.leave(&"a", 10), Some((4, 10)));
        assert_eq!(order.leave(&"a", 10), None);
        assert!(order.state.lock().waiting.is_empty() && order.state.lock().bytes == 0);
    }

    #[test]
    fn a_closed_order_gives_back_what_waits_and_starts_nothing_more() {
        let order = order(100, 1000);
        order.enter("a", 10, 1);
        order.enter("a", 10, 2);
        assert_eq!(order.close(), [2]);
        assert_eq!(order.leave(&"a", 10), None);
        assert_eq!(order.enter("a", 10, 3), Entered::Full(3));
    }

    proptest! {
        /// Whatever is sent and ends: each key has at most one event under way, its events start in their order, and the
        /// room that is taken is that of the events that have not ended.
        #[test]
        fn each_key_has_one_event_under_way_and_its_events_start_in_order(
            steps in vec((any::<bool>(), 0..4usize, 1..50usize), 0..200),
        ) {
            const KEYS: [&str; 4] = ["a", "b", "c", "d"];
            let order = order(40, 400);
            let mut under_way: [Option<(u32, usize)>; 4] = [None; 4];
            let mut last = [0; 4];
            let mut sizes = HashMap::new();
            for (number, (sends, key, bytes)) in (1u32..).zip(steps) {
                let started = if sends {
                    sizes.insert(number, bytes);
                    match order.enter(KEYS[key], bytes, number) {
                        Entered::Now(job) => Some((job, bytes)),
                        Entered::Displaced(job) | Entered::Full(job) => {
                            sizes.remove(&job);
                            None
                        }
                        Entered::Waiting => None,
                    }
                } else if let Some((job, bytes)) = under_way[key].take() {
                    sizes.remove(&job);
                    order.leave(&KEYS[key], bytes)
                } else {
                    None
                };
                if let Some((job, bytes)) = started {
                    prop_assert!(under_way[key].is_none());
                    prop_assert!(job > last[key]);
                    last[key] = job;
                    under_way[key] = Some((job, bytes));
                }
                let state = order.state.lock();
                prop_assert_eq!((state.messages, state.bytes), (sizes.len(), sizes.values().sum::<usize>()));
            }
        }
    }
}
