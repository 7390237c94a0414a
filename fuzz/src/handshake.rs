//! A device's request to connect: any header lines.
//!
//! The input: lines of `name: value`, as HTTP/1.1 has them; those that no HTTP parser would let through are left out.
//! A line without a colon is the method. The header `x-claims` stands for a verified token's claims.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Version};
use serde_json::Value;
use talaria_protocol::claims::Claims;
use talaria_protocol::connect::{Candidate, ConnectError, SessionId};
use talaria_protocol::convey::Compliance;
use talaria_protocol::ws::handshake;
use wrp::DeviceId;

use crate::allocation;
use crate::cost::Cost;

static UPGRADE: Cost = Cost::measured("upgrade", 25);
static CANDIDATE: Cost = Cost::measured("candidate", 25);
static CLAIMS: Cost = Cost::measured("claims", 25);

/// A `Sec-WebSocket-Accept` is base64 of twenty bytes.
const ACCEPT_LENGTH: usize = 28;

const SESSION_ID: &str = "0ujsswThIGTUYm2K8FjOOfXtY1K";

/// One input.
pub fn run(data: &[u8]) {
    let (method, headers) = request(data);
    match UPGRADE.hold(data.len(), || handshake::check(Version::HTTP_11, &method, &headers)) {
        Ok(accept) => assert_eq!(accept.len(), ACCEPT_LENGTH),
        Err(error) => is_an_answer(error.into()),
    }
    let session_id = SessionId::new(SESSION_ID).expect("a session id");
    let (candidate, peak) =
        CANDIDATE.hold(data.len(), || allocation::peak(|| Candidate::new(&headers, session_id)));
    // A convey is decoded once and its values are kept once, in a buffer that grows by doubling.
    assert!(peak <= 16 * data.len() + 4096, "{peak} bytes for {} of headers", data.len());
    match candidate.and_then(|candidate| candidate.with_claims(claims(&headers))) {
        Ok(candidate) => is_well(&candidate),
        Err(error) => is_an_answer(error),
    }
}

fn request(data: &[u8]) -> (Method, HeaderMap) {
    let mut method = Method::GET;
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next());
        match value {
            None => method = Method::from_bytes(name).unwrap_or(method),
            Some(value) => {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
                {
                    // The library has a limit, which hyper's limit on the length of a header does not let requests reach.
                    if headers.try_append(name, value).is_err() {
                        break;
                    }
                }
            }
        }
    }
    (method, headers)
}

fn claims(headers: &HeaderMap) -> Option<Claims> {
    let Ok(Value::Object(claims)) = serde_json::from_slice(headers.get("x-claims")?.as_bytes()) else {
        return None;
    };
    let kept = CLAIMS.hold(headers.get("x-claims")?.len(), || Claims::new(&claims));
    assert_eq!(kept.all(), claims);
    Some(kept)
}

fn is_well(candidate: &Candidate) {
    let identity = candidate.identity();
    let again: DeviceId = identity.id.as_str().parse().expect("a canonical id is an id");
    assert_eq!(again, identity.id);
    assert_eq!(identity.session_id.as_str(), SESSION_ID);
    let is_read = identity.convey.header_compliance() == Compliance::Full;
    assert!(is_read || identity.convey.metadata().next().is_none());
    let model = identity.convey.hardware_model();
    assert!(model.is_none_or(|model| identity.convey.metadata().any(|entry| entry == ("/hw-model", model))));
}

/// Every error is an answer of an HTTP server: an error's status, and a body that is what it claims to be.
fn is_an_answer(error: ConnectError) {
    let response: Response<String> = error.response();
    assert!(response.status().is_client_error() || response.status().is_server_error());
    if response.headers().get("content-type").is_some_and(|value| value == "application/json") {
        let body: Value = serde_json::from_str(response.body()).expect("JSON");
        assert_eq!(body["code"], response.status().as_u16());
    }
}
