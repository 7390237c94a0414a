//! The settings of Kafka's publisher that change while the gateway runs (contract §14.7).

use std::sync::Arc;

use wrpkafka::Publisher;

use crate::live::{Change, Live, PrepareError, Setting};

/// Said of the settings with which the publisher is made.
const PUBLISHER: &str = "the publisher is made with it, and holds records";

/// The settings of a publisher.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// The publisher's configuration.
    pub kafka: wrpkafka::Config,
    /// The convey keys that the filters of its routes use.
    pub convey_keys: Vec<String>,
}

/// A publisher whose settings change, and what devices were asked for when it started.
pub struct LivePublisher {
    publisher: Publisher,
    /// The convey keys that are kept for every device in addition to those that events carry.
    convey_keys: Vec<String>,
}

impl LivePublisher {
    /// For a gateway that keeps these convey keys of its devices.
    #[must_use]
    pub fn new(publisher: Publisher, convey_keys: Vec<String>) -> Arc<Self> {
        Arc::new(Self { publisher, convey_keys })
    }
}

impl Live<KafkaSettings> for LivePublisher {
    const SETTINGS: &'static [Setting] = &[
        Setting::at_start("", PUBLISHER),
        Setting::live("initialDynamicConfig"),
        Setting::live("tls"),
        Setting::live("sasl"),
    ];

    const READS_FILES: bool = true;

    fn prepare(self: &Arc<Self>, settings: &KafkaSettings) -> Result<Change, PrepareError> {
        let mut missing = settings.convey_keys.clone();
        missing.retain(|key| !self.convey_keys.contains(key));
        if !missing.is_empty() {
            return Err(PrepareError(format!(
                "kafka.initialDynamicConfig.topicMap: filters use convey keys whose values were not kept for the \
                 connected devices ({}): restart to use them",
                missing.join(", ")
            )));
        }
        let wrpkafka::Config { dynamic, tls, sasl, .. } = settings.kafka.clone();
        let update = self.publisher.prepare_update(dynamic, tls, sasl);
        let update = update.map_err(|error| PrepareError(error.to_string()))?;
        Ok(Box::new(move || update.make()))
    }
}
