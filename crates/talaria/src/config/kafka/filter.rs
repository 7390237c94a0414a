//! Reads the `filter` of a route (contract §8.15): the devices whose messages the route accepts.

use talaria_protocol::convey::Convey;
use wrpkafka::config::{Filter, Number, Relation, Rule, Test};

use crate::config::read::Section;
use crate::config::tree::Value;
use crate::event::DeviceKey;

/// Reads the filter of a route. The keys are checked here, since only the gateway knows what devices have; the rest of
/// a rule is checked by the publisher.
pub(super) fn read(section: &Section<'_>) -> Filter {
    Filter { allow: read_rules(section, "allow"), deny: read_rules(section, "deny") }
}

/// The convey keys that filters use and that are not kept for every device anyway, without duplicates.
pub(crate) fn convey_keys(config: &wrpkafka::Config) -> Vec<String> {
    let keys = config.dynamic.topic_map.iter().flat_map(|route| route.filter.keys());
    let mut wanted: Vec<_> = keys
        .filter_map(|key| match DeviceKey::parse(key) {
            Ok(DeviceKey::Convey(name)) if !Convey::always_keeps(name) => Some(name.to_owned()),
            _ => None,
        })
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn read_rules(section: &Section<'_>, list: &str) -> Vec<Rule> {
    let rules = section.sections(list);
    // The sample has one rule with all keys empty, as documentation.
    if rules.iter().all(|rule| rule.value().is_blank()) {
        return Vec::new();
    }
    rules.iter().map(read_rule).collect()
}

fn read_rule(section: &Section<'_>) -> Rule {
    let mut rule = Rule::default();
    if !matches!(section.value(), Value::Map(_)) {
        section.fault("", "is not a section, expected a rule: a key and what it is compared with");
        return rule;
    }
    section.read("key", &mut rule.key);
    if let (false, Err(expected)) = (rule.key.is_empty(), DeviceKey::parse(&rule.key)) {
        section.fault("key", format!("is {:?}, expected {expected}", rule.key));
    }
    let (mut is, mut any_of, mut prefix) = (String::new(), Vec::new(), String::new());
    section.read("is", &mut is);
    section.read("in", &mut any_of);
    section.read("prefix", &mut prefix);
    if !is.is_empty() {
        rule.tests.push(Test::Is(is));
    }
    if !any_of.is_empty() {
        rule.tests.push(Test::In(any_of));
    }
    if !prefix.is_empty() {
        rule.tests.push(Test::Prefix(prefix));
    }
    for relation in Relation::ALL {
        let mut bound = None;
        section.read_as(relation.as_str(), "a number", &mut bound, |value| number(value).map(Some));
        rule.tests.extend(bound.map(|bound| Test::Number(relation, bound)));
    }
    rule
}

fn number(value: &Value) -> Option<Number> {
    let (Value::Number(text) | Value::Text(text)) = value else { return None };
    text.trim().replace('_', "").parse().ok().and_then(Number::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load_text;

    /// A configuration with one route.
    fn with_route(route: &str) -> String {
        let kafka =
            "kafka:\n  enabled: true\n  brokers: [\"kafka:9092\"]\n  initialDynamicConfig:\n    topicMap:\n";
        format!("{kafka}      - {{pattern: \"*\", {route}}}\n")
    }

    fn faults(route: &str) -> Vec<String> {
        let error = load_text(&with_route(route), &[]).err().map(|error| error.to_string());
        let lines = error.iter().flat_map(|error| error.lines());
        lines.map(|line| line.split_once(".topicMap[0]").map_or(line, |(_, rest)| rest).to_owned()).collect()
    }

    #[test]
    fn a_filter_is_read_with_every_comparison() {
        let text = with_route(
            "topic: t, filter: {allow: [{key: partner-id, in: [comcast, sky]}, {key: claim/beta, is: true}], \
             deny: [{key: fw-name, prefix: TEST_}, {key: trust, ge: -5, lt: 1_000}, {key: convey/slot, eq: 1.5}]}",
        );
        let loaded = load_text(&text, &[]).unwrap();
        assert!(
            !loaded.warnings.iter().any(|warning| warning.key.starts_with("kafka")),
            "{:?}",
            loaded.warnings
        );
        let kafka = loaded.config.kafka.unwrap();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let rule = |key: &str, tests: Vec<Test>| Rule { key: key.to_owned(), tests };
        let number = |relation, number: f64| Test::Number(relation, Number::new(number).unwrap());
        let expected = Filter {
            allow: vec![
                rule("partner-id", vec![Test::In(texts(&["comcast", "sky"]))]),
                rule("claim/beta", vec![Test::Is("true".to_owned())]),
            ],
            deny: vec![
                rule("fw-name", vec![Test::Prefix("TEST_".to_owned())]),
                rule("trust", vec![number(Relation::Lt, 1000.0), number(Relation::Ge, -5.0)]),
                rule("convey/slot", vec![number(Relation::Eq, 1.5)]),
            ],
        };
        assert_eq!(kafka.dynamic.topic_map[0].filter, expected);
        // Only the convey keys that a filter uses are kept in addition to the common ones.
        assert_eq!(loaded.config.convey_keys, ["slot"]);
    }

    #[test]
    fn the_sample_filters_nothing() {
        let loaded = load_text("kafka: {enabled: true, brokers: [\"kafka:9092\"]}", &[]).unwrap();
        assert!(loaded.config.kafka.unwrap().dynamic.topic_map[0].filter.is_empty());
        assert!(loaded.config.convey_keys.is_empty());
    }

    #[test]
    fn a_faulty_rule_is_named_with_its_place_and_what_is_expected() {
        let keys =
            "partner-id, trust, fw-name (or firmware), hw-model (or model), claim/<name> or convey/<name>";
        for (filter, expected) in [
            (
                "allow: [{key: partner, is: x}]",
                format!(".filter.allow[0].key is \"partner\", expected {keys}"),
            ),
            (
                "deny: [{key: trust, lt: 5}, {key: trust, lt: low}]",
                ".filter.deny[1].lt is \"low\", expected a number".to_owned(),
            ),
            (
                "deny: [{key: trust, is: x}, {is: x}]",
                ".filter.deny[1].key is missing: expected what the rule looks at".to_owned(),
            ),
            ("allow: [sky]", ".filter.allow[0] is not a section, expected a rule".to_owned()),
            (
                "allow: [{key: trust}]",
                ".filter.allow[0] compares with nothing: expected one of is,".to_owned(),
            ),
        ] {
            let found = faults(&format!("topic: t, filter: {{{filter}}}"));
            assert!(found.first().is_some_and(|found| found.starts_with(&expected)), "{filter}: {found:?}");
        }
        let loaded = load_text(&with_route("topic: t, filter: {alow: [{key: trust, eq: 1}]}"), &[]).unwrap();
        let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.iter().any(|warning| warning.contains("topicMap[0].filter.alow")), "{warnings:?}");
    }

    #[test]
    fn a_template_without_its_list_or_with_a_topic_beside_it_is_a_fault() {
        for (route, expected) in [
            ("topicTemplate: \"wrp-{event_type}\"", ".allowedTopics is empty"),
            ("topicTemplate: \"wrp-{type}\", allowedTopics: [wrp-a]", ".topicTemplate `wrp-{type}` has a"),
            (
                "topicTemplate: \"{event_type}\", allowedTopics: [a], topic: t",
                ".topic excludes topicTemplate",
            ),
            ("topicTemplate: \"a{event_type}\", allowedTopics: [ab, b]", ".allowedTopics[1] `b` can never"),
            (
                "topicTemplate: \"{event_type}\", allowedTopics: [a], fallbackTopic: \"b c\"",
                ".fallbackTopic `b c`",
            ),
            ("topic: t, allowedTopics: [a]", ".allowedTopics is given without a topicTemplate"),
        ] {
            let found = faults(route);
            assert!(found.iter().any(|found| found.starts_with(expected)), "{route}: {found:?}");
        }
    }
}
