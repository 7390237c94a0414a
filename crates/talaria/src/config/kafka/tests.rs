//! Vectors: how the reference reads the section, and where this gateway differs.

use std::str::FromStr;
use std::time::Duration;

use serde_json::Value as Json;

use crate::config::tests::load_text;

const SPELLING: &str = "contract §14.2: compression is the same as compressionCodec";
const HASH_KEY: &str = "contract §8.6: a hash key may be written as a text";
const IDEMPOTENCE: &str = "contract §14.3: idempotence is turned off for these acks";
const NO_SECTION: &str = "contract §14.3: kafka that is not a section is refused";

const OTHERWISE: [(&str, &str); 23] = [
    ("minimal: brokers only", "contract §14.1: the default is one route, * to wrp-events"),
    ("empty topicMap", "contract §14.1: means the default route"),
    ("kafka as a list", NO_SECTION),
    ("kafka as a text", NO_SECTION),
    ("allow_auto_topic_creation", "contract §14.2: the same as allowAutoTopicCreation"),
    ("compression snappy", SPELLING),
    ("compression gzip", SPELLING),
    ("compression zstd", SPELLING),
    ("compression Snappy", SPELLING),
    ("the sample file's values", SPELLING),
    ("hashKey none", HASH_KEY),
    ("hashKey metadata/tenant_id", HASH_KEY),
    ("hashKey \"\"", HASH_KEY),
    ("acks leader", IDEMPOTENCE),
    ("acks none", IDEMPOTENCE),
    ("header names lose their case", "contract §8.8: header names keep their case"),
    ("header names that differ in case", "contract §8.8: header names keep their case"),
    ("header value with commas is split", "contract §8.8: a scalar value is not split at commas"),
    ("header value a bool", "a boolean is printed as it is written, true, not 1"),
    ("broker with a bad port", "refused: it can never be reached"),
    ("sasl without mechanism", "refused: the credentials would silently not be used"),
    ("tls with a certificate but no key", "refused: the certificate would silently not be used"),
    ("batchMaxBytes 2147483648", "contract §8.2: at most 100 MiB; the reference's number overflows"),
];

#[test]
fn vectors_kafka_config() {
    vectors::run_except("kafka_config.json", &OTHERWISE, |case| {
        let yaml = case.value["yaml"].as_str().unwrap_or_default();
        let loaded = load_text(yaml, &[]).map_err(|error| error.to_string());
        let built = loaded.and_then(|loaded| match loaded.config.kafka {
            None => Ok(None),
            // Files that cannot be read are found only when the client is created.
            Some(config) => start(&config).map(|()| Some(config)),
        });
        match (case.value["publisher"].as_str(), built) {
            (None, Err(_)) | (Some("noop"), Ok(None)) => Ok(()),
            (Some("kafka"), Ok(Some(config))) => compare(&case.value["resolved"], &config),
            (expected, got) => Err(format!("expected {expected:?}, got {got:?}")),
        }
    });
}

