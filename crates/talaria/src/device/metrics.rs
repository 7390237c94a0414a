//! The metrics of devices (contract §10.4).

use std::sync::{Arc, OnceLock};

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use talaria_protocol::inbound::SourceVerdict;
use talaria_protocol::rate::UsedUp;
use talaria_protocol::session::ProtocolError;

use super::Device;
use super::back_pressure::WaitEnd;
use super::config::BeyondRate;
use super::takeover::outcome::TakeoverOutcome;
use crate::telemetry::health::{RequestTally, Sources};
use crate::telemetry::labels::{HeldLabels, LabelTable, MAX_MODELS};
use crate::telemetry::metrics::Metrics;

/// Handles of the device metrics. All names have the prefix.
#[derive(Debug)]
pub struct DeviceMetrics {
    /// Devices that are connected.
    pub device_count: IntGauge,
    /// The limit, as configured; 0 if there is none.
    pub max_device_count: IntGauge,
    /// Connections that replaced one of the same device.
    pub duplicate_count: IntCounter,
    /// Messages of type 3 that devices sent.
    pub request_response_count: IntCounter,
    /// Pings sent to devices.
    pub ping_count: IntCounter,
    /// Pongs that devices sent.
    pub pong_count: IntCounter,
    /// Connections.
    pub connect_count: IntCounter,
    /// Connections that ended, including those over the limit.
    pub disconnect_count: IntCounter,
    /// Sessions that have ended and wait for their turn to be disconnected.
    pub(super) disconnects_waiting: IntGauge,
    /// Connections that were not admitted because of the limit.
    pub device_limit_reached_count: IntCounter,
    /// Connections that were closed because their token had expired.
    pub expired_token_count: IntCounter,
    /// Turns of devices that held up their thread, which `turn_watch` counts.
    pub stuck_turns: IntCounter,
    hardware_model: Arc<LabelTable<4, IntGauge>>,
    takeovers: IntCounterVec,
    wrp_source_check: IntCounterVec,
    /// The series of `wrp_source_check`, looked up once each: every message counts in one.
    source_verdicts: [OnceLock<IntCounter>; SourceVerdict::COUNT],
    refused_messages: IntCounterVec,
    rate_exceeded: IntCounterVec,
    waits_for_room: IntCounterVec,
    /// The series of `rate_exceeded` with what happens beyond the rate, in the order of [`UsedUp::ALL`].
    excesses: [OnceLock<IntCounter>; UsedUp::ALL.len()],
    /// In the order of [`ProtocolError::ALL`].
    protocol_errors: [IntCounter; ProtocolError::ALL.len()],
}

/// A device that is counted in `hardware_model`.
#[derive(Debug)]
pub struct CountedModel(HeldLabels<4, IntGauge>);

impl Drop for CountedModel {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl DeviceMetrics {
    /// What `/health` reads: these metrics and the counts of the API's requests.
    #[must_use]
    pub fn health_sources(&self, requests: Arc<RequestTally>) -> Sources {
        Sources {
            devices: self.device_count.clone(),
            connects: self.connect_count.clone(),
            disconnects: self.disconnect_count.clone(),
            pings: self.ping_count.clone(),
            pongs: self.pong_count.clone(),
            request_responses: self.request_response_count.clone(),
            requests,
        }
    }

