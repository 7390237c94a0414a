//! The configuration as librdkafka's properties (its `CONFIGURATION.md`).

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::config::{Acks, Compression, Config, DynamicConfig, Sasl, SaslMechanism, Tls};

/// librdkafka's limit for one response. The broker gets the whole timeout.
const MAX_SOCKET_TIMEOUT: Duration = Duration::from_secs(300);

/// How much longer the client waits than the broker, so that the broker's own timeout is reported.
const GRACE: Duration = Duration::from_secs(1);

/// All properties of a client. The configuration has been checked.
pub(crate) fn client_config(config: &Config) -> ClientConfig {
    let mut client = ClientConfig::new();
    let brokers: Vec<&str> = config.brokers.iter().map(|broker| broker.trim()).collect();
    client
        .set_log_level(RDKafkaLogLevel::Info)
        .set("bootstrap.servers", brokers.join(","))
        .set("client.id", "wrpkafka")
        .set("allow.auto.create.topics", config.allow_auto_topic_creation.to_string())
        // As any Java producer chooses (contract §8.7): the same key goes to the same partition.
        .set("partitioner", "murmur2_random")
        // Zero is no limit. librdkafka's default of five minutes would lose records silently.
        .set("message.timeout.ms", millis(config.record_delivery_timeout))
        // A record for an unknown topic comes back at once: the engine decides how long it waits, not the default of 30 s.
        .set("topic.metadata.propagation.max.ms", "0")
        .set("request.timeout.ms", millis(config.request_timeout))
        .set("socket.timeout.ms", millis((config.request_timeout + GRACE).min(MAX_SOCKET_TIMEOUT)))
        // librdkafka has one limit for all records, and none of QoS 25 and above may be given up.
        .set("retries", i32::MAX.to_string())
        // The engine bounds what is in the client: these limits must never be reached.
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", i32::MAX.to_string())
        // Of delivered records an interceptor learns (`librdkafka/producer.rs`).
        .set("delivery.report.only.error", "true")
        .set("statistics.interval.ms", millis(config.statistics_interval))
        .set("socket.nagle.disable", "true")
        // A broker that comes back is reconnected within two seconds rather than ten.
        .set("reconnect.backoff.max.ms", "2000");
    batching(&mut client, &config.dynamic);
    security(&mut client, &config.tls, &config.sasl);
    for (name, value) in &config.client_properties {
        client.set(name, value);
    }
    client
}

fn batching(client: &mut ClientConfig, dynamic: &DynamicConfig) {
    let acks = match dynamic.acks {
        Acks::All => "all",
        Acks::Leader => "1",
        Acks::None => "0",
    };
    client
        .set("acks", acks)
        .set("enable.idempotence", (dynamic.acks == Acks::All).to_string())
        .set("linger.ms", millis(dynamic.linger));
    if dynamic.compression != Compression::None {
        client.set("compression.codec", dynamic.compression.as_str());
    }
    if dynamic.batch_max_bytes != 0 {
        client.set("batch.size", dynamic.batch_max_bytes.to_string());
        // Includes the request's overhead; records that are too large are rejected by the engine.
        client.set("message.max.bytes", dynamic.batch_max_bytes.max(1000).to_string());
    }
}

fn security(client: &mut ClientConfig, tls: &Tls, sasl: &Sasl) {
    let protocol = match (tls.enabled, sasl.mechanism) {
        (false, None) => "plaintext",
        (true, None) => "ssl",
        (false, Some(_)) => "sasl_plaintext",
        (true, Some(_)) => "sasl_ssl",
    };
    client.set("security.protocol", protocol);
    if tls.enabled {
        // The linked OpenSSL does not know where this system keeps its authorities.
        client.set("ssl.ca.location", if tls.ca_file.is_empty() { "probe" } else { &tls.ca_file });
        if !tls.cert_file.is_empty() {
            client.set("ssl.certificate.location", &tls.cert_file).set("ssl.key.location", &tls.key_file);
        }
        if tls.insecure_skip_verify {
            client.set("enable.ssl.certificate.verification", "false");
            client.set("ssl.endpoint.identification.algorithm", "none");
        }
    }
    if let Some(mechanism) = sasl.mechanism {
        client.set("sasl.mechanism", mechanism.as_str());
        // Tokens are handed over while the client runs.
        if mechanism != SaslMechanism::OAuthBearer {
            client.set("sasl.username", &sasl.username).set("sasl.password", sasl.password.reveal());
        }
    }
}

