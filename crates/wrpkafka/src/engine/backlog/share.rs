//! How much of a bounded room one lane may hold.
//!
//! Dynamic thresholds, as in the shared memory of network switches (Choudhury and Hahne, 1998): a lane may hold at most
//! [`PART`] times what is free. So a lane that is alone in its trouble holds two thirds, and leaves a third to the others;
//! of `n` lanes that take all they get, each holds `2 / (2n + 1)`, and as much as half of that stays free. Nothing has to be
//! configured, and nothing is set apart for a lane that does not use it.

/// What a lane may hold, as a multiple of what is free.
const PART: u64 = 2;

/// How much a lane may hold at the moment, before its next record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    records: u64,
    bytes: u64,
}

impl Share {
    /// Of a lane that has the whole room to itself.
    pub(super) const WHOLE: Self = Self { records: u64::MAX, bytes: u64::MAX };

    /// Of one lane among several.
    pub(super) fn of_free(records: u64, bytes: u64) -> Self {
        Self { records: records.saturating_mul(PART), bytes: bytes.saturating_mul(PART) }
    }

    /// Whether a lane that holds this much may take one more record.
    pub(super) fn allows(self, records: u64, bytes: u64) -> bool {
        records < self.records && bytes < self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a room of 9,000 by several lanes, each as far as its share, in turns.
    fn filled(lanes: usize) -> Vec<u64> {
        let mut held = vec![0; lanes];
        loop {
            let before: u64 = held.iter().sum();
            for lane in 0..lanes {
                let free = 9_000 - held.iter().sum::<u64>();
                held[lane] += u64::from(Share::of_free(free, 1).allows(held[lane], 0));
            }
            if held.iter().sum::<u64>() == before {
                return held;
            }
        }
    }

    #[test]
    fn a_lane_that_takes_all_it_gets_leaves_a_third_and_several_leave_room_too() {
        assert_eq!(filled(1), [6_000]);
        assert_eq!(filled(2), [3_600, 3_600]);
        assert!(filled(4).iter().all(|held| *held == 2_000));
    }
}
