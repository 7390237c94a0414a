//! What devices say to the cloud: the gateway's own online and offline events, and every message a device sends
//! that answers no request, taken to the HTTP event receivers and to Kafka (contract §4, §5).
//!
//! The dispatcher is all that a device's session sees of it. It decides where a message goes, encodes it once
//! for HTTP (v3) and hands it once to Kafka (v5), and never waits: a sink that has no room drops, counts and says so.
//! The sinks know nothing of each other; a message that wants an acknowledgement carries one [`finalizer`] that both
//! share, and whoever finishes last sends the truth to the device.

pub mod config;
pub mod finalizer;
pub mod http;
pub mod reason;
mod throttle;

pub use config::{AuthKey, Config, QueueLimit, Transport};
pub use finalizer::Verdict;
pub use reason::DropReason;
