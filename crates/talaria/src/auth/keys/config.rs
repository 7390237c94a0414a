//! Where keys come from, and how long they are kept.

use std::time::Duration;

use talaria_protocol::keys::{MinRsaBits, Template};

/// The settings of `jwtValidator.Config` (contract §6.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The URL of a key (`Resolve.Template`). If none, only the keys of the sources are known.
    pub template: Option<Template>,
    /// The time limit of a fetch, including its wait for a free slot (`Resolve.Timeout`).
    pub timeout: Duration,
    /// The age at which a key is fetched again (`Resolve.MaxAge`). Until the answer arrives the old key is used.
    pub max_age: Duration,
    /// How many keys are kept (`Resolve.MaxKeys`). Beyond it, the least recently used one is forgotten.
    pub max_keys: usize,
    /// The least size of an RSA key (`MinRSABits`); smaller ones are not used.
    pub min_rsa_bits: MinRsaBits,
    /// Documents that are fetched periodically (`Refresh.Sources`).
    pub sources: Vec<Source>,
}

/// A document of keys that is fetched periodically.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its URL (`uri`).
    pub uri: Template,
    /// The time between two fetches (`interval`).
    pub interval: Duration,
    /// The shortest time between two fetches, and the time after a failed one (`minInterval`).
    pub min_interval: Duration,
    /// The part of the interval by which it varies, from 0 to 1 (`jitter`).
    pub jitter: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            template: None,
            timeout: Duration::from_secs(10),
            max_age: Duration::from_secs(24 * 60 * 60),
            max_keys: 1024,
            min_rsa_bits: MinRsaBits::default(),
            sources: Vec::new(),
        }
    }
}
