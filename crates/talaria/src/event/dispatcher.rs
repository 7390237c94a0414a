//! Takes what devices say, and what is said of them, to the sinks (contract §5).

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use talaria_protocol::session::CloseReason;
use tokio::time::Instant;
use wrp::{Locator, MessageRef, Scheme};
use wrpkafka::Publisher;

use super::ack::{AckMetrics, Acks};
use super::config::Config;
use super::finalizer::{Sink, Verdict};
use super::http::{HttpMetrics, HttpSink, Maker};
use super::kafka::{KafkaMetrics, KafkaSink};
use super::reason::DropReason;
use super::status::StatusEvent;
use crate::device::{Device, Events};
use crate::telemetry::metrics::Metrics;

/// A thread's buffer for encoding is given back when it has grown beyond this.
const MAX_SCRATCH: usize = 256 * 1024;

/// Where messages go: one for the whole gateway. Nothing that devices call waits for anything.
pub struct Dispatcher {
    source: Box<str>,
    http: HttpSink,
    kafka: KafkaSink,
    acks: Arc<Acks>,
}

/// What [`Dispatcher::flush`] left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Events that no receiver took, one for each URL.
    pub http: u64,
    /// Records that Kafka did not acknowledge.
    pub kafka: u64,
}

impl Dispatcher {
    /// Starts the sinks. Needs a tokio runtime. The publisher may be started before or after; until then it refuses.
    pub fn start(config: &Config, publisher: Publisher, metrics: &Metrics) -> Self {
        let http = HttpSink::start(config, HttpMetrics::register(metrics));
        let kafka = KafkaSink::new(publisher, KafkaMetrics::register(metrics));
        Self::new(config, http, kafka, metrics)
    }

    pub(super) fn new(config: &Config, http: HttpSink, kafka: KafkaSink, metrics: &Metrics) -> Self {
        let limit = config.max_unacknowledged_per_device;
        let acks = Acks::new(&config.host, limit, AckMetrics::register(metrics));
        Self { source: config.source.as_str().into(), http, kafka, acks }
    }

    /// Drains both sinks at the same time, for at most so long, and stops them. What comes later is refused.
    pub async fn flush(&self, within: Duration) -> Undelivered {
        let (http, kafka) = tokio::join!(self.http.flush(Instant::now() + within), self.kafka.flush(within));
        Undelivered { http, kafka }
    }

    /// An event of the gateway's own goes to both sinks.
    fn status(&self, device: &Device, event: &StatusEvent<'_>) {
        let message = event.message();
        let dest = locator(&message);
        self.http.send(Maker::Gateway, dest.as_ref(), || encode(&message), None);
        if self.kafka.is_enabled() {
            self.kafka.send(&message, device, None);
        }
    }
}

impl Events for Dispatcher {
    fn online(&self, device: &Arc<Device>) {
        self.status(device, &StatusEvent::online(&self.source, device));
    }

    fn offline(&self, device: &Arc<Device>, reason: &CloseReason) {
        self.status(device, &StatusEvent::offline(&self.source, device, reason));
    }

    fn message(&self, device: &Arc<Device>, message: &mut MessageRef<'_>) {
        let message = &*message;
        if message.is_transaction_part() {
            return self.http.refuse(Maker::Device, DropReason::UnsupportedEvent, None);
        }
        let dest = locator(message);
        let is_for_kafka =
            self.kafka.is_enabled() && dest.as_ref().is_some_and(|dest| dest.scheme == Scheme::Event);
        let finalizer = if message.wants_ack() {
            let Some(finalizer) = self.acks.finalizer(device, message) else {
                self.http.refuse(Maker::Device, DropReason::FullQueue, None);
                if is_for_kafka {
                    self.kafka.refuse(message.qos.level());
                }
                return;
            };
            Some(finalizer)
        } else {
            None
        };
        if let Some(finalizer) = finalizer.as_ref().filter(|_| message.dest.is_empty()) {
            finalizer.share(Sink::Http).finish(Verdict::MissingDest);
        }
        self.http.send(Maker::Device, dest.as_ref(), || encode(message), finalizer.as_ref());
        if is_for_kafka {
            self.kafka.send(&for_kafka(message, device), device, finalizer.as_ref());
        }
    }
}

/// The message as Kafka gets it: with whose it is. Neither HTTP nor the acknowledgement carries that.
fn for_kafka<'a>(message: &MessageRef<'a>, device: &'a Device) -> MessageRef<'a> {
    let mut message = message.clone();
    message.set_metadata("/account-id", device.account_id());
    if message.metadata("/hw-deviceid").is_none_or(|id| id.is_empty()) {
        message.set_metadata("/hw-deviceid", device.id().as_str());
    }
    message
}

fn locator<'a>(message: &MessageRef<'a>) -> Option<Locator<'a>> {
    Locator::parse_v3(message.dest.to_str().ok()?).ok()
}

/// The v3 encoding, in a buffer of its own that is as long as it is.
fn encode(message: &MessageRef<'_>) -> Bytes {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        message.encode_v3(scratch);
        let bytes = Bytes::copy_from_slice(scratch);
        if scratch.capacity() > MAX_SCRATCH {
            *scratch = Vec::new();
        }
        bytes
    })
}
