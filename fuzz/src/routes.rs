//! The small languages of a Kafka configuration (patterns, topic templates, keys, headers, filters), and what they make of
//! a device's message: any text, any message.
//!
//! The input: lines of a letter, a blank and a text, which build the configuration; an empty line; the message. A line
//! `p` begins a route. Who writes the configuration is trusted, who sends the message is not: whatever it says, its
//! records go to topics that the configuration names.

use std::collections::{BTreeMap, BTreeSet};

use wrp::MessageRef;
use wrpkafka::config::{Filter, Number, Relation, Route, Rule, Test};
use wrpkafka::{Attribute, Attributes, CachedVerdict, Config, HeaderBlock, RouteTable, Sender};

use crate::allocation;
use crate::cost::Cost;

/// More would make the work for a message grow with the input: each route and each header looks at the message.
const MOST_ROUTES: usize = 8;
const MOST_HEADERS: usize = 8;

static COMPILE: Cost = Cost::measured("compile", 60);
// No message that the mutator makes long decodes, so these two have the number of short messages.
static PLAN: Cost = Cost::measured("plan", 100);
static HEADERS: Cost = Cost::measured("headers", 100);

/// One input.
pub fn run(data: &[u8]) {
    let at = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let text = String::from_utf8_lossy(&data[..at]);
    let message = data.get(at + 2..).unwrap_or_default();
    let (config, sender) = read(&text);
    let (compiled, peak) = COMPILE.hold(text.len(), || allocation::peak(|| config.compile()));
    // A fault repeats the text that it is about, in quotes and escaped, and says what is expected; a topic of one byte may
    // be one.
    assert!(peak <= 256 * text.len() + 65_536, "{peak} bytes for {} of configuration", text.len());
    match compiled {
        Ok(table) => plan(&config, &table, &sender, message),
        Err(error) => assert!(!error.0.is_empty() && error.0.iter().all(|fault| !fault.problem.is_empty())),
    }
}

/// What is known of the sender.
#[derive(Default)]
struct Known(BTreeMap<String, String>);

impl Attributes for Known {
    fn get(&self, key: &str) -> Option<Attribute<'_>> {
        self.0.get(key).map(|value| Attribute::from(value.as_str()))
    }
}

fn read(text: &str) -> (Config, Known) {
    let mut config = Config { brokers: vec!["broker.example:9092".to_owned()], ..Config::default() };
    let mut sender = Known::default();
    for line in text.lines() {
        let Some((letter, text)) = line.split_once(' ') else { continue };
        let dynamic = &mut config.dynamic;
        match (letter, text.split_once('=')) {
            ("p", _) if dynamic.topic_map.len() < MOST_ROUTES => {
                dynamic.topic_map.push(Route { pattern: text.to_owned(), ..Route::default() });
            }
            ("h", Some((name, value))) => header(&mut dynamic.headers, name, value),
            ("@", Some((key, value))) => {
                sender.0.insert(key.to_owned(), value.to_owned());
            }
            _ => {
                if let Some(route) = dynamic.topic_map.last_mut() {
                    set(route, letter, text);
                }
            }
        }
    }
    (config, sender)
}

/// Headers of one name are written one after the other.
fn header(headers: &mut Vec<(String, Vec<String>)>, name: &str, value: &str) {
    if headers.last().is_none_or(|(last, _)| last != name) {
        if headers.len() == MOST_HEADERS {
            return;
        }
        headers.push((name.to_owned(), Vec::new()));
    }
    if let Some((_, values)) = headers.last_mut().filter(|(_, values)| values.len() < MOST_HEADERS) {
        values.push(value.to_owned());
    }
}

fn set(route: &mut Route, letter: &str, text: &str) {
    match letter {
        "i" => route.case_insensitive = true,
        "t" => text.clone_into(&mut route.topic),
        "m" => route.topics.push(text.to_owned()),
        "T" => text.clone_into(&mut route.topic_template),
        "a" => route.allowed_topics.push(text.to_owned()),
        "b" => text.clone_into(&mut route.fallback_topic),
        "k" => {
            if let Ok(key) = text.parse() {
                route.hash_key = key;
            }
        }
        "s" => route.topic_shard_strategy = text.parse().ok(),
        "+" => rule(&mut route.filter, text, |filter| &mut filter.allow),
        "-" => rule(&mut route.filter, text, |filter| &mut filter.deny),
        _ => {}
    }
}

/// `key|test|value`
fn rule(filter: &mut Filter, text: &str, list: impl Fn(&mut Filter) -> &mut Vec<Rule>) {
    let mut parts = text.splitn(3, '|');
    let (Some(key), Some(test), Some(value)) = (parts.next(), parts.next(), parts.next()) else { return };
    let relation = Relation::ALL.into_iter().find(|relation| relation.as_str() == test);
    let test = match (test, relation, value.parse().ok().and_then(Number::new)) {
        ("is", ..) => Test::Is(value.to_owned()),
        ("in", ..) => Test::In(value.split(',').map(str::to_owned).collect()),
        ("prefix", ..) => Test::Prefix(value.to_owned()),
        (_, Some(relation), Some(number)) => Test::Number(relation, number),
        _ => return,
    };
    list(filter).push(Rule::new(key, test));
}

fn plan(config: &Config, table: &RouteTable, attributes: &Known, data: &[u8]) {
    let Ok(message) = MessageRef::decode_v3(data) else { return };
    let verdict = CachedVerdict::default();
    let sender = Sender { attributes, verdict: &verdict };
    let named: BTreeSet<&str> = topics(config).collect();
    // The verdict is computed with the first message; the configuration may be longer than the message.
    let mut filtered = 0;
    let length = data.len() + config.dynamic.topic_map.iter().map(|route| route.pattern.len()).sum::<usize>();
    let _first = table.plan(&message, Some(&sender), |_| {});
    let planned = PLAN.hold(length, || {
        filtered = 0;
        table.plan(&message, Some(&sender), |_| filtered += 1)
    });
    match planned {
        Ok(plan) => {
            for record in &plan.records {
                let topic = record.target.topic();
                assert!(named.contains(topic), "no route names the topic {topic:?}");
            }
            assert!(plan.records.len() + filtered <= config.dynamic.topic_map.len().max(1));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let headers = HEADERS.hold(data.len(), || {
        let mut headers = HeaderBlock::default();
        table.render_headers(&message, &mut headers);
        headers
    });
    assert_eq!(headers.iter().count(), headers.len());
}

/// Every topic that the configuration names, and the one that it has without routes.
fn topics(config: &Config) -> impl Iterator<Item = &str> {
    let routes = config.dynamic.topic_map.iter();
    let of_routes = routes.flat_map(|route| {
        let lists = route.topics.iter().chain(&route.allowed_topics).map(String::as_str);
        lists.chain([route.topic.as_str(), route.fallback_topic.as_str()])
    });
    of_routes.chain(["wrp-events"])
}
