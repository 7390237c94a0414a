//! What stops a start: each kind of fault, and all of them at once.

use super::*;

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
            "device: {outbound: {transport: {pipeline: 65}}}",
            "talaria.yaml:1: device.outbound.transport.pipeline is 65, expected a whole number from 1 to 64",
        ),
        (
            "device: {outbound: {transport: {pipeline: 0}}}",
            "talaria.yaml:1: device.outbound.transport.pipeline is 0, expected a whole number from 1 to 64",
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
            "talaria.yaml:2: primary.certificateFile no-such-file.pem: cannot be read: No such file or directory (os error 2)
talaria.yaml:3: primary.keyFile no-such-file.key: cannot be read: No such file or directory (os error 2)",
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
            "zap:\n  levels: {wrpkafka: loud}\n  outputPaths: [/none/log, /]\n  rotation: {maxSize: -1}\n  sampling: {tick: 0s}",
            "talaria.yaml:3: zap.outputPaths names /none/log, which cannot be written to: No such file or directory (os error 2)
talaria.yaml:3: zap.outputPaths names /, which cannot be written to: is a directory
talaria.yaml:2: zap.levels.wrpkafka is \"loud\", expected debug, info, warn, error or off
talaria.yaml:5: zap.sampling.tick is \"0s\", expected a duration of at least 1ms
talaria.yaml:4: zap.rotation.maxSize is -1, expected a number of megabytes up to 1000000",
        ),
        (
            "health: {address: ':7000'}\nmetric: {address: '127.0.0.1:7000'}",
            "talaria.yaml:2: metric.address is also that of health, expected another one",
        ),
        (
            "kafka: {enabled: true, brokers: [a:1], tls: {enabled: true, caFile: /none/ca, certFile: /none/c, keyFile: /none/k}, sasl: {mechanism: PLAIN, username: u, passwordFile: /none/p}}",
            "talaria.yaml:1: kafka.tls.caFile names /none/ca, which cannot be read: No such file or directory (os error 2)
talaria.yaml:1: kafka.tls.certFile names /none/c, which cannot be read: No such file or directory (os error 2)
talaria.yaml:1: kafka.tls.keyFile names /none/k, which cannot be read: No such file or directory (os error 2)
talaria.yaml:1: kafka.sasl.passwordFile names /none/p, which cannot be read: No such file or directory (os error 2)",
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
fn no_more_levels_and_fields_of_the_log_are_read_than_the_limit() {
    let entries = (0..65).map(|number| format!("t{number}: debug")).collect::<Vec<_>>().join(", ");
    let found = faults(&format!("zap: {{levels: {{{entries}}}}}"), &[]);
    assert_eq!(found, ["zap.levels has 65 entries, expected at most 64"]);
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
