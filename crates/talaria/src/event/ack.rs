//! Acknowledgements: they tell a device the outcome of its message (contract §5.3, §15.4).
//!
//! The frame for a delivery is encoded when the message arrives, because most messages are delivered. Only this frame is
//! kept until the outcome is known. The acknowledgement of a failure is encoded again.

use std::sync::Arc;

use bytes::Bytes;
use prometheus::{HistogramVec, IntCounterVec};
use tokio::time::Instant;
use wrp::{MessageRef, MessageType, Qos, QosLevel, Text};

use super::finalizer::{AckPolicy, Finalizer, Settle, Verdict};
use super::quota::{Quota, Slot};
use crate::device::{Device, UNKNOWN_PARTNER};
use crate::telemetry::labels::{HeldLabels, LabelTable, MAX_PARTNERS};
use crate::telemetry::metrics::Metrics;

/// Seconds, from the message's arrival to its acknowledgement. The reference has a native histogram here.
const LATENCY_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.0625, 0.125, 0.25, 0.5, 1.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];

/// All levels of quality of service.
const LEVELS: [QosLevel; 4] = [QosLevel::Low, QosLevel::Medium, QosLevel::High, QosLevel::Critical];

/// Makes the finalizers of messages that want an acknowledgement.
#[derive(Debug)]
pub(super) struct Acks {
    source: Box<str>,
    policy: AckPolicy,
    quota: Arc<Quota>,
    metrics: AckMetrics,
}

/// The handles of the families `outbound_ack_*`.
#[derive(Clone, Debug)]
pub struct AckMetrics {
    success: IntCounterVec,
    failure: IntCounterVec,
    success_latency: HistogramVec,
    failure_latency: HistogramVec,
    /// The partners of the devices that have been sent an acknowledgement.
    partners: Arc<LabelTable<1, ()>>,
    /// The partner of devices without one is not a stranger's choice: its series stay.
    _unknown: Arc<HeldLabels<1, ()>>,
}

/// An acknowledgement that waits for the message's verdict.
struct Pending {
    acks: Arc<Acks>,
    slot: Slot,
    /// The frame with `rdr` 0.
    frame: Bytes,
    since: Instant,
    qos: Qos,
}

impl Acks {
    /// `host` is the name of this gateway's host, `quota` the bound on the messages that wait for an outcome.
    pub(super) fn new(host: &str, policy: AckPolicy, quota: Arc<Quota>, metrics: AckMetrics) -> Arc<Self> {
        // The reference's bare host name is not a locator, and strict devices reject it (contract §14.11).
        Arc::new(Self { source: format!("dns:{host}").into(), policy, quota, metrics })
    }

    /// The finalizer of a message that wants an acknowledgement. If there are too many of them already, a negative
    /// acknowledgement is sent at once, and there is none.
    pub(super) fn finalizer(
        self: &Arc<Self>,
        device: &Arc<Device>,
        message: &MessageRef<'_>,
    ) -> Option<Finalizer> {
        let frame = self.frame(message, Verdict::Delivered);
        let Some(slot) = self.quota.take(device, frame.len()) else {
            let frame = self.frame(message, Verdict::NotEnqueued);
            self.send(device, frame, message.qos, Instant::now());
            return None;
        };
        let pending =
            Pending { acks: Arc::clone(self), slot, frame, since: Instant::now(), qos: message.qos };
        Some(Finalizer::new(self.policy, pending))
    }

    /// Acknowledges a message that is dropped before any sink gets it.
    pub(super) fn refuse(&self, device: &Arc<Device>, message: &MessageRef<'_>, verdict: Verdict) {
        self.send(device, self.frame(message, verdict), message.qos, Instant::now());
    }

    /// The acknowledgement has the fields of the message except the payload and its description (contract §5.3).
    fn frame(&self, message: &MessageRef<'_>, verdict: Verdict) -> Bytes {
        let ack = MessageRef {
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
        let mut frame = Vec::with_capacity(256);
        ack.encode_v3(&mut frame);
        frame.into()
    }

    fn send(&self, device: &Arc<Device>, frame: Bytes, qos: Qos, since: Instant) {
        let sent = device.try_send(frame);
        let (count, latency) = match sent {
            Ok(()) => (&self.metrics.success, &self.metrics.success_latency),
            Err(_) => (&self.metrics.failure, &self.metrics.failure_latency),
        };
        let partner =
            device.sinks().ack_partner.get_or_init(|| self.metrics.partners.hold([device.partner_id()]));
        let [partner] = partner.values();
        let labels = labels(qos.level(), partner);
        count.with_label_values(&labels).inc();
        latency.with_label_values(&labels).observe(since.elapsed().as_secs_f64());
        if let Err(error) = sent {
            tracing::debug!(device = %device.id(), %error, "acknowledgement not sent");
        }
    }
}

impl Settle for Pending {
    fn settle(&mut self, verdict: Verdict) {
        let mut frame = std::mem::take(&mut self.frame);
        if verdict != Verdict::Delivered {
            // Decoding cannot fail, because the frame was encoded here.
            if let Ok(mut ack) = MessageRef::decode_v3(&frame) {
                ack.rdr = Some(verdict.rdr().into());
                let mut failed = Vec::with_capacity(frame.len() + 2);
                ack.encode_v3(&mut failed);
                frame = failed.into();
            }
            tracing::debug!(device = %self.slot.device().id(), %verdict, "message not delivered");
        }
        self.acks.send(self.slot.device(), frame, self.qos, self.since);
    }
}

impl AckMetrics {
    /// Registers the families.
    pub fn register(metrics: &Metrics) -> Self {
        let bare = metrics.bare();
        let names = ["qos_level", "partner_id", "message_type"];
        let counter = |name, help| bare.counter_vec(name, help, &names);
        let latency = |name, help| bare.histogram_vec(name, help, &names, LATENCY_BUCKETS);
        let success =
            counter("outbound_ack_success", "The acknowledgements queued for a device, positive or negative");
        let failure =
            counter("outbound_ack_failure", "The acknowledgements that could not be queued for their device");
        let success_latency = latency(
            "outbound_ack_success_latency_seconds",
            "Seconds from a message's arrival to its acknowledgement",
        );
        let failure_latency = latency(
            "outbound_ack_failure_latency_seconds",
            "Seconds from a message's arrival to an acknowledgement that could not be queued",
        );
        let (counters, latencies) =
            ([success.clone(), failure.clone()], [success_latency.clone(), failure_latency.clone()]);
        let remove = move |[partner]: [&str; 1]| {
            for labels in LEVELS.map(|level| labels(level, partner)) {
                // An error says that there is no such series.
                counters.iter().for_each(|family| drop(family.remove_label_values(&labels)));
                latencies.iter().for_each(|family| drop(family.remove_label_values(&labels)));
            }
        };
        let partners = LabelTable::new(MAX_PARTNERS, |_| (), remove);
        let unknown = Arc::new(partners.hold([UNKNOWN_PARTNER]));
        Self { success, failure, success_latency, failure_latency, partners, _unknown: unknown }
    }
}

/// The labels of an acknowledgement, in the order in which the families have them.
fn labels(level: QosLevel, partner: &str) -> [&str; 3] {
    [level.as_str(), partner, MessageType::SIMPLE_EVENT.friendly_name()]
}
