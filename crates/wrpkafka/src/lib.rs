//! Publishes WRP messages to Kafka: routes, keys, headers and the delivery that a message's QoS asks for.
//!
//! A [`Publisher`] is made from a [`Config`], of which the brokers are all that is needed, and started. A message is
//! published with [`Publisher::publish`], which waits as the message's quality of service asks, or with
//! [`Publisher::submit`], which never waits and reports to a [`Receipt`]. [`Listener`]s hear of every record.
//!
//! Inside, from the caller to the broker:
//!
//! - `config` checks what was written, all faults at once, and compiles it: `route`, `pattern`, `template`,
//!   `filter`, `key`, `shard`, `header`. Nothing is parsed while messages are published.
//! - `admission` remembers what the filters have decided of a sender.
//! - `publisher` plans a message's records and encodes it once, into a buffer of the thread.
//! - `schema` writes values under the schemas of a registry, and asks it for their ids from a thread of its own.
//! - `engine` takes each record into the client if there is room (`buffer`), else into the waiting room (`waiting`), and
//!   brings its fate to the receipt (`ticket`) and the listeners. It knows no librdkafka.
//! - `client` is librdkafka behind a small interface. One thread serves its events (`engine::worker`).
//!
//! It knows nothing of gateways and devices, and needs no particular async runtime.

#[cfg(feature = "mock")]
#[doc(hidden)]
pub mod bench;
mod buffer;
mod client;
mod compile;
mod complaint;
pub mod config;
mod dead_letter;
mod delivery;
mod engine;
mod error;
mod files;
mod listener;
#[cfg(feature = "mock")]
pub mod mock;
mod outcome;
mod problem;
mod publisher;
mod registry;
mod routing;
mod schema;
mod scratch;
mod stats;
#[cfg(test)]
mod test_folder;

mod waiting;

pub use config::{Config, ConfigError, DynamicConfig, Fault, Route};
pub use dead_letter::{DeadLetterOutcome, DeadLetterReason};
pub use delivery::Receipt;
pub use error::{ErrorType, PublishError, StartError};
pub use listener::{Filtered, FilteredBy, Listener, ListenerId, PublishEvent};
pub use outcome::Outcome;
pub use problem::ConnectionProblem;
pub use publisher::{Buffered, Publisher, Stopped};
pub use routing::{Admission, Attribute, Attributes, Sender};
pub use schema::SchemaStats;
pub use stats::{ClientStats, NodeStats, TopicStats};

/// The README's example is kept compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
