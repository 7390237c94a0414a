//! The schema in a real validator, against the sample, the Go gateway's files and broken ones.

use serde_json::Value as Json;

use super::super::document::to_json_with_secrets;
use super::super::tests::load_text;
use super::super::{LoadError, SAMPLE, print, sample, yaml};
use super::*;

const BROKEN: &str = include_str!("../../../../../testdata/configuration/broken.yaml");
const REFERENCE: &str = include_str!("../../../../../testdata/configuration/reference.yaml");
const IMAGE: &str = include_str!("../../../../../testdata/configuration/image.yaml");

/// A file as an editor gives it to a validator.
fn json(text: &str) -> Json {
    to_json_with_secrets(&yaml::defaults(text).unwrap())
}

fn faults(validator: &jsonschema::Validator, instance: &Json) -> Vec<String> {
    validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::options().build(&schema()).unwrap()
}

#[test]
fn the_schema_is_valid_and_so_are_the_sample_and_the_go_gateways_files() {
    let schema = schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    let validator = validator();
    let described = sample::described_text();
    let lenient = "
server: 5
device: {manager: {pingPeriod: 45000000000, maxDevices: '7', idlePeriod: 1h2m3.5s, closeExpired: 0}, outbound: {eventEndpoints: {default: [http://a, http://b], x: http://c}}}
inbound: {authKeyFile: /x, jwt:}
kafka: {enabled: 'T', brokers: 'a:1,b:2', initialDynamicConfig: {headers: {a: [b, c], d: 5}, topicMap: [{pattern: '*', topic: t, hashKey: {name: source}}]}}
zap: {level: WARN}
";
    for (name, text) in [
        ("sample", SAMPLE),
        ("described", &described),
        ("reference", REFERENCE),
        ("empty", ""),
        ("lenient", lenient),
    ] {
        assert_eq!(faults(&validator, &json(text)), [""; 0], "{name}");
    }
    // Of the image's configuration two keys are not read by any gateway.
    assert_eq!(faults(&validator, &json(IMAGE)).len(), 2);
    // What is printed is valid, too.
    let printed = print(&load_text(REFERENCE, &[]).unwrap().tree);
    assert_eq!(faults(&validator, &json(&printed)), [""; 0]);
}

#[test]
fn fifty_broken_files_are_refused_by_the_schema_and_named_by_the_check() {
    let validator = validator();
    let cases = json(BROKEN);
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 50);
    let mut wrong = Vec::new();
    for case in cases {
        let text = case["config"].to_string();
        if faults(&validator, &json(&text)).is_empty() {
            wrong.push(format!("the schema accepts {text}"));
        }
        let loaded = load_text(&text, &[]);
        let named = match (&case["says"], &case["warns"], &loaded) {
            (Json::String(key), _, Err(LoadError::Faults(report))) => {
                report.faults.iter().any(|fault| fault.key == *key)
            }
            (_, Json::String(key), Ok(loaded)) => loaded.warnings.iter().any(|warning| warning.key == *key),
            _ => false,
        };
        if !named {
            wrong.push(format!("the check does not name it: {text}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
