//! Online and offline events on their way to Kafka (contract §14.22, §14.23).
//!
//! They rank as High inside the publisher, whatever their `qos` says. One that finds the publisher full, or is displaced there, is
//! not lost: it is published again after a pause, and fewer are published at a time. The events of one device are published
//! one after the other, so none can overtake another.
//!
//! Deliberately absent: the room and the order, which are [`StatusOrder`]'s. Start reading at [`StatusRecords::send`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use wrp::{DeviceId, MessageRef, QosLevel};
use wrpkafka::{Outcome, PublishError, Publisher, Receipt, Sender};

use super::attributes::DeviceAttributes;
use super::is_loss;
use super::metrics::KafkaMetrics;
use crate::device::Device;
use crate::event::config::QueueLimit;
use crate::event::status_order::{Entered, StatusOrder};
use crate::telemetry::throttle::Throttle;

/// How many are published at the same time, at most.
const MOST_UNDER_WAY: usize = 256;

/// How long nothing is published after the publisher was full.
const PAUSE: Duration = Duration::from_millis(20);

/// The online and offline events that Kafka has not acknowledged.
pub(super) struct StatusRecords {
    publisher: Publisher,
    metrics: Arc<KafkaMetrics>,
    /// The sink's count of lost messages.
    lost: Arc<AtomicU64>,
    order: StatusOrder<DeviceId, StatusRecord>,
    flow: Mutex<Flow>,
    /// Notified when something may be published.
    changed: Notify,
    losses: Throttle,
}

/// An event and its device, whose attributes the filters of the routes check.
#[derive(Clone)]
struct StatusRecord {
    device: Arc<Device>,
    /// WRP v3.
    message: Bytes,
}

struct Flow {
    /// Those whose turn it is, but of which too many are under way.
    ready: VecDeque<StatusRecord>,
    under_way: usize,
    /// How many may be under way: half as many each time the publisher is full, one more for each that it takes.
    most: usize,
    /// Whether the publisher was full just now.
    is_paused: bool,
    is_closed: bool,
}

impl StatusRecords {
    pub(super) fn new(
        publisher: Publisher,
        metrics: Arc<KafkaMetrics>,
        lost: Arc<AtomicU64>,
        limit: QueueLimit,
    ) -> Arc<Self> {
        let flow = Flow {
            ready: VecDeque::new(),
            under_way: 0,
            most: MOST_UNDER_WAY,
            is_paused: false,
            is_closed: false,
        };
        Arc::new(Self {
            publisher,
            metrics,
            lost,
            order: StatusOrder::new(limit),
            flow: Mutex::new(flow),
            changed: Notify::new(),
            losses: Throttle::new(),
        })
    }

    /// Publishes those that had to wait. Runs for ever.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            if self.flow.lock().is_paused {
                sleep(PAUSE).await;
                self.flow.lock().is_paused = false;
            }
            while let Some(record) = self.next() {
                self.publish(&record);
            }
        }
    }

    /// Publishes an event after those of the same device. Never waits; if there is no room, it is dropped and counted.
    pub(super) fn send(self: &Arc<Self>, device: &Arc<Device>, message: Bytes) {
        let bytes = message.len();
        let record = StatusRecord { device: Arc::clone(device), message };
        match self.order.enter(device.id().clone(), bytes, record) {
            Entered::Now(record) => {
                self.flow.lock().ready.push_back(record);
                if let Some(record) = self.next() {
                    self.publish(&record);
                }
            }
            Entered::Waiting => {}
            Entered::Displaced(record) | Entered::Full(record) => {
                self.lose(&record, &PublishError::BufferFull);
            }
        }
    }

    /// Whether there is room for further events.
    pub(super) fn has_room(&self) -> bool {
        self.order.has_room()
    }

    /// Another room.
    pub(super) fn set_limit(&self, limit: QueueLimit) {
        self.order.set_limit(limit);
    }

    /// Waits for room for further events, at most until `deadline`.
    pub(super) async fn room(&self, deadline: Instant) {
        self.order.room(deadline).await;
    }

    /// Waits until all are acknowledged or lost, at most until `deadline`.
    pub(super) async fn drained(&self, deadline: Instant) {
        self.order.drained(deadline).await;
    }

    /// Publishes nothing more. Those that have not been given to the publisher are lost.
    pub(super) fn close(&self) {
        let mut waiting = self.order.close();
        {
            let mut flow = self.flow.lock();
            flow.is_closed = true;
            waiting.extend(flow.ready.drain(..));
        }
        for record in &waiting {
            self.lose(record, &PublishError::Stopped);
        }
    }

    /// The next one that may be published; it is under way then.
    fn next(&self) -> Option<StatusRecord> {
        let mut flow = self.flow.lock();
        if flow.is_paused || flow.under_way >= flow.most {
            return None;
        }
        let record = flow.ready.pop_front()?;
        flow.under_way += 1;
        Some(record)
    }

    fn publish(self: &Arc<Self>, record: &StatusRecord) {
        let receipt: Receipt = {
            let (records, record) = (Arc::clone(self), record.clone());
            Box::new(move |outcome: Result<Outcome, PublishError>| records.ended(record, &outcome))
        };
        let device = &*record.device;
        // Decoding cannot fail, because the message was encoded here.
        let Ok(message) = MessageRef::decode_v3(&record.message) else {
            return receipt(Err(PublishError::Stopped));
        };
        let sender = Sender { attributes: &DeviceAttributes::of(device), verdict: &device.sinks().kafka };
        // The receipt also receives the error of a message that is rejected at once.
        let _ = self.publisher.submit_as(&message, QosLevel::High, &sender, Some(receipt));
    }

    fn ended(&self, record: StatusRecord, outcome: &Result<Outcome, PublishError>) {
        let was_full = matches!(outcome, Err(PublishError::BufferFull | PublishError::Displaced));
        {
            let mut flow = self.flow.lock();
            flow.under_way -= 1;
            if was_full && !flow.is_closed {
                flow.most = (flow.most / 2).max(1);
                flow.is_paused = true;
                flow.ready.push_front(record);
                drop(flow);
                return self.changed.notify_one();
            }
            flow.most = (flow.most + 1).min(MOST_UNDER_WAY);
        }
        self.metrics.message_ended(QosLevel::Low, outcome);
        self.lost.fetch_add(u64::from(is_loss(outcome)), Ordering::Relaxed);
        if let Some((next, _)) = self.order.leave(record.device.id(), record.message.len()) {
            self.flow.lock().ready.push_back(next);
        }
        self.changed.notify_one();
    }

    /// Counts and logs one that is not given to the publisher, which does so itself for those that it gets.
    fn lose(&self, record: &StatusRecord, error: &PublishError) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.metrics.message_ended(QosLevel::Low, &Err(error.clone()));
        if let Some(similar) = self.losses.admit() {
            tracing::error!(device = %record.device.id(), %error, similar, "status event lost by kafka");
        }
    }
}