    /// Registers the families. Their help texts are their names, as in the reference.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        let counter = |name| family.counter(name, name);
        let gauge = |name| family.gauge(name, name);
        let protocol_errors = family.counter_vec(
            "device_protocol_errors_total",
            "devices whose connection was ended because they violated the protocol, by how they did",
            &["reason"],
        );
        let labels = ["model", "partnerid", "firmware", "trust"];
        let models = family.gauge_vec("hardware_model", "hardware_model", &labels);
        let removed = models.clone();
        let hardware_model = LabelTable::new(
            MAX_MODELS,
            move |values| models.with_label_values(&values),
            // An error says that there is no such series.
            move |values| drop(removed.remove_label_values(&values)),
        );
        Self {
            device_count: gauge("device_count"),
            max_device_count: gauge("max_device_count"),
            duplicate_count: counter("duplicate_count"),
            request_response_count: counter("request_response_count"),
            ping_count: counter("ping_count"),
            pong_count: counter("pong_count"),
            connect_count: counter("connect_count"),
            disconnect_count: counter("disconnect_count"),
            disconnects_waiting: family.gauge(
                "disconnects_waiting",
                "The number of connections that have ended and wait to be disconnected",
            ),
            device_limit_reached_count: counter("device_limit_reached_count"),
            expired_token_count: family.counter(
                "device_expired_tokens_total",
                "connections that were closed because the device's token had expired",
            ),
            stuck_turns: family.counter(
                "device_stuck_turns_total",
                "turns of devices that held up their thread for more than 100 ms",
            ),
            hardware_model,
            takeovers: family.counter_vec(
                "device_takeovers_total",
                "connections without a token under the id of a device with one, by what came of them",
                &["outcome"],
            ),
            wrp_source_check: family.counter_vec(
                "wrp_source_check",
                "wrp_source_check",
                &["outcome", "reason"],
            ),
            source_verdicts: Default::default(),
            refused_messages: family.counter_vec(
                "device_refused_messages",
                "messages from devices that were rejected, by what was wrong with them",
                &["reason"],
            ),
            waits_for_room: family.counter_vec(
                "device_waits_for_room_total",
                "the times that a device was not read for a moment because everything for its messages was full, by what ended it",
                &["ended"],
            ),
            rate_exceeded: family.counter_vec(
                "device_rate_exceeded_total",
                "pauses of devices that exceeded their rate, or messages of them that were dropped",
                &["limit", "beyond"],
            ),
            excesses: Default::default(),
            protocol_errors: ProtocolError::ALL
                .map(|error| protocol_errors.with_label_values(&[error.as_str()])),
        }
    }

    /// Counts this device in its series of `hardware_model` until the result is dropped. A value that is not text counts as
    /// `unknown`.
    #[must_use]
    pub fn hardware_model(&self, device: &Device) -> CountedModel {
        let convey = device.convey();
        let (model, firmware) = (convey.hardware_model(), convey.firmware());
        let [model, firmware] =
            [model, firmware].map(|value| value.map_or("unknown".into(), wrp::Text::to_str_lossy));
        let series =
            self.hardware_model.hold([&*model, device.partner_id(), &*firmware, device.trust_text()]);
        series.inc();
        CountedModel(series)
    }

    /// Counts what came of a connection without a token under the id of a device with one.
    pub(super) fn count_takeover(&self, outcome: TakeoverOutcome) {
        self.takeovers.with_label_values(&[outcome.label()]).inc();
    }

    /// Counts a source check's verdict.
    pub fn count_source(&self, verdict: SourceVerdict) {
        let series = || self.wrp_source_check.with_label_values(&[verdict.outcome(), verdict.reason()]);
        self.source_verdicts[verdict.index()].get_or_init(series).inc();
    }

    /// Counts a message that was dropped for this reason.
    pub fn count_refused(&self, reason: &str) {
        self.refused_messages.with_label_values(&[reason]).inc();
    }

    /// Counts a pause, or a message that was dropped, because a device exceeded this limit of its rate.
    pub(super) fn count_excess(&self, limit: UsedUp, beyond: BeyondRate) {
        let series = || self.rate_exceeded.with_label_values(&[limit.label(), beyond.as_str()]);
        self.excesses[limit as usize].get_or_init(series).inc();
    }

    /// Counts a moment in which a device was not read because everything for its messages was full.
    pub(super) fn count_wait_for_room(&self, end: WaitEnd) {
        self.waits_for_room.with_label_values(&[end.label()]).inc();
    }

    /// Counts a connection that was ended because the device violated the protocol.
    pub fn count_protocol_error(&self, error: ProtocolError) {
        self.protocol_errors[error as usize].inc();
    }
}
