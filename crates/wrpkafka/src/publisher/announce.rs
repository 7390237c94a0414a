//! The log line of a start (contract §8.16).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::config::{Config, DynamicConfig};
use crate::routing::RouteTable;

/// Logs what the publisher is going to do. Lists are logged as lists by a log that knows them, and as text by others.
pub(super) fn announce(config: &Config, routes: &RouteTable) {
    let topics: BTreeSet<&str> = routes.targets().map(|target| &*target.topic).collect();
    let topic = topics.into_iter().collect::<Vec<_>>().join(",");
    tracing::info!(
        brokers = ?config.brokers,
        topic,
        allowAutoTopicCreation = config.allow_auto_topic_creation,
        maxBufferedRecords = config.max_buffered_records,
        maxBufferedBytes = config.max_buffered_bytes,
        maxRequestRetries = config.max_request_retries,
        maxRecordRetries = config.max_record_retries,
        requestTimeout = %Short(config.request_timeout),
        recordDeliveryTimeout = %Short(config.record_delivery_timeout),
        dynamicConfig = %Summary(&config.dynamic),
        "Creating Kafka publisher"
    );
}

/// A duration as configurations write it: `30s`, `1.5s`, `0s`.
struct Short(Duration);

/// The dynamic configuration without its routes and headers, which may be long.
struct Summary<'a>(&'a DynamicConfig);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() { f.write_str("0s") } else { write!(f, "{:?}", self.0) }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DynamicConfig { topic_map, headers, compression, linger, batch_max_bytes, acks } = self.0;
        write!(
            f,
            "routes={} headers={} compression={} linger={} batchMaxBytes={batch_max_bytes} acks={}",
            topic_map.len().max(1),
            headers.len(),
            compression.as_str(),
            Short(*linger),
            acks.as_str()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_configurations() {
        for (millis, text) in [(0, "0s"), (30_000, "30s"), (1500, "1.5s"), (100, "100ms")] {
            assert_eq!(Short(Duration::from_millis(millis)).to_string(), text);
        }
    }

    #[test]
    fn the_dynamic_configuration_is_one_short_text() {
        assert_eq!(
            Summary(&DynamicConfig::default()).to_string(),
            "routes=1 headers=0 compression=none linger=0s batchMaxBytes=0 acks=all"
        );
    }
}
