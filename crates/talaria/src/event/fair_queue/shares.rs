//! Who holds far more than the fair share. All sizes are parts of the queue's room ([`Sizes::room`]).

use super::rank::Ranked;

/// What an event counts in a turn in addition to its bytes, because a request costs more than them.
const REQUEST: usize = 1024;

/// A device that is one of many that flood the queue has sent more than so many events in an epoch.
const FLOOD: usize = 8;

/// And more than so many times the median.
const TIMES_MEDIAN: usize = 8;

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
    /// How many events wait.
    pub(super) events: usize,
    /// What they take.
    pub(super) size: usize,
    /// What has arrived lately, whatever became of it. Who holds much by chance has not sent much.
    pub(super) arrived: usize,
    /// What has arrived in each of the last two complete epochs, at least. A burst arrives in one.
    pub(super) steady: usize,
}

/// The sizes of what has arrived in this epoch and in the two before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrivals {
    now: usize,
    before: usize,
    earlier: usize,
}

/// Those who share some room: all devices, or those of one partner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    /// How many there are, also those that had an event lately and have none now.
    pub(super) devices: usize,
    pub(super) all: Holding,
    pub(super) flood: Flood,
}

/// A device that sends more than this in an epoch may be one of many that flood the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood(usize);

impl Holding {
    /// The same with a new event of this size.
    pub(super) fn with(self, new: usize) -> Self {
        Self { events: self.events + 1, size: self.size + new, arrived: self.arrived + new, ..self }
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

    /// The least of the last two complete epochs.
    pub(super) fn steady(&self) -> usize {
        self.before.min(self.earlier)
    }

    /// The mean of the last two complete epochs.
    pub(super) const fn mean(&self) -> usize {
        (self.before + self.earlier) / 2
    }

    pub(super) fn begin_epoch(&mut self) {
        *self = Self { now: 0, before: self.now, earlier: self.before };
    }
}

impl Crowd {
    /// The same with a new event of this size, if there is one.
    pub(super) fn with(self, new: Option<usize>) -> Self {
        Self { all: new.map_or(self.all, |new| self.all.with(new)), ..self }
    }

    /// Whether a device that holds so much holds far more than its share: because it is one of few that do, or one of many.
    pub(super) fn is_far_more(&self, held: &Holding) -> bool {
        self.is_one_of_few(held) || self.is_one_of_many(held)
    }

    /// Whether this is half as much again as the mean of what devices hold. Less is not far more.
    pub(super) fn is_much(&self, size: usize) -> bool {
        is_more(size, self.all.size, (3, 2 * self.devices.max(1)))
    }

    /// It holds more than a handful of events, and more than four times the mean, or less where so few share that no device
    /// could hold that much.
    fn is_one_of_few(&self, held: &Holding) -> bool {
        let (devices, events) = (self.devices.max(1), self.all.events.max(1));
        let handful = (events / 4).clamp(1, 16);
        let share = ((4 + devices).min(16), 4 * devices);
        is_more(held.size, self.all.size, (handful, events))
            && is_more(held.size, self.all.size, share)
            && is_more(held.arrived, self.all.arrived, share)
    }

    /// It holds several events, and half as much again as the mean. Those who flood raise the mean if they are many, but not the
    /// median of what devices send.
    fn is_one_of_many(&self, held: &Holding) -> bool {
        held.events > 1 && held.steady > self.flood.0 && self.is_much(held.size)
    }
}

impl Flood {
    /// As long as nothing is known.
    pub(super) const NONE: Self = Self(usize::MAX);

    /// Compared with what the devices have sent in an epoch. An event takes `slot`, at least.
    pub(super) fn of(sent: &mut [usize], slot: usize) -> Self {
        if sent.is_empty() {
            return Self::NONE;
        }
        let middle = (sent.len() - 1) / 2;
        let (_, median, _) = sent.select_nth_unstable(middle);
        Self(median.saturating_mul(TIMES_MEDIAN).max(FLOOD * slot))
    }
}

/// Whether `one` is more than this part of `all`: numerator and denominator.
fn is_more(one: usize, all: usize, part: (usize, usize)) -> bool {
    one.saturating_mul(part.1) > all.saturating_mul(part.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROWD: Crowd = Crowd { devices: 100, all: both(1000), flood: Flood::NONE };

    /// So many events of the size 1, which have arrived lately.
    const fn both(size: usize) -> Holding {
        Holding { events: size, size, arrived: size, steady: size }
    }

    #[test]
    fn far_more_is_four_times_the_mean_and_less_where_few_share() {
        let crowd = |devices| Crowd { devices, ..CROWD };
        for (devices, at_most) in [(1, 1250), (2, 750), (4, 500), (12, 333), (40, 100), (100, 40), (1000, 16)]
        {
            assert!(!crowd(devices).is_far_more(&both(at_most)), "{devices}");
            assert!(crowd(devices).is_far_more(&both(at_most + 1)), "{devices}");
        }
    }

    #[test]
    fn who_has_not_sent_much_does_not_hold_far_more() {
        assert!(!CROWD.is_far_more(&Holding { arrived: 40, ..both(500) }));
        assert!(!CROWD.is_far_more(&Holding { arrived: 500, ..both(40) }));
    }

    #[test]
    fn of_many_that_flood_each_sends_more_than_eight_times_the_median() {
        let crowd = Crowd { flood: Flood::of(&mut [200, 20, 10, 200, 15, 200, 20], 1), ..CROWD };
        let held = |held| Holding { arrived: 0, ..both(held) };
        assert!(!crowd.is_far_more(&Holding { steady: 160, ..held(16) }));
        assert!(crowd.is_far_more(&Holding { steady: 161, ..held(16) }));
        assert!(
            !crowd.is_far_more(&Holding { steady: 400, ..held(15) }),
            "it holds little more than the mean"
        );
        assert!(!crowd.is_far_more(&Holding { steady: 400, events: 1, ..held(16) }));
    }

    #[test]
    fn few_events_are_no_flood() {
        assert_eq!(Flood::of(&mut [7, 1, 1], 10), Flood(80));
        assert_eq!(Flood::of(&mut [], 10), Flood::NONE);
    }

    #[test]
    fn a_handful_is_smaller_where_few_events_wait() {
        let crowd = Crowd { devices: 12, all: both(12), ..CROWD };
        assert!(!crowd.is_far_more(&both(4)) && crowd.is_far_more(&both(5)));
        let crowd = Crowd { devices: 0, all: both(0), ..CROWD };
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
        assert_eq!((arrivals.steady(), arrivals.mean()), (3, 3));
        arrivals.begin_epoch();
        assert_eq!((arrivals.lately(), arrivals.steady(), arrivals.mean()), (0, 0, 2));
    }
}
