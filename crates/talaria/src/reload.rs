//! The configuration read again while the gateway runs, on SIGHUP (contract §14.7).
//!
//! What can change is how the Kafka publisher works: its routes, headers and batches (`kafka.initialDynamicConfig`), its
//! certificates (`kafka.tls`) and its credentials (`kafka.sasl`). All of it is taken up, or nothing. Any other key that
//! has changed is named: it needs a restart. So does a filter that asks for a convey key (`convey/<name>`) which has not
//! been kept of the devices that are connected: their events would go where they must not.

use tracing::{error, info, warn};
use wrpkafka::Publisher;

use crate::config::{self, Sources, tree::Node};

/// The sections that are taken up without a restart.
const LIVE: [&str; 3] = ["kafka.initialDynamicConfig", "kafka.tls", "kafka.sasl"];

/// Where the configuration comes from, and to whom it goes.
pub struct Reload {
    sources: Sources,
    /// What the gateway runs with. Keys that need a restart stay as they were at the start.
    started: Node,
    /// The convey keys that are kept of devices beside those that events carry.
    convey_keys: Vec<String>,
    publisher: Publisher,
}

impl Reload {
    /// A gateway runs with what was read from these sources.
    #[must_use]
    pub fn new(sources: Sources, started: Node, convey_keys: Vec<String>, publisher: Publisher) -> Self {
        Reload { sources, started, convey_keys, publisher }
    }

    /// Reads everything again and takes up what can be. Faults are logged, and then nothing changes.
    pub async fn again(&mut self) {
        let (sources, publisher) = (self.sources.clone(), self.publisher.clone());
        let convey_keys = self.convey_keys.clone();
        let read = move || read(&sources, &convey_keys, &publisher);
        // Files are read, and a client is built.
        match tokio::task::spawn_blocking(read).await {
            Ok(Some(tree)) => self.name_the_rest(&tree),
            Ok(None) => {}
            Err(error) => error!(%error, "the configuration was not reloaded, nothing changes"),
        }
    }

    fn name_the_rest(&self, tree: &Node) {
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

/// Reads the sources and tells the publisher; the tree that was read, if all was well.
fn read(sources: &Sources, convey_keys: &[String], publisher: &Publisher) -> Option<Node> {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(error) => {
            error!(%error, "the configuration was not reloaded, nothing changes");
            return None;
        }
    };
    for warning in &loaded.warnings {
        warn!(%warning, "the configuration is odd");
    }
    let mut missing = loaded.config.device.convey_keys;
    missing.retain(|key| !convey_keys.contains(key));
    if !missing.is_empty() {
        let error =
            "filters ask for convey keys that are not kept of the connected devices: that needs a restart";
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

/// Whether a key is a section's, in whatever case it was written.
fn is_under(key: &str, section: &str) -> bool {
    key.get(..section.len()).is_some_and(|start| start.eq_ignore_ascii_case(section))
        && matches!(key.as_bytes().get(section.len()), None | Some(b'.' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_no_prefix_of_a_name() {
        assert!(is_under("Kafka.TLS.caFile", "kafka.tls") && is_under("kafka.tls", "kafka.tls"));
        assert!(!is_under("kafka.tlsx", "kafka.tls") && !is_under("kafka", "kafka.tls"));
    }

    #[test]
    fn what_changed_is_named_by_its_path_wherever_it_is_written() {
        let tree = |text: &str| config::yaml::defaults(text).unwrap();
        let before = tree("a: {b: 1, c: [x, {y: z}]}\nd: true\n");
        assert_eq!(before.changed(&tree("# moved\nd: true\nA:\n  C: [x, {y: z}]\n  b: 1\n")), [""; 0]);
        let after = tree("a: {b: 2, c: [x, {y: q}], e: new, f: ''}\n");
        assert_eq!(before.changed(&after), ["a.b", "a.c", "a.e", "d"]);
    }
}
