//! Limits a log line that a device or an address causes to one a minute for each of them, with the number of suppressed
//! lines.
//!
//! The table is bounded: beyond [`KEYS`] devices or addresses within a minute, those that come later share one line a second.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::throttle::Throttle;

/// The shortest time between two lines of one key.
const PERIOD: Duration = Duration::from_secs(60);

/// How many keys are known at the same time.
const KEYS: usize = 1024;

/// The state of one log line for many devices or addresses.
#[derive(Debug)]
pub(crate) struct KeyedThrottle {
    keys: Mutex<HashMap<Box<str>, Line>>,
    /// For the keys that the table has no room for.
    others: Throttle,
}

#[derive(Debug)]
struct Line {
    /// When the next line may be written.
    next: Instant,
    suppressed: u64,
}

impl KeyedThrottle {
    pub(crate) fn new() -> Self {
        Self { keys: Mutex::default(), others: Throttle::new() }
    }

    /// `None` if the line must be suppressed; otherwise the number of lines of this key that were suppressed since the last
    /// one.
    pub(crate) fn admit(&self, key: &str) -> Option<u64> {
        let now = Instant::now();
        let mut keys = self.keys.lock();
        if let Some(line) = keys.get_mut(key) {
            if now < line.next {
                line.suppressed += 1;
                return None;
            }
            line.next = now + PERIOD;
            return Some(std::mem::take(&mut line.suppressed));
        }
        if keys.len() >= KEYS {
            keys.retain(|_, line| now < line.next);
        }
        if keys.len() >= KEYS {
            drop(keys);
            return self.others.admit();
        }
        keys.insert(key.into(), Line { next: now + PERIOD, suppressed: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_key_has_a_line_a_minute_with_the_number_of_its_suppressed_ones() {
        let throttle = KeyedThrottle::new();
        assert_eq!((throttle.admit("a"), throttle.admit("b")), (Some(0), Some(0)));
        assert_eq!((throttle.admit("a"), throttle.admit("a"), throttle.admit("b")), (None, None, None));
        tokio::time::advance(PERIOD).await;
        assert_eq!((throttle.admit("a"), throttle.admit("a")), (Some(2), None));
    }

    #[tokio::test(start_paused = true)]
    async fn more_keys_than_the_table_holds_share_a_line_a_second() {
        let throttle = KeyedThrottle::new();
        for key in 0..KEYS {
            assert_eq!(throttle.admit(&key.to_string()), Some(0));
        }
        assert_eq!((throttle.admit("x"), throttle.admit("y")), (Some(0), None));
        tokio::time::advance(PERIOD).await;
        assert_eq!(throttle.admit("x"), Some(0));
        assert!(throttle.keys.lock().len() < KEYS, "old keys are forgotten");
    }
}
