//! Sends events at a steady rate, whatever becomes of them: each is due at a time that was fixed before, and its latency counts
//! from then. So a gateway that stalls is not spared the events that would have come meanwhile (no coordinated omission).

#![expect(clippy::disallowed_methods, reason = "a load generator keeps the machine's time")]

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use crate::fleet::SendError;
use crate::traffic::Traffic;

/// Sends so many events, this many a second, one by one at equal intervals. Blocks the thread, since tokio's timers are only
/// exact to a millisecond.
///
/// # Errors
/// If no device is able to send.
pub(super) fn send(traffic: &mut Traffic, per_second: u32, events: u64) -> Result<(), SendError> {
    block_in_place(|| {
        let started = Instant::now();
        for number in 0..events {
            let due = started + due_after(per_second, number);
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
}
