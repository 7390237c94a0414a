//! What is wrong with a configuration: every fault at once, each with its key.

use std::fmt;

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, relative to the `kafka` section: `initialDynamicConfig.topicMap[0].pattern`.
    pub key: String,
    /// What is wrong, and what is expected instead.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

/// Every fault of a configuration; at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid kafka configuration: {}", list(.0))]
pub struct ConfigError(pub Vec<Fault>);

fn list(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}
