//! What the Go gateway starts with and is not right: where the default is used, where there is a warning, and where there
//! is a fault all the same; and what no message shows.

use super::*;

/// contract §9.5
#[test]
fn faults_and_warnings_show_no_credentials_of_urls() {
    let text = "
jwtValidator: {Config: {Resolve: {Template: 'ftp://me:s3cret@h/{keyID}?k=s3cret'}, Refresh: {Sources: [{uri: 'me:s3cret@h'}]}}}
device: {outbound: {defaultScheme: 'http://s3cret@h', eventEndpoints: {default: 'https://me:s3cret@/x?s3cret'}}}
kafka: {enabled: true, brokers: ['me:s3cret@h:9092', 'https://me:s3cret@h']}
";
    let Err(LoadError::Faults(report)) = load_text(text, &[]) else { panic!("no faults") };
    let lines = format!("{report:?}");
    assert!(report.faults.len() >= 4 && !lines.contains("s3cret"), "{lines}");
}

/// contract §9.1
#[test]
fn a_file_that_is_not_one_document_of_keys_is_a_fault_with_its_line() {
    for (text, expected) in [
        ("server: a\n---\nserver: b\n", "talaria.yaml:3: not valid YAML: multiple YAML documents detected"),
        ("# a list\n- server: a\n", "talaria.yaml:2: is a list or a text, expected keys with values"),
        ("s3cret text\n", "talaria.yaml:1: is a list or a text, expected keys with values"),
        ("[]", "talaria.yaml:1: is a list or a text, expected keys with values"),
        ("5", "talaria.yaml:1: is a list or a text, expected keys with values"),
    ] {
        assert_eq!(faults(text, &[]), [expected], "{text}");
    }
    for text in ["", "# nothing", "---\nserver: a\n...\n", "null"] {
        assert_eq!(faults(text, &[]), [""; 0], "{text}");
    }
}

/// contract §14.28
#[test]
fn empty_and_negative_values_mean_the_default_where_the_go_gateway_starts_with_them() {
    let text = "
shutdownTimeout: -1s
primary: {maxConnections: -1, idleTimeout: -1s, readTimeout: -1, maxHeaderBytes: -5, connectionRate: {perAddress: -1, burst: -1}}
inbound: {timeout: -1s, maxBodyBytes: -1, throttle: {failures: -1, longest: -1s}}
device:
  manager: {maxDevices: -1, deviceMessageQueueSize: -1, pingPeriod: -1s, maxMessageSize: -1}
  outbound:
    method: ''
    defaultScheme: ''
    retries: -1
    retryInterval: -1s
    workerPoolSize: -1
    outboundQueueSize: -1
    requestTimeout: -1s
    eventEndpoints: {default: null, device-status: {offline: null}, other: [null]}
    transport: {maxIdleConns: -1, maxIdleConnsPerHost: -1, idleConnTimeout: -1s}
kafka: {maxBufferedRecords: -1, maxRetries: -1}
";
    let (config, defaults) =
        (load_text(text, &[]).unwrap().config, load(&Sources::default()).unwrap().config);
    assert_eq!(format!("{config:?}"), format!("{defaults:?}"));
}

/// contract §6.1, §14.28
#[test]
fn a_malformed_key_is_skipped_with_a_warning_that_does_not_show_it_and_only_malformed_ones_are_a_fault() {
    for text in ["authKey: [s3cret, dXNlcjpwYXNz]", "authKey: dXNlcjpwYXNz s3cret"] {
        let loaded = load_text(&format!("inbound: {{{text}}}\nmetric: {{{text}}}\n"), &[]).unwrap();
        assert!(loaded.config.api.auth.keys.is_some());
        let warned: Vec<_> =
            loaded.warnings.iter().map(ToString::to_string).filter(|line| line.contains("authKey")).collect();
        assert_eq!(warned.len(), 2, "{warned:?}");
        assert!(warned.iter().all(|line| line.contains("of 2, that is not base64")), "{warned:?}");
        assert!(!format!("{warned:?}").contains("s3cret"), "{warned:?}");
    }
    for text in ["authKey: [s3cret, 'bm9jb2xvbg==']", "authKey: s3cret"] {
        assert_eq!(
            faults(&format!("inbound: {{{text}}}"), &[]),
            [
                "talaria.yaml:1: inbound.authKey is a hidden value, expected base64 of user:password, one or a list"
            ]
        );
    }
}

/// contract §9.7, §14.28
#[test]
fn an_empty_address_of_another_server_means_no_such_server() {
    let text = "health: {address: ''}\nmetric: {address: ''}\ncontrol: {address: ''}\nalternate: {address: ''}\npprof: {address: ''}\n";
    let loaded = load_text(text, &[("TALARIA_DEVICE_OUTBOUND_SOURCE", "dns:x")]).unwrap();
    let config = loaded.config;
    assert!(config.health.is_none() && config.metric.is_none());
    assert!(config.control.is_none() && config.alternate.is_none());
    assert_eq!(loaded.warnings, []);
}

/// contract §8.2, §14.28
#[test]
fn the_scheme_of_a_broker_is_dropped_with_a_warning() {
    let text = "kafka: {enabled: true, brokers: ['http://user:s3cret@h:9092', 'tls://b:9093/', c:9094]}";
    let faults = faults(text, &[]);
    assert!(faults.len() == 1 && !faults[0].contains("s3cret"), "{faults:?}");
    let text = "kafka: {enabled: true, brokers: ['http://a:9092', 'tls://b:9093/', c:9094]}";
    let source = ("TALARIA_DEVICE_OUTBOUND_SOURCE", "dns:x");
    let loaded = load_text(text, &[source]).unwrap();
    assert_eq!(loaded.config.kafka.unwrap().brokers, ["a:9092", "b:9093", "c:9094"]);
    assert_eq!(
        warnings(text, &[source]),
        [
            r#"talaria.yaml:1: kafka.brokers[0] is "http://a:9092", whose scheme is dropped; expected host:port"#,
            r#"talaria.yaml:1: kafka.brokers[1] is "tls://b:9093/", whose scheme is dropped; expected host:port"#,
        ]
    );
}

/// contract §2.16
#[test]
fn of_the_upgrader_subprotocols_are_honoured_and_compression_is_warned_of() {
    let source = ("TALARIA_DEVICE_OUTBOUND_SOURCE", "dns:x");
    let text = "device: {manager: {upgrader: {subprotocols: [wrp-0.1, wrp], enableCompression: false, handshakeTimeout: 10s}}}";
    let loaded = load_text(text, &[source]).unwrap();
    assert_eq!(loaded.config.subprotocols, [r"wrp-0.1", "wrp"].map(|name| name.parse().unwrap()));
    assert_eq!(loaded.warnings, []);
    assert_eq!(
        warnings("device: {manager: {upgrader: {enableCompression: true}}}", &[source]),
        [
            "talaria.yaml:1: device.manager.upgrader.enableCompression is not supported, messages are not compressed"
        ]
    );
    assert_eq!(
        faults("device: {manager: {upgrader: {subprotocols: ['a b']}}}", &[]),
        [
            "talaria.yaml:1: device.manager.upgrader.subprotocols is a list, expected a list of names of WebSocket subprotocols"
        ]
    );
}

/// contract §9.7, §14.28
#[test]
fn an_empty_address_of_the_primary_server_is_a_fault() {
    assert_eq!(
        faults("primary: {address: ''}", &[]),
        ["talaria.yaml:1: primary.address is empty, expected host:port, or :port for every interface"]
    );
}
