//! The consistent hash over the instances of a fleet (contract §11.2).

use std::collections::HashMap;

use super::{instance, murmur3};

/// The tokens of an instance, unless the configuration says otherwise.
pub const DEFAULT_VNODES: u32 = 211;

/// The most tokens of a ring: more than 4700 instances have with the default of tokens each.
pub const MAX_TOKENS: usize = 1_000_000;

/// Which instance each device belongs to.
///
/// Instances with the same host are one: of them the last one is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// In order. Each has the number of its instance.
    tokens: Vec<(u64, u32)>,
    instances: Vec<String>,
}

/// Why there is no ring of these instances.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The list is empty.
    #[error("There are no instances available")]
    Empty,
    /// An instance has no scheme or no host.
    #[error("expected a schema and host: `{0}`")]
    NoHost(String),
    /// The ring would have more than [`MAX_TOKENS`].
    #[error(
        "{instances} instances with {vnodes} tokens each are more than a ring can have, at most {MAX_TOKENS} tokens"
    )]
    TooLarge {
        /// How many instances there are.
        instances: usize,
        /// How many tokens each would have.
        vnodes: u32,
    },
}

impl Ring {
    /// A ring of these instances, of which each has `vnodes` tokens; 0 means [`DEFAULT_VNODES`].
    ///
    /// # Errors
    /// [`RingError`].
    pub fn new<'a>(instances: impl IntoIterator<Item = &'a str>, vnodes: u32) -> Result<Self, RingError> {
        let vnodes = if vnodes == 0 { DEFAULT_VNODES } else { vnodes };
        let mut by_host: HashMap<&str, usize> = HashMap::new();
        let mut hosts: Vec<(&str, &str)> = Vec::new();
        for instance in instances {
            let host = instance::host(instance).ok_or_else(|| RingError::NoHost(instance.to_owned()))?;
            match by_host.get(host) {
                Some(&at) => hosts[at].1 = instance,
                None => {
                    by_host.insert(host, hosts.len());
                    hosts.push((host, instance));
                }
            }
        }
        if hosts.is_empty() {
            return Err(RingError::Empty);
        }
        if hosts.len().saturating_mul(vnodes as usize) > MAX_TOKENS {
            return Err(RingError::TooLarge { instances: hosts.len(), vnodes });
        }
        let mut tokens = Vec::with_capacity(hosts.len() * vnodes as usize);
        for (number, (host, _)) in (0..).zip(&hosts) {
            tokens.extend(
                (0..vnodes).map(|vnode| (murmur3::hash(format!("{vnode}={host}").as_bytes()), number)),
            );
        }
        tokens.sort_unstable();
        Ok(Self { tokens, instances: hosts.into_iter().map(|(_, instance)| instance.to_owned()).collect() })
    }

    /// The instance that a device belongs to, by the bytes of its id; none in an empty ring.
    #[must_use]
    pub fn owner(&self, id: &[u8]) -> Option<&str> {
        let token = murmur3::hash(id);
        let at = self.tokens.partition_point(|(next, _)| *next < token);
        let (_, instance) = self.tokens.get(at).or_else(|| self.tokens.first())?;
        self.instances.get(*instance as usize).map(String::as_str)
    }

    /// The instances that devices belong to, one for each host.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        self.instances.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_consistent_hash() {
        vectors::run("consistent_hash.json", |case| {
            let value = &case.value;
            if value["kind"] != "lookup" {
                return Ok(());
            }
            let instances = value["instances"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
            // Fewer than one means the default, as in the configuration.
            let vnodes = u32::try_from(value["vnode_count"].as_i64().unwrap()).unwrap_or(0);
            let ring = match (Ring::new(instances, vnodes), value["error"].as_str()) {
                (Err(error), Some(expected)) => {
                    return vectors::same("error", &expected.to_owned(), &error.to_string());
                }
                (Err(error), None) => return Err(error.to_string()),
                (Ok(_), Some(expected)) => return Err(format!("is a ring, expected the error {expected}")),
                (Ok(ring), None) => ring,
            };
            for lookup in value["lookups"].as_array().unwrap() {
                let (key, expected) = (lookup[0].as_str().unwrap(), lookup[1].as_str().unwrap());
                vectors::same(key, &Some(expected), &ring.owner(key.as_bytes()))?;
            }
            Ok(())
        });
    }

    #[test]
    fn a_new_instance_takes_devices_from_the_others_and_moves_none_between_them() {
        let ids: Vec<String> = (0..5000).map(|number| format!("mac:{number:012x}")).collect();
        let urls: Vec<String> = (0..6).map(|number| format!("https://talaria-{number}")).collect();
        let before = Ring::new(urls[..5].iter().map(String::as_str), DEFAULT_VNODES).unwrap();
        let after = Ring::new(urls.iter().map(String::as_str), DEFAULT_VNODES).unwrap();
        let moved: Vec<&String> =
            ids.iter().filter(|id| before.owner(id.as_bytes()) != after.owner(id.as_bytes())).collect();
        assert!(moved.iter().all(|id| after.owner(id.as_bytes()) == Some(&urls[5])));
        assert!((400..1300).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn a_ring_has_a_bound() {
        let urls: Vec<String> = (0..11).map(|number| format!("https://talaria-{number}")).collect();
        let ring = Ring::new(urls.iter().map(String::as_str), 100_000);
        assert_eq!(ring, Err(RingError::TooLarge { instances: 11, vnodes: 100_000 }));
    }
}
