//! The faults of the schema registry's and the dead letters' settings.

use std::time::Duration;

use crate::config::{Config, DeadLetter, SchemaRegistry};

fn keys(registry: SchemaRegistry) -> Vec<String> {
    let config = Config {
        brokers: vec!["a:1".to_owned()],
        schema_registry: registry,
        dead_letter: DeadLetter { topic: "dead letters".to_owned() },
        ..Config::default()
    };
    config.check().unwrap_err().0.into_iter().map(|fault| fault.key).collect()
}

#[test]
fn faults_name_their_keys_and_show_no_password() {
    let registry = SchemaRegistry {
        urls: vec!["http://a".into(), "ftp://a".into(), "https://me:hunter2@b/".into(), "http://".into()],
        username: "a:b".to_owned(),
        password: "hunter2".into(),
        password_file: "/run/secret".to_owned(),
        timeout: Duration::ZERO,
        ..SchemaRegistry::default()
    };
    let config = Config { schema_registry: registry.clone(), ..Config::default() };
    assert!(!format!("{:?} {:?}", config.schema_registry.password, config.check()).contains("hunter2"));
    assert_eq!(
        keys(registry),
        [
            "schemaRegistry.urls[1]",
            "schemaRegistry.urls[2]",
            "schemaRegistry.urls[3]",
            "schemaRegistry.timeout",
            "schemaRegistry.passwordFile",
            "schemaRegistry.username",
            "deadLetter.topic",
        ]
    );
}
