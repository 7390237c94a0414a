//! Reads the section `kafka` (contract §8.1). Routes, hash keys and limits are checked by the publisher's own
//! `wrpkafka::Config::check`.

mod filter;
#[cfg(test)]
mod tests;

pub(super) use filter::convey_keys;

use std::fmt::Display;
use std::str::FromStr;

use super::fault::READABLE_TOKENS;
use super::read::{Section, Setting as _};
use super::tree::Value;

/// Reads `kafka`; `None` if it is not enabled. The faults that [`wrpkafka::Config::check`] finds are reported with the
/// others.
pub(super) fn read(section: &Section<'_>) -> Option<wrpkafka::Config> {
    let mut enabled = false;
    section.read("enabled", &mut enabled);
    let names = if enabled { Names::Checked } else { Names::Ignored };

    let mut config = wrpkafka::Config::default();
    section.read("brokers", &mut config.brokers);
    drop_schemes(section, &mut config.brokers);
    section.read("allowAutoTopicCreation", &mut config.allow_auto_topic_creation);
    section.read_count("maxBufferedRecords", &mut config.max_buffered_records);
    section.read_count("maxBufferedBytes", &mut config.max_buffered_bytes);
    section.read_count("maxWaitingRecords", &mut config.waiting.records);
    section.read_count("maxWaitingBytes", &mut config.waiting.bytes);
    for both in [&mut config.max_request_retries, &mut config.max_record_retries] {
        section.read_count("maxRetries", both);
    }
    section.read_count("maxRequestRetries", &mut config.max_request_retries);
    section.read_count("maxRecordRetries", &mut config.max_record_retries);
    section.read_period("requestTimeout", &mut config.request_timeout);
    section.read_period("recordDeliveryTimeout", &mut config.record_delivery_timeout);
    section.read("denyNilPartitionKey", &mut config.deny_nil_partition_key);

    section.read("tls.enabled", &mut config.tls.enabled);
    section.read("tls.insecureSkipVerify", &mut config.tls.insecure_skip_verify);
    section.read("tls.certFile", &mut config.tls.cert_file);
    section.read("tls.keyFile", &mut config.tls.key_file);
    section.read("tls.caFile", &mut config.tls.ca_file);

    let mut password = String::new();
    config.sasl.mechanism = names.read(section, "sasl.mechanism");
    section.read("sasl.username", &mut config.sasl.username);
    section.read("sasl.password", &mut password);
    config.sasl.password = password.into();
    section.read("sasl.passwordFile", &mut config.sasl.password_file);
    read_oauth2(&section.section("sasl.oauth2"), &mut config.sasl.oauth2);

    read_schema_registry(&section.section("schemaRegistry"), &mut config.schema_registry);
    section.read("deadLetter.topic", &mut config.dead_letter.topic);
    read_dynamic(&section.section("initialDynamicConfig"), names, &mut config.dynamic);

    if !enabled {
        return None;
    }
    for wrpkafka::ConfigError(faults) in
        [config.check(), config.check_files()].into_iter().filter_map(Result::err)
    {
        // A value that could not be read is not there for the check: what it misses then has been reported already.
        for fault in faults.into_iter().filter(|fault| !section.has_fault(&fault.key)) {
            section.fault(&fault.key, fault.problem);
        }
    }
    warn_of_unused(section, &config);
    Some(config)
}

/// Warns of settings of TLS that have no effect because it is off.
fn warn_of_unused(section: &Section<'_>, config: &wrpkafka::Config) {
    if config.tls.enabled {
        return;
    }
    for key in ["tls.certFile", "tls.keyFile", "tls.caFile", "tls.insecureSkipVerify"] {
        let is_set = match section.section(key).value() {
            Value::Bool(is_set) => *is_set,
            value => !value.is_blank(),
        };
        if is_set {
            section.warn(key, "has no effect, because tls.enabled is false");
        }
    }
}

/// Whether the names of values (`acks: all`) must be known. They need not be while Kafka is not enabled, as in the
/// reference.
#[derive(Clone, Copy)]
enum Names {
    Checked,
    Ignored,
}

impl Names {
    /// Reads a value by its name.
    fn read<T: FromStr<Err: Display>>(self, section: &Section<'_>, key: &str) -> Option<T> {
        match self {
            Self::Checked => section.parsed(key),
            Self::Ignored => None,
        }
    }

    /// The value of a name, if there is one and it is known.
    fn parse<T: FromStr<Err: Display>>(self, section: &Section<'_>, key: &str, text: &str) -> Option<T> {
        if text.is_empty() || matches!(self, Self::Ignored) {
            return None;
        }
        let parsed = text.parse();
        parsed.map_err(|error| section.fault(key, format!("is {text:?}, {error}"))).ok()
    }
}

/// Drops the scheme of brokers that are written as URLs, as the image of the Go gateway makes them (contract §14.28).
fn drop_schemes(section: &Section<'_>, brokers: &mut [String]) {
    for (at, broker) in brokers.iter_mut().enumerate() {
        let Some((_, address)) = broker.split_once("://") else { continue };
        let address = address.trim_end_matches('/').to_owned();
        section.warn(
            &format!("brokers[{at}]"),
            format!("is {broker:?}, whose scheme is dropped; expected host:port"),
        );
        *broker = address;
    }
}

