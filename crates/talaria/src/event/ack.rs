//! Acknowledgements: they tell a device the outcome of its message (contract §5.3, §15.4).
//!
//! The frame for a delivery is encoded when the message arrives, because most messages are delivered, and its room is
//! reserved then ([`AckSlot`]). Only this frame is kept until the outcome is known. The acknowledgement of a failure is
//! encoded again.
//!
//! Deliberately absent: the list in which acknowledgements wait to be written, which belongs to the
//! [`device`](crate::device).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use prometheus::{IntCounter, IntCounterVec};
use talaria_protocol::session::Reason;
use tokio::time::Instant;
use wrp::{MessageRef, MessageType, QosLevel, Text};

use super::device_state::{AckSeries, Series};
use super::finalizer::{AckPolicy, Finalizer, Settle};
use super::verdict::Verdict;
use crate::device::{Ack, AckLimits, AckNotSentError, AckSlot, Acknowledged, Device, UNKNOWN_PARTNER};
use crate::telemetry::labels::{HeldLabels, LabelTable, MAX_PARTNERS};
use crate::telemetry::metrics::{LatencyVec, Metrics};
use crate::thread_buffer::WriteBuffer;
use crate::trace::Trace;

/// Seconds, from the message's arrival to its acknowledgement. The reference has a native histogram here.
const LATENCY_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.0625, 0.125, 0.25, 0.5, 1.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];

/// All levels of quality of service.
const LEVELS: [QosLevel; 4] = [QosLevel::Low, QosLevel::Medium, QosLevel::High, QosLevel::Critical];

/// An acknowledgement that would be longer repeats neither headers nor, if it still were, metadata.
const LONGEST: usize = 4096;

/// Makes the finalizers of messages that want an acknowledgement.
#[derive(Debug)]
pub(super) struct Acks {
    source: Box<str>,
    policy: ArcSwap<AckPolicy>,
    limits: Arc<AckLimits>,
    metrics: AckMetrics,
    /// How many could not be written since the start.
    unsent: AtomicU64,
}

/// The handles of the families `outbound_ack_*`.
#[derive(Clone, Debug)]
pub struct AckMetrics {
    success: IntCounterVec,
    failure: IntCounterVec,
    success_latency: LatencyVec,
    failure_latency: LatencyVec,
    unsent: IntCounterVec,
    /// The partners of the devices that have been sent an acknowledgement.
    partners: Arc<LabelTable<1, AckSeries>>,
    /// The partner of devices without one is not a stranger's choice: its series stay.
    _unknown: Arc<HeldLabels<1, AckSeries>>,
}

/// An acknowledgement that waits for the message's verdict.
struct Pending {
    acks: Arc<Acks>,
    slot: AckSlot,
    /// The frame with `rdr` 0.
    frame: Bytes,
    of: Acknowledged,
}

impl Acks {
    /// `host` is the name of this gateway's host.
    pub(super) fn new(
        host: &str,
        policy: AckPolicy,
        limits: Arc<AckLimits>,
        metrics: AckMetrics,
    ) -> Arc<Self> {
        // The reference's bare host name is not a locator, and strict devices reject it (contract §14.11).
        Arc::new(Self {
            source: format!("dns:{host}").into(),
            policy: ArcSwap::from_pointee(policy),
            limits,
            metrics,
            unsent: AtomicU64::new(0),
        })
    }

    /// Other settings, for the messages that come from now on.
    pub(super) fn set(&self, policy: AckPolicy, messages_each: usize, bytes: usize) {
        self.policy.store(Arc::new(policy));
        self.limits.set(messages_each, bytes);
    }

    /// The finalizer of a message that wants an acknowledgement. If there are too many of them already, the message is
    /// refused at once, and there is none.
    pub(super) fn finalizer(
        self: &Arc<Self>,
        device: &Arc<Device>,
        message: &MessageRef<'_>,
        trace: Option<&Trace>,
    ) -> Option<Finalizer> {
        let frame = self.frame(message, Verdict::Delivered);
        let trace = trace.and_then(Trace::recorded);
        let of = Acknowledged { level: message.qos.level(), since: Instant::now(), trace };
        let Some(slot) = device.take_ack_slot(&self.limits, frame.len()) else {
            let frame = self.frame(message, Verdict::NotEnqueued);
            let sent = device.send_refusal(&self.limits, Ack { frame, of: of.clone() });
            self.check_sent(device, &of, sent);
            return None;
        };
        Some(Finalizer::new(**self.policy.load(), Pending { acks: Arc::clone(self), slot, frame, of }))
    }

    /// Acknowledges a message that is dropped before any sink gets it.
    pub(super) fn refuse(&self, device: &Arc<Device>, message: &MessageRef<'_>, verdict: Verdict) {
        let frame = self.frame(message, verdict);
        let of = Acknowledged { level: message.qos.level(), since: Instant::now(), trace: None };
        let slot = device.take_ack_slot(&self.limits, frame.len());
        let ack = Ack { frame, of: of.clone() };
        let sent = match slot {
            Some(mut slot) => slot.send(ack),
            None => device.send_refusal(&self.limits, ack),
        };
        self.check_sent(device, &of, sent);
    }

    /// How many could not be written since the start.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Acknowledgements of these messages were written to the device's socket.
    pub(super) fn written(&self, device: &Device, messages: &[Acknowledged]) {
        let now = Instant::now();
        let partner = self.metrics.partner(device);
        for message in messages {
            let series = partner.success(message.level, || {
                self.metrics.series(
                    &self.metrics.success,
                    &self.metrics.success_latency,
                    partner,
                    message.level,
                )
            });
            series.count(now.saturating_duration_since(message.since), message.trace_id());
        }
    }

