//! How the workers of a lane are divided among its receivers (contract §5.5).
//!
//! Half of an equal part is reserved for each receiver: the others cannot occupy it, not even with requests that hang. The rest
//! goes to the receiver that asks first. With more receivers than workers nothing is reserved, and none gets more than half.
//!
//! Deliberately absent: how many requests a receiver bears.

/// The workers that are free, and those that have to stay free.
pub(super) struct WorkerShares {
    free: usize,
    /// For each receiver.
    reserved: usize,
    /// For the other receivers of one, together.
    reserved_for_others: usize,
    /// Free workers that are reserved for receivers that have fewer requests.
    kept_free: usize,
}

impl WorkerShares {
    pub(super) fn new(workers: usize, receivers: usize) -> Self {
        let receivers = receivers.max(1);
        let reserved = if receivers > workers { 0 } else { (workers / (2 * receivers)).max(1) };
        let reserved_for_others = reserved * (receivers - 1);
        Self { free: workers, reserved, reserved_for_others, kept_free: reserved * receivers }
    }

    /// The most requests that one receiver may have at the same time; called before any runs.
    pub(super) fn most(&self) -> usize {
        // One of too many receivers leaves the others half of the workers.
        let most = if self.reserved == 0 { self.free / 2 } else { self.free - self.reserved_for_others };
        most.max(1)
    }

    /// Whether a receiver that has `running` requests may have one more.
    pub(super) const fn may_start(&self, running: usize) -> bool {
        self.free > 0 && (running < self.reserved || self.free > self.kept_free)
    }

    /// A receiver that has `running` requests has one more.
    pub(super) const fn start(&mut self, running: usize) {
        self.free -= 1;
        if running < self.reserved {
            self.kept_free -= 1;
        }
    }

    /// A receiver that had `running` requests has one less.
    pub(super) const fn end(&mut self, running: usize) {
        self.free += 1;
        if running <= self.reserved {
            self.kept_free += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many requests each of these receivers gets that ask for as many as they can, one after the other.
    fn greedy(workers: usize, receivers: usize) -> Vec<usize> {
        let mut shares = WorkerShares::new(workers, receivers);
        let start = |_| {
            let mut running = 0;
            while shares.may_start(running) {
                shares.start(running);
                running += 1;
            }
            running
        };
        (0..receivers).map(start).collect()
    }

    #[test]
    fn requests_that_hang_leave_each_other_receiver_half_of_an_equal_part() {
        assert_eq!(greedy(100, 1), [100]);
        assert_eq!(greedy(100, 4), [64, 12, 12, 12]);
        assert_eq!(greedy(3, 3), [1, 1, 1]);
        assert_eq!(WorkerShares::new(100, 4).most(), 64);
        assert_eq!(WorkerShares::new(10, 11).most(), 5, "more receivers than workers");
        assert_eq!(greedy(2, 3), [2, 0, 0], "more receivers than workers share them");
    }

    proptest! {
        #[test]
        fn a_receiver_always_gets_what_is_reserved_for_it(
            workers in 1..40usize,
            receivers in 1..6usize,
            steps in proptest::collection::vec((any::<bool>(), 0..6usize), 0..300),
        ) {
            let mut shares = WorkerShares::new(workers, receivers);
            let mut running = vec![0; receivers];
            for (starts, at) in steps {
                let running = &mut running[at % receivers];
                if !starts && *running > 0 {
                    shares.end(*running);
                    *running -= 1;
                } else if starts && shares.may_start(*running) {
                    shares.start(*running);
                    *running += 1;
                } else if starts {
                    prop_assert!(*running >= shares.reserved);
                }
            }
            prop_assert_eq!(shares.free, workers - running.iter().sum::<usize>());
        }
    }
}
