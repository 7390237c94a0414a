//! Whether messages are accepted.

use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use crate::error::PublishError;

/// Read for every message. It guards nothing: a message that is accepted while the publisher stops meets a closed backlog.
#[derive(Debug, Default)]
pub(super) struct Lifecycle(AtomicU8);

const NEW: u8 = 0;
const RUNNING: u8 = 1;
const STOPPED: u8 = 2;

impl Lifecycle {
    /// Whether messages are accepted, else why not.
    pub(super) fn accepts(&self) -> Result<(), PublishError> {
        match self.0.load(Relaxed) {
            RUNNING => Ok(()),
            NEW => Err(PublishError::NotStarted),
            _ => Err(PublishError::Stopped),
        }
    }

    pub(super) fn run(&self) {
        self.0.store(RUNNING, Relaxed);
    }

    pub(super) fn stop(&self) {
        self.0.store(STOPPED, Relaxed);
    }
}
