//! Which records a message becomes (contract §8.4 to §8.8): topics, keys, headers and filters.
//!
//! Of the configuration this layer knows the plain types only (filters, hash keys, shard strategies), never a
//! [`Config`](crate::Config); clients and deliveries it does not know at all. [`compile`](crate::compile) builds the
//! table, calling the parsers here, so that routing a message only compares and hashes bytes. It has no I/O and no clock.
//! Start reading at [`RouteTable::plan`].

mod filter;
mod filtered;
mod header;
mod key;
mod pattern;
mod shard;
mod table;
mod target;
mod template;
mod topics;
mod verdict;

pub use filter::{Attribute, Attributes};
pub(crate) use filter::{CompiledFilter, check_rule};
pub use filtered::{Filtered, FilteredBy};
pub use header::HeaderBlock;
pub(crate) use header::HeaderTemplates;
#[cfg(feature = "client")]
pub(crate) use header::Headers;
pub use key::Key;
pub(crate) use key::KeySource;
pub(crate) use pattern::Pattern;
pub(crate) use table::{CompiledRoute, MAX_TOPICS, NilKey};
pub use table::{Plan, PlannedRecord, RouteTable, RoutingError};
#[cfg(feature = "client")]
pub(crate) use target::LaneId;
pub use target::Target;
pub(crate) use template::{Template, check_topic};
pub(crate) use topics::Topics;
pub use verdict::{CachedVerdict, Sender};
