//! What is read but is probably not meant.

use super::*;

#[test]
fn a_misspelt_key_is_warned_of_with_the_nearest_one() {
    let cases = [
        (
            "kafka: {borkers: [a:1]}",
            "talaria.yaml:1: kafka.borkers is not a known key and is ignored; did you mean kafka.brokers?",
        ),
        (
            "maxDevices: 5",
            "talaria.yaml:1: maxDevices is not a known key and is ignored; did you mean device.manager.maxDevices?",
        ),
        (
            "kafka:\nenabled: false",
            "talaria.yaml:2: enabled is not a known key and is ignored; did you mean kafka.enabled? Then indent it more than kafka:",
        ),
        (
            "device: {outbound: {requestTimeout: 30}}",
            "talaria.yaml:1: device.outbound.requestTimeout is 30, which means 30 nanoseconds; a duration has a unit, such as 30s",
        ),
        (
            "device: {outbound: {eventEndpoints: {default: 'ftp://c/'}}}",
            "talaria.yaml:1: device.outbound.eventEndpoints.default has a URL that cannot be used, events to it are dropped: the scheme of the URL is neither http nor https",
        ),
        (
            "metric: {metricsOptions: {namespce: x, pedantic: true}}",
            "talaria.yaml:1: metric.metricsOptions.namespce has no effect here and is ignored; did you mean metric.metricsOptions.namespace?",
        ),
        ("nonsense: 5", "talaria.yaml:1: nonsense is not a known key and is ignored"),
        (
            "kafka: {initialDynamicConfig: {topicMap: [{patern: '*', topic: t}]}}",
            "talaria.yaml:1: kafka.initialDynamicConfig.topicMap[0].patern is not a known key and is ignored; did you mean kafka.initialDynamicConfig.topicMap[0].pattern?",
        ),
        (
            "tracing: {provider: stdout}",
            "tracing.parentBased is ignore and there is no sampleRatio, so nothing is traced, as in the Go Talaria; expected honor, or a sampleRatio",
        ),
        (
            "tracing: {provider: zipkin, parentBased: honor, endpoint: 'http://localhost:9411/api/v2/spans'}",
            "talaria.yaml:1: tracing.provider is zipkin, whose format is not supported, so nothing is traced; expected otlp/http or otlp/grpc with an OpenTelemetry Collector, which sends spans on to Zipkin",
        ),
        (
            "tracing: {provider: jaeger, parentBased: honor, endpoint: 'http://j:14268/api/traces'}",
            "talaria.yaml:1: tracing.provider is jaeger: spans go to j:4318 by OTLP, which Jaeger takes since 1.35; expected otlp/http",
        ),
        (
            "control: {maxConnections: 5}",
            "control.address is missing, this server is not started; expected host:port",
        ),
        (
            "deviceAccessCheck: {type: monitor, checks: [{name: a, deviceCredentialPath: b, wrpCredentialPath: Source, op: eq, operation: eq}]}",
            "talaria.yaml:1: deviceAccessCheck.checks[0].operation is not a known key and is ignored; did you mean deviceAccessCheck.checks[0].op?",
        ),
        (
            "deviceAccessCheck: {type: monitor, checks: [{name: a, deviceCredentialPath: b, wrpCredentialPath: Metadata.x, op: eq}]}",
            r#"talaria.yaml:1: deviceAccessCheck.checks[0].wrpCredentialPath is "Metadata.x", which is not a field of messages: every message fails this check; expected the name of a field such as PartnerIDs"#,
        ),
        (
            "kafka: {allow_auto_topic_creation: true, allowAutoTopicCreation: false}",
            "talaria.yaml:1: kafka.allow_auto_topic_creation is ignored because kafka.allowAutoTopicCreation is set too",
        ),
        (
            "device: {manager: {wrpSourceCheck: {type: Enforce}}}",
            r#"talaria.yaml:1: device.manager.wrpSourceCheck.type is "Enforce", monitor is used instead; expected monitor or enforce"#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            warnings(&format!("{text}\n"), &[("TALARIA_DEVICE_OUTBOUND_SOURCE", "dns:x")]),
            [expected],
            "{text}"
        );
    }
}

#[test]
fn a_source_that_is_not_a_locator_is_warned_of() {
    let expected = r#"device.outbound.source is "localhost", which is not a locator; some consumers require one, such as dns:talaria.example.com"#;
    assert_eq!(
        warnings("device: {outbound: {source: localhost}}", &[]),
        [format!("talaria.yaml:1: {expected}")]
    );
}

#[test]
fn a_proxy_protocol_that_anyone_may_speak_is_warned_of() {
    let of_proxies = |text| warnings(text, &[]).into_iter().filter(|line| line.contains("Proxies")).count();
    assert_eq!(of_proxies("primary: {proxyProtocol: true}"), 1);
    assert_eq!(of_proxies("primary: {proxyProtocol: true, trustedProxies: [192.0.2.1]}"), 0);
}

#[test]
fn keys_of_the_go_gateway_without_effect_here_are_ignored_without_a_warning() {
    let text = "log: {file: x}\nzap: {development: true}\nhealth: {options: [a]}\nprimary: {minVersion: 772}\nservice:\njwtValidator: {}\n";
    assert_eq!(warnings(text, &[("TALARIA_DEVICE_OUTBOUND_SOURCE", "dns:x")]), [""; 0]);
}
