//! Publishes WRP messages to Kafka: routes, keys, headers and the delivery that a message's QoS asks for.

pub mod config;
mod error;
mod listener;
#[cfg(feature = "mock")]
pub mod mock;
mod outcome;
mod publisher;

pub use config::{Config, ConfigError, DynamicConfig, Fault, Route};
pub use error::{ErrorType, PublishError, StartError};
pub use listener::{Listener, ListenerId, PublishEvent};
pub use outcome::Outcome;
pub use publisher::{Buffered, Publisher, Receipt, Stopped};
