//! Certificates, keys and the password's file, read again every few seconds (`Config::file_check_interval`).

use std::time::{Duration, Instant};

use super::Worker;
use crate::engine::events::build_client;
use crate::files::{self, Fingerprint};

/// What the files are known to hold.
pub(super) struct FileWatch {
    /// Between two looks; zero: never.
    interval: Duration,
    next_look: Instant,
    /// What the newest client was built from.
    in_use: Fingerprint,
    /// What no client could be built from, so that it is logged once: perhaps a pair of which only one file is written yet.
    unusable: Option<Fingerprint>,
}

impl FileWatch {
    pub(super) fn new(interval: Duration, in_use: Fingerprint) -> FileWatch {
        FileWatch { interval, next_look: Instant::now() + interval, in_use, unusable: None }
    }

    /// A client was built from these files.
    pub(super) fn set_in_use(&mut self, files: Fingerprint) {
        self.in_use = files;
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
    pub(super) fn check_files(&mut self) {
        if !self.files.is_due(Instant::now()) {
            return;
        }
        let config = self.settings.get();
        let found = files::fingerprint(&config);
        if found == self.files.in_use {
            self.files.unusable = None;
            return;
        }
        if self.files.unusable == Some(found) {
            return;
        }
        match build_client(&self.engine, &self.connect, &config) {
            Ok(next) => {
                tracing::info!("kafka certificates or password changed, another client takes over");
                self.replace_by(next);
            }
            Err(error) => {
                self.files.unusable = Some(found);
                tracing::warn!(%error, "kafka certificates or password changed but cannot be used, keeping the old ones");
            }
        }
    }
}
