//! The rate of one device's messages: in messages and in bytes.

use std::time::Duration;

use super::{Bucket, Rate};

/// A device that exceeds its rate again within this time has not stopped exceeding it.
const CALM: Duration = Duration::from_secs(10);

/// How much one device may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageRate {
    /// Messages; any number if none.
    pub messages: Option<Rate>,
    /// Bytes of messages; any number if none. A message is not refused for its length alone: what it has more than is left
    /// is owed.
    pub bytes: Option<Rate>,
}

/// The limit of a [`MessageRate`] that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedUp {
    /// Messages.
    Messages,
    /// Bytes.
    Bytes,
}

/// What one device has left of its [`MessageRate`], and for how long it has exceeded it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageBuckets {
    messages: Bucket,
    bytes: Bucket,
    /// When the device began to exceed its rate, and until when it did; none if it never did.
    excess: Option<(Duration, Duration)>,
}

impl UsedUp {
    /// Both, each at the place of its number.
    pub const ALL: [Self; 2] = [Self::Messages, Self::Bytes];

    /// The label `limit` of `device_rate_exceeded_total`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Bytes => "bytes",
        }
    }
}

impl MessageBuckets {
    /// The limit that is used up for longest, and the time until a message may come; none if one may come now.
    #[must_use]
    pub fn used_up(&self, rate: &MessageRate, now: Duration) -> Option<(UsedUp, Duration)> {
        let wait = |bucket: &Bucket, rate: &Option<Rate>| {
            rate.as_ref().map_or(Duration::ZERO, |rate| bucket.wait(rate, now))
        };
        let (messages, bytes) = (wait(&self.messages, &rate.messages), wait(&self.bytes, &rate.bytes));
        let (used_up, wait) =
            if bytes > messages { (UsedUp::Bytes, bytes) } else { (UsedUp::Messages, messages) };
        (!wait.is_zero()).then_some((used_up, wait))
    }

    /// Takes the tokens of a message of so many bytes.
    pub fn take(&mut self, rate: &MessageRate, bytes: usize, now: Duration) {
        if let Some(rate) = &rate.messages {
            self.messages.take(rate, 1, now);
        }
        if let Some(rate) = &rate.bytes {
            self.bytes.take(rate, bytes as u64, now);
        }
    }

    /// The device exceeds its rate, and has to wait from `now` for so long. Returns for how long it has exceeded its rate
    /// without keeping to it for ten seconds.
    pub fn note_excess(&mut self, now: Duration, wait: Duration) -> Duration {
        let until = now.saturating_add(wait);
        let since =
            self.excess.filter(|(_, last)| now <= last.saturating_add(CALM)).map_or(now, |(since, _)| since);
        self.excess = Some((since, until));
        now.saturating_sub(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: MessageRate = MessageRate {
        messages: Some(Rate { count: 10, period: 1_000_000_000, burst: 2 }),
        bytes: Some(Rate { count: 1000, period: 1_000_000_000, burst: 1000 }),
    };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_limit_that_lasts_longer_decides() {
        let mut left = MessageBuckets::default();
        left.take(&RATE, 10, Duration::ZERO);
        assert_eq!(left.used_up(&RATE, Duration::ZERO), None);
        left.take(&RATE, 10, Duration::ZERO);
        let wait = Duration::from_millis(100);
        assert_eq!(left.used_up(&RATE, Duration::ZERO), Some((UsedUp::Messages, wait)));
        assert_eq!(left.used_up(&RATE, wait), None);
        left.take(&RATE, 5000, wait);
        let (used_up, wait) = left.used_up(&RATE, wait).unwrap();
        assert_eq!(used_up, UsedUp::Bytes);
        assert!(wait > seconds(3), "{wait:?}");
    }

    #[test]
    fn without_limits_nothing_is_ever_used_up() {
        let (mut left, unlimited) = (MessageBuckets::default(), MessageRate::default());
        for _ in 0..1000 {
            left.take(&unlimited, 1 << 20, Duration::ZERO);
        }
        assert_eq!(left.used_up(&unlimited, Duration::ZERO), None);
    }

    #[test]
    fn an_excess_lasts_until_ten_calm_seconds_have_passed() {
        let mut left = MessageBuckets::default();
        assert_eq!(left.note_excess(seconds(100), Duration::ZERO), Duration::ZERO);
        assert_eq!(left.note_excess(seconds(105), seconds(20)), seconds(5));
        assert_eq!(left.note_excess(seconds(134), Duration::ZERO), seconds(34), "it waited until 125");
        assert_eq!(left.note_excess(seconds(145), Duration::ZERO), Duration::ZERO, "it was calm");
    }

    #[test]
    fn each_limit_is_at_the_place_of_its_number() {
        for (place, used_up) in UsedUp::ALL.into_iter().enumerate() {
            assert_eq!(used_up as usize, place);
        }
    }
}
