//! `/device/gate/filter`: which devices may not connect because of their claims.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value};
use talaria_protocol::answer::JSON;
use talaria_protocol::control::FilterRequest;

use super::request::{self, ControlError};
use crate::device::Filters;
use crate::server::{Body, reply};

/// `GET`: the filters.
pub(super) fn show(filters: &Filters) -> Response<Body> {
    reply::with_body(StatusCode::OK, JSON, listing(filters))
}

/// `POST`, `PUT` of `{"key", "values"}`: 201 for a new key, 200 for an existing one. The response lists all filters as
/// `text/plain` (contract §7.2).
pub(super) async fn set(
    filters: &Filters,
    request: Request<Incoming>,
) -> Result<Response<Body>, ControlError> {
    let FilterRequest { key, values } = FilterRequest::read(&request::read(request).await?)?;
    let is_new = filters.set(&key, values).map_err(|error| ControlError::Conflict(error.to_string()))?;
    tracing::info!(key, "device filter set");
    Ok(reply::text(if is_new { StatusCode::CREATED } else { StatusCode::OK }, listing(filters)))
}

/// `DELETE` of `{"key"}`: 200, whether or not there was such a filter. The response lists the filters that are left.
pub(super) async fn remove(
    filters: &Filters,
    request: Request<Incoming>,
) -> Result<Response<Body>, ControlError> {
    let key = FilterRequest::read_key(&request::read(request).await?)?;
    filters.remove(&key);
    tracing::info!(key, "device filter removed");
    Ok(reply::text(StatusCode::OK, listing(filters)))
}

/// `allowedFilters` is null: any key may be filtered.
fn listing(filters: &Filters) -> String {
    let table = filters.table();
    let listed: Map<String, Value> =
        table.iter().map(|(key, values)| (String::from(&**key), values.listed().into())).collect();
    format!("{{\"filters\":{},\"allowedFilters\":null}}", Value::from(listed))
}
