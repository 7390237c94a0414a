//! How log lines show a time that has passed: `12.3s`.

use std::fmt;
use std::time::Duration;

pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}s", self.0.as_secs(), self.0.subsec_millis() / 100)
    }
}
