//! The capacity of a lane's queue, which the receivers of the lane share (contract §5.5).
//!
//! Each receiver is sure of an equal part, and may borrow what others leave unused: as long as there is room, everything is
//! accepted. Without room the receiver that holds most gives way. It holds more than its part then, so no receiver loses an event
//! from its own part, and what was borrowed is given back as soon as it is needed.
//!
//! Deliberately absent: the events, and which event of a receiver gives way. Start reading at [`Capacity::gives_way`].

use crate::event::config::QueueLimit;

/// How much of a queue each receiver holds.
pub(super) struct Capacity {
    limit: QueueLimit,
    total: Load,
    by_receiver: Box<[Load]>,
}

/// How full a receiver's part of a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fullness {
    /// It has much room.
    Free,
    /// It has room.
    Half,
    /// It has little room: devices wait before they send more.
    Nearly,
}

/// How many events there are, and the bytes of their bodies.
#[derive(Clone, Copy, Default)]
struct Load {
    messages: usize,
    bytes: usize,
}

impl Capacity {
    pub(super) fn new(limit: QueueLimit, receivers: usize) -> Self {
        Self { limit, total: Load::default(), by_receiver: vec![Load::default(); receivers].into() }
    }

    /// Whether one more event of so many bytes fits.
    pub(super) const fn fits(&self, bytes: usize) -> bool {
        self.limit.has_room(self.total.messages, self.total.bytes, bytes)
    }

    /// The receiver that has to give way to an event of `receiver` for which there is no room: the one that would hold most of
    /// what has run out, with the new event.
    pub(super) fn gives_way(&self, receiver: usize, bytes: usize) -> usize {
        let is_full_of_messages = self.total.messages >= self.limit.messages;
        let holds = |at: usize| {
            let (held, is_its_own) = (self.by_receiver[at], at == receiver);
            let amount = match (is_full_of_messages, is_its_own) {
                (true, _) => held.messages + usize::from(is_its_own),
                (false, true) => held.bytes.saturating_add(bytes),
                (false, false) => held.bytes,
            };
            (amount, is_its_own)
        };
        (0..self.by_receiver.len()).max_by_key(|at| holds(*at)).unwrap_or(receiver)
    }

    /// How full the queue is for a receiver: full as a whole, and the receiver holds that much of its own part.
    pub(super) fn fullness(&self, receiver: usize) -> Fullness {
        self.total
            .fullness(self.limit, 1)
            .min(self.by_receiver[receiver].fullness(self.limit, self.by_receiver.len()))
    }

    /// What is free for a receiver: of the whole, or of its own part if that is more. An event takes its bytes, and as much as
    /// each event has of them.
    pub(super) fn free(&self, receiver: usize) -> usize {
        let parts = self.by_receiver.len();
        self.total.free(self.limit, 1).max(self.by_receiver[receiver].free(self.limit, parts))
    }

    /// How full the queue is as a whole.
    pub(super) fn total_fullness(&self) -> Fullness {
        self.total.fullness(self.limit, 1)
    }

    pub(super) fn add(&mut self, receiver: usize, bytes: usize) {
        self.total.add(bytes);
        self.by_receiver[receiver].add(bytes);
    }

    pub(super) fn remove(&mut self, receiver: usize, bytes: usize) {
        self.total.remove(bytes);
        self.by_receiver[receiver].remove(bytes);
    }

    /// How many events a receiver holds.
    pub(super) fn held_by(&self, receiver: usize) -> usize {
        self.by_receiver[receiver].messages
    }

    /// The same capacity without events.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.limit, self.by_receiver.len())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.total.messages == 0
    }
}

impl Load {
    /// What is free of this part of the limit.
    fn free(self, limit: QueueLimit, parts: usize) -> usize {
        let slot = limit.bytes / limit.messages.max(1);
        let messages = (limit.messages / parts).saturating_sub(self.messages);
        messages.saturating_mul(slot).min((limit.bytes / parts).saturating_sub(self.bytes))
    }

