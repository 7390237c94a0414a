//! The services of the stand-in and their checks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use talaria_protocol::go::duration;
use tokio::net::TcpStream;

pub(super) struct Service {
    pub(super) registration: Json,
    pub(super) checks: BTreeMap<String, Check>,
}

pub(super) struct Check {
    pub(super) definition: Json,
    pub(super) status: &'static str,
    pub(super) output: String,
    /// When it becomes critical without a further report.
    pub(super) expires: Option<Instant>,
    pub(super) critical_since: Option<Instant>,
    pub(super) next_probe: Option<Instant>,
}

impl Service {
    pub(super) fn described(&self, id: &str) -> Json {
        let of = |key: &str, other: Json| {
            if self.registration[key].is_null() { other } else { self.registration[key].clone() }
        };
        json!({
            "ID": id,
            "Service": self.registration["Name"],
            "Tags": of("Tags", json!([])),
            "Meta": of("Meta", json!({})),
            "Port": of("Port", 0.into()),
            "Address": of("Address", "".into()),
            "Weights": of("Weights", json!({"Passing": 1, "Warning": 1})),
            "EnableTagOverride": of("EnableTagOverride", false.into()),
            "Datacenter": "dc1",
        })
    }
}

impl Check {
    pub(super) fn new(definition: Json) -> Self {
        let now = Instant::now();
        let status = match definition["Status"].as_str() {
            Some("passing") => "passing",
            Some("warning") => "warning",
            _ => "critical",
        };
        let next_probe = definition["HTTP"].is_string().then_some(now);
        let expires =
            (definition["TTL"].is_string() && status != "critical").then(|| now + time(&definition["TTL"]));
        let critical_since = (status == "critical").then_some(now);
        Self { definition, status, output: String::new(), expires, critical_since, next_probe }
    }

    /// Whether that is a change.
    pub(super) fn set(&mut self, status: &'static str, output: String) -> bool {
        self.output = output;
        let is_change = self.status != status;
        if is_change {
            self.critical_since = (status == "critical").then(Instant::now);
        }
        self.status = status;
        is_change
    }

    pub(super) fn described(&self, check_id: &str, service_id: &str, service: &Service) -> Json {
        let name = if self.definition["Name"].is_string() {
            self.definition["Name"].clone()
        } else {
            format!("Service '{}' check", text(&service.registration["Name"])).into()
        };
        let kind = if self.definition["TTL"].is_string() { "ttl" } else { "http" };
        json!({
            "Node": "stand-in",
            "CheckID": check_id,
            "Name": name,
            "Status": self.status,
            "Output": self.output,
            "ServiceID": service_id,
            "ServiceName": service.registration["Name"],
            "ServiceTags": service.registration["Tags"],
            "Type": kind,
        })
    }
}

pub(super) fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn time(value: &Json) -> Duration {
    Duration::from_nanos(duration::parse(text(value)).unwrap_or(0).unsigned_abs())
}

/// Whether an HTTP check is answered with 200.
pub(super) async fn is_well(url: &str) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let Some((host, path)) = url.trim_start_matches("http://").split_once('/') else { return false };
    let Ok(mut stream) = TcpStream::connect(host).await else { return false };
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_end(&mut answer).await.is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}
