//! The sample, and the defaults of the components.

use super::*;

#[test]
fn the_sample_holds_the_defaults_and_causes_no_warning_of_its_own() {
    let defaults = load(&Sources::default()).unwrap();
    let sample = load_text(SAMPLE, &[]).unwrap();
    assert_eq!(format!("{:?}", sample.config), format!("{:?}", defaults.config));
    assert_eq!(sample.warnings.len(), 0, "{:?}", sample.warnings);
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
