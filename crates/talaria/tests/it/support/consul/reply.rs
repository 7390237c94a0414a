//! The answers of the stand-in, and what is escaped in requests.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value as Json, json};

pub(super) fn elsewhere(service: &str, at: &str) -> Json {
    let (address, port) = at.rsplit_once(':').unwrap();
    json!({
        "Node": {"Node": "other", "Address": address},
        "Service": {"ID": at, "Service": service, "Tags": [], "Address": address, "Port": port.parse::<u16>().unwrap()},
        "Checks": [],
    })
}

pub(super) fn plain(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

pub(super) fn json_of(value: &Json) -> Response<Full<Bytes>> {
    let response = Response::builder().header("Content-Type", "application/json");
    response.body(Full::new(Bytes::from(value.to_string()))).unwrap()
}

pub(super) fn with_index(index: u64, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .header("Content-Type", "application/json")
        .header("X-Consul-Index", index)
        .header("X-Consul-KnownLeader", "true")
        .header("X-Consul-LastContact", "0")
        .header("X-Consul-Effective-Consistency", "leader")
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = if byte == b'%' { Some([rest.next().unwrap(), rest.next().unwrap()]) } else { None };
        bytes.push(match (byte, digits) {
            (_, Some(digits)) => u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap(),
            (b'+', None) => b' ',
            (byte, None) => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
