//! `/device/gate/filter`: which devices are kept out by their claims.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value};
use talaria_protocol::attributes::Values;

use super::request::{Input, Rejected, object};
use crate::device::Filters;
use crate::server::{Body, reply};

/// The longest key, in bytes, and the most values of one filter.
const LONGEST_KEY: usize = 256;
const MOST_VALUES: usize = 10_000;

/// `GET`: the filters.
pub(super) fn show(filters: &Filters) -> Response<Body> {
    reply::with_body(StatusCode::OK, reply::JSON, listing(filters))
}

/// `POST`, `PUT` of `{"key", "values"}`: 201 for a new key, 200 for one that was there. The answer shows all filters,
/// as `text/plain` (contract §7.2).
pub(super) async fn set(filters: &Filters, request: Request<Incoming>) -> Result<Response<Body>, Rejected> {
    let mut asked = object(&Input::read(request).await?.body)?;
    let key = key(&asked)?;
    let values = values(&mut asked)?;
    let is_new = filters.set(&key, values).map_err(|error| Rejected::Conflict(error.to_string()))?;
    tracing::info!(key, "a filter of devices is set");
    Ok(reply::text(if is_new { StatusCode::CREATED } else { StatusCode::OK }, listing(filters)))
}

/// `DELETE` of `{"key"}`: 200, whether or not there was one; the answer shows the filters that are left.
pub(super) async fn remove(
    filters: &Filters,
    request: Request<Incoming>,
) -> Result<Response<Body>, Rejected> {
    let key = key(&object(&Input::read(request).await?.body)?)?;
    filters.remove(&key);
    tracing::info!(key, "a filter of devices is lifted");
    Ok(reply::text(StatusCode::OK, listing(filters)))
}

/// The name that a filter or a drain goes by.
pub(super) fn key(asked: &Map<String, Value>) -> Result<String, Rejected> {
    match asked.get("key") {
        None | Some(Value::Null) => Err(Rejected::bad("missing filter key")),
        Some(Value::String(key)) if key.is_empty() => Err(Rejected::bad("missing filter key")),
        Some(Value::String(key)) if key.len() > LONGEST_KEY => {
            Err(Rejected::bad(format!("the filter key is longer than {LONGEST_KEY} bytes")))
        }
        Some(Value::String(key)) => Ok(key.clone()),
        Some(_) => Err(Rejected::bad("the filter key must be a text")),
    }
}

/// The values that it goes by.
pub(super) fn values(asked: &mut Map<String, Value>) -> Result<Values, Rejected> {
    match asked.get_mut("values").map(Value::take) {
        None | Some(Value::Null) => Err(Rejected::bad("missing filter values")),
        Some(Value::Array(values)) if values.is_empty() => Err(Rejected::bad("missing filter values")),
        Some(Value::Array(values)) if values.len() > MOST_VALUES => {
            Err(Rejected::bad(format!("there are more than {MOST_VALUES} filter values")))
        }
        Some(Value::Array(values)) => {
            Values::new(values).map_err(|error| Rejected::bad(format!("filter {error}")))
        }
        Some(_) => Err(Rejected::bad("the filter values must be a list")),
    }
}

/// `allowedFilters` is null: any key may be filtered.
fn listing(filters: &Filters) -> String {
    let table = filters.table();
    let listed: Map<String, Value> =
        table.iter().map(|(key, values)| (String::from(&**key), values.listed().into())).collect();
    format!("{{\"filters\":{},\"allowedFilters\":null}}", Value::from(listed))
}
