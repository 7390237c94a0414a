//! Passes the messages of devices and the events about them to the sinks (contract §5).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, join};
use talaria_protocol::inbound::{ACCOUNT_ID, HARDWARE_DEVICE_ID};
use talaria_protocol::session::{CloseReason, Reason};
use tokio::time::Instant;
use wrp::{Locator, MessageRef, QosLevel, Scheme};
use wrpkafka::Publisher;

use super::ack::{AckMetrics, Acks};
use super::back_pressure::Room;
use super::config::Config;
use super::finalizer::Sink;
use super::http::{EventSource, HttpMetrics, HttpSink, ReceiverInstances};
use super::kafka::{KafkaMetrics, KafkaSink};
use super::live::LiveHttp;
use super::reason::DropReason;
use super::spans;
use super::status::StatusEvent;
use super::verdict::Verdict;
use crate::device::{AckLimits, Acknowledged, Device, Dropped, Events};
use crate::long_work::LONG;
use crate::telemetry::metrics::Metrics;
use crate::thread_buffer::WriteBuffer;
use crate::trace::Tracing;

/// Room for what a message holds beside its payload, so that the buffer of a long one need not grow.
const FIELDS: usize = 16 * 1024;

/// Passes messages to the sinks. There is one for the whole gateway. Its methods for devices never wait.
pub struct Dispatcher {
    /// That of online and offline events.
    pub(super) source: ArcSwap<String>,
    pub(super) http: LiveHttp,
    pub(super) kafka: KafkaSink,
    pub(super) acks: Arc<Acks>,
    traces: Arc<Tracing>,
    /// What was lost before the stop began.
    lost_before: OnceLock<Undelivered>,
}

/// What was not delivered since a stop began: refused by a queue, rejected by a receiver, or left at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Events that no receiver took, one for each URL.
    pub http: u64,
    /// Messages that Kafka did not acknowledge.
    pub kafka: u64,
    /// Acknowledgements that were not written to their devices, which will send these messages again.
    pub acks: u64,
}

impl Dispatcher {
    /// Starts the sinks. Needs a tokio runtime. The publisher may be started later; until then it rejects messages.
    pub fn start(config: &Config, publisher: Publisher, traces: &Arc<Tracing>, metrics: &Metrics) -> Self {
        let http = HttpSink::start(config, HttpMetrics::register(metrics));
        let kafka = KafkaSink::new(publisher, KafkaMetrics::register(metrics), config.status_queue);
        Self { traces: Arc::clone(traces), ..Self::new(config, http, kafka, metrics) }
    }

    pub(super) fn new(config: &Config, http: HttpSink, kafka: KafkaSink, metrics: &Metrics) -> Self {
        let limits = AckLimits::new(config.max_unacknowledged_per_device, config.max_unacknowledged_bytes);
        let acks = Acks::new(&config.host, config.ack_policy, limits, AckMetrics::register(metrics));
        let http = LiveHttp::new(http);
        let traces = Tracing::off();
        Self {
            source: ArcSwap::from_pointee(config.source.clone()),
            http,
            kafka,
            acks,
            traces,
            lost_before: OnceLock::new(),
        }
    }

    /// Where service discovery writes the instances of the event receivers (contract §11.6).
    pub fn receiver_instances(&self) -> Arc<ReceiverInstances> {
        Arc::clone(self.http.load().instances())
    }

    /// A stop begins, and is done at `deadline`: from now on, everything that is not delivered counts.
    pub fn begin_stop(&self, deadline: Instant) {
        self.lost_before.get_or_init(|| self.lost());
        self.http.begin_stop(deadline);
    }

    /// Drains both sinks at the same time, for at most this long, and stops them. Later messages are rejected.
    pub async fn flush(&self, within: Duration) -> Undelivered {
        let deadline = Instant::now() + within;
        self.begin_stop(deadline);
        let ((), records_left) = tokio::join!(self.http.flush(deadline), self.kafka.flush(deadline));
        let (before, now) = (self.lost_before.get().copied().unwrap_or_default(), self.lost());
        Undelivered {
            http: now.http - before.http,
            // Dead letters are records, but no messages.
            kafka: (now.kafka - before.kafka).max(records_left),
            acks: now.acks - before.acks,
        }
    }

    /// What was lost since the start.
    pub fn lost(&self) -> Undelivered {
        Undelivered { http: self.http.load().lost(), kafka: self.kafka.lost(), acks: self.acks.unsent() }
    }