fn read_oauth2(section: &Section<'_>, oauth2: &mut wrpkafka::config::OAuth2) {
    let mut secret = String::new();
    section.read("tokenURL", &mut oauth2.token_url);
    section.read("clientID", &mut oauth2.client_id);
    section.read("clientSecret", &mut secret);
    section.read("clientSecretFile", &mut oauth2.client_secret_file);
    section.read("scopes", &mut oauth2.scopes);
    section.read("audience", &mut oauth2.audience);
    section.read("caFile", &mut oauth2.ca_file);
    for (name, value) in section.section("extensions").entries() {
        let mut text = String::new();
        value.read("", &mut text);
        oauth2.extensions.push((name.to_owned(), text));
    }
    oauth2.client_secret = secret.into();
    if oauth2.token_url.starts_with("http:") {
        section.warn("tokenURL", READABLE_TOKENS);
    }
}

fn read_schema_registry(section: &Section<'_>, registry: &mut wrpkafka::config::SchemaRegistry) {
    let mut password = String::new();
    section.read("urls", &mut registry.urls);
    section.read("username", &mut registry.username);
    section.read("password", &mut password);
    section.read("passwordFile", &mut registry.password_file);
    section.read("caFile", &mut registry.ca_file);
    section.read_period("timeout", &mut registry.timeout);
    section.parse("format", &mut registry.format);
    section.parse("subjects", &mut registry.subjects);
    section.read("autoRegister", &mut registry.auto_register);
    section.parse("whenDown", &mut registry.when_down);
    registry.password = password.into();
}

fn read_dynamic(section: &Section<'_>, names: Names, dynamic: &mut wrpkafka::DynamicConfig) {
    dynamic.topic_map = section.sections("topicMap").iter().map(|route| read_route(route, names)).collect();
    dynamic.headers = read_headers(&section.section("headers"));
    dynamic.compression = names.read(section, "compression").unwrap_or_default();
    section.read_period("linger", &mut dynamic.linger);
    section.read_count("batchMaxBytes", &mut dynamic.batch_max_bytes);
    dynamic.acks = names.read(section, "acks").unwrap_or_default();
}

fn read_route(section: &Section<'_>, names: Names) -> wrpkafka::Route {
    let mut route = wrpkafka::Route::default();
    if !matches!(section.value(), Value::Map(_)) {
        section.fault("", "is not a section, expected a route: pattern and topic");
    }
    section.read("pattern", &mut route.pattern);
    section.read("caseInsensitive", &mut route.case_insensitive);
    section.read("topic", &mut route.topic);
    section.read("topics", &mut route.topics);
    route.topic_shard_strategy = names.read(section, "topicShardStrategy");
    section.read("topicTemplate", &mut route.topic_template);
    section.read("allowedTopics", &mut route.allowed_topics);
    section.read("fallbackTopic", &mut route.fallback_topic);
    route.hash_key = names.parse(section, "hashKey", &read_hash_key(section)).unwrap_or_default();
    route.filter = filter::read(&section.section("filter"));
    route
}

/// Reads the hash key of a route: a text, or the reference's form `{name: metadata, metadataField: tenant}`, which is
/// converted to a text. In that form an unknown name or a missing field means no key, with a warning, as in the
/// reference.
fn read_hash_key(route: &Section<'_>) -> String {
    let section = route.section("hashKey");
    let mut text = String::new();
    if !matches!(section.value(), Value::Map(_)) {
        route.read_as("hashKey", "metadata/<field>, source or none", &mut text, |value| {
            matches!(value, Value::Text(_)).then(|| String::read(value))?
        });
        return text;
    }
    let (mut name, mut field) = (String::new(), String::new());
    section.read("name", &mut name);
    section.read("metadataField", &mut field);
    match name.as_str() {
        "" | "source" | "none" => name,
        "metadata" if !field.is_empty() => format!("metadata/{field}"),
        "metadata" => {
            section.warn("", "has no metadataField: records get no key");
            "none".to_owned()
        }
        _ => {
            section
                .warn("name", format!("is {name:?}, expected metadata, source or none: records get no key"));
            "none".to_owned()
        }
    }
}

/// Reads the headers. Names keep their case, and a single text is one value: it is not split at commas (contract §8.8).
fn read_headers(section: &Section<'_>) -> Vec<(String, Vec<String>)> {
    let mut headers = Vec::new();
    for (name, value) in section.entries() {
        match value.value() {
            Value::Null => {}
            Value::List(_) => {
                let mut values = Vec::new();
                value.read("", &mut values);
                headers.push((name.to_owned(), values));
            }
            _ => {
                let mut text = String::new();
                value.read("", &mut text);
                // As in the reference, an empty text means no value, and `[""]` one empty value.
                headers.push((name.to_owned(), if text.is_empty() { Vec::new() } else { vec![text] }));
            }
        }
    }
    headers
}