fn millis(duration: Duration) -> String {
    // Rounded up, so that only zero becomes zero, which librdkafka takes for no limit.
    let millis = duration.as_micros().div_ceil(1000);
    millis.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config { brokers: vec!["a:1".to_owned(), " b:2 ".to_owned()], ..Config::default() }
    }

    #[test]
    fn nothing_is_given_up_by_default() {
        let client = client_config(&config());
        assert_eq!(client.get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(client.get("message.timeout.ms"), Some("0"));
        assert_eq!(client.get("retries"), Some("2147483647"));
        assert_eq!(client.get("acks"), Some("all"));
        assert_eq!(client.get("enable.idempotence"), Some("true"));
        assert_eq!(client.get("linger.ms"), Some("0"));
        assert_eq!(client.get("security.protocol"), Some("plaintext"));
        assert_eq!(client.get("allow.auto.create.topics"), Some("false"));
    }

    #[test]
    fn acks_other_than_all_turn_idempotence_off() {
        for (acks, value) in [(Acks::Leader, "1"), (Acks::None, "0")] {
            let mut config = config();
            config.dynamic.acks = acks;
            let client = client_config(&config);
            assert_eq!((client.get("acks"), client.get("enable.idempotence")), (Some(value), Some("false")));
        }
    }

    #[test]
    fn properties_of_the_configuration_are_handed_over() {
        let client_properties = vec![("client.id".to_owned(), "mine".to_owned())];
        let config = Config { client_properties, ..config() };
        assert_eq!(client_config(&config).get("client.id"), Some("mine"));
    }

    #[test]
    fn durations_are_rounded_up() {
        assert_eq!(millis(Duration::from_micros(1)), "1");
        assert_eq!(millis(Duration::from_millis(1500)), "1500");
    }

    #[test]
    fn tls_and_sasl_make_the_four_protocols() {
        for (enabled, mechanism, protocol) in [
            (true, None, "ssl"),
            (false, Some(SaslMechanism::Plain), "sasl_plaintext"),
            (true, Some(SaslMechanism::ScramSha512), "sasl_ssl"),
            (false, Some(SaslMechanism::ScramSha256), "sasl_plaintext"),
        ] {
            let mut config = config();
            config.tls.enabled = enabled;
            config.sasl.mechanism = mechanism;
            assert_eq!(client_config(&config).get("security.protocol"), Some(protocol));
        }
    }

    #[test]
    fn files_and_credentials_are_handed_over() {
        let mut config = config();
        config.tls = Tls {
            enabled: true,
            insecure_skip_verify: true,
            cert_file: "c.pem".to_owned(),
            key_file: "k.pem".to_owned(),
            ca_file: "ca.pem".to_owned(),
        };
        config.sasl = Sasl {
            mechanism: Some(SaslMechanism::Plain),
            username: "me".to_owned(),
            password: "pw".into(),
            ..Sasl::default()
        };
        let client = client_config(&config);
        for (key, value) in [
            ("ssl.ca.location", "ca.pem"),
            ("ssl.certificate.location", "c.pem"),
            ("ssl.key.location", "k.pem"),
            ("enable.ssl.certificate.verification", "false"),
            ("ssl.endpoint.identification.algorithm", "none"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "me"),
            ("sasl.password", "pw"),
        ] {
            assert_eq!(client.get(key), Some(value), "{key}");
        }
        config.tls.ca_file.clear();
        assert_eq!(client_config(&config).get("ssl.ca.location"), Some("probe"));
    }
}
