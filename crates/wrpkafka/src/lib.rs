//! Publishes WRP messages to Kafka: routes, keys, headers and the delivery that a message's QoS asks for.

#[cfg(feature = "mock")]
#[doc(hidden)]
pub mod bench;
mod buffer;
mod client;
mod complaint;
pub mod config;
mod engine;
mod error;
mod header;
mod key;
mod listener;
#[cfg(feature = "mock")]
pub mod mock;
mod outcome;
mod pattern;
mod publisher;
mod record;
mod route;
mod scratch;
mod shard;
mod stats;
mod ticket;
mod waiting;

pub use config::{Config, ConfigError, DynamicConfig, Fault, Route};
pub use error::{ErrorType, PublishError, StartError};
pub use listener::{Listener, ListenerId, PublishEvent};
pub use outcome::Outcome;
pub use publisher::{Buffered, Publisher, Receipt, Stopped};
pub use stats::{ClientStats, NodeStats, TopicStats};
