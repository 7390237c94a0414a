//! The reference's vectors for the event side. Where contract §14 and §15 differ from the reference, the expectation
//! is changed by rule, not by the name of a case, so that other cases can be run: each rule has its reason.

mod messages;
mod routes;
mod status;

use std::sync::Arc;

use serde_json::Value;
use talaria_protocol::inbound::SourceCheck;
use talaria_protocol::url::Target;
use wrp::{Locator, Message, Scheme};

use super::*;
use crate::event::http::routes::Routes;
use crate::event::http::tests::receiver::Received;

/// What stands for a URL that is none.
const MALFORMED: &str = "(malformed)";

fn urls(routes: &Routes, dest: &str) -> Vec<String> {
    let Some(locator) = Locator::parse_v3(dest).ok() else {
        return Vec::new();
    };
    let Ok(route) = routes.resolve(&locator) else {
        return Vec::new();
    };
    let text =
        |url: &Result<Arc<Target>, _>| url.as_ref().map_or(MALFORMED, |target| target.url()).to_owned();
    route.urls.iter().map(text).collect()
}

/// What a request to a URL looks like at the receiver: TLS or not, `Host`, path. None if it cannot be sent to.
fn address(url: &str) -> Option<(bool, String, String)> {
    let target = Target::parse(url).ok()?;
    let address = target.address().ok()?;
    Some((address.origin.tls, address.host.to_str().unwrap().to_owned(), address.path.to_string()))
}

fn is_same_request(expected: &Value, got: &Received, credentials: Credentials) -> bool {
    let header =
        |name: &str| got.headers.iter().find(|(there, _)| there == name).map_or("", |(_, value)| value);
    let authorization = expected["authorization"].as_str().unwrap_or_default();
    let tls = got.origin.as_ref().is_some_and(|origin| origin.tls);
    address(expected["url"].as_str().unwrap_or_default())
        == Some((tls, header("Host").to_owned(), got.path.clone()))
        && expected["method"].as_str().unwrap_or("POST") == got.method
        && expected["content_type"].as_str().unwrap_or("application/msgpack") == header("Content-Type")
        && match credentials {
            // A URL's own user and password are credentials too.
            Credentials::Sent => {
                authorization == header("Authorization")
                    || authorization.is_empty() && got_own_credentials(expected)
            }
            // contract §14.19: the reference sends its key to hosts that devices name.
            Credentials::Withheld => header("Authorization").is_empty(),
        }
}

/// Whether the gateway sends credentials to the receiver.
#[derive(Clone, Copy)]
enum Credentials {
    Sent,
    Withheld,
}

impl Credentials {
    fn for_dest(dest: &str) -> Self {
        let is_named = Locator::parse_v3(dest).is_ok_and(|locator| locator.scheme == Scheme::Dns);
        if is_named { Self::Withheld } else { Self::Sent }
    }
}

fn got_own_credentials(expected: &Value) -> bool {
    expected["url"].as_str().unwrap_or_default().contains('@')
}

/// A message under `enforce`: what its metadata says about the device is the connection's own (contract §14.27).
fn with_own_metadata(mut message: Message, check: SourceCheck, device: &Device) -> Message {
    let Some(metadata) = message.metadata.as_mut().filter(|_| check == SourceCheck::Enforce) else {
        return message;
    };
    for (name, own) in [
        ("hw-deviceid", device.id().as_str()),
        ("trust", device.trust_text()),
        ("account-id", device.account_id()),
        ("partner-id", device.partner_id()),
    ] {
        for key in [name.to_owned(), format!("/{name}")] {
            if metadata.get(&key).is_some() {
                metadata.insert(&key, own);
            }
        }
    }
    message
}

/// With what differs from run to run replaced as in the vectors.
fn masked(mut message: Message, device: &Device) -> Message {
    if let Some(metadata) = &mut message.metadata
        && let Some(stamp) = metadata.get("/xmidt-timestamp")
        && stamp.to_string().parse::<jiff::Timestamp>().is_ok()
    {
        metadata.insert("/xmidt-timestamp", "<timestamp>");
    }
    if message.session_id == device.session_id() {
        message.session_id = "<session>".into();
    }
    message
}
