//! The pages of the health server and of the metric server, for any method (contract §10.1, §10.2).
//!
//! The numbers come from [`telemetry`](crate::telemetry); this module only serves them.

mod readiness;

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::answer::JSON;

use crate::server::{Body, Handler, reply};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{Metrics, PageEncoding, PageFormat};

pub use readiness::{Readiness, Reason};

/// The answer of `/live`.
const LIVE: &str = r#"{"live":true}"#;

/// `GET /health`, `/live` and `/ready` of the health server.
#[derive(Clone, Debug)]
pub struct HealthPage {
    health: Arc<Health>,
    readiness: Arc<Readiness>,
}

/// `GET /metrics` of the metric server.
#[derive(Clone, Debug)]
pub struct MetricsPage(pub Arc<Metrics>);

impl HealthPage {
    /// The pages of a gateway with these counters, which is ready when the checks say so.
    #[must_use]
    pub fn new(health: Arc<Health>, readiness: Arc<Readiness>) -> Self {
        Self { health, readiness }
    }
}

impl Handler for HealthPage {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/health" => reply::with_body(StatusCode::OK, JSON, self.health.to_json()),
            "/live" => reply::with_body(StatusCode::OK, JSON, LIVE),
            "/ready" => {
                let reasons = self.readiness.reasons();
                let status =
                    if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                reply::with_body(status, JSON, Readiness::to_json(&reasons))
            }
            _ => reply::not_found(),
        }
    }
}

impl Handler for MetricsPage {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        const GZIP: HeaderValue = HeaderValue::from_static("gzip");
        const VARY_BY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding");
        if request.uri().path() != "/metrics" {
            return reply::not_found();
        }
        let format = PageFormat::accepted_by(request.headers());
        let encoding = PageEncoding::accepted_by(request.headers());
        let Some(page) = self.0.page(format, encoding).await else {
            return reply::empty(StatusCode::SERVICE_UNAVAILABLE);
        };
        let mut response =
            reply::with_body(StatusCode::OK, HeaderValue::from_static(format.content_type()), page);
        response.headers_mut().insert(VARY, VARY_BY);
        if encoding == PageEncoding::Gzip {
            response.headers_mut().insert(CONTENT_ENCODING, GZIP);
        }
        response
    }
}
