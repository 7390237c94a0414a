//! The counts of one device's messages.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The counts of one connection (`statistics` of contract §3.2).
///
/// Bytes are payload bytes. Text frames and messages that cannot be decoded count as received, acknowledgements as sent.
/// Control frames do not count (contract §2.12).
#[derive(Debug)]
pub struct Statistics {
    bytes_sent: AtomicU64,
    messages_sent: AtomicU64,
    bytes_received: AtomicU64,
    messages_received: AtomicU64,
    duplications: AtomicU32,
    connected_at: Timestamp,
    connected: Instant,
}

impl Statistics {
    pub(super) fn new() -> Self {
        Self {
            bytes_sent: AtomicU64::new(0),
            messages_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            messages_received: AtomicU64::new(0),
            duplications: AtomicU32::new(0),
            connected_at: Timestamp::now(),
            connected: Instant::now(),
        }
    }

    /// Payload bytes written to the device.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Relaxed)
    }

    /// Messages written to the device.
    #[must_use]
    pub fn messages_sent(&self) -> u64 {
        self.messages_sent.load(Relaxed)
    }

    /// Payload bytes received from the device.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.bytes_received.load(Relaxed)
    }

    /// Messages received from the device.
    #[must_use]
    pub fn messages_received(&self) -> u64 {
        self.messages_received.load(Relaxed)
    }

    /// How often this device has replaced a connection of its own.
    #[must_use]
    pub fn duplications(&self) -> u32 {
        self.duplications.load(Relaxed)
    }

    /// When the device connected.
    #[must_use]
    pub fn connected_at(&self) -> Timestamp {
        self.connected_at
    }

    /// Whether the device was already connected at this moment, by the monotonic clock.
    #[must_use]
    pub fn was_connected_at(&self, moment: Instant) -> bool {
        self.connected <= moment
    }

    /// How long ago the device connected.
    #[must_use]
    pub fn up_time(&self) -> Duration {
        self.connected.elapsed()
    }

    pub(super) fn add_sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Relaxed);
        self.messages_sent.fetch_add(1, Relaxed);
    }

    pub(super) fn add_received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Relaxed);
        self.messages_received.fetch_add(1, Relaxed);
    }

    pub(super) fn set_duplications(&self, duplications: u32) {
        self.duplications.store(duplications, Relaxed);
    }
}
