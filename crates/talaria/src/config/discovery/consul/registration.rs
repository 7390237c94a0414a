//! Reads a registration and its checks. They have the keys of Consul's own documentation, which are those of the Go Talaria.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value as Json};
use talaria_protocol::discovery::instance;
use talaria_protocol::go::duration;

use super::super::super::read::{Section, Setting as _};
use super::super::super::tree::Value;
use super::super::entries::{bad_address, sections, warn_of_others};
use crate::discovery::Config as Discovery;
use crate::discovery::consul::{Heartbeat, Registration};

/// How a value is written in a registration.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bool,
    Texts,
    /// Names to texts.
    TextMap,
    /// Names to lists of texts.
    TextsMap,
    /// A duration, as a text.
    Duration,
    /// Anything, with its keys as they are written.
    Any,
}

/// The keys of a registration, with their names in Consul's API. `check` and `checks` are read by themselves.
const REGISTRATION: [(&str, &str, Kind); 16] = [
    ("kind", "Kind", Kind::Text),
    ("id", "ID", Kind::Text),
    ("name", "Name", Kind::Text),
    ("tags", "Tags", Kind::Texts),
    ("port", "Port", Kind::Number),
    ("address", "Address", Kind::Text),
    ("socketPath", "SocketPath", Kind::Text),
    ("taggedAddresses", "TaggedAddresses", Kind::Any),
    ("enableTagOverride", "EnableTagOverride", Kind::Bool),
    ("meta", "Meta", Kind::TextMap),
    ("weights", "Weights", Kind::Any),
    ("proxy", "Proxy", Kind::Any),
    ("connect", "Connect", Kind::Any),
    ("namespace", "Namespace", Kind::Text),
    ("partition", "Partition", Kind::Text),
    ("locality", "Locality", Kind::Any),
];

/// The keys of a check, with their names in Consul's API.
const CHECK: [(&str, &str, Kind); 29] = [
    ("checkID", "CheckID", Kind::Text),
    ("name", "Name", Kind::Text),
    ("args", "ScriptArgs", Kind::Texts),
    ("dockerContainerID", "DockerContainerID", Kind::Text),
    ("shell", "Shell", Kind::Text),
    ("interval", "Interval", Kind::Duration),
    ("timeout", "Timeout", Kind::Duration),
    ("ttl", "TTL", Kind::Duration),
    ("http", "HTTP", Kind::Text),
    ("header", "Header", Kind::TextsMap),
    ("method", "Method", Kind::Text),
    ("body", "Body", Kind::Text),
    ("tcp", "TCP", Kind::Text),
    ("tcpUseTLS", "TCPUseTLS", Kind::Bool),
    ("udp", "UDP", Kind::Text),
    ("status", "Status", Kind::Text),
    ("notes", "Notes", Kind::Text),
    ("tlsServerName", "TLSServerName", Kind::Text),
    ("tlsSkipVerify", "TLSSkipVerify", Kind::Bool),
    ("grpc", "GRPC", Kind::Text),
    ("grpcUseTLS", "GRPCUseTLS", Kind::Bool),
    ("h2ping", "H2PING", Kind::Text),
    ("h2pingUseTLS", "H2PingUseTLS", Kind::Bool),
    ("aliasNode", "AliasNode", Kind::Text),
    ("aliasService", "AliasService", Kind::Text),
    ("successBeforePassing", "SuccessBeforePassing", Kind::Number),
    ("failuresBeforeWarning", "FailuresBeforeWarning", Kind::Number),
    ("failuresBeforeCritical", "FailuresBeforeCritical", Kind::Number),
    ("deregisterCriticalServiceAfter", "DeregisterCriticalServiceAfter", Kind::Duration),
];

