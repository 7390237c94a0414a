//! `/device/drain`: disconnects devices, so that they connect to another gateway (contract §7.3).
//!
//! An [`Order`] is the operator's request ([`talaria_protocol::control::drain`]); the [`Drainer`] carries out one at a
//! time. The devices are closed with the reason `drained`.

mod drainer;
mod walk;

#[cfg(test)]
mod tests;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value};
use talaria_protocol::answer::JSON;
use talaria_protocol::control::drain::Order;
use talaria_protocol::go::timestamp::Stamp;

use super::request::{self, ControlError};
use crate::server::{Body, reply};

pub use drainer::{AlreadyRunningError, Drainer, Progress, Status};

/// Go's zero time: the start of a drain if there was none yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// `GET`: whether a drain is running, and the progress of the latest one.
pub(super) fn show(drainer: &Drainer) -> Response<Body> {
    json(&status(drainer.status()))
}

/// `POST`, `PUT`, `PATCH`: starts a drain, or with `dryRun` counts the devices that it would close. The response is the
/// job as it was understood.
pub(super) async fn start(
    drainer: &Drainer,
    request: Request<Incoming>,
) -> Result<Response<Body>, ControlError> {
    let order = Order::read(&request::read(request).await?)?;
    if order.is_dry_run {
        let (job, matching) = drainer.count(&order).await;
        let mut answer = job.describe();
        answer.insert("matching".into(), matching.into());
        answer.insert("wouldDrain".into(), matching.min(job.count).into());
        return Ok(json(&answer));
    }
    let job = drainer.start(&order).map_err(|error| ControlError::Conflict(error.to_string()))?;
    Ok(json(&job.describe()))
}

/// `DELETE`: cancels the running drain and responds once it has ended. 409 if none is running.
pub(super) async fn cancel(drainer: &Drainer) -> Response<Body> {
    reply::empty(if drainer.cancel().await { StatusCode::OK } else { StatusCode::CONFLICT })
}

/// The keys and their order are the reference's.
fn status(status: Option<Status>) -> Map<String, Value> {
    let (is_active, job, progress) = match status {
        Some(Status { is_active, job, progress }) => (is_active, job.describe(), describe(&progress)),
        None => {
            let never = [("visited", 0.into()), ("drained", 0.into()), ("started", NEVER.into())];
            (false, map([("count", 0.into())]), map(never))
        }
    };
    map([("active", is_active.into()), ("job", job.into()), ("progress", progress.into())])
}

fn describe(progress: &Progress) -> Map<String, Value> {
    let mut described = map([
        ("visited", progress.visited.into()),
        ("drained", progress.drained.into()),
        ("started", Stamp::utc(progress.started).as_str().into()),
    ]);
    if let Some(finished) = progress.finished {
        described.insert("finished".into(), Stamp::utc(finished).as_str().into());
    }
    described
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn json(object: &Map<String, Value>) -> Response<Body> {
    // Writing a map of JSON values cannot fail.
    reply::with_body(StatusCode::OK, JSON, serde_json::to_string(object).unwrap_or_default())
}
