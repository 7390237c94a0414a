//! Tests of the configuration as a whole, from texts to typed values and messages.

mod lenient;

use std::fs;
use std::path::Path;

use super::*;

/// A configuration of one file with this text, and variables.
pub(super) fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, LoadError> {
    let directory = tempfile(text);
    let sources = Sources {
        file: Some("talaria".to_owned()),
        directories: vec![directory.clone()],
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Sources::default()
    };
    let loaded = load(&sources);
    fs::remove_dir_all(directory).unwrap();
    loaded
}

fn tempfile(text: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = env::temp_dir().join(format!("talaria-config-{}-{number}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("talaria.yaml"), text).unwrap();
    directory
}

/// The lines of a message, without the directory of the test's file.
fn without_directory(lines: impl Iterator<Item = String>) -> Vec<String> {
    let directory = format!("{}/talaria-config-", env::temp_dir().display());
    let name = |part: &str| part.split_once('/').map(|(_, name)| name.to_owned()).unwrap_or_default();
    lines
        .map(|line| {
            let mut parts = line.split(directory.as_str());
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |line, part| line + &name(part))
        })
        .collect()
}

fn faults(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load_text(text, variables) {
        Ok(_) => Vec::new(),
        Err(error) => without_directory(error.to_string().lines().map(str::to_owned)),
    }
}

fn warnings(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let loaded = load_text(text, variables).unwrap();
    without_directory(loaded.warnings.iter().map(Warning::to_string))
}

#[test]
fn every_kind_of_fault_names_its_key_its_value_and_what_is_expected() {
    let cases = [
        ("kafka: {enabled: maybe}", r#"talaria.yaml:1: kafka.enabled is "maybe", expected true or false"#),
        (
            "device: {manager: {maxDevices: many}}",
            r#"talaria.yaml:1: device.manager.maxDevices is "many", expected a whole number"#,
        ),
        (
            "device: {manager: {maxDevices: 99999999999999999999999}}",
            "talaria.yaml:1: device.manager.maxDevices is 99999999999999999999999, expected a whole number",
        ),
        (
            "device: {manager: {pingPeriod: 45}, outbound: {requestTimeout: 1x}}",
            r#"talaria.yaml:1: device.outbound.requestTimeout is "1x", expected a duration such as 30s, 1m30s or 500ms (a number means nanoseconds)"#,
        ),
        (
            "device: {manager: {rate: {messagesPerSecond: -1}}}",
            "talaria.yaml:1: device.manager.rate.messagesPerSecond is -1, expected a whole number from 0 to 1000000000",
        ),
        (
            "device: {manager: {rate: {bytesPerSecond: 1000000001}}}",
            "talaria.yaml:1: device.manager.rate.bytesPerSecond is 1000000001, expected a whole number from 0 to 1000000000",
        ),
        (
            "device: {manager: {rate: {bytesBurst: 5}}}",
            "talaria.yaml:1: device.manager.rate.bytesBurst requires bytesPerSecond, the rate at which the burst is allowed again",
        ),
        (
            "device: {manager: {rate: {beyond: close}}}",
            r#"talaria.yaml:1: device.manager.rate.beyond is "close", expected pause or drop"#,
        ),
        (
            "device: {manager: {refusal: {connectsPerId: -3}}}",
            "talaria.yaml:1: device.manager.refusal.connectsPerId is -3, expected a whole number from 0 to 1000000",
        ),
        (
            "device: {manager: {refusal: {time: 25h}}}",
            r#"talaria.yaml:1: device.manager.refusal.time is "25h", expected a duration from 1s to 24h"#,
        ),
        (
            "device: {manager: {refusal: {floodTime: 10s}}}",
            "talaria.yaml:1: device.manager.refusal.floodTime requires device.manager.rate, the rate that a device may not exceed for so long",
        ),
        (
            "device: {manager: {refusal: {floodsPerAddress: 10}}}",
            "talaria.yaml:1: device.manager.refusal.floodsPerAddress requires floodTime, after which an id is refused",
        ),
        (
            "device: {manager: {refusal: {allowedIds: [x]}}}",
            r#"talaria.yaml:1: device.manager.refusal.allowedIds[0] is "x", expected a device id such as mac:112233445566"#,
        ),
        (
            "device: {manager: {refusal: {allowedAddresses: [10.0.0.1/8]}}}",
            r#"talaria.yaml:1: device.manager.refusal.allowedAddresses[0] is "10.0.0.1/8", expected an IP address or a network such as 10.0.0.0/8, without bits behind its prefix"#,
        ),
        (
            "primary: {forwardedHeader: X-Real-IP, trustedProxies: [10.0.0.0/8]}",
            r#"talaria.yaml:1: primary.forwardedHeader is "X-Real-IP", expected Forwarded or X-Forwarded-For"#,
        ),
        (
            "primary: {forwardedHeader: Forwarded}",
            "talaria.yaml:1: primary.forwardedHeader requires trustedProxies, the proxies that write it",
        ),
        (
            "primary: {trustedProxies: [10.0.0.0/8, 10.0.0.1/8]}",
            r#"talaria.yaml:1: primary.trustedProxies has "10.0.0.1/8", expected an IP address or a network such as 10.0.0.0/8, without bits behind its prefix"#,
        ),
        (
            "service: {vnodeCount: 100001, fixed: [t1]}",
            "talaria.yaml:1: service.vnodeCount is 100001, expected a whole number up to 100000; 0 means the default",
        ),
        (
            "service: {defaultScheme: http}",
            "service has neither fixed nor consul nor zookeeper, expected one of them: without the section there is no service discovery",
        ),
        (
            "service: {instance: t1, fixed: [t2, t3]}",
            r#"talaria.yaml:1: service.instance is "https://t1", which is not in service.fixed: every device would be answered with 410"#,
        ),
        (
            "service: {fixed: [t1, 't2:x']}",
            r#"talaria.yaml:1: service.fixed[1] is "t2:x", expected the URL of an instance such as https://talaria-1:6200"#,
        ),
        (
            "device: {rehasher: {rate: -1}}\nservice: {fixed: [t1]}",
            "talaria.yaml:1: device.rehasher.rate is -1, expected a number of devices from 0 to 1000000",
        ),
        (
            "service: {zookeeper: {client: {connection: 'a:x'}, watches: [/t]}}",
            r#"talaria.yaml:1: service.zookeeper.client.connection has "a:x", expected host:port of one or more servers, separated by commas"#,
        ),
        (
            "service: {zookeeper: {client: {sessionTimeout: 10ms}, watches: [/t]}}",
            r#"talaria.yaml:1: service.zookeeper.client.sessionTimeout is "10ms", expected a duration from 1s to 10m"#,
        ),
        (
            "service: {zookeeper: {watches: [talaria]}}",
            r#"talaria.yaml:1: service.zookeeper.watches[0] is "talaria", expected a path such as /xmidt/test"#,
        ),
        (
            "service: {consul: {client: {scheme: tcp}, watches: [{service: t}]}}",
            r#"talaria.yaml:1: service.consul.client.scheme is "tcp", expected http or https"#,
        ),
        (
            "service: {consul: {client: {address: 'unix:///x'}, watches: [{service: t}]}}",
            r#"talaria.yaml:1: service.consul.client.address is "unix:///x", expected the host and port of a Consul agent, such as 127.0.0.1:8500"#,
        ),
        (
            "service: {consul: {client: {tokenFile: /none}, watches: [{service: t}]}}",
            "talaria.yaml:1: service.consul.client.tokenFile names /none, which was not read: No such file or directory (os error 2)",
        ),
        (
            "service: {consul: {client: {address: 'c:1'}}}",
            "service.consul has neither registrations nor watches, expected at least one of them",
        ),
        (
            "service: {consul: {registrations: [{name: t, checks: [{ttl: soon}]}]}}",
            r#"talaria.yaml:1: service.consul.registrations[0].checks[0].ttl is "soon", expected a duration such as 30s, 1m30s or 500ms (a number means nanoseconds)"#,
        ),
        (
            "service: {consul: {registrations: [{address: t}]}}",
            "talaria.yaml:1: service.consul.registrations[0].name is absent, expected the name of the service, such as talaria",
        ),
        (
            "service: {consul: {registrations: [{name: t, port: 70000}]}}",
            "talaria.yaml:1: service.consul.registrations[0].port is 70000, expected a port from 0 to 65535",
        ),
        ("\nserver: [a, b]", "talaria.yaml:2: server is a list, expected a text"),
        ("kafka: {brokers: {a: 1}}", "talaria.yaml:1: kafka.brokers is a section, expected a list of texts"),
        ("kafka: localhost:9092", r#"talaria.yaml:1: kafka is "localhost:9092", expected a section"#),
        ("kafka: [a]", "talaria.yaml:1: kafka is a list, expected a section"),
        (
            "zap: {level: loud}",
            r#"talaria.yaml:1: zap.level is "loud", expected one of debug, info, warn, error"#,
        ),
        (
            "device: {outbound: {method: 'G T'}}",
            r#"talaria.yaml:1: device.outbound.method is "G T", expected an HTTP method"#,
        ),
        (
            "device: {outbound: {allowedSchemes: [http]}}",
            "device.outbound.defaultScheme is invalid: expected a scheme of allowedSchemes (http), found https: add it there, or choose one of them",
        ),
        (
            "device:\n  outbound:\n    authKey: \"a\\nb\"",
            "talaria.yaml:3: device.outbound.authKey is a hidden value, expected base64 of user:password",
        ),
        (
            "kafka:\n  sasl:\n    password: '********'",
            "talaria.yaml:3: kafka.sasl.password contains ********, the mask of a printed configuration; expected the secret itself",
        ),
        (
            "kafka:\n  enabled: true\n  brokers: [a:1]\n  initialDynamicConfig:\n    topicMap:\n    - topic: t\n      pattern: x\n    - pattern: 'a*b*'\n      topic: t\n    - topic: t",
            r"talaria.yaml:8: kafka.initialDynamicConfig.topicMap[1].pattern `a*b*` has more than one `*`: at most one is allowed that is not escaped as `\*`
talaria.yaml:10: kafka.initialDynamicConfig.topicMap[2].pattern `` is empty: expected an event type, or `*` for all",
        ),
        (
            "inbound:\n  authKey: [bm9jb2xvbg==, nonsense]",
            "talaria.yaml:2: inbound.authKey is a hidden value, expected base64 of user:password, one or a list",
        ),
        (
            "kafka: {enabled: true, brokers: [a:1], initialDynamicConfig: {topicMap: x}}",
            r#"talaria.yaml:1: kafka.initialDynamicConfig.topicMap is "x", expected a list of sections"#,
        ),
        (
            "kafka: {enabled: true, brokers: [a:1], schemaRegistry: {urls: ['http://r:8081'], format: xml}}",
            r#"talaria.yaml:1: kafka.schemaRegistry.format is "xml", expected avro, json or raw"#,
        ),
        (
            "kafka:\n  enabled: true\n  brokers: [a:1]\n  schemaRegistry:\n    urls: ['http://me:hunter2@r:8081']\n  deadLetter:\n    topic: a b",
            "talaria.yaml:5: kafka.schemaRegistry.urls[0] contains a user: expected schemaRegistry.username and password instead\ntalaria.yaml:7: kafka.deadLetter.topic `a b` is not a topic name: expected 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`, but not `.` or `..`",
        ),
        (
            "server: a\nSERVER: b",
            r#"talaria.yaml:2: SERVER is given twice, first as "server" (talaria.yaml:1)"#,
        ),
        ("kafka: [", "talaria.yaml:1: not valid YAML: unclosed bracket '['"),
        (
            "jwtValidator: {Config: {Resolve: {Template: '/etc/keys/{keyID}'}}}",
            r#"talaria.yaml:1: jwtValidator.Config.Resolve.Template is "/etc/keys/{keyID}", expected an http:// or https:// URL with {keyID} in its path or query"#,
        ),
        (
            "jwtValidator: {config: {resolve: {template: ''}}}",
            "talaria.yaml:1: jwtValidator.Config.Resolve.Template is empty, expected an http:// or https:// URL with {keyID} in its path or query, or at least one of Config.Refresh.Sources",
        ),
        (
            "jwtValidator:\n  Config:\n    Resolve:\n      Templat: http://h/{keyID}",
            "jwtValidator.Config.Resolve.Template is empty, expected an http:// or https:// URL with {keyID} in its path or query, or at least one of Config.Refresh.Sources",
        ),
        (
            "jwtValidator: {Leeway: {EXP: -5}, Config: {Refresh: {Sources: [{uri: 'http://h/{keyID}'}, {jitter: 2}]}}}",
            r#"talaria.yaml:1: jwtValidator.Config.Refresh.Sources[0].uri is "http://h/{keyID}", expected an http:// or https:// URL of a document of keys
talaria.yaml:1: jwtValidator.Config.Refresh.Sources[1].uri is missing, expected an http:// or https:// URL of a document of keys
talaria.yaml:1: jwtValidator.Config.Refresh.Sources[1].jitter is 2, expected a number from 0 to 1
talaria.yaml:1: jwtValidator.Leeway.EXP is -5, expected a number of seconds
jwtValidator.Config.Resolve.Template is empty, expected an http:// or https:// URL with {keyID} in its path or query, or at least one of Config.Refresh.Sources"#,
        ),
        (
            "inbound: {jwt: {Config: {Resolve: {Template: 'http://h/{keyID}'}}, capabilities: {prefix: '('}}}",
            r#"talaria.yaml:1: inbound.jwt.capabilities.prefix is "(", expected a regular expression"#,
        ),
        (
            "inbound: {jwt: {capabilities: {prefix: 'x:'}}}",
            "inbound.jwt.Config.Resolve.Template is empty, expected an http:// or https:// URL with {keyID} in its path or query, or at least one of Config.Refresh.Sources",
        ),
        (
            "deviceAccessCheck: {type: enforce}",
            "deviceAccessCheck.checks is empty, expected at least one check",
        ),
        (
            "deviceAccessCheck: {checks: [{name: a, deviceCredentialPath: b, op: eq, inputValue: c}]}",
            "deviceAccessCheck.type is missing, expected enforce or monitor",
        ),
        (
            "deviceAccessCheck:\n  type: Enforce\n  checks:\n  - {op: is, wrpCredentialPath: Source}\n  - {name: a, deviceCredentialPath: b}",
            r#"talaria.yaml:2: deviceAccessCheck.type is "Enforce", expected enforce or monitor
talaria.yaml:4: deviceAccessCheck.checks[0].name is missing, expected a short name for the log
talaria.yaml:4: deviceAccessCheck.checks[0].deviceCredentialPath is missing, expected the path of a claim of the device's token
talaria.yaml:4: deviceAccessCheck.checks[0].op is "is", expected intersects, contains, eq or gt
talaria.yaml:5: deviceAccessCheck.checks[1].op is missing, expected intersects, contains, eq or gt
talaria.yaml:5: deviceAccessCheck.checks[1] has neither inputValue nor wrpCredentialPath, expected one of them"#,
        ),
        (
            "primary:\n  certificateFile: no-such-file.pem\n  keyFile: [no-such-file.key]",
            "talaria.yaml:2: primary.certificateFile no-such-file.pem: cannot be read: No such file or directory (os error 2)",
        ),
        (
            "health:\n  certificateFile: [a.pem]",
            "health.keyFile names 0 files, expected as many as certificateFile, which names 1",
        ),
        (
            "metric:\n  clientCACertFile: ca.pem",
            "talaria.yaml:2: metric.clientCACertFile requires certificateFile and keyFile: clients present certificates only over TLS",
        ),
        (
            "control:\n  clientCRLFile: [revoked.crl]",
            "talaria.yaml:2: control.clientCRLFile requires clientCACertFile: without it clients present no certificates",
        ),
        (
            "primary:\n  deviceIdFromCertificate: ou",
            "talaria.yaml:2: primary.deviceIdFromCertificate requires clientCACertFile: without it no device presents a certificate
talaria.yaml:2: primary.deviceIdFromCertificate is \"ou\", expected cn, san, or a template with {cn} or {san} in it, such as mac:{cn}",
        ),
        (
            "primary:\n  maxVersion: 770",
            "talaria.yaml:2: primary.maxVersion is 770, expected 771 (TLS 1.2) or 772 (TLS 1.3)",
        ),
        (
            "alternate:\n  minVersion: \"1.3\"\n  maxVersion: \"1.2\"",
            "talaria.yaml:2: alternate.minVersion is TLS 1.3, expected a version up to maxVersion, which is TLS 1.2",
        ),
        (
            "jwtValidator:\n  Config: {MinRSABits: 512, Resolve: {Template: 'http://h/{keyID}'}}",
            "talaria.yaml:2: jwtValidator.Config.MinRSABits is 512, expected a number of bits from 1024 to 8192",
        ),
        (
            "health:\n  authKey: nonsense",
            "talaria.yaml:2: health.authKey is a hidden value, expected base64 of user:password, one or a list",
        ),
        (
            "control:\n  address: control.example:1\n  allowedHosts: [a, 'b:1']",
            "talaria.yaml:3: control.allowedHosts[1] is \"b:1\", expected a host name without a port",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(faults(text, &[]).join("\n"), expected, "{text}");
    }
}

#[test]
fn all_faults_are_found_at_once() {
    let text = "device:\n  manager:\n    maxDevices: x\n    pingPeriod: y\nkafka:\n  enabled: 2x\nzap: 5\n";
    let found = faults(text, &[("TALARIA_DEVICE_OUTBOUND_RETRIES", "many")]);
    let keys: Vec<_> = found.iter().map(|line| line.split(" is ").next().unwrap()).collect();
    assert_eq!(
        keys,
        [
            "talaria.yaml:7: zap",
            "talaria.yaml:3: device.manager.maxDevices",
            "talaria.yaml:4: device.manager.pingPeriod",
            "environment TALARIA_DEVICE_OUTBOUND_RETRIES: device.outbound.retries",
            "talaria.yaml:6: kafka.enabled",
        ]
    );
}

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
            "metric: {metricsOptions: {namespce: x, pedantic: true}}",
            "talaria.yaml:1: metric.metricsOptions.namespce has no effect here and is ignored; did you mean metric.metricsOptions.namespace?",
        ),
        ("nonsense: 5", "talaria.yaml:1: nonsense is not a known key and is ignored"),
        (
            "kafka: {initialDynamicConfig: {topicMap: [{patern: '*', topic: t}]}}",
            "talaria.yaml:1: kafka.initialDynamicConfig.topicMap[0].patern is not a known key and is ignored; did you mean kafka.initialDynamicConfig.topicMap[0].pattern?",
        ),
        ("tracing: {provider: stdout}", "talaria.yaml:1: tracing is not supported yet, nothing is traced"),
        (
            "control: {maxConnections: 5}",
            "control.address is missing, this server is not started; expected host:port",
        ),
        (
            "deviceAccessCheck: {type: monitor, checks: [{name: a, deviceCredentialPath: b, wrpCredentialPath: Source, op: eq, operation: eq}]}",
            "talaria.yaml:1: deviceAccessCheck.checks[0].operation is not a known key and is ignored; did you mean op?",
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
    assert_eq!(warnings("", &[]), [expected]);
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

#[test]
fn the_environment_sets_any_known_key_whether_the_file_has_it_or_not() {
    let loaded = load_text(
        "kafka: {brokers: [a:1]}\n",
        &[
            ("TALARIA_KAFKA_ENABLED", "true"),
            ("TALARIA_KAFKA_BROKERS", "b:2, c:3"),
            ("TALARIA_KAFKA_MAXBUFFEREDRECORDS", "77"),
            ("TALARIA_KAFKA_ALLOW_AUTO_TOPIC_CREATION", "1"),
            ("TALARIA_KAFKA_SASL_MECHANISM", "PLAIN"),
            ("TALARIA_KAFKA_SASL_USERNAME", "u"),
            ("TALARIA_KAFKA_SASL_PASSWORD", "s3cret"),
            ("TALARIA_KAFKA_INITIALDYNAMICCONFIG_TOPICMAP", "[{pattern: 'a*', topic: t}]"),
            ("TALARIA_DEVICE_OUTBOUND_EVENTENDPOINTS_DEFAULT", "http://h/x"),
            ("TALARIA_DEVICE_MANAGER_IDLEPERIOD", "2m15s"),
            ("TALARIA_REGION", ""),
            ("HOME", "/root"),
        ],
    )
    .unwrap();
    let kafka = loaded.config.kafka.unwrap();
    assert_eq!(kafka.brokers, ["b:2", "c:3"]);
    assert_eq!(kafka.max_buffered_records, 77);
    assert!(kafka.allow_auto_topic_creation);
    assert_eq!(kafka.sasl.password.reveal(), "s3cret");
    assert_eq!(kafka.dynamic.topic_map[0].pattern, "a*");
    assert!(loaded.config.event.endpoints.get("anything").is_some());
    assert_eq!(loaded.config.identity.region, "local");
}

#[test]
fn the_environment_is_checked_as_the_file_is() {
    assert_eq!(
        faults("", &[("TALARIA_JWTVALIDATOR_CONFIG_RESOLVE_TEMPLATE", "x")]),
        [
            r#"environment TALARIA_JWTVALIDATOR_CONFIG_RESOLVE_TEMPLATE: jwtValidator.Config.Resolve.Template is "x", expected an http:// or https:// URL with {keyID} in its path or query"#
        ]
    );
    assert_eq!(faults("", &[("TALARIA_KAFKA_BROKERS", "[a")]).len(), 1);
    let source = ("TALARIA_DEVICE_OUTBOUND_SOURCE", "dns:x");
    assert_eq!(
        warnings(
            "",
            &[
                source,
                ("TALARIA_KAFKA_BORKERS", "a"),
                ("TALARIA_SERVICE_HOST", "10.0.0.1"),
                ("TALARIA_PORT_6200_TCP", "x")
            ]
        ),
        [
            "environment TALARIA_KAFKA_BORKERS: does not name a known key and is ignored; did you mean TALARIA_KAFKA_BROKERS?"
        ]
    );
}

#[test]
fn a_printed_configuration_reads_back_as_the_same_one() {
    let text = "server: '1.10'\ndevice:\n  outbound:\n    eventEndpoints:\n      default: http://a/b\n      Device-Status: [http://c, 'http://d/x=1,2']\n    allowedSchemes: [http, https]\nkafka:\n  enabled: true\n  brokers: [a:1]\n  initialDynamicConfig:\n    topicMap:\n    - {pattern: 'x\\**', topics: [a, b], topicShardStrategy: deviceid}\n    - pattern: '*'\n      topic: '5'\n      hashKey: {name: source}\n    headers:\n      X-ID: wrp.DeviceID\n      several: [wrp.Type, 'a,b', 'yes']\n    linger: 5000000\n";
    for text in ["", text] {
        let first = load_text(text, &[("TALARIA_REGION", "east # 1")]).unwrap();
        let second = load_text(&print(&first.tree), &[]).unwrap();
        assert_eq!(format!("{:?}", first.config), format!("{:?}", second.config), "{}", print(&first.tree));
    }
}

#[test]
fn a_printed_configuration_shows_where_its_values_come_from_and_hides_secrets() {
    let text = "inbound: {authKey: [dTpzZWNyZXQx]}\ndevice: {outbound: {authKey: dTpzZWNyZXQy, eventEndpoints: {default: 'https://u:secret3@h/x?secret5'}}}\nkafka:\n  sasl: {password: secret4}\n";
    let loaded = load_text(text, &[("TALARIA_SERVER", "t-1")]).unwrap();
    let printed = print(&loaded.tree);
    assert!(printed.contains("server: t-1                              # [environment TALARIA_SERVER] the header X-Talaria-Server of every response: the name of this host\n"), "{printed}");
    for hidden in ["secret3", "secret4", "secret5", "dTpzZWNyZXQ"] {
        assert!(!printed.contains(hidden), "{printed}");
    }
    for hidden in ["secret4", "dTpzZWNyZXQ"] {
        assert!(!format!("{:?}", loaded.config).contains(hidden));
    }
    assert!(printed.contains("https://********@h/x?********"), "{printed}");
    let faults = faults(&printed, &[]);
    assert_eq!(faults.len(), 4, "a mask is not a secret: {faults:?}");
    assert!(faults.iter().all(|fault| fault.contains("the mask of a printed configuration")), "{faults:?}");
}

#[test]
fn the_sample_holds_the_defaults_and_causes_no_warning_of_its_own() {
    let defaults = load(&Sources::default()).unwrap();
    let sample = load_text(SAMPLE, &[("TALARIA_DEVICE_OUTBOUND_SOURCE", "localhost")]).unwrap();
    assert_eq!(format!("{:?}", sample.config), format!("{:?}", defaults.config));
    assert_eq!(sample.warnings.len(), 1, "{:?}", sample.warnings);
}

#[test]
fn the_defaults_are_those_of_the_components() {
    let config = load(&Sources::default()).unwrap().config;
    assert_eq!(format!("{:?}", config.event), format!("{:?}", crate::event::Config::default()));
    assert_eq!(format!("{:?}", config.device), format!("{:?}", crate::device::Config::default()));
    let primary = crate::server::Config {
        open_access: OpenAccess::Changes,
        // The servers share one budget, which the configuration makes.
        bodies: config.primary.bodies.clone(),
        ..crate::server::Config::on_port(8080)
    };
    assert_eq!(format!("{:?}", config.primary), format!("{primary:?}"));
    assert_eq!(
        format!("{:?}", config.health.unwrap()),
        format!("{:?}", crate::server::Config::for_operators(8081))
    );
    assert_eq!(
        format!("{:?}", config.metric.unwrap()),
        format!("{:?}", crate::server::Config::for_operators(8082))
    );
    assert_eq!(format!("{:?}", config.api), format!("{:?}", crate::api::Config::default()));
    assert_eq!(config.device_auth, crate::auth::DeviceConfig::default());
    assert_eq!(config.log, crate::telemetry::log::Config::default());
    assert_eq!(config.metrics, crate::telemetry::metrics::MetricsConfig::default());
    assert!(config.control.is_none());
    assert!(config.kafka.is_none());
}

#[test]
fn kafka_needs_nothing_but_brokers() {
    let config = load_text("kafka:\n  enabled: true\n  brokers: [localhost:9092]\n", &[]).unwrap().config;
    let route = wrpkafka::Route {
        pattern: "*".to_owned(),
        topic: "wrp-events".to_owned(),
        ..wrpkafka::Route::default()
    };
    let expected = wrpkafka::Config {
        brokers: vec!["localhost:9092".to_owned()],
        dynamic: wrpkafka::DynamicConfig { topic_map: vec![route], ..wrpkafka::DynamicConfig::default() },
        ..wrpkafka::Config::default()
    };
    assert_eq!(config.kafka, Some(expected));
}

#[test]
fn files_are_searched_in_order_by_base_name_or_path() {
    let (first, second) = (tempfile("server: one"), tempfile("server: two"));
    fs::rename(first.join("talaria.yaml"), first.join("other.json")).unwrap();
    fs::write(first.join("other.json"), r#"{"server": "three"}"#).unwrap();
    let directories = [first.clone(), second.clone()];
    let find = |name: &str| file::find(name, &directories).map(|path| path.canonicalize().unwrap());
    assert_eq!(find("talaria").unwrap(), second.canonicalize().unwrap().join("talaria.yaml"));
    assert_eq!(find("talaria.yaml").unwrap(), second.canonicalize().unwrap().join("talaria.yaml"));
    assert_eq!(find("other").unwrap(), first.canonicalize().unwrap().join("other.json"));
    let absolute = second.join("talaria");
    assert_eq!(
        find(absolute.to_str().unwrap()).unwrap(),
        second.canonicalize().unwrap().join("talaria.yaml")
    );
    let missing = find("missing").unwrap_err().to_string();
    assert!(
        missing.starts_with("no configuration file \"missing\" (.yaml, .yml or .json) in /"),
        "{missing}"
    );
    for directory in directories {
        fs::remove_dir_all(directory).unwrap();
    }
}

#[test]
fn the_search_path_is_the_go_gateways() {
    let home = Path::new("/home/x");
    assert_eq!(
        file::search_path(Some(home)),
        [PathBuf::from("/etc/talaria"), PathBuf::from("/home/x/.talaria"), PathBuf::from(".")]
    );
}

/// contract §6.3
#[test]
fn tokens_are_checked_as_their_section_defines() {
    let text = "
failOpen: false
jwtValidator:
  config:
    resolve: {template: 'https://keys.example/{keyID}', timeout: 3s, maxKeys: 7}
    refresh:
      sources: [{uri: 'http://h/all', interval: 1h, jitter: 0.5}]
  leeway: {EXP: 10, NBF: 20s, IAT: '30'}
inbound: {jwt: {Config: {Resolve: {Template: 'http://h/{keyID}'}}}, throttle: {failures: 0}}
";
    let config = load_text(text, &[]).unwrap().config;
    assert!(!config.device_auth.fail_open);
    let jwt = config.device_auth.jwt.unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(
        (jwt.required.leeway.exp, jwt.required.leeway.nbf, jwt.required.leeway.iat),
        (seconds(10), seconds(20), seconds(30))
    );
    assert_eq!(jwt.keys.template.unwrap().to_string(), "https://keys.example/{keyID}");
    assert_eq!((jwt.keys.timeout, jwt.keys.max_keys), (seconds(3), 7));
    assert_eq!(jwt.keys.max_age, seconds(24 * 3600));
    let source = &jwt.keys.sources[0];
    assert_eq!((source.interval, source.min_interval, source.jitter), (seconds(3600), seconds(600), 0.5));
    assert!(config.api.auth.tokens.is_some());
    assert_eq!(config.api.auth.attempts.failures, None);
}

/// contract §2.3
#[test]
fn without_a_section_no_tokens_are_checked_and_fail_open_false_is_warned_of() {
    for text in ["failOpen: false", "failOpen: false\njwtValidator: {}", "failOpen: false\njwtValidator:"] {
        let loaded = load_text(text, &[]).unwrap();
        assert_eq!(loaded.config.device_auth.jwt, None, "{text}");
        let warned = loaded.warnings.iter().any(|warning| warning.key == "failOpen");
        assert!(warned, "{:?}", loaded.warnings);
    }
}