/// Reads a registration.
pub(super) fn read(section: &Section<'_>, discovery: &Discovery, keeps_ids: bool) -> Option<Registration> {
    let mut body = read_object(section, &REGISTRATION);
    let text = |body: &Map<String, Json>, key: &str| {
        body.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    let name = text(&body, "Name");
    if name.is_empty() {
        section.fault("name", "is absent, expected the name of the service, such as talaria");
        return None;
    }
    let mut id = text(&body, "ID");
    if id.is_empty() {
        // What Consul does with a registration without an id.
        id = if keeps_ids { name } else { generated_id(&body) };
        body.insert("ID".to_owned(), id.clone().into());
    }
    let mut port = 0_u16;
    section
        .read_as("port", "a port from 0 to 65535", &mut port, |value| u16::try_from(u32::read(value)?).ok());
    let address = text(&body, "Address");
    let instance = match instance::registered(&discovery.default_scheme, &address, port) {
        _ if address.is_empty() => None,
        Ok(instance) => Some(instance),
        Err(_) => {
            bad_address(section, &address);
            None
        }
    };
    let mut checks = Vec::new();
    if !section.is_empty("check") {
        let check = section.section("check");
        warn_of_others(&check, CHECK.iter().map(|(key, _, _)| *key));
        checks.push(check);
    }
    checks.extend(sections(section, "checks"));
    let many = checks.len() > 1;
    let mut heartbeats = Vec::new();
    let mut bodies = Vec::new();
    for (number, check) in (1..).zip(&checks) {
        let by_number = if many { format!("service:{id}:{number}") } else { format!("service:{id}") };
        bodies.push(read_check(check, &by_number, &mut heartbeats));
    }
    if checks.is_empty() {
        section.warn(
            "checks",
            "is empty: Consul keeps a gateway that has died, and the fleet sends devices to it",
        );
    } else {
        body.insert("Checks".to_owned(), bodies.into());
    }
    Some(Registration { id, instance, body: body.into(), heartbeats })
}

fn read_check(section: &Section<'_>, id: &str, heartbeats: &mut Vec<Heartbeat>) -> Json {
    let mut body = read_object(section, &CHECK);
    let check_id = body.entry("CheckID").or_insert_with(|| id.into());
    let check_id = check_id.as_str().unwrap_or(id).to_owned();
    if let Some(Json::String(ttl)) = body.get("TTL") {
        match duration::parse(ttl).ok().and_then(|nanos| u64::try_from(nanos).ok()) {
            Some(nanos) if nanos >= 2 => {
                heartbeats.push(Heartbeat { check_id, ttl: Duration::from_nanos(nanos) });
            }
            _ => section.fault("ttl", format!("is {ttl:?}, expected a duration such as 30s")),
        }
    }
    body.into()
}

/// The keys that are set, under their names in Consul's API.
fn read_object(section: &Section<'_>, keys: &[(&str, &str, Kind)]) -> Map<String, Json> {
    let mut object = Map::new();
    for (key, name, kind) in keys {
        if section.is_empty(key) {
            continue;
        }
        let mut read = None;
        section.read_as(key, kind.expected(), &mut read, |value| kind.read(value).map(Some));
        // Consul's own client leaves out what has no effect.
        if let Some(value) = read.filter(|value| value.as_bool() != Some(false) && value.as_u64() != Some(0))
        {
            object.insert((*name).to_owned(), value);
        }
    }
    object
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Self::Text => String::EXPECTED,
            Self::Number => u64::EXPECTED,
            Self::Bool => bool::EXPECTED,
            Self::Texts => Vec::<String>::EXPECTED,
            Self::TextMap => "names and texts",
            Self::TextsMap => "names and lists of texts",
            Self::Duration => Duration::EXPECTED,
            Self::Any => "what Consul's documentation says",
        }
    }

    fn read(self, value: &Value) -> Option<Json> {
        match self {
            Self::Text => String::read(value).map(Json::from),
            Self::Number => u64::read(value).map(Json::from),
            Self::Bool => bool::read(value).map(Json::from),
            Self::Texts => Vec::<String>::read(value).map(Json::from),
            Self::TextMap => map(value, |value| String::read(value).map(Json::from)),
            Self::TextsMap => map(value, |value| Vec::<String>::read(value).map(Json::from)),
            Self::Duration => Duration::read(value).map(|time| duration::format(time).into()),
            Self::Any => Some(as_written(value)),
        }
    }
}

fn map(value: &Value, read: impl Fn(&Value) -> Option<Json>) -> Option<Json> {
    let Value::Map(entries) = value else { return None };
    let entries = entries.iter().map(|entry| Some((entry.key.clone(), read(&entry.node.value)?)));
    entries.collect::<Option<Map<String, Json>>>().map(Json::from)
}

fn as_written(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()),
        Value::Text(text) => text.clone().into(),
        Value::List(items) => items.iter().map(|item| as_written(&item.value)).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), as_written(&entry.node.value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// As the reference makes one, 16 random bytes in base64: the same for the same registration as long as the process runs, so
/// that a configuration that is read again is the same.
fn generated_id(registration: &Map<String, Json>) -> String {
    static RANDOM: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
    let text = Json::from(registration.clone()).to_string();
    let bytes: Vec<u8> = RANDOM.iter().flat_map(|random| random.hash_one(&text).to_le_bytes()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}
