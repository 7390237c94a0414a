//! What the health and the metric servers answer: one path each, to any method (contract §10.1, §10.2).

use std::sync::Arc;

use http::header::HeaderValue;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::answer::JSON;

use super::{Body, Handler, reply};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{CONTENT_TYPE, Metrics};

/// `GET /health` of the health server.
#[derive(Clone, Debug)]
pub struct HealthPage(pub Arc<Health>);

/// `GET /metrics` of the metric server.
#[derive(Clone, Debug)]
pub struct MetricsPage(pub Arc<Metrics>);

impl Handler for HealthPage {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/health" => reply::with_body(StatusCode::OK, JSON, self.0.to_json()),
            _ => reply::not_found(),
        }
    }
}

impl Handler for MetricsPage {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        const TEXT: HeaderValue = HeaderValue::from_static(CONTENT_TYPE);
        match request.uri().path() {
            "/metrics" => reply::with_body(StatusCode::OK, TEXT, self.0.gather_text()),
            _ => reply::not_found(),
        }
    }
}
