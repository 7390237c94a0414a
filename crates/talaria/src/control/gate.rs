//! `/device/gate`: whether new devices are taken.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;

use super::ControlMetrics;
use super::request::{Input, Rejected, object, parse_bool};
use crate::device::Gate;
use crate::server::{Body, reply};

/// `GET`: whether it is open, and since when.
pub(super) fn show(gate: &Gate) -> Response<Body> {
    let (is_open, since) = gate.state();
    let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
    reply::with_body(
        StatusCode::OK,
        reply::JSON,
        format!("{{\"open\": {is_open}, \"timestamp\": \"{since}\"}}"),
    )
}

/// `POST`, `PUT`, `PATCH`: opens or closes it. 201 if that changed something, 200 if not.
pub(super) async fn set(
    gate: &Gate,
    metrics: &ControlMetrics,
    request: Request<Incoming>,
) -> Result<Response<Body>, Rejected> {
    let is_open = wanted(&Input::read(request).await?)?;
    let has_changed = gate.set_open(is_open);
    if has_changed {
        tracing::info!(open = is_open, "the device gate is set");
    }
    metrics.gate_is(gate.is_open());
    Ok(reply::empty(if has_changed { StatusCode::CREATED } else { StatusCode::OK }))
}

/// The parameter `open`, or the key of a JSON body.
fn wanted(input: &Input) -> Result<bool, Rejected> {
    let refused = || Rejected::bad("the open parameter must be a bool");
    match input.parameters.first("open").filter(|open| !open.is_empty()) {
        Some(open) => parse_bool(open).ok_or_else(refused),
        None if input.body.is_empty() => Err(Rejected::bad("missing open parameter")),
        None => match object(&input.body)?.get("open") {
            None => Err(Rejected::bad("missing open parameter")),
            Some(Value::Bool(open)) => Ok(*open),
            Some(_) => Err(refused()),
        },
    }
}