    /// The connection ended before they were written.
    pub(super) fn unwritten(&self, device: &Device, messages: &[Acknowledged], reason: Reason) {
        let now = Instant::now();
        let partner = self.metrics.partner(device);
        for message in messages {
            let series = partner.failure(message.level, || {
                self.metrics.series(
                    &self.metrics.failure,
                    &self.metrics.failure_latency,
                    partner,
                    message.level,
                )
            });
            series.count(now.saturating_duration_since(message.since), message.trace_id());
        }
        self.unsent.fetch_add(messages.len() as u64, Ordering::Relaxed);
        self.metrics.unsent.with_label_values(&[reason.as_str()]).inc_by(messages.len() as u64);
        tracing::debug!(device = %device.id(), reason = reason.as_str(), count = messages.len(), "acknowledgements not sent");
    }

    /// The acknowledgement has the fields of the message except the payload and its description (contract §5.3).
    fn frame(&self, message: &MessageRef<'_>, verdict: Verdict) -> Bytes {
        let mut ack = MessageRef {
            msg_type: MessageType::SIMPLE_EVENT,
            source: Text::from(&*self.source),
            dest: message.source,
            transaction_uuid: message.transaction_uuid,
            rdr: Some(verdict.rdr().into()),
            headers: message.headers,
            metadata: message.metadata.clone(),
            partner_ids: message.partner_ids,
            session_id: message.session_id,
            qos: message.qos,
            ..MessageRef::default()
        };
        let mut frame = WriteBuffer::borrow();
        ack.encode_v3(&mut frame);
        if frame.len() > LONGEST {
            ack.headers = Default::default();
            frame.clear();
            ack.encode_v3(&mut frame);
        }
        if frame.len() > LONGEST {
            ack.metadata = Default::default();
            frame.clear();
            ack.encode_v3(&mut frame);
        }
        Bytes::copy_from_slice(&frame)
    }

    fn check_sent(&self, device: &Device, of: &Acknowledged, sent: Result<(), AckNotSentError>) {
        if let Err(AckNotSentError(reason)) = sent {
            self.unwritten(device, std::slice::from_ref(of), reason);
        }
    }
}

impl Settle for Pending {
    fn settle(&mut self, verdict: Verdict) {
        let mut frame = std::mem::take(&mut self.frame);
        let device = Arc::clone(self.slot.device());
        if verdict != Verdict::Delivered {
            // Decoding cannot fail, because the frame was encoded here.
            if let Ok(mut ack) = MessageRef::decode_v3(&frame) {
                ack.rdr = Some(verdict.rdr().into());
                let mut failed = WriteBuffer::borrow();
                ack.encode_v3(&mut failed);
                frame = Bytes::copy_from_slice(&failed);
            }
            tracing::debug!(device = %device.id(), %verdict, "message not delivered");
        }
        let sent = self.slot.send(Ack { frame, of: self.of.clone() });
        self.acks.check_sent(&device, &self.of, sent);
    }
}

impl AckMetrics {
    /// Registers the families.
    pub fn register(metrics: &Metrics) -> Self {
        let bare = metrics.bare();
        let names = ["qos_level", "partner_id", "message_type"];
        let counter = |name, help| bare.counter_vec(name, help, &names);
        let latency = |name, help| bare.latency_vec(name, help, &names, LATENCY_BUCKETS);
        let success = counter(
            "outbound_ack_success",
            "The acknowledgements written to the connection of their device, positive or negative",
        );
        let failure = counter(
            "outbound_ack_failure",
            "The acknowledgements that were not written because the connection of their device ended",
        );
        let success_latency = latency(
            "outbound_ack_success_latency_seconds",
            "Seconds from a message's arrival until its acknowledgement was written",
        );
        let failure_latency = latency(
            "outbound_ack_failure_latency_seconds",
            "Seconds from a message's arrival until its acknowledgement was given up",
        );
        let unsent = bare.counter_vec(
            "outbound_ack_unsent_total",
            "The acknowledgements that were not written, by why the connection of their device ended",
            &["reason"],
        );
        let (counters, latencies) =
            ([success.clone(), failure.clone()], [success_latency.clone(), failure_latency.clone()]);
        let remove = move |[partner]: [&str; 1]| {
            for labels in LEVELS.map(|level| labels(level, partner)) {
                // An error says that there is no such series.
                counters.iter().for_each(|family| drop(family.remove_label_values(&labels)));
                latencies.iter().for_each(|family| family.remove(&labels));
            }
        };
        let partners = LabelTable::new(MAX_PARTNERS, |_| AckSeries::default(), remove);
        let unknown = Arc::new(partners.hold([UNKNOWN_PARTNER]));
        Self { success, failure, success_latency, failure_latency, unsent, partners, _unknown: unknown }
    }

    /// The series of the device's partner.
    fn partner<'d>(&self, device: &'d Device) -> &'d HeldLabels<1, AckSeries> {
        device.sinks().ack_partner.get_or_init(|| self.partners.hold([device.partner_id()]))
    }

    fn series(
        &self,
        counter: &IntCounterVec,
        latency: &LatencyVec,
        partner: &HeldLabels<1, AckSeries>,
        level: QosLevel,
    ) -> Series {
        let [partner] = partner.values();
        let labels = labels(level, partner);
        let counter: IntCounter = counter.with_label_values(&labels);
        let latency = latency.with_label_values(&labels);
        Series { counter, latency }
    }
}

/// The labels of an acknowledgement, in the order in which the families have them.
fn labels(level: QosLevel, partner: &str) -> [&str; 3] {
    [level.as_str(), partner, MessageType::SIMPLE_EVENT.friendly_name()]
}
