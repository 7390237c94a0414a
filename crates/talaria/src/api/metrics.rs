//! The metrics of the primary server's requests (contract §10.9, buckets in contract §10.16).

use std::sync::Arc;
use std::thread;

use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode};
use prometheus::{Histogram, IntCounterVec, IntGauge};
use tokio::time::Instant;

use super::access::AccessMetrics;
use super::spans::RecordedIn;
use crate::device::SendError;
use crate::server::Body;
use crate::telemetry::health::RequestTally;
use crate::telemetry::metrics::{Latency, Metrics};

const DURATION_SECONDS: [f64; 11] = [0.0625, 0.125, 0.25, 0.5, 1.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];
const SIZE_BYTES: [f64; 4] = [200.0, 500.0, 900.0, 1500.0];
const HEADER_SECONDS: [f64; 4] = [0.0, 1.0, 2.0, 3.0];

/// Handles of the metrics of all requests to the primary server.
#[derive(Clone, Debug)]
pub struct ApiMetrics {
    requests: IntCounterVec,
    errors: IntCounterVec,
    in_flight: IntGauge,
    duration: Latency,
    writing_header: Histogram,
    request_size: Histogram,
    response_size: Histogram,
    access: AccessMetrics,
    tally: Arc<RequestTally>,
}

/// A request that is being answered. If its client leaves, it is dropped and not in flight any more.
#[derive(Debug)]
pub struct InFlight<'a> {
    metrics: &'a ApiMetrics,
    method: &'static str,
    started: Instant,
}

impl ApiMetrics {
    /// Registers the families of the API.
    pub fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        let processors = thread::available_parallelism().map_or(1, |processors| processors.get() as i64);
        family.gauge("maximum_processors", "The number of processors in use").set(processors);
        let histogram = |name, help, buckets: &[f64]| family.histogram(name, help, buckets);
        Self {
            requests: family.counter_vec(
                "api_requests_total",
                "The number of requests to the primary server",
                &["code", "method"],
            ),
            errors: metrics.bare().counter_vec(
                "api_request_errors_total",
                "The number of messages that did not reach their device or were not answered",
                &["code", "error"],
            ),
            in_flight: family.gauge("in_flight_requests", "The number of requests being answered"),
            duration: family.latency(
                "request_duration_seconds",
                "The time to a request's answer",
                &DURATION_SECONDS,
            ),
            writing_header: histogram(
                "time_writing_header_seconds",
                "The time to the header of a request's answer",
                &HEADER_SECONDS,
            ),
            request_size: histogram("request_size_bytes", "The approximate size of requests", &SIZE_BYTES),
            response_size: histogram("response_size_bytes", "The size of responses' bodies", &SIZE_BYTES),
            access: AccessMetrics::register(metrics),
            tally: Arc::default(),
        }
    }

    /// The counts that `/health` shows.
    #[must_use]
    pub fn tally(&self) -> &Arc<RequestTally> {
        &self.tally
    }

    /// The counts of the access check.
    pub(super) fn access(&self) -> &AccessMetrics {
        &self.access
    }

    /// A request has arrived.
    pub fn begin<B>(&self, request: &Request<B>) -> InFlight<'_> {
        self.tally.received();
        self.in_flight.inc();
        self.request_size.observe(approximate_size(request) as f64);
        InFlight { metrics: self, method: label(request.method()), started: Instant::now() }
    }

    /// Counts a request that was refused because too many of its caller are under way.
    pub(super) fn count_refused(&self) {
        let code = StatusCode::SERVICE_UNAVAILABLE;
        self.errors.with_label_values(&[code.as_str(), "too many requests"]).inc();
    }

    /// A message did not reach its device, or was not answered.
    pub(super) fn count_error(&self, error: SendError) {
        self.errors.with_label_values(&[error.status().as_str(), error.label()]).inc();
    }
}

impl InFlight<'_> {
    /// The request is answered. An upgrade counts as 200, as it does in the reference.
    pub fn answered(self, response: &mut Response<Body>) {
        let metrics = self.metrics;
        let took = self.started.elapsed();
        let trace = response.extensions().get::<RecordedIn>().map(|recorded| recorded.0);
        let status = response.status();
        metrics.tally.answered(status);
        metrics.duration.observe(took, trace);
        metrics.writing_header.observe(took.as_secs_f64());
        response.body_mut().observe_size(&metrics.response_size);
        let code = if status == StatusCode::SWITCHING_PROTOCOLS { StatusCode::OK } else { status };
        metrics.requests.with_label_values(&[code.as_str(), self.method]).inc();
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}

/// The label of a method. All unknown methods share one.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::HEAD => "head",
        Method::OPTIONS => "options",
        Method::CONNECT => "connect",
        Method::TRACE => "trace",
        _ => "unknown",
    }
}

/// The length of request line, headers and announced body, without separators and chunk headers.
fn approximate_size<B>(request: &Request<B>) -> u64 {
    let line = request.method().as_str().len() + request.uri().path().len() + "HTTP/1.1".len();
    let headers = request.headers();
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let body = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    (line + fields) as u64 + body.unwrap_or(0)
}
