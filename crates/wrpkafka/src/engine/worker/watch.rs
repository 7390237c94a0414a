//! Certificates, keys and the password's file, looked at again and again.

use std::time::{Duration, Instant};

use super::Worker;
use crate::files::{self, Fingerprint};

/// What the files are known to hold.
pub(super) struct Watch {
    /// Between two looks; zero: never.
    interval: Duration,
    next_look: Instant,
    /// What the newest client was built from.
    serving: Fingerprint,
    /// What no client could be built from, so that it is told once: perhaps a pair of which only one is written yet.
    unusable: Option<Fingerprint>,
}

impl Watch {
    pub(super) fn new(interval: Duration, serving: Fingerprint) -> Watch {
        Watch { interval, next_look: Instant::now() + interval, serving, unusable: None }
    }

    /// A client was built from this.
    pub(super) fn serving(&mut self, files: Fingerprint) {
        self.serving = files;
        self.unusable = None;
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = !self.interval.is_zero() && now >= self.next_look;
        if is_due {
            self.next_look = now + self.interval;
        }
        is_due
    }
}

impl Worker {
    /// Replaces the client if the files that it was built from have changed.
    pub(super) fn look_at_files(&mut self) {
        if !self.watch.is_due(Instant::now()) {
            return;
        }
        let config = self.settings.get();
        let found = files::fingerprint(&config);
        if found == self.watch.serving {
            self.watch.unusable = None;
            return;
        }
        if self.watch.unusable == Some(found) {
            return;
        }
        match self.engine.build(&self.connect, &config) {
            Ok(next) => {
                tracing::info!("kafka certificates or password have changed, another client takes over");
                self.replace_by(next);
            }
            Err(error) => {
                self.watch.unusable = Some(found);
                tracing::warn!(%error, "kafka certificates or password have changed, but cannot be used yet");
            }
        }
    }
}
