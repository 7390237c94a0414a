//! Reads the section `device.outbound` (contract §5.5): the delivery of events by HTTP. The conflicts between its keys
//! are found by `event::Config::check`.

mod credentials;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::Method;
use talaria_protocol::url::HostPattern;

use super::read::{Section, Setting as _};
use super::tree::Value;
use crate::event::http::endpoints::Endpoints;
use crate::event::{
    self, AckPolicy, Http2Offer, NamedHosts, Order, PartnerWeights, PipelineDepth, RetryOn, Weight,
};

/// The description of `dns.allowedHosts`.
const HOSTS: &str =
    "a list of hosts such as example.com, *.example.com, 192.0.2.7 or [2001:db8::7], with or without :port";

/// The description of `retryOn`.
const RETRY_ON: &str = "a list of statuses from 400 to 599 and the words connect and reset";

/// The description of the values of `partnerWeights`.
const WEIGHT: &str = "a weight, a whole number from 1 to 100";

/// Reads `device.outbound`.
pub(super) fn read(section: &Section<'_>) -> event::Config {
    let mut config = event::Config::default();
    section.read("source", &mut config.source);
    if config.source.is_empty() {
        config.source = format!("dns:{}", config.host);
    }
    section.read_as("method", "an HTTP method", &mut config.method, |value| {
        match String::read(value)?.as_str() {
            "" => Some(Method::POST),
            name => Method::from_bytes(name.as_bytes()).ok(),
        }
    });
    section.read_as("authKey", "base64 of user:password", &mut config.auth_key, |value| {
        let key = String::read(value)?;
        if key.is_empty() { Some(None) } else { event::AuthKey::new(&key).ok().map(Some) }
    });
    if !section.is_empty("defaultScheme") {
        section.read("defaultScheme", &mut config.default_scheme);
    }
    section.read("enableConsulRoundRobin", &mut config.by_instances);
    section.read("allowedSchemes", &mut config.allowed_schemes);
    section.read_count("outboundQueueSize", &mut config.queue.messages);
    section.read_count("outboundQueueBytes", &mut config.queue.bytes);
    section.read_count("statusQueueSize", &mut config.status_queue.messages);
    section.read_count("statusQueueBytes", &mut config.status_queue.bytes);
    section.read_count("workerPoolSize", &mut config.workers);
    section.read_period("requestTimeout", &mut config.request_timeout);
    section.read_period("clientTimeout", &mut config.client_timeout);
    section.read_period("connectTimeout", &mut config.connect_timeout);
    section.read_limit("retries", &mut config.retry.retries);
    section.read_period("retryInterval", &mut config.retry.interval);
    section.read_period("retryMaxInterval", &mut config.retry.max_interval);
    section.read_as("retryOn", RETRY_ON, &mut config.retry.on, |value| RetryOn::parse(&Vec::read(value)?));
    section.read_as("order", "none or device", &mut config.order, |value| {
        match String::read(value)?.as_str() {
            "" | "none" => Some(Order::None),
            "device" => Some(Order::Device),
            _ => None,
        }
    });
    section.read_as("ackPolicy", "kafka or all", &mut config.ack_policy, |value| {
        match String::read(value)?.as_str() {
            "" | "kafka" => Some(AckPolicy::Kafka),
            "all" => Some(AckPolicy::All),
            _ => None,
        }
    });
    section.read_count("maxUnacknowledgedPerDevice", &mut config.max_unacknowledged_per_device);
    section.read_count("maxUnacknowledgedBytes", &mut config.max_unacknowledged_bytes);
    read_transport(section, &mut config.transport);
    section.read_as("transport.pipeline", PipelineDepth::EXPECTED, &mut config.pipeline, |value| {
        PipelineDepth::new(u64::read(value)?)
    });
    read_dns(&section.section("dns"), &mut config.dns);
    read_endpoints(&section.section("eventEndpoints"), &mut config.endpoints);
    config.credentials = credentials::read(section, "credentials");
    config.partner_weights = Arc::new(read_weights(&section.section("partnerWeights")));

    if wrp::Locator::parse_v3(&config.source).is_err() {
        let problem = format!(
            "is {:?}, which is not a locator; some consumers require one, such as dns:talaria.example.com",
            config.source
        );
        section.warn("source", problem);
    }
    for fault in config.check().err().unwrap_or_default() {
        section.fault(fault.key, format!("is invalid: {}", fault.problem));
    }
    config
}

