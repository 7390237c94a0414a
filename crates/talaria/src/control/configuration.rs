//! The requests about the configuration (contract §7.6). What a change means, and whether it can be made, is
//! [`Reload`]'s matter.

use std::sync::Arc;

use http::header::{ETAG, HeaderValue, IF_MATCH};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use talaria_protocol::answer::JSON;

use super::request::{self, ControlError};
use crate::config::tree::Node;
use crate::config::yaml;
use crate::reload::{Changed, Edit, FailedChange, Reload, ReloadError, Shown, WaitingKey};
use crate::server::{Body, reply};

/// The answer to a request whose tag is not that of the configuration in effect.
const OTHER_TAG: StatusCode = StatusCode::PRECONDITION_FAILED;

/// `GET /config`: the whole configuration, as it can be sent back.
pub(super) fn show(reload: &Reload) -> Response<Body> {
    let (document, tag) = reload.document();
    tagged(reply::with_body(StatusCode::OK, JSON, document.to_string()), &tag)
}

/// `GET /config/state`: which configuration is in effect, and what became of the last changes.
pub(super) fn show_state(reload: &Reload) -> Response<Body> {
    let Shown { tag, generation, cause, since, waiting, last_failure } = reload.shown();
    let state = json!({
        "generation": generation,
        "source": cause.label(),
        "since": since.to_string(),
        "waitingForRestart": waiting.iter().map(waiting_key).collect::<Vec<_>>(),
        "lastFailure": last_failure.as_ref().map(failure),
    });
    tagged(reply::with_body(StatusCode::OK, JSON, state.to_string()), &tag)
}

/// `PUT /config`, another configuration, or `PATCH /config`, a merge patch (RFC 7396): `make` makes the edit of the body.
pub(super) async fn change(
    reload: &Arc<Reload>,
    request: Request<Incoming>,
    make: fn(Node) -> Edit,
) -> Result<Response<Body>, ControlError> {
    let (head, body) = request::read_text(request).await?;
    match yaml::control(&body) {
        Ok(document) => edit(reload, &head, make(document)).await,
        Err(error) => Ok(faulty(&[error.to_string()])),
    }
}

/// `DELETE /config`: back to what the files say.
pub(super) async fn reset(
    reload: &Arc<Reload>,
    request: Request<Incoming>,
) -> Result<Response<Body>, ControlError> {
    let (head, _) = request::read_text(request).await?;
    edit(reload, &head, Edit::Reset).await
}

async fn edit(reload: &Arc<Reload>, head: &Parts, edit: Edit) -> Result<Response<Body>, ControlError> {
    let dry_run = is_dry_run(head.uri.query())?;
    Ok(match reload.edit(edit, tag(head)?, dry_run).await {
        Ok(changed) => {
            let answer = changed_json(&changed, dry_run).to_string();
            tagged(reply::with_body(StatusCode::OK, JSON, answer), &changed.tag)
        }
        Err(error @ ReloadError::OtherGeneration(_)) => reply::json_error(OTHER_TAG, &error.to_string()),
        Err(error @ ReloadError::Persist(_)) => {
            reply::json_error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
        Err(error @ ReloadError::Stopping) => {
            reply::json_error(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
        Err(error @ (ReloadError::Load(_) | ReloadError::Prepare(_))) => {
            faulty(&error.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
        }
    })
}

fn changed_json(changed: &Changed, dry_run: bool) -> Value {
    json!({
        "generation": changed.generation,
        "dryRun": dry_run,
        "changed": changed.live,
        "waitingForRestart": changed.waiting.iter().map(waiting_key).collect::<Vec<_>>(),
        "warnings": changed.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn waiting_key(WaitingKey { key, reason }: &WaitingKey) -> Value {
    json!({"key": key, "reason": reason})
}

fn failure(FailedChange { cause, at, faults }: &FailedChange) -> Value {
    json!({"source": cause.label(), "time": at.to_string(), "faults": faults})
}

/// The answer to a configuration that cannot be used: every fault.
fn faulty(faults: &[String]) -> Response<Body> {
    let code = StatusCode::BAD_REQUEST;
    let message = "the configuration has faults, nothing has changed";
    let answer = json!({"code": code.as_u16(), "message": message, "faults": faults});
    reply::with_body(code, JSON, answer.to_string())
}

fn tagged(mut response: Response<Body>, tag: &str) -> Response<Body> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{tag}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The tag for which a change was made; none if any will do.
fn tag(head: &Parts) -> Result<Option<String>, ControlError> {
    let Some(value) = head.headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let tag = tag.filter(|tag| !tag.contains('"'));
    let malformed = || ControlError::Malformed("If-Match must be one tag in double quotes, or *".to_owned());
    tag.map(|tag| Some(tag.to_owned())).ok_or_else(malformed)
}

/// The parameter `dryRun`; an unknown one is an error, so that a misspelt one changes nothing.
fn is_dry_run(query: Option<&str>) -> Result<bool, ControlError> {
    match query.unwrap_or_default() {
        "" | "dryRun=false" => Ok(false),
        "dryRun" | "dryRun=true" => Ok(true),
        other => Err(ControlError::Malformed(format!("{other:?} is not dryRun=true or dryRun=false"))),
    }
}
