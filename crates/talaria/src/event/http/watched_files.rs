//! Files with credentials: how they are read, and whether they have changed.
//!
//! Their content is compared. Unlike the notifications of a file system, this also notices changes of mounted secrets (links
//! to links) and on network file systems.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The most of a file that is read, in bytes. A bundle of all public authorities takes 250 kB.
const MAX_BYTES: u64 = 1 << 20;

/// How often the files are read.
const PERIOD: Duration = Duration::from_secs(2);

/// A digest of the content of files. That a file cannot be read counts as a content of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<u8>);

/// Some files, and what they held when they were last looked at.
pub(super) struct WatchedFiles {
    paths: Vec<PathBuf>,
    seen: Fingerprint,
    ticks: Interval,
}

impl Fingerprint {
    /// Reads the files.
    pub(super) fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
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
        Self(context.finish().as_ref().to_vec())
    }
}

impl WatchedFiles {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let seen = Fingerprint::of(&paths);
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { paths, seen, ticks }
    }

    /// Waits until one of them differs from what it was at the last call.
    pub(super) async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let paths = self.paths.clone();
            let Ok(now) = spawn_blocking(move || Fingerprint::of(&paths)).await else { continue };
            if self.seen != now {
                self.seen = now;
                return;
            }
        }
    }
}

/// Reads a file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut content)?;
    Ok(content)
}
