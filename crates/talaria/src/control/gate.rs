//! `/device/gate`: whether new devices may connect.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::answer::JSON;
use talaria_protocol::control;

use super::metrics::ControlMetrics;
use super::request::{self, ControlError};
use crate::device::Gate;
use crate::server::{Body, reply};

/// `GET`: whether it is open, and since when.
pub(super) fn show(gate: &Gate) -> Response<Body> {
    let (is_open, since) = gate.state();
    let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
    reply::with_body(StatusCode::OK, JSON, format!("{{\"open\": {is_open}, \"timestamp\": \"{since}\"}}"))
}

/// `POST`, `PUT`, `PATCH`: opens or closes it. 201 if that changed something, 200 if not.
pub(super) async fn set(
    gate: &Gate,
    metrics: &ControlMetrics,
    request: Request<Incoming>,
) -> Result<Response<Body>, ControlError> {
    let is_open = control::read_gate(&request::read(request).await?)?;
    let has_changed = gate.set_open(is_open);
    if has_changed {
        tracing::info!(open = is_open, "device gate changed");
    }
    metrics.set_gate(gate.is_open());
    Ok(reply::empty(if has_changed { StatusCode::CREATED } else { StatusCode::OK }))
}