    /// Passes an event of the gateway itself to both sinks.
    fn status(&self, device: &Arc<Device>, event: &StatusEvent<'_>) {
        let message = event.message();
        let dest = locator(&message);
        let body = encode(&message);
        let source = EventSource::Gateway(device);
        self.http.load().send(source, QosLevel::High, dest.as_ref(), || body.clone(), None, None);
        if self.kafka.is_enabled() {
            self.kafka.send_status(device, body);
        }
    }
}

impl Events for Dispatcher {
    fn room(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        let http = self.http.load_full();
        async move {
            join(http.status_room(deadline), self.kafka.status_room(deadline)).await;
        }
        .boxed()
    }

    fn has_room(&self) -> bool {
        self.http.load().has_status_room() && self.kafka.has_status_room()
    }

    fn online(&self, device: &Arc<Device>) {
        self.status(device, &StatusEvent::online(&self.source.load(), device));
    }

    fn offline(&self, device: &Arc<Device>, reason: &CloseReason) {
        self.status(device, &StatusEvent::offline(&self.source.load(), device, reason));
    }

    fn message(&self, device: &Arc<Device>, message: &mut MessageRef<'_>) {
        let message = &*message;
        let begun = self.traces.with(|tracer| spans::process(tracer, device, message));
        let trace = begun.as_ref().and_then(|begun| begun.trace.as_ref());
        let http_sink = self.http.load();
        if message.is_transaction_part() {
            return http_sink.refuse(EventSource::Device(device), DropReason::UnsupportedEvent, None);
        }
        let dest = locator(message);
        let is_for_kafka =
            self.kafka.is_enabled() && dest.as_ref().is_some_and(|dest| dest.scheme == Scheme::Event);
        let finalizer = if message.wants_ack() {
            let Some(finalizer) = self.acks.finalizer(device, message, trace) else {
                http_sink.refuse(EventSource::Device(device), DropReason::FullQueue, None);
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
        let (source, level) = (EventSource::Device(device), message.qos.level());
        let http =
            http_sink.send(source, level, dest.as_ref(), || encode(message), finalizer.as_ref(), trace);
        let mut kafka = Room::Unused;
        if is_for_kafka {
            self.kafka.send(&for_kafka(message, device), device, finalizer.as_ref(), trace);
            kafka = self.kafka.room(level);
        }
        // Only where no sink has room, so that no sink waits for another.
        match (http, kafka) {
            (Room::Free, _) | (_, Room::Free) | (Room::Unused, Room::Unused) => {}
            (Room::Scarce, Room::Scarce | Room::Unused) => http_sink.wait_for_room(device, dest.as_ref()),
            (Room::Unused, Room::Scarce) => {
                device.room().begin();
            }
        }
    }

    fn dropped(&self, device: &Arc<Device>, message: &MessageRef<'_>, reason: Dropped) {
        if message.wants_ack() {
            let verdict = match reason {
                Dropped::TooLarge => Verdict::TooLarge,
                Dropped::OverRate => Verdict::NotEnqueued,
            };
            self.acks.refuse(device, message, verdict);
        }
    }

    fn acknowledged(&self, device: &Arc<Device>, messages: &[Acknowledged]) {
        self.acks.written(device, messages);
    }

    fn unacknowledged(&self, device: &Arc<Device>, messages: &[Acknowledged], reason: Reason) {
        self.acks.unwritten(device, messages, reason);
    }
}

/// The message for Kafka, with the ids of account and device. Neither HTTP nor the acknowledgement has them.
fn for_kafka<'a>(message: &MessageRef<'a>, device: &'a Device) -> MessageRef<'a> {
    let mut message = message.clone();
    message.set_metadata(ACCOUNT_ID, device.account_id());
    if message.metadata(HARDWARE_DEVICE_ID).is_none_or(|id| id.is_empty()) {
        message.set_metadata(HARDWARE_DEVICE_ID, device.id().as_str());
    }
    message
}

fn locator<'a>(message: &MessageRef<'a>) -> Option<Locator<'a>> {
    Locator::parse_v3(message.dest.to_str().ok()?).ok()
}

/// The v3 encoding in about as much memory as it needs.
fn encode(message: &MessageRef<'_>) -> Bytes {
    if let Some(payload) = message.payload.filter(|payload| payload.len() >= LONG) {
        // Copied only once. The other fields are short (contract §2.18).
        let mut bytes = Vec::with_capacity(payload.len() + FIELDS);
        message.encode_v3(&mut bytes);
        return bytes.into();
    }
    let mut buffer = WriteBuffer::borrow();
    message.encode_v3(&mut buffer);
    Bytes::copy_from_slice(&buffer)
}
