//! A topic that cannot be written to, and when it is tried again.

use std::time::{Duration, Instant};

use crate::error::PublishError;

/// Before the first attempt. A topic that is being created is there in that time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Why a lane's records cannot be written, and when the first of them is sent again.
#[derive(Debug, Clone)]
pub(super) struct Outage {
    pub(super) error: PublishError,
    pub(super) since: Instant,
    /// How many attempts have failed in a row.
    pub(super) attempts: u64,
    next_attempt: Instant,
    /// The record that was sent alone and has not come back, by its sequence number.
    probe: Option<u64>,
}

impl Outage {
    pub(super) fn new(error: PublishError, now: Instant, seed: u64) -> Self {
        let mut outage = Self { error, since: now, attempts: 0, next_attempt: now, probe: None };
        outage.count_attempt(now, seed);
        outage
    }

    /// Whether the first record may be sent now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.probe.is_none() && now >= self.next_attempt
    }

    pub(super) fn set_probe(&mut self, sequence: u64) {
        self.probe = Some(sequence);
    }

    pub(super) fn is_probe(&self, sequence: u64) -> bool {
        self.probe == Some(sequence)
    }

    /// Notes that a record has left the client. Returns whether it was sent alone.
    pub(super) fn take_probe(&mut self, sequence: u64) -> bool {
        self.probe.take_if(|probe| *probe == sequence).is_some()
    }

    /// An attempt has failed: the next one comes after a longer pause.
    pub(super) fn count_attempt(&mut self, now: Instant, seed: u64) {
        self.attempts += 1;
        let doublings = u32::try_from(self.attempts - 1).unwrap_or(u32::MAX).min(16);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(MAX_PAUSE);
        // From three to five quarters of it, so that neither topics nor gateways ask in step.
        let random = (seed ^ self.attempts).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        self.next_attempt = now + pause * 3 / 4 + pause * u32::try_from(random).unwrap_or_default() / 512;
    }

    /// Another client may have better luck.
    pub(super) fn try_now(&mut self, now: Instant) {
        self.next_attempt = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_attempts_grows_to_its_bound() {
        let now = Instant::now();
        let mut outage = Outage::new(PublishError::Timeout, now, 7);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            pauses.push(outage.next_attempt - now);
            outage.count_attempt(now, 7);
        }
        let within = |pause: Duration, nominal: Duration| pause >= nominal * 3 / 4 && pause < nominal * 5 / 4;
        assert!(within(pauses[0], FIRST_PAUSE) && within(pauses[2], FIRST_PAUSE * 4), "{pauses:?}");
        assert!(pauses[6..].iter().all(|pause| within(*pause, MAX_PAUSE)), "{pauses:?}");
        assert!(pauses[6..].windows(2).any(|two| two[0] != two[1]), "not in step");
    }
}