/// Creates the publisher, and also its client if there are files to read.
fn start(config: &wrpkafka::Config) -> Result<(), String> {
    let publisher = wrpkafka::Publisher::new(config.clone()).map_err(|error| error.to_string())?;
    if config.tls.enabled {
        publisher.start().map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Compares with what the reference read. In both, 0 or less means the default, but the defaults differ.
fn compare(expected: &Json, config: &wrpkafka::Config) -> Result<(), String> {
    let defaults = wrpkafka::Config::default();
    let number = |key: &str, default: u64, got: u64| {
        let expected = expected[key].as_i64().and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        vectors::same(key, &expected.unwrap_or(default), &got)
    };
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    // The reference keeps the blanks after the commas of a text.
    let brokers: Vec<_> = texts(&expected["brokers"]).iter().map(|broker| broker.trim().to_owned()).collect();
    vectors::same("brokers", &brokers, &config.brokers)?;
    let create = expected["allowAutoTopicCreation"].as_bool().unwrap_or_default();
    vectors::same("allowAutoTopicCreation", &create, &config.allow_auto_topic_creation)?;
    number("maxBufferedRecords", defaults.max_buffered_records, config.max_buffered_records)?;
    number("maxBufferedBytes", defaults.max_buffered_bytes, config.max_buffered_bytes)?;
    number("maxRequestRetries", defaults.max_request_retries, config.max_request_retries)?;
    number("maxRecordRetries", defaults.max_record_retries, config.max_record_retries)?;
    number("requestTimeout", nanoseconds(defaults.request_timeout), nanoseconds(config.request_timeout))?;
    number("recordDeliveryTimeout", 0, nanoseconds(config.record_delivery_timeout))?;
    vectors::same("sasl", &parsed(&expected["sasl"]), &config.sasl.mechanism)?;
    vectors::same("tls", &expected["tls"].is_object(), &config.tls.enabled)?;
    compare_dynamic(&expected["initialDynamicConfig"], &config.dynamic)
}

fn compare_dynamic(expected: &Json, dynamic: &wrpkafka::DynamicConfig) -> Result<(), String> {
    let routes = expected["topicMap"].as_array().cloned().unwrap_or_default();
    let routes: Vec<_> = routes.iter().map(route).collect();
    vectors::same("topicMap", &routes, &dynamic.topic_map)?;
    let mut headers = dynamic.headers.clone();
    headers.sort();
    let mut expected_headers: Vec<_> = expected["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, values)| (name.clone(), texts(values)))
        .collect();
    expected_headers.sort();
    vectors::same("headers", &expected_headers, &headers)?;
    let compression = parsed(&expected["compression"]).unwrap_or_default();
    vectors::same("compression", &compression, &dynamic.compression)?;
    vectors::same("acks", &parsed(&expected["acks"]).unwrap_or_default(), &dynamic.acks)?;
    let linger = u64::try_from(expected["linger"].as_i64().unwrap_or_default()).unwrap_or_default();
    vectors::same("linger", &Duration::from_nanos(linger), &dynamic.linger)?;
    vectors::same(
        "batchMaxBytes",
        &expected["batchMaxBytes"].as_u64().unwrap_or_default(),
        &dynamic.batch_max_bytes,
    )
}

fn route(expected: &Json) -> wrpkafka::Route {
    let key = &expected["hashKey"];
    let hash_key = match (text(&key["name"]).as_str(), text(&key["field"]).as_str()) {
        ("", _) => String::new(),
        ("source", _) => "source".to_owned(),
        ("metadata", field) if !field.is_empty() => format!("metadata/{field}"),
        _ => "none".to_owned(),
    };
    wrpkafka::Route {
        pattern: text(&expected["pattern"]),
        case_insensitive: expected["caseInsensitive"].as_bool().unwrap_or_default(),
        topic: text(&expected["topic"]),
        topics: texts(&expected["topics"]),
        topic_shard_strategy: parsed(&expected["topicShardStrategy"]),
        hash_key: hash_key.parse().unwrap(),
        ..wrpkafka::Route::default()
    }
}

/// The value of a name; none for an empty text.
fn parsed<T: FromStr>(value: &Json) -> Option<T> {
    text(value).parse().ok()
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Json) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// Contract §8.19
#[test]
fn a_token_server_is_read_whole_and_a_wrong_one_is_named_with_all_its_faults() {
    let text = "kafka: {enabled: true, brokers: [a], sasl: {mechanism: OAUTHBEARER, oauth2: {tokenURL: \"https://t/x\", \
                clientID: gateway, clientSecret: hunter2, scopes: a b, audience: kafka, \
                extensions: {logicalCluster: lkc-1}}}}";
    let loaded = load_text(text, &[]).unwrap();
    let oauth2 = loaded.config.kafka.unwrap().sasl.oauth2;
    assert_eq!((&*oauth2.token_url, &*oauth2.client_id), ("https://t/x", "gateway"));
    assert_eq!((oauth2.client_secret.reveal(), &*oauth2.audience), ("hunter2", "kafka"));
    assert_eq!(oauth2.extensions, [("logicalCluster".to_owned(), "lkc-1".to_owned())]);
    let warned: Vec<_> = loaded.warnings.iter().filter(|warning| warning.key.starts_with("kafka")).collect();
    assert!(warned.is_empty(), "{warned:?}");

    let text = "kafka: {enabled: true, brokers: [a], sasl: {mechanism: OAUTHBEARER, username: me, oauth2: {tokenURL: t}}}";
    let faults = load_text(text, &[]).unwrap_err().to_string();
    for key in ["username", "oauth2.tokenURL", "oauth2.clientID", "oauth2.clientSecretFile"] {
        assert!(faults.contains(&format!("kafka.sasl.{key} ")), "{key}: {faults}");
    }
}