fn read_dns(section: &Section<'_>, dns: &mut event::DnsConfig) {
    let (mut is_enabled, mut hosts, mut allows_private) = (true, Vec::new(), false);
    section.read("enabled", &mut is_enabled);
    section.read_as("allowedHosts", HOSTS, &mut hosts, |value| {
        Vec::read(value)?.iter().map(|host: &String| host.parse().ok()).collect::<Option<Vec<HostPattern>>>()
    });
    section.read("allowPrivate", &mut allows_private);
    dns.hosts = match (is_enabled, hosts.is_empty(), allows_private) {
        (false, ..) => NamedHosts::None,
        (true, false, _) => NamedHosts::Listed(hosts),
        (true, true, true) => NamedHosts::Any,
        (true, true, false) => NamedHosts::Public,
    };
    section.read_count("queueSize", &mut dns.queue.messages);
    section.read_count("queueBytes", &mut dns.queue.bytes);
    section.read_count("queueSizePerDevice", &mut dns.share.messages);
    section.read_count("queueBytesPerDevice", &mut dns.share.bytes);
    section.read_count("workerPoolSize", &mut dns.workers);
    section.read_count("maxRequestsPerDevice", &mut dns.max_requests_per_device);
    section.read_count("maxRequestsPerHost", &mut dns.max_requests_per_host);
    section.read_period("requestTimeout", &mut dns.request_timeout);
    section.read_period("connectTimeout", &mut dns.connect_timeout);
    section.read_period("answerTimeout", &mut dns.answer_timeout);
    read_transport(section, &mut dns.transport);
}

fn read_weights(section: &Section<'_>) -> PartnerWeights {
    let mut weights = PartnerWeights::default();
    for (partner, value) in section.entries() {
        let mut weight = Weight::DEFAULT;
        value.read_as("", WEIGHT, &mut weight, |value| Weight::new(u64::read(value)?).ok());
        weights.set(partner, weight);
    }
    weights
}

fn read_transport(section: &Section<'_>, transport: &mut event::Transport) {
    section.read_limit("transport.maxIdleConns", &mut transport.max_idle_conns);
    section.read_limit("transport.maxIdleConnsPerHost", &mut transport.max_idle_conns_per_host);
    section.read_timeout("transport.idleConnTimeout", &mut transport.idle_conn_timeout);
    section.read_timeout("transport.lookupMaxAge", &mut transport.lookup_max_age);
    section.read_as("transport.http2", bool::EXPECTED, &mut transport.http2, |value| {
        Some(if bool::read(value)? { Http2Offer::Offered } else { Http2Offer::Withheld })
    });
}

fn read_endpoints(section: &Section<'_>, endpoints: &mut Endpoints) {
    match Endpoints::parse(&json(section.value())) {
        Ok(parsed) => *endpoints = parsed,
        Err(faults) => {
            for fault in faults {
                section.fault(&fault.key, format!("is invalid: {}", fault.problem));
            }
        }
    }
    for (event_type, url) in endpoints.iter() {
        let problem = match url.as_ref().map(|target| target.address()) {
            Ok(Ok(_)) => continue,
            Ok(Err(unusable)) => unusable.to_string(),
            Err(malformed) => malformed.to_string(),
        };
        section
            .warn(event_type, format!("has a URL that cannot be used, events to it are dropped: {problem}"));
    }
}

/// Converts the tree to JSON, from which `Endpoints` are parsed. A null is left out: it means the default, which is no
/// endpoint (contract §14.28).
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(text) => {
            text.parse::<serde_json::Number>().map_or_else(|_| text.as_str().into(), Into::into)
        }
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => {
            items.iter().filter(|item| item.value != Value::Null).map(|item| json(&item.value)).collect()
        }
        Value::Map(entries) => entries
            .iter()
            .filter(|entry| entry.node.value != Value::Null)
            .map(|entry| (entry.key.clone(), json(&entry.node.value)))
            .collect(),
    }
}
