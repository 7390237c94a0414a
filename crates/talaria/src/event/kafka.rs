//! The Kafka sink: hands messages to the publisher, which never waits, and counts what becomes of them (contract §5.2).
//!
//! What each record's way is (routes, keys, retries, the log lines) is the publisher's; what it means for the gateway
//! is here: a message's verdict, and the metrics per message and per record.

mod attributes;
mod client;
mod metrics;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use wrp::{MessageRef, QosLevel};
use wrpkafka::{Outcome, PublishError, Publisher, Sender};

pub use attributes::{DeviceKey, InvalidDeviceKey};
pub use metrics::KafkaMetrics;

use super::finalizer::{Finalizer, Share, Sink, Verdict};
use crate::device::Device;
use attributes::DeviceAttributes;

/// How often it is looked how full the publisher is.
const GAUGE_PERIOD: Duration = Duration::from_millis(250);

/// Publishes messages to Kafka. Without Kafka it takes none.
pub struct KafkaSink {
    publisher: Publisher,
    metrics: Arc<KafkaMetrics>,
    gauge: Option<JoinHandle<()>>,
}

impl KafkaSink {
    /// Takes over a publisher, which whoever made it starts. Needs a tokio runtime.
    pub fn new(publisher: Publisher, metrics: KafkaMetrics) -> Self {
        let metrics = Arc::new(metrics);
        let gauge = publisher.is_enabled().then(|| {
            publisher.add_listener(Arc::clone(&metrics) as Arc<dyn wrpkafka::Listener>);
            tokio::spawn(watch(publisher.clone(), Arc::clone(&metrics)))
        });
        Self { publisher, metrics, gauge }
    }

    /// Whether messages go to Kafka at all.
    pub fn is_enabled(&self) -> bool {
        self.publisher.is_enabled()
    }

    /// Hands over a message of a device, or about one: the filters of the routes judge that device. Never waits.
    pub fn send(&self, message: &MessageRef<'_>, device: &Device, finalizer: Option<&Finalizer>) {
        let level = message.qos.level();
        let share = finalizer.map(|finalizer| finalizer.share(Sink::Kafka));
        let metrics = Arc::clone(&self.metrics);
        let receipt = move |fate: Result<Outcome, PublishError>| {
            metrics.message_ended(level, &fate);
            if let Some(share) = share {
                settle(share, &fate);
            }
        };
        // What is refused at once is told to the receipt as well.
        let sender = Sender { attributes: &DeviceAttributes::of(device), verdict: device.admission() };
        let _ = self.publisher.submit_from(message, &sender, Some(Box::new(receipt)));
    }

    /// Counts a message that would have gone to Kafka, but is refused before.
    pub fn refuse(&self, level: QosLevel) {
        self.metrics.message_ended(level, &Err(PublishError::BufferFull));
    }

    /// Waits at most so long until what is buffered is acknowledged, then stops. Gives the number of records that
    /// were not.
    pub async fn flush(&self, within: Duration) -> u64 {
        self.publisher.stop(within).await.undelivered
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        if let Some(gauge) = &self.gauge {
            gauge.abort();
        }
    }
}

/// Says what a message's fate at Kafka means for its acknowledgement.
fn settle(share: Share, fate: &Result<Outcome, PublishError>) {
    let verdict = match fate {
        // Nobody wants it in Kafka: it is acknowledged as one that goes by HTTP only.
        Ok(Outcome::Filtered) => return share.withdraw(),
        Ok(Outcome::Accepted) => Verdict::Delivered,
        // Nobody has acknowledged it.
        Ok(Outcome::Queued | Outcome::Attempted | Outcome::Failed) => Verdict::KafkaFailed,
        Err(PublishError::BufferFull) => Verdict::NotEnqueued,
        Err(PublishError::Displaced) => Verdict::Displaced,
        Err(PublishError::TooLarge { .. }) => Verdict::TooLarge,
        Err(PublishError::NoTopicMatch { .. } | PublishError::InvalidDestination { .. }) => Verdict::NoRoute,
        Err(PublishError::Stopped) => Verdict::ShuttingDown,
        Err(_) => Verdict::KafkaFailed,
    };
    share.finish(verdict);
}

async fn watch(publisher: Publisher, metrics: Arc<KafkaMetrics>) {
    let mut ticks = tokio::time::interval(GAUGE_PERIOD);
    loop {
        ticks.tick().await;
        metrics.show_buffered(&publisher.buffered());
        metrics.show_schemas(&publisher.schema_stats());
    }
}
