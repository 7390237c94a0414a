//! The metrics of the HTTP sink (contract §10.5): names, labels and buckets are all here.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::StatusCode;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use talaria_protocol::trace_context::TraceId;
use talaria_protocol::url::{Origin, Target};
use wrp::QosLevel;

use super::breaker::State;
use super::pipelining::PipelineFault;
use crate::event::reason::{DropReason, EventOutcome, NO_STATUS, SchemeLabel};
use crate::event::shed::{ShedEvents, ShedReason};
use crate::telemetry::metrics::{Latency, LatencyVec, Metrics};

/// Seconds. The reference has a native histogram here. These are its buckets for requests, and finer ones for receivers
/// nearby.
const DURATION_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.0625, 0.125, 0.25, 0.5, 1.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];

/// Bytes. As above, with coarser buckets for larger bodies.
const SIZE_BUCKETS: &[f64] = &[200.0, 500.0, 900.0, 1500.0, 5000.0, 20_000.0, 100_000.0, 1_000_000.0];

/// The handles of the families `outbound_*` and `total_outbound_events`.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Events that wait for their first attempt: `outbound_queue_size`.
    pub(super) queue_size: IntGauge,
    in_flight: IntGauge,
    requests: IntCounterVec,
    durations: LatencyVec,
    sizes: HistogramVec,
    events: IntCounterVec,
    dropped: IntCounterVec,
    retries: IntCounter,
    possible_duplicates: IntCounter,
    pipelined: IntCounter,
    pipeline_fallbacks: IntCounterVec,
    receiver_state: IntGaugeVec,
    receiver_limit: IntGaugeVec,
    receiver_queue_size: IntGaugeVec,
    /// The series of successful posts by scheme (`event`, `dns`), looked up once.
    accepted: [OnceLock<Series>; 2],
    queued: [OnceLock<IntCounter>; 2],
    shed: ShedEvents,
    /// How many events were lost since the start, one for each URL.
    pub(super) lost: Arc<AtomicU64>,
}

/// The gauges of one configured receiver.
#[derive(Clone, Debug)]
pub(super) struct ReceiverGauges {
    state: IntGauge,
    limit: IntGauge,
    waiting: IntGauge,
}

#[derive(Clone, Debug)]
struct Series {
    requests: IntCounter,
    duration: Latency,
    size: Histogram,
}

/// A request that has ended, with or without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) scheme: SchemeLabel,
    /// The answer's status, or why there is none.
    pub(super) outcome: Result<StatusCode, DropReason>,
    pub(super) took: Duration,
    /// Bytes of the body that was sent.
    pub(super) size: usize,
    /// The trace that it is recorded in.
    pub(super) trace: Option<TraceId>,
}

impl HttpMetrics {
    /// Registers the families.
    pub fn register(metrics: &Metrics) -> Self {
        let bare = metrics.bare();
        let labels = ["scheme", "code", "reason"];
        Self {
            queue_size: bare
                .gauge("outbound_queue_size", "The current number of events that wait to be posted"),
            in_flight: bare
                .gauge("outbound_inflight", "The number of requests to event receivers that are under way"),
            requests: bare.counter_vec("outbound_requests", "The requests made to event receivers", &labels),
            durations: bare.latency_vec(
                "outbound_request_duration_seconds",
                "The durations of the requests to event receivers, in seconds",
                &labels,
                DURATION_BUCKETS,
            ),
            sizes: bare.histogram_vec(
                "outbound_request_size",
                "The sizes of the bodies sent to event receivers, in bytes",
                &["scheme", "code"],
                SIZE_BUCKETS,
            ),
            events: bare.counter_vec(
                "total_outbound_events",
                "The events for HTTP: queued for every URL (success) or not (failure)",
                &["scheme", "reason", "outcome"],
            ),
            dropped: bare.counter_vec("outbound_dropped_messages", "The messages that HTTP dropped", &labels),
            retries: bare
                .counter("outbound_retries", "The outcomes of requests that are worth another attempt"),
            possible_duplicates: bare.counter(
                "outbound_possible_duplicates",
                "The requests after which a connection was closed without an answer: if they are made again, the event may arrive twice",
            ),
            pipelined: bare.counter(
                "outbound_pipelined_requests",
                "The requests to event receivers that were sent with others in one packet",
            ),
            pipeline_fallbacks: bare.counter_vec(
                "outbound_pipeline_fallbacks",
                "How often an event receiver did not bear several requests in one packet, and gets one at a time for a while",
                &["origin", "reason"],
            ),
            receiver_state: bare.gauge_vec(
                "outbound_receiver_state",
                "Whether an event receiver gets requests: 0 yes, 1 one that tries it, 2 none",
                &["origin"],
            ),
            receiver_limit: bare.gauge_vec(
                "outbound_receiver_limit",
                "How many requests an event receiver gets at the same time",
                &["origin"],
            ),
            receiver_queue_size: bare.gauge_vec(
                "outbound_receiver_queue_size",
                "The events that wait for an event receiver, also for another attempt, without online and offline events",
                &["origin"],
            ),
            accepted: Default::default(),
            queued: Default::default(),
            shed: ShedEvents::register(metrics),
            lost: Arc::default(),
        }
    }

    /// An event was queued for all of its URLs.
    pub(super) fn event_queued(&self, scheme: SchemeLabel) {
        let labels = [scheme.label(), DropReason::NoError.label(), EventOutcome::Success.label()];
        match hot(&self.queued, scheme) {
            Some(queued) => queued.get_or_init(|| self.events.with_label_values(&labels)).inc(),
            None => self.events.with_label_values(&labels).inc(),
        }
    }

