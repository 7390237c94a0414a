//! Certificates, keys and the password's file, read again every few seconds (`Config::file_check_interval`).

use std::time::{Duration, Instant};

use crate::config::Config;
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
    pub(super) fn new(interval: Duration, in_use: Fingerprint) -> Self {
        Self { interval, next_look: Instant::now() + interval, in_use, unusable: None }
    }

    /// A client was built from these files.
    pub(super) fn set_in_use(&mut self, files: Fingerprint) {
        self.in_use = files;
        self.unusable = None;
    }

    /// No client could be built from these files.
    pub(super) fn set_unusable(&mut self, files: Fingerprint) {
        self.unusable = Some(files);
    }

    /// What the files hold, if it is time to look and they hold something new.
    pub(super) fn changed(&mut self, config: &Config, now: Instant) -> Option<Fingerprint> {
        if self.interval.is_zero() || now < self.next_look {
            return None;
        }
        self.next_look = now + self.interval;
        let found = files::fingerprint(config);
        if found == self.in_use {
            self.unusable = None;
            return None;
        }
        (self.unusable != Some(found)).then_some(found)
    }
}