    /// Compared with this part of the limit.
    fn fullness(self, limit: QueueLimit, parts: usize) -> Fullness {
        let holds = |quarters: usize| {
            let is_more = |held: usize, limit: usize| {
                held.saturating_mul(4).saturating_mul(parts) >= limit.saturating_mul(quarters)
            };
            is_more(self.messages, limit.messages) || is_more(self.bytes, limit.bytes)
        };
        if holds(3) {
            Fullness::Nearly
        } else if holds(2) {
            Fullness::Half
        } else {
            Fullness::Free
        }
    }

    const fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }

    const fn remove(&mut self, bytes: usize) {
        self.messages -= 1;
        self.bytes -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_receiver_borrowed_it_gives_back_down_to_an_equal_part() {
        let mut capacity = Capacity::new(QueueLimit { messages: 12, bytes: 1000 }, 3);
        (0..12).for_each(|_| capacity.add(0, 1));
        for _ in 0..4 {
            for receiver in [1, 2] {
                assert!(!capacity.fits(1));
                assert_eq!(capacity.gives_way(receiver, 1), 0);
                capacity.remove(0, 1);
                capacity.add(receiver, 1);
            }
        }
        for receiver in 0..3 {
            assert_eq!(capacity.gives_way(receiver, 1), receiver, "each has its part, and no more");
        }
    }

    #[test]
    fn what_has_run_out_decides_who_holds_most() {
        let mut capacity = Capacity::new(QueueLimit { messages: 100, bytes: 100 }, 2);
        (0..9).for_each(|_| capacity.add(0, 1));
        capacity.add(1, 90);
        assert!(!capacity.fits(2));
        assert_eq!(capacity.gives_way(0, 2), 1, "bytes have run out, and it has most of them");
    }

    #[test]
    fn a_receiver_has_little_room_if_the_queue_is_nearly_full_and_so_is_its_own_part() {
        let mut capacity = Capacity::new(QueueLimit { messages: 16, bytes: 1000 }, 2);
        (0..7).for_each(|_| capacity.add(0, 1));
        assert_eq!(capacity.fullness(0), Fullness::Free);
        capacity.add(0, 1);
        assert_eq!(capacity.fullness(0), Fullness::Half);
        (0..4).for_each(|_| capacity.add(0, 1));
        assert_eq!((capacity.fullness(0), capacity.total_fullness()), (Fullness::Nearly, Fullness::Nearly));
        assert_eq!(capacity.fullness(1), Fullness::Free, "its own part is empty");
        capacity.remove(0, 1);
        assert_eq!(capacity.fullness(0), Fullness::Half);
        capacity.add(1, 800);
        assert_eq!(capacity.fullness(1), Fullness::Nearly, "bytes");
    }

    proptest! {
        /// Whatever comes, a receiver that holds less than its part never gives way to another one.
        #[test]
        fn no_receiver_gives_way_that_holds_less_than_an_equal_part(
            events in proptest::collection::vec((0..4usize, 1..60usize), 1..300),
        ) {
            let limit = QueueLimit { messages: 20, bytes: 400 };
            let mut capacity = Capacity::new(limit, 4);
            let mut held = vec![Vec::new(); 4];
            for (receiver, bytes) in events {
                while !capacity.fits(bytes) {
                    let of = capacity.gives_way(receiver, bytes);
                    if of == receiver {
                        break;
                    }
                    let sum: usize = held[of].iter().sum();
                    let has_its_part = held[of].len() >= limit.messages / 4 || sum >= (limit.bytes - bytes) / 4;
                    prop_assert!(has_its_part, "{held:?}");
                    capacity.remove(of, held[of].remove(0));
                }
                if capacity.fits(bytes) {
                    capacity.add(receiver, bytes);
                    held[receiver].push(bytes);
                }
            }
        }
    }
}
