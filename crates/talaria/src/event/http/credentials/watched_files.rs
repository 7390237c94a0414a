//! Notices that files have changed.
//!
//! Their content is compared every few seconds. Unlike the notifications of a file system, this also notices changes of
//! mounted secrets (links to links) and on network file systems.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::read;

/// How often the files are read.
const PERIOD: Duration = Duration::from_secs(2);

/// Some files, and what they held when they were last looked at.
pub(super) struct WatchedFiles {
    paths: Vec<PathBuf>,
    /// A digest of all files. A file that cannot be read counts as a content of its own.
    seen: Option<Vec<u8>>,
    ticks: Interval,
}

impl WatchedFiles {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let seen = Some(fingerprint(&paths));
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { paths, seen, ticks }
    }

    /// Waits until one of them differs from what it was at the last call.
    pub(super) async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let paths = self.paths.clone();
            let Ok(now) = spawn_blocking(move || fingerprint(&paths)).await else { continue };
            if self.seen.as_ref() != Some(&now) {
                self.seen = Some(now);
                return;
            }
        }
    }
}

fn fingerprint(paths: &[PathBuf]) -> Vec<u8> {
    let mut context = digest::Context::new(&SHA256);
    for path in paths {
        match read(path) {
            Ok(content) => {
                context.update(&content.len().to_le_bytes());
                context.update(&content);
            }
            Err(_) => context.update(&usize::MAX.to_le_bytes()),
        }
    }
    context.finish().as_ref().to_vec()
}
