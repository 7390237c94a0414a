//! The files of the Go gateway: its sample, its image's configuration, and keys that it never read.

use super::*;

/// The keys and values of the Go gateway's sample.
const REFERENCE: &str = include_str!("../../../../../testdata/configuration/reference.yaml");
/// The configuration of its image, as it is without any variables.
const IMAGE: &str = include_str!("../../../../../testdata/configuration/image.yaml");

/// contract §9.5
#[test]
fn the_configurations_of_the_go_gateway_start_and_each_warning_says_what_to_do() {
    for (name, text, expected) in [
        (
            "reference",
            REFERENCE,
            &["pprof ", "failOpen ", "kafka.brokers[0] ", "enableConsulRoundRobin "] as &[&str],
        ),
        ("image", IMAGE, &["pprof ", "inbound.requestTimeout ", "eventMap ", "failOpen "]),
    ] {
        let found = warnings(text, &[]);
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for (line, key) in found.iter().zip(expected) {
            assert!(line.contains(key), "{name}: {line}");
        }
    }
}

/// Issue 13: one run names all nine, with line and nearest key.
#[test]
fn five_misspelt_keys_three_wrong_types_and_a_bad_duration_are_named_at_once() {
    let text = REFERENCE
        .replace("maxDevices: 100", "maxDevcies: 100")
        .replace("pingPeriod: 1m", "pingPeriode: 1m")
        .replace("workerPoolSize: 50", "workerPolSize: 50")
        .replace("vnodeCount: 211", "vnodesCount: 211")
        .replace("flavor: mint", "flavour: mint")
        .replace("deviceMessageQueueSize: 1000", "deviceMessageQueueSize: many")
        .replace("retries: 3", "retries: [3]")
        .replace("enabled: true", "enabled: maybe")
        .replace("idlePeriod: 2m", "idlePeriod: 2 minutes");
    let line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let Err(LoadError::Faults(report)) = load_text(&text, &[]) else { panic!("no faults") };
    let warned = without_directory(report.warnings.iter().map(Warning::to_string)).join("\n");
    for (written, near) in [
        ("maxDevcies", "device.manager.maxDevices"),
        ("pingPeriode", "device.manager.pingPeriod"),
        ("workerPolSize", "device.outbound.workerPoolSize"),
        ("vnodesCount", "service.vnodeCount"),
        ("flavour", "flavor"),
    ] {
        let section = near.rsplit_once('.').map(|(section, _)| format!("{section}.")).unwrap_or_default();
        let expected = format!(
            "talaria.yaml:{}: {section}{written} is not a known key and is ignored; did you mean {near}?",
            line(written)
        );
        assert!(warned.contains(&expected), "{expected}\n{warned}");
    }
    let faults = without_directory(report.faults.iter().map(Fault::to_string));
    let expected = [
        (
            "deviceMessageQueueSize",
            "device.manager.deviceMessageQueueSize is \"many\", expected a whole number",
        ),
        ("idlePeriod", "device.manager.idlePeriod is \"2 minutes\", expected a duration"),
        ("retries", "device.outbound.retries is a list, expected a whole number"),
        ("enabled: maybe", "kafka.enabled is \"maybe\", expected true or false"),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, (part, problem)) in faults.iter().zip(expected) {
        assert!(fault.starts_with(&format!("talaria.yaml:{}: {problem}", line(part))), "{fault}");
    }
}

#[test]
fn a_suggestion_prefers_siblings_and_knows_the_go_gateways_names() {
    for (text, near) in [
        ("kafka: {topic: t}", "kafka.initialDynamicConfig.topicMap[0].topic"),
        ("kafka: {topicMap: [{topic: t}]}", "kafka.initialDynamicConfig.topicMap"),
        ("kafka: {hashKey: x}", "kafka.initialDynamicConfig.topicMap[0].hashKey"),
        ("inbound: {requestTimeout: 5s}", "inbound.timeout"),
        ("device: {outbound: {requestTimout: 5s}}", "device.outbound.requestTimeout"),
        ("device: {outbound: {dns: {requestTimout: 5s}}}", "device.outbound.dns.requestTimeout"),
        ("device: {inbound: {authKey: x}}", "inbound"),
        ("eventMap: {default: x}", "device.outbound.eventEndpoints"),
        ("device: {outbound: {pingPeriod: 5s}}", "device.manager.pingPeriod"),
        ("metric: {writeTimout: 5s}", "metric.writeTimeout"),
        ("certificateFile: x", "primary.certificateFile"),
        ("fqdn: x", "server"),
        (
            "device: {outbound: {credentials: [{url: 'https://h', oauth: {clientID: x}}]}}",
            "device.outbound.credentials[0].oauth2",
        ),
    ] {
        let report = match load_text(text, &[]) {
            Ok(loaded) => loaded.warnings,
            Err(LoadError::Faults(report)) => report.warnings,
            Err(error) => panic!("{error}"),
        };
        let expected = format!("did you mean {near}?");
        let found = report.iter().any(|warning| warning.to_string().ends_with(&expected));
        assert!(found, "{text}: {expected}\n{report:#?}");
    }
}
