//! Which of librdkafka's own lines are logged: those of each of its facilities (`GETPID`, `METADATAUPDATE`, …) once a minute.

#![expect(clippy::disallowed_methods, reason = "the thread that serves the client is without tokio")]

use std::collections::HashMap;
use std::time::Instant;

use crate::log_throttle::LogThrottle;

/// librdkafka has about a hundred facilities, most of them for debugging.
const MAX_FACILITIES: usize = 256;

#[derive(Default)]
pub(super) struct OwnLines(HashMap<Box<str>, LogThrottle>);

impl OwnLines {
    /// If a line of this facility is to be logged now: how many were left out since the last one.
    pub(super) fn admit(&mut self, facility: &str) -> Option<u64> {
        if let Some(throttle) = self.0.get_mut(facility) {
            return throttle.admit(Instant::now());
        }
        if self.0.len() >= MAX_FACILITIES {
            return None;
        }
        self.0.entry(facility.into()).or_default().admit(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_facility_has_a_line_of_its_own_and_there_is_a_bound() {
        let mut lines = OwnLines::default();
        assert_eq!((lines.admit("GETPID"), lines.admit("CONFWARN")), (Some(0), Some(0)));
        assert_eq!(lines.admit("GETPID"), None);
        let admitted = (0..1000).filter(|n| lines.admit(&n.to_string()).is_some()).count();
        assert_eq!(admitted, MAX_FACILITIES - 2);
    }
}
