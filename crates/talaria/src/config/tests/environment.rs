//! What the environment sets.

use super::*;

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

/// contract §9.4
#[test]
fn a_number_in_a_name_is_an_item_of_a_list() {
    let text = "kafka: {enabled: true, brokers: [a:1, b:2], initialDynamicConfig: {topicMap: [{pattern: x, topic: old}]}}\n\
                service: {consul: {registrations: [{name: talaria, id: one, checks: [{ttl: 30s}]}], watches: [{service: talaria}]}}\n";
    let loaded = load_text(
        text,
        &[
            ("TALARIA_KAFKA_BROKERS_1", "c:3"),
            ("TALARIA_KAFKA_BROKERS_2", "d:4"),
            ("TALARIA_KAFKA_INITIALDYNAMICCONFIG_TOPICMAP_0_TOPIC", "new"),
            ("TALARIA_KAFKA_INITIALDYNAMICCONFIG_TOPICMAP_1", "{pattern: '*', topic: all}"),
            ("TALARIA_SERVICE_CONSUL_REGISTRATIONS_0_CHECKS_0_TTL", "20s"),
            ("TALARIA_INBOUND_AUTHKEY_0", "YTpi"),
            ("TALARIA_INBOUND_AUTHKEY_1", "Yzpk"),
        ],
    )
    .unwrap();
    let kafka = loaded.config.kafka.unwrap();
    assert_eq!(kafka.brokers, ["a:1", "c:3", "d:4"]);
    let routes: Vec<_> =
        kafka.dynamic.topic_map.iter().map(|route| (&*route.pattern, &*route.topic)).collect();
    assert_eq!(routes, [("x", "new"), ("*", "all")]);
    let crate::discovery::Backend::Consul(consul) = loaded.config.discovery.unwrap().backend else {
        panic!()
    };
    assert_eq!(consul.registrations[0].heartbeats[0].ttl, Duration::from_secs(20));
    assert!(loaded.config.api.auth.keys.is_some());
}

#[test]
fn an_index_that_follows_no_item_is_a_fault_and_unknown_keys_of_items_are_warned_of_once() {
    assert_eq!(
        faults("kafka: {brokers: [a:1]}\n", &[("TALARIA_KAFKA_BROKERS_2", "c:3")]),
        [
            "environment TALARIA_KAFKA_BROKERS_2: kafka.brokers[2] follows no item: the list has 1, expected the next index or a lower one"
        ]
    );
    let text =
        "device: {outbound: {source: 'dns:x'}}\nkafka: {initialDynamicConfig: {topicMap: [{patern: x}]}}\n";
    let warned = warnings(text, &[("TALARIA_KAFKA_INITIALDYNAMICCONFIG_TOPICMAP_0_TOPIC", "t")]);
    assert_eq!(warned.len(), 1, "{warned:?}");
}

#[test]
fn a_password_may_begin_with_a_bracket() {
    let text = "kafka: {enabled: true, brokers: [a:1], sasl: {mechanism: PLAIN, username: u}}\n";
    let loaded = load_text(text, &[("TALARIA_KAFKA_SASL_PASSWORD", "{s3cret")]).unwrap();
    assert_eq!(loaded.config.kafka.unwrap().sasl.password.reveal(), "{s3cret");
}

/// The variables that begin as the gateway's do, in the scripts and tests of this repository.
#[test]
fn variables_of_the_scripts_are_not_warned_of() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let word = regex::Regex::new(r"\bTALARIA_[A-Z][A-Z_]*[A-Z]\b").unwrap();
    let mut names = std::collections::BTreeSet::new();
    let scripts = fs::read_dir(root.join("scripts")).unwrap().map(|entry| entry.unwrap().path());
    for path in
        scripts.chain([root.join("justfile"), root.join("CONTRIBUTING.md")]).filter(|path| path.is_file())
    {
        let text = fs::read_to_string(&path).unwrap();
        names.extend(word.find_iter(&text).map(|found| found.as_str().to_owned()));
    }
    assert!(names.contains("TALARIA_KAFKA_HOME") && names.contains("TALARIA_REQUIRE_KAFKA"), "{names:?}");
    for name in &names {
        // Some are keys, to which 1 may be a fault.
        let Ok(loaded) = load_text("", &[(name, "1")]) else { continue };
        assert!(loaded.warnings.iter().all(|warning| !warning.to_string().contains(name)), "{name}");
    }
}
