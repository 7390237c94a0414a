//! Sends events at a steady rate, whatever becomes of them: each is due at a time that was fixed before, and its latency counts
//! from then. So a gateway that stalls is not spared the events that would have come meanwhile (no coordinated omission).

#![expect(clippy::disallowed_methods, reason = "a load generator keeps the machine's time")]

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::block_in_place;

use crate::fleet::SendError;
use crate::traffic::Traffic;

/// When events are due: one by one at equal intervals. Several load generators can share a schedule, whose events they send in
/// turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Schedule {
    /// The rate of all load generators together.
    per_second: u32,
    /// Events of this load generator.
    events: u64,
    /// The number of its first event in the schedule.
    first: u64,
    /// From one of its events to the next.
    step: u64,
}

impl Schedule {
    /// So many events, this many a second, of a single load generator.
    pub(super) fn all(per_second: u32, events: u64) -> Self {
        Self { per_second, events, first: 0, step: 1 }
    }

    /// What the load generator with this index, from 0, sends of a single one's schedule if there are so many of them.
    pub(super) fn part(self, index: usize, of: usize) -> Self {
        let (index, of) = (index as u64, of.max(1) as u64);
        Self { events: (self.events + of - 1 - index) / of, first: index, step: of, ..self }
    }

    fn due(self) -> impl Iterator<Item = Duration> {
        (0..self.events).map(move |number| due_after(self.per_second, self.first + number * self.step))
    }
}

/// Sends the events of a schedule. Blocks the thread, since tokio's timers are only exact to a millisecond.
///
/// # Errors
/// If no device is able to send.
pub(super) fn send(traffic: &mut Traffic, schedule: Schedule) -> Result<(), SendError> {
    block_in_place(|| {
        let started = Instant::now();
        for due in schedule.due() {
            let due = started + due;
            // Wakes early at most for a moment, and late whenever the machine is busy.
            while let Some(wait) = due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
                std::thread::park_timeout(wait);
            }
            traffic.send_due(due)?;
        }
        Ok(())
    })
}

/// When the event with this number, from 0, is due after the first.
fn due_after(per_second: u32, number: u64) -> Duration {
    let rate = u64::from(per_second.max(1));
    let nanos = (number % rate) * 1_000_000_000 / rate;
    Duration::from_secs(number / rate) + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_at_equal_intervals_for_any_length_of_time() {
        assert_eq!(due_after(3000, 0), Duration::ZERO);
        assert_eq!(due_after(3000, 3), Duration::from_millis(1));
        assert_eq!(due_after(3000, 3000 * 86_400 + 1500), Duration::from_millis(86_400_500));
        assert_eq!(due_after(0, 2), Duration::from_secs(2));
    }

    #[test]
    fn several_load_generators_send_each_event_of_a_schedule_once() {
        for (events, of) in [(7, 3), (6, 3), (2, 3), (0, 2), (5, 1)] {
            let all = Schedule::all(1000, events);
            let mut parts: Vec<_> = (0..of).flat_map(|index| all.part(index, of).due()).collect();
            parts.sort();
            assert_eq!(parts, all.due().collect::<Vec<_>>(), "{events} events of {of}");
        }
    }
}
