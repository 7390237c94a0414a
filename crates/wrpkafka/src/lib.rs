//! Publishes WRP messages to Kafka: routes, keys, headers and the delivery that a message's QoS asks for.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use wrp::{Message, QosLevel};
//! use wrpkafka::{Config, Publisher};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let publisher = Publisher::new(Config {
//!     brokers: vec!["localhost:9092".into()],
//!     record_delivery_timeout: Duration::from_secs(10), // without it, records wait for their brokers
//!     ..Config::default()
//! })?;
//! publisher.start()?;
//! let event = Message::event("mac:112233445566", "event:iot").with_qos(QosLevel::High);
//! println!("{}", publisher.submit(&event).await?); // `Accepted`
//! publisher.stop(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Publisher`] is made from a [`Config`], which needs nothing but brokers, and started. A message is published with
//! [`Publisher::publish`], which waits as the message's quality of service asks, or with [`Publisher::submit`], which never
//! waits and returns the result as a future, a [`Delivery`]. [`Listener`]s observe every record.
//!
//! Features: `client` is the default; `tls`, `vendored` (an OpenSSL that is compiled along), `registry` and `mock` add to it.
//!
//! The layers, lowest first; each uses only those before it:
//!
//! - `config`: the settings, parsed into enums and numbers. `outcome`, `dead_letter` and `error`: what a call ends with.
//! - `schema`: values under a registry's schemas: encodings, frames, subjects.
//! - `routing`: the records that a message becomes: patterns, topics, keys, headers, filters.
//! - `compile`: a configuration becomes a route table, or all its faults are reported at once.
//! - `delivery`: a record, its context, and the receipt of its message.
//! - `client`: librdkafka behind a small interface. `registry`: the thread that asks for schema ids. `token`: the thread that
//!   fetches a client's access tokens.
//! - `engine`: brings records into the client, or lets them wait, and reports their results. It knows no librdkafka.
//! - `publisher`: the public interface, which plans and encodes messages.
//!
//! Without the feature `client`, which is on by default, the crate ends with `compile`: it checks configurations and plans
//! records ([`Config::compile`], [`RouteTable::plan`]) without librdkafka, threads or sockets.
//!
//! It knows nothing of gateways and devices, and needs no particular async runtime.

#[cfg(feature = "mock")]
#[doc(hidden)]
pub mod bench;
#[cfg(feature = "client")]
mod client;
mod compile;
pub mod config;
#[cfg(feature = "client")]
mod connection_failure;
mod dead_letter;
#[cfg(feature = "client")]
mod delivery;
#[cfg(feature = "client")]
mod engine;
mod error;
#[cfg(feature = "client")]
mod files;
#[cfg(feature = "registry")]
mod http_agent;
#[cfg(feature = "client")]
mod listener;
#[cfg(feature = "client")]
mod log_throttle;
#[cfg(feature = "mock")]
pub mod mock;
mod outcome;
#[cfg(feature = "client")]
mod publisher;
#[cfg(feature = "client")]
mod registry;
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "used from `delivery` on"))]
mod routing;
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "used from `delivery` on"))]
mod schema;
#[cfg(feature = "client")]
mod scratch;
#[cfg(feature = "client")]
mod stats;
#[cfg(test)]
#[cfg(feature = "client")]
mod test_folder;
#[cfg(feature = "client")]
mod token;

pub use config::{Config, ConfigError, DynamicConfig, Fault, Route};
#[cfg(feature = "client")]
pub use connection_failure::ConnectionFailure;
pub use dead_letter::{DeadLetterOutcome, DeadLetterReason};
#[cfg(feature = "client")]
pub use delivery::{Annotation, Receipt};
#[cfg(feature = "client")]
pub use engine::backlog::Buffered;
pub use error::{ErrorType, FileError, FlushError, PublishError, StartError};
#[cfg(feature = "client")]
pub use listener::{Listener, ListenerId, PublishEvent, TopicChange, TopicState};
pub use outcome::Outcome;
#[cfg(feature = "client")]
pub use publisher::{AsMessage, Delivery, PreparedUpdate, Publisher};
pub use routing::{
    Attribute, Attributes, CachedVerdict, Filtered, FilteredBy, HeaderBlock, Key, Plan, PlannedRecord,
    RouteTable, RoutingError, Sender, Target,
};
pub use schema::SchemaStats;
#[cfg(feature = "client")]
pub use stats::{ClientStats, NodeStats, Stopped, TopicOutage, TopicStats, TopicUsage, Usage};

/// The README's example is kept compiling.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
