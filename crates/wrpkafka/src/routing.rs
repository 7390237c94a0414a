//! Which records a message becomes (contract §8): topics, keys, headers and filters, as the configuration asks for them.
//!
//! This layer knows nothing of clients, and nothing of the configuration but its plain types. Everything was parsed by
//! [`compile`](crate::compile) before the first message: routing a message compares bytes and hashes them. Start reading
//! at [`RouteTable::plan`].

mod filter;
mod header;
mod key;
mod pattern;
mod route;
mod shard;
mod template;
mod verdict;

pub use filter::{Attribute, Attributes};
pub(crate) use filter::{CompiledFilter, check_rule};
pub(crate) use header::{HeaderBlock, HeaderTemplates};
pub(crate) use key::HashKey;
pub(crate) use pattern::Pattern;
pub(crate) use route::{
    CompiledRoute, DEFAULT_TOPIC, Plan, PlannedRecord, RouteTable, Target, Topics, Unroutable, event_type,
};
pub(crate) use shard::Strategy;
pub(crate) use template::Template;
pub use verdict::{Admission, Sender};
