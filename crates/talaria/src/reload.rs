//! The configuration read again while the gateway runs, on SIGHUP (contract §14.7).
//!
//! Only settings of the Kafka publisher change while the gateway runs: its routes, headers and batches
//! (`kafka.initialDynamicConfig`), its certificates (`kafka.tls`) and its credentials (`kafka.sasl`). Either all of
//! them are applied or, if the new configuration has a fault, none. Any other key that has changed is named in the log:
//! it needs a restart.
//!
//! A filter on a convey key (`convey/<name>`) that no filter used at the start is refused, because the values of that
//! key were not kept for the devices that are connected: the filter would decide wrongly about their events.

use tracing::{error, info, warn};
use wrpkafka::Publisher;

use crate::config::tree::Node;
use crate::config::{self, Sources};

/// The sections that are applied without a restart.
const LIVE: [&str; 3] = ["kafka.initialDynamicConfig", "kafka.tls", "kafka.sasl"];

/// Reads the configuration again and applies it to the publisher.
pub struct Reload {
    sources: Sources,
    /// The configuration at the start, with which keys that need a restart are compared.
    started: Node,
    /// The convey keys that are kept for every device in addition to those that events carry.
    convey_keys: Vec<String>,
    publisher: Publisher,
}

impl Reload {
    /// For a gateway that was started with `started`, which was read from these sources.
    #[must_use]
    pub fn new(sources: Sources, started: Node, convey_keys: Vec<String>, publisher: Publisher) -> Self {
        Self { sources, started, convey_keys, publisher }
    }

    /// Reads the sources again and applies the sections that can change. If there is a fault, it is logged and nothing
    /// changes.
    pub async fn again(&mut self) {
        let (sources, publisher) = (self.sources.clone(), self.publisher.clone());
        let convey_keys = self.convey_keys.clone();
        let read = move || read(&sources, &convey_keys, &publisher);
        // Blocking: this reads files and builds a Kafka client.
        match tokio::task::spawn_blocking(read).await {
            Ok(Some(tree)) => self.log_keys_that_need_a_restart(&tree),
            Ok(None) => {}
            Err(error) => error!(%error, "the configuration was not reloaded, nothing changes"),
        }
    }

    fn log_keys_that_need_a_restart(&self, tree: &Node) {
        let keys: Vec<String> = self
            .started
            .changed(tree)
            .into_iter()
            .filter(|key| !LIVE.iter().any(|live| is_under(key, live)))
            .collect();
        if !keys.is_empty() {
            warn!(?keys, "these keys have changed and take effect at the next start");
        }
    }
}

/// Reads the sources and updates the publisher. Returns the tree that was read, or `None` after logging a fault.
fn read(sources: &Sources, convey_keys: &[String], publisher: &Publisher) -> Option<Node> {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(error) => {
            error!(%error, "the configuration was not reloaded, nothing changes");
            return None;
        }
    };
    loaded.log_warnings();
    let mut missing = loaded.config.convey_keys;
    missing.retain(|key| !convey_keys.contains(key));
    if !missing.is_empty() {
        let error = "filters use convey keys whose values were not kept for the connected devices: restart to use them";
        error!(error, keys = ?missing, "the configuration was not reloaded, nothing changes");
        return None;
    }
    if let Some(kafka) = loaded.config.kafka
        && let Err(error) = publisher.update(kafka.dynamic, kafka.tls, kafka.sasl)
    {
        error!(%error, "the configuration was not reloaded, nothing changes");
        return None;
    }
    info!("configuration reloaded");
    Some(loaded.tree)
}

/// Whether a key is in a section, without regard to case.
fn is_under(key: &str, section: &str) -> bool {
    key.get(..section.len()).is_some_and(|start| start.eq_ignore_ascii_case(section))
        && matches!(key.as_bytes().get(section.len()), None | Some(b'.' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_only_begins_like_a_section_is_not_in_it() {
        assert!(is_under("Kafka.TLS.caFile", "kafka.tls") && is_under("kafka.tls", "kafka.tls"));
        assert!(!is_under("kafka.tlsx", "kafka.tls") && !is_under("kafka", "kafka.tls"));
    }

    #[test]
    fn a_changed_value_is_named_by_its_path_and_a_moved_one_is_not() {
        let tree = |text: &str| config::yaml::defaults(text).unwrap();
        let before = tree("a: {b: 1, c: [x, {y: z}]}\nd: true\n");
        assert_eq!(before.changed(&tree("# moved\nd: true\nA:\n  C: [x, {y: z}]\n  b: 1\n")), [""; 0]);
        let after = tree("a: {b: 2, c: [x, {y: q}], e: new, f: ''}\n");
        assert_eq!(before.changed(&after), ["a.b", "a.c", "a.e", "d"]);
    }
}
