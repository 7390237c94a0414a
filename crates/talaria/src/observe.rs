//! The pages of the health server and of the metric server: one path each, for any method (contract §10.1, §10.2).
//!
//! The numbers come from [`telemetry`](crate::telemetry); this module only serves them.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::answer::JSON;

use crate::server::{Body, Handler, reply};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{CONTENT_TYPE, Metrics, PageEncoding};

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
        const GZIP: HeaderValue = HeaderValue::from_static("gzip");
        const VARY_BY: HeaderValue = HeaderValue::from_static("Accept-Encoding");
        if request.uri().path() != "/metrics" {
            return reply::not_found();
        }
        let encoding = PageEncoding::accepted_by(request.headers());
        let Some(page) = self.0.page(encoding).await else {
            return reply::empty(StatusCode::SERVICE_UNAVAILABLE);
        };
        let mut response = reply::with_body(StatusCode::OK, TEXT, page);
        response.headers_mut().insert(VARY, VARY_BY);
        if encoding == PageEncoding::Gzip {
            response.headers_mut().insert(CONTENT_ENCODING, GZIP);
        }
        response
    }
}
