//! The part of a publish call before the client, for the benchmark to measure by itself.

use wrp::MessageRef;

use crate::config::{Config, ConfigError};
use crate::routing::RouteTable;
use crate::scratch;

/// A compiled configuration without a client.
pub struct Preparation(RouteTable);

impl Preparation {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Its faults.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.compile().map(Preparation)
    }

    /// Plans, keys and encodes a message, and renders its headers. Returns the number of records and their bytes.
    #[must_use]
    pub fn prepare(&self, message: &MessageRef<'_>) -> (usize, usize) {
        let Ok(plan) = self.0.plan(message, None, |_| {}) else { return (0, 0) };
        scratch::with(|scratch| {
            message.encode_v5(&mut scratch.value);
            self.0.render_headers(message, &mut scratch.headers);
            (plan.records.len(), scratch.value.len() + scratch.headers.size())
        })
    }
}