    /// An event was not queued, or not for all of its URLs.
    pub(super) fn event_dropped(&self, scheme: SchemeLabel, reason: DropReason) {
        let labels = [scheme.label(), reason.label(), EventOutcome::Failure.label()];
        self.events.with_label_values(&labels).inc();
    }

    /// A message was dropped for one URL, or because there is no URL.
    pub(super) fn message_dropped(&self, scheme: SchemeLabel, code: Option<StatusCode>, reason: DropReason) {
        let code = code.as_ref().map_or(NO_STATUS, StatusCode::as_str);
        self.dropped.with_label_values(&[scheme.label(), code, reason.label()]).inc();
    }

    /// A request that is worth another attempt: 408, 429, 504 or a temporary error.
    pub(super) fn retryable(&self) {
        self.retries.inc();
    }

    /// A request was sent on a connection that was then closed without an answer. The receiver may have the event.
    pub(super) fn possible_duplicate(&self) {
        self.possible_duplicates.inc();
    }

    /// So many requests are sent in one packet.
    pub(super) fn pipelined(&self, requests: usize) {
        if requests > 1 {
            self.pipelined.inc_by(requests as u64);
        }
    }

    /// A receiver gets one event at a time for a while.
    pub(super) fn pipeline_fallback(&self, target: &Target, fault: PipelineFault) {
        let origin = target.address().map_or_else(|_| "none".to_owned(), |address| name(&address.origin));
        self.pipeline_fallbacks.with_label_values(&[&*origin, fault.label()]).inc();
    }

    /// An event was given up for want of room. Those to hosts that devices name have no origin of their own here.
    pub(super) fn shed(&self, level: QosLevel, scheme: SchemeLabel, target: &Target, reason: ShedReason) {
        let origin = match (scheme, target.address()) {
            (SchemeLabel::Dns, _) => "named".to_owned(),
            (_, Ok(address)) => name(&address.origin),
            (_, Err(_)) => "none".to_owned(),
        };
        self.shed.at_http(level, &origin, reason);
    }

    /// The gauges of a configured receiver; none for URLs without a usable host.
    pub(super) fn receiver(&self, origin: Option<&Origin>) -> ReceiverGauges {
        let origin = origin.map_or_else(|| "none".to_owned(), name);
        // Shown from the start, so that the first fallback is an increase.
        for fault in PipelineFault::ALL {
            self.pipeline_fallbacks.with_label_values(&[&*origin, fault.label()]);
        }
        let gauge = |family: &IntGaugeVec| family.with_label_values(&[&*origin]);
        ReceiverGauges {
            state: gauge(&self.receiver_state),
            limit: gauge(&self.receiver_limit),
            waiting: gauge(&self.receiver_queue_size),
        }
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(super) fn in_flight(&self) -> InFlightGuard<'_> {
        self.in_flight.inc();
        InFlightGuard(&self.in_flight)
    }

    /// A request has ended.
    pub(super) fn attempted(&self, attempt: &Attempt) {
        let accepted =
            hot(&self.accepted, attempt.scheme).filter(|_| attempt.outcome == Ok(StatusCode::ACCEPTED));
        match accepted {
            Some(series) => series.get_or_init(|| self.series(attempt)).observe(attempt),
            None => self.series(attempt).observe(attempt),
        }
    }

    fn series(&self, attempt: &Attempt) -> Series {
        let scheme = attempt.scheme.label();
        let (code, reason, duration_reason) = match &attempt.outcome {
            // The reference has two labels for a success.
            Ok(StatusCode::ACCEPTED) => ("202", DropReason::NoError, DropReason::ExpectedCode),
            Ok(code) => (code.as_str(), DropReason::Non202, DropReason::Non202),
            Err(reason) => (NO_STATUS, *reason, *reason),
        };
        Series {
            requests: self.requests.with_label_values(&[scheme, code, reason.label()]),
            duration: self.durations.with_label_values(&[scheme, code, duration_reason.label()]),
            size: self.sizes.with_label_values(&[scheme, code]),
        }
    }
}

impl ReceiverGauges {
    pub(super) fn set(&self, state: State, limit: usize, waiting: usize) {
        self.set_state(state);
        self.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.set(match state {
            State::Closed { .. } => 0,
            State::HalfOpen { .. } => 1,
            State::Open { .. } => 2,
        });
    }
}

impl Series {
    #[expect(clippy::cast_precision_loss, reason = "a body has fewer bytes than 2^52")]
    fn observe(&self, attempt: &Attempt) {
        self.requests.inc();
        self.duration.observe(attempt.took, attempt.trace);
        self.size.observe(attempt.size as f64);
    }
}

/// Counts a request as in flight until it is dropped.
pub(super) struct InFlightGuard<'a>(&'a IntGauge);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Such as `https://example.com:443`.
fn name(origin: &Origin) -> String {
    let Origin { tls, host, port } = origin;
    let scheme = if *tls { "https" } else { "http" };
    if host.contains(':') {
        format!("{scheme}://[{host}]:{port}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

fn hot<T>(series: &[OnceLock<T>; 2], scheme: SchemeLabel) -> Option<&OnceLock<T>> {
    match scheme {
        SchemeLabel::Event => Some(&series[0]),
        SchemeLabel::Dns => Some(&series[1]),
        SchemeLabel::Unknown => None,
    }
}
