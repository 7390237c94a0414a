//! What devices say to the cloud: the gateway's own online and offline events, and every message a device sends
//! that answers no request, taken to the HTTP event receivers and to Kafka (contract §4, §5).
//!
//! The [`Dispatcher`] is all that a device's session sees of it. It decides where a message goes, encodes it once
//! for HTTP (v3) and hands it once to Kafka (v5), and never waits: a sink that has no room drops, counts and says so.
//! The sinks know nothing of each other; a message that wants an acknowledgement carries one [`Finalizer`] that both
//! share, and whoever finishes last sends the truth to the device.

mod ack;
pub mod config;
mod dispatcher;
mod finalizer;
pub mod http;
pub mod kafka;
mod quota;
mod reason;
mod status;

#[cfg(test)]
mod tests;

pub use ack::AckMetrics;
pub use config::{AuthKey, AuthKeyError, Config, ConfigFault, QueueLimit, Transport};
pub use dispatcher::{Dispatcher, Undelivered};
pub use finalizer::{Finalizer, Settle, Share, Sink, Verdict};
pub use kafka::{DeviceKey, InvalidDeviceKey};
pub use reason::{DropReason, EventOutcome, NO_STATUS, SchemeLabel};
