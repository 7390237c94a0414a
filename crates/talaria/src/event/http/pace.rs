//! Spreads the requests to a receiver that has many, so that they do not begin together (contract §5.5).
//!
//! A receiver that handles thirty requests at a time and gets thirty at once answers them at once. Then the next thirty begin, and
//! so on: an event that comes just after that waits for all of them, although a thirtieth of the time would do. Spread
//! evenly, one of them ends all the time.
//!
//! Half of the limit is not paced: a receiver that has little to do gets each event at once. The others begin no faster than the
//! receiver could answer them, with a third of reserve, so that the pace costs no throughput.
//!
//! Deliberately absent: a clock, and the limit itself (`limit.rs`).

use std::time::Duration;

use tokio::time::Instant;

/// So much earlier than its time a request may begin, and by so much it may be late without the next ones being late, too: timers are
/// not more exact.
const EARLY: Duration = Duration::from_millis(1);
const LATE: Duration = Duration::from_millis(2);

/// The part of the time between two answers after which the next request may begin.
const PART: f64 = 0.75;

#[derive(Default)]
pub(super) struct Pace {
    /// When the next request may begin; none if it may at any time.
    next: Option<Instant>,
}

impl Pace {
    /// Whether a request is paced when `active` run of `limit` that may.
    pub(super) const fn is_needed(active: usize, limit: usize) -> bool {
        2 * active >= limit
    }

    /// When the next request may begin, if not now.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.next.map(|next| next - EARLY).filter(|due| *due > now)
    }

    /// A request begins, with `active` of `limit` that take `usual`.
    pub(super) fn started(&mut self, now: Instant, limit: usize, usual: f64) {
        let interval = Duration::from_secs_f64(PART * usual / limit.max(1) as f64);
        let earliest = now - LATE;
        self.next = Some(self.next.map_or(now, |next| next.max(earliest)) + interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    /// How many of those that want to begin now may.
    fn begin(pace: &mut Pace, now: Instant) -> usize {
        let may_begin = |_: &usize| {
            let may_begin = pace.due(now).is_none();
            if may_begin {
                pace.started(now, 30, 0.02);
            }
            may_begin
        };
        (0..100).take_while(may_begin).count()
    }

    #[test]
    fn requests_begin_evenly_and_a_third_faster_than_they_are_answered() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(begin(&mut pace, start), 3, "one, and those of the next millisecond");
        // Looked at when the timer fires, which is not always on time.
        let late = [0, 900, 300, 700];
        let begun: usize = (0..100)
            .map(|at| begin(&mut pace, start + MICROSECOND * (2000 * (at + 1) + late[at as usize % 4])))
            .sum();
        assert!((395..=405).contains(&begun), "{begun} of 400 in 200 ms");
    }

    #[test]
    fn a_pause_is_not_caught_up_with() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        begin(&mut pace, start);
        assert_eq!(begin(&mut pace, start + Duration::from_secs(1)), 7, "those of three milliseconds");
    }
}
