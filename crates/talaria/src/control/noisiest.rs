//! `/device/noisiest`: the devices and partners that send most.

use http::{Response, StatusCode};
use serde_json::{Value, json};
use talaria_protocol::answer::JSON;

use crate::device::{Noise, Noisiest};
use crate::server::{Body, reply};

pub(super) fn show(noisiest: &Noisiest) -> Response<Body> {
    let (devices, partners) = noisiest.show();
    let devices: Vec<_> = devices.iter().map(|noise| describe("id", noise.of.as_str(), noise)).collect();
    let partners: Vec<_> = partners.iter().map(|noise| describe("id", &noise.of, noise)).collect();
    let body = json!({ "devices": devices, "partners": partners });
    reply::with_body(StatusCode::OK, JSON, body.to_string())
}

fn describe<K>(key: &str, name: &str, noise: &Noise<K>) -> Value {
    json!({
        key: name,
        "messagesPerSecond": rounded(noise.messages),
        "bytesPerSecond": rounded(noise.bytes),
    })
}

/// An estimate has no more than one digit behind the point.
fn rounded(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}
