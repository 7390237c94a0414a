//! Who holds far more than the fair share. All sizes are parts of the queue's room ([`Sizes::room`]).

use super::rank::Ranked;

/// What an event counts in a turn in addition to its bytes, because a request costs more than them.
const REQUEST: usize = 1024;

/// What an event takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Of the room: its bytes, and as much as each event takes of the number of events.
    pub(super) room: usize,
    /// Of a turn: its bytes, and those of a request.
    pub(super) turn: usize,
}

impl Sizes {
    pub(super) fn of(event: &impl Ranked, slot: usize) -> Self {
        let bytes = event.bytes();
        Self { room: bytes + slot, turn: bytes + REQUEST }
    }
}

/// What a device or a partner has of a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holding {
    /// What waits.
    pub(super) size: usize,
    /// What has arrived lately, whatever became of it. Who holds much by chance has not sent much.
    pub(super) arrived: usize,
}

/// The sizes of what has arrived in this epoch and in the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrivals {
    now: usize,
    before: usize,
}

/// Those who share some room: all devices, or those of one partner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    /// How many there are, also those that had an event lately and have none now.
    pub(super) devices: usize,
    pub(super) events: usize,
    pub(super) all: Holding,
}

impl Holding {
    /// The same with a new event of this size.
    pub(super) fn with(self, new: usize) -> Self {
        Self { size: self.size + new, arrived: self.arrived + new }
    }

    /// Whether a partner of this weight that holds so much holds far more than its share: half as much again, and it has also
    /// sent a tenth more than its share.
    pub(super) fn is_far_over_weight(&self, weight: usize, all: &Self, weights: usize) -> bool {
        is_more(self.size, all.size, (3 * weight, 2 * weights))
            && is_more(self.arrived, all.arrived, (11 * weight, 10 * weights))
    }
}

impl Arrivals {
    pub(super) fn add(&mut self, size: usize) {
        self.now += size;
    }

    pub(super) fn lately(&self) -> usize {
        self.now + self.before
    }

    pub(super) fn begin_epoch(&mut self) {
        *self = Self { now: 0, before: self.now };
    }
}

impl Crowd {
    /// The same with a new event of this size, if there is one.
    pub(super) fn with(self, new: Option<usize>) -> Self {
        Self {
            events: self.events + usize::from(new.is_some()),
            all: self.all.with(new.unwrap_or(0)),
            ..self
        }
    }

    /// Whether a device that holds so much holds far more than its share: more than a handful of events, and more than four
    /// times the mean, or less where so few share that no device could hold that much.
    pub(super) fn is_far_more(&self, held: &Holding) -> bool {
        let (devices, events) = (self.devices.max(1), self.events.max(1));
        let handful = (events / 4).clamp(1, 16);
        let share = ((4 + devices).min(16), 4 * devices);
        is_more(held.size, self.all.size, (handful, events))
            && is_more(held.size, self.all.size, share)
            && is_more(held.arrived, self.all.arrived, share)
    }
}

/// Whether `one` is more than this part of `all`: numerator and denominator.
fn is_more(one: usize, all: usize, part: (usize, usize)) -> bool {
    one.saturating_mul(part.1) > all.saturating_mul(part.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(size: usize) -> Holding {
        Holding { size, arrived: size }
    }

    #[test]
    fn far_more_is_four_times_the_mean_and_less_where_few_share() {
        let crowd = |devices| Crowd { devices, events: 1000, all: both(1000) };
        for (devices, at_most) in [(1, 1250), (2, 750), (4, 500), (12, 333), (40, 100), (100, 40), (1000, 16)]
        {
            assert!(!crowd(devices).is_far_more(&both(at_most)), "{devices}");
            assert!(crowd(devices).is_far_more(&both(at_most + 1)), "{devices}");
        }
    }

    #[test]
    fn who_has_not_sent_much_does_not_hold_far_more() {
        let crowd = Crowd { devices: 100, events: 1000, all: both(1000) };
        assert!(!crowd.is_far_more(&Holding { size: 500, arrived: 40 }));
        assert!(!crowd.is_far_more(&Holding { size: 40, arrived: 500 }));
    }

    #[test]
    fn a_handful_is_smaller_where_few_events_wait() {
        let crowd = Crowd { devices: 12, events: 12, all: both(12) };
        assert!(!crowd.is_far_more(&both(4)) && crowd.is_far_more(&both(5)));
        let crowd = Crowd { devices: 0, events: 0, all: both(0) };
        assert!(!crowd.is_far_more(&both(0)));
    }

    #[test]
    fn a_partner_is_over_its_share_by_half_of_it() {
        let is_far_over = |size, weight, weights| both(size).is_far_over_weight(weight, &both(100), weights);
        assert!(!is_far_over(75, 1, 2) && is_far_over(76, 1, 2));
        assert!(!is_far_over(60, 2, 5) && is_far_over(61, 2, 5));
    }

    #[test]
    fn what_arrived_counts_for_two_epochs() {
        let mut arrivals = Arrivals::default();
        arrivals.add(3);
        arrivals.begin_epoch();
        arrivals.add(4);
        assert_eq!(arrivals.lately(), 7);
        arrivals.begin_epoch();
        assert_eq!(arrivals.lately(), 4);
        arrivals.begin_epoch();
        assert_eq!(arrivals.lately(), 0);
    }
}
