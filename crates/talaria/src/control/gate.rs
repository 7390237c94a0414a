//! `/device/gate`: whether new devices are taken.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::answer::JSON;
use talaria_protocol::control;

use super::{ControlError, ControlMetrics, request};
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
        tracing::info!(open = is_open, "the device gate is set");
    }
    metrics.gate_is(gate.is_open());
    Ok(reply::empty(if has_changed { StatusCode::CREATED } else { StatusCode::OK }))
}
