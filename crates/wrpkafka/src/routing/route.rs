//! Which records a message becomes: the compiled `topicMap` (contract §8.4).
//!
//! Everything is parsed once, when the configuration is; routing a message compares bytes and hashes them.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use wrp::{Locator, MessageRef};

use super::filter::CompiledFilter;
use super::header::HeaderTemplates;
use super::key::{HashKey, Key};
use super::pattern::Pattern;
use super::shard::{Sharding, Strategy};
use super::template::TemplatedTopics;
use super::verdict::{Judge, Sender};
use crate::config::Route;
use crate::error::PublishError;
use crate::listener::{Filtered, FilteredBy};
use crate::schema::Subject;

/// The topic of a publisher whose configuration names none.
pub(crate) const DEFAULT_TOPIC: &str = "wrp-events";

/// Records of a message that are planned without asking the heap for room.
const INLINE_RECORDS: usize = 4;

/// All routes and headers of a configuration, swapped as a whole.
#[derive(Debug)]
pub(crate) struct RouteTable {
    routes: Box<[CompiledRoute]>,
    pub(crate) headers: HeaderTemplates,
    deny_nil_key: bool,
    /// None if no route has a filter: then senders are not looked at.
    judge: Option<Judge>,
}

/// One entry of the topic map, ready to be applied.
#[derive(Debug)]
pub(crate) struct CompiledRoute {
    pub(crate) pattern: Pattern,
    pub(crate) key: HashKey,
    pub(crate) topics: Topics,
    pub(crate) filter: Option<CompiledFilter>,
}

/// The topics of a route.
#[derive(Debug)]
pub(crate) enum Topics {
    Single(Arc<Target>),
    Sharded(ShardedTopics),
    Templated(TemplatedTopics),
}

#[derive(Debug)]
pub(crate) struct ShardedTopics {
    targets: Box<[Arc<Target>]>,
    sharding: Sharding,
    /// All their names.
    names: Box<str>,
}

/// Where a record goes, and how events and metrics name that.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) topic: Box<str>,
    /// As configured; empty for a route with a single topic.
    pub(crate) strategy: Box<str>,
    /// The subject of its values' schema, if there is a registry.
    pub(crate) subject: OnceLock<Arc<Subject>>,
}

impl Target {
    pub(crate) fn new(topic: &str, strategy: &str) -> Arc<Target> {
        Arc::new(Target { topic: topic.into(), strategy: strategy.into(), subject: OnceLock::new() })
    }
}

/// The records that a message becomes.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The authority of the message's destination.
    pub(crate) event_type: Cow<'a, str>,
    /// In the order of the routes; none if the filters of all routes turned the message away.
    pub(crate) records: SmallVec<[PlannedRecord<'a>; INLINE_RECORDS]>,
}

/// One record of a [`Plan`].
#[derive(Debug)]
pub(crate) struct PlannedRecord<'a> {
    pub(crate) target: Arc<Target>,
    pub(crate) key: Option<Key<'a>>,
}

/// Why a message becomes no record.
#[derive(Debug)]
pub(crate) struct Unroutable {
    /// The authority of the destination, where it has one.
    pub(crate) event_type: String,
    pub(crate) error: PublishError,
}

impl RouteTable {
    pub(crate) fn new(
        routes: Vec<CompiledRoute>,
        headers: HeaderTemplates,
        deny_nil_key: bool,
    ) -> RouteTable {
        let judge = Judge::new(routes.iter().map(|route| route.filter.as_ref()));
        RouteTable { routes: routes.into(), headers, deny_nil_key, judge }
    }

    /// Every target that a message may have.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.routes.iter().flat_map(|route| route.topics.all())
    }

    /// Plans the records of a message: one for every route that matches its event type, and whose filter lets its sender
    /// pass. `filtered` is told of every route that matches and takes the message not.
    pub(crate) fn plan<'a>(
        &self,
        message: &MessageRef<'a>,
        sender: Option<&Sender<'_>>,
        mut filtered: impl FnMut(&Filtered<'_>),
    ) -> Result<Plan<'a>, Unroutable> {
        let event_type = event_type(message)?;
        let decision = self.judge.as_ref().map(|judge| judge.decide(sender, self.filters()));
        let mut records = SmallVec::new();
        let mut is_filtered = false;
        for (index, route) in self.routes.iter().enumerate() {
            if !route.pattern.matches(&event_type) {
                continue;
            }
            let topics = &route.topics;
            if let Some(by) = decision.as_ref().and_then(|decision| decision.turned_away(index)) {
                is_filtered = true;
                filtered(&Filtered { event_type: &event_type, topic: topics.name(), by });
                continue;
            }
            let key = route.key.of(message);
            let Some(target) = topics.choose(&event_type, message, key.as_ref()) else {
                let by = FilteredBy::AllowedTopics;
                filtered(&Filtered { event_type: &event_type, topic: topics.name(), by });
                continue;
            };
            if key.is_none() && self.deny_nil_key {
                let error = PublishError::MissingHashKey { hash_key: route.key.to_string().into() };
                return Err(Unroutable { event_type: event_type.into_owned(), error });
            }
            if target.topic.is_empty() {
                let error = PublishError::EmptyTopic;
                return Err(Unroutable { event_type: event_type.into_owned(), error });
            }
            records.push(PlannedRecord { target: Arc::clone(target), key });
        }
        if records.is_empty() && !is_filtered {
            let error = PublishError::NoTopicMatch { event_type: event_type.as_ref().into() };
            return Err(Unroutable { event_type: event_type.into_owned(), error });
        }
        Ok(Plan { event_type, records })
    }

    fn filters(&self) -> impl Iterator<Item = Option<&CompiledFilter>> {
        self.routes.iter().map(|route| route.filter.as_ref())
    }
}

/// The authority of the destination, of whatever scheme.
pub(crate) fn event_type<'a>(message: &MessageRef<'a>) -> Result<Cow<'a, str>, Unroutable> {
    let invalid = |problem: String| Unroutable {
        event_type: String::new(),
        error: PublishError::InvalidDestination {
            destination: message.dest.to_str_lossy().into(),
            problem: problem.into(),
        },
    };
    let dest = message.dest.to_str().map_err(|error| invalid(error.to_string()))?;
    match Locator::parse_v5(dest) {
        Ok(locator) => Ok(locator.authority),
        Err(error) => Err(invalid(error.to_string())),
    }
}

impl CompiledRoute {
    /// The route of a publisher whose configuration has none.
    pub(crate) fn catch_all() -> Route {
        Route { pattern: "*".to_owned(), topic: DEFAULT_TOPIC.to_owned(), ..Route::default() }
    }
}

impl Topics {
    pub(crate) fn single(topic: &str) -> Topics {
        Topics::Single(Target::new(topic, ""))
    }

    /// One of several; `name` is the strategy as it was written.
    pub(crate) fn sharded(topics: &[String], strategy: Strategy, name: &str) -> Topics {
        Topics::Sharded(ShardedTopics {
            targets: topics.iter().map(|topic| Target::new(topic, name)).collect(),
            sharding: Sharding::new(strategy),
            names: topics.join(",").into(),
        })
    }

    /// Every target that a record may have.
    fn all(&self) -> Vec<&Arc<Target>> {
        match self {
            Topics::Single(target) => vec![target],
            Topics::Sharded(topics) => topics.targets.iter().collect(),
            Topics::Templated(topics) => topics.targets().collect(),
        }
    }

    /// The topic of a record; none if the template leads nowhere.
    fn choose(
        &self,
        event_type: &str,
        message: &MessageRef<'_>,
        key: Option<&Key<'_>>,
    ) -> Option<&Arc<Target>> {
        match self {
            Topics::Single(target) => Some(target),
            Topics::Sharded(ShardedTopics { targets, sharding, .. }) => {
                targets.get(sharding.choose(targets.len(), message, key.map(Key::as_bytes)))
            }
            Topics::Templated(topics) => topics.choose(event_type),
        }
    }

    /// As configured, for messages that never get a topic.
    fn name(&self) -> &str {
        match self {
            Topics::Single(target) => &target.topic,
            Topics::Sharded(topics) => &topics.names,
            Topics::Templated(topics) => topics.template(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::config::dynamic_from_vector;

    #[test]
    fn vectors_routes() {
        vectors::run("routes.json", |case| {
            let value = &case.value;
            let deny = value["deny_nil_partition_key"] == true;
            let config = dynamic_from_vector(&value["config"]);
            let table = config.compile(deny).map_err(|faults| format!("refused: {faults:?}"))?;
            let message = vectors::message(&value["message"]);
            let message = message.as_ref();
            match (table.plan(&message, None, |_| {}), value["error_type"].as_str()) {
                (Ok(plan), None) => same_records(&plan, &value["records"]),
                (Err(unroutable), Some(expected)) if unroutable.error.error_type().as_str() == expected => {
                    Ok(())
                }
                (result, expected) => Err(format!("{result:?}, expected error type {expected:?}")),
            }
        });
    }

    fn same_records(plan: &Plan<'_>, expected: &Value) -> Result<(), String> {
        let expected = expected.as_array().ok_or("no records")?;
        let same = plan.records.len() == expected.len()
            && plan.records.iter().zip(expected).all(|(record, expected)| {
                let topic_fits = match expected["any_of"].as_array() {
                    Some(topics) => topics.iter().any(|topic| *topic == *record.target.topic),
                    None => expected["topic"] == *record.target.topic,
                };
                let key = record.key.as_ref().map(|key| key.as_bytes().to_vec());
                topic_fits
                    && key == expected["key"].as_str().map(vectors::hex)
                    && expected["strategy"] == *record.target.strategy
            });
        if same { Ok(()) } else { Err(format!("{:?}, expected {expected:?}", plan.records)) }
    }

    #[test]
    fn round_robin_starts_at_the_first_topic_and_takes_turns() {
        let route = Route {
            pattern: "*".to_owned(),
            topics: vec!["a".to_owned(), "b".to_owned()],
            topic_shard_strategy: "roundrobin".to_owned(),
            ..Route::default()
        };
        let config = crate::DynamicConfig { topic_map: vec![route], ..crate::DynamicConfig::default() };
        let table = config.compile(false).unwrap();
        let message = MessageRef { dest: "event:x".into(), ..MessageRef::default() };
        let topics: Vec<_> = (0..3)
            .map(|_| table.plan(&message, None, |_| {}).unwrap().records[0].target.topic.clone())
            .collect();
        assert_eq!(topics, ["a".into(), "b".into(), "a".into()] as [Box<str>; 3]);
    }

    fn table(routes: Vec<Route>) -> RouteTable {
        crate::DynamicConfig { topic_map: routes, ..Default::default() }.compile(false).unwrap()
    }

    /// The topics that a message of this event type goes to, and the routes that did not take it.
    fn planned(table: &RouteTable, event_type: &str) -> (Result<Vec<String>, PublishError>, Vec<String>) {
        let dest = format!("event:{event_type}");
        let message = MessageRef { dest: dest.as_str().into(), ..MessageRef::default() };
        let mut filtered = Vec::new();
        let plan = table.plan(&message, None, |event| filtered.push(format!("{} {}", event.topic, event.by)));
        let topics =
            plan.map(|plan| plan.records.iter().map(|record| record.target.topic.to_string()).collect());
        (topics.map_err(|unroutable| unroutable.error), filtered)
    }

    fn templated(fallback: &str) -> Route {
        Route {
            pattern: "*".to_owned(),
            topic_template: "wrp-{event_type}".to_owned(),
            allowed_topics: vec!["wrp-iot".to_owned()],
            fallback_topic: fallback.to_owned(),
            ..Route::default()
        }
    }

    #[test]
    fn an_event_whose_topic_is_not_allowed_goes_to_the_fallback_or_nowhere_and_is_told() {
        let not_allowed = ["wrp-{event_type} allowedTopics".to_owned()];
        let none = table(vec![templated("")]);
        assert_eq!(planned(&none, "iot").0, Ok(vec!["wrp-iot".to_owned()]));
        let (result, filtered) = planned(&none, "secrets");
        assert_eq!(result, Err(PublishError::NoTopicMatch { event_type: "secrets".into() }));
        assert_eq!(filtered, not_allowed);

        let fallback = table(vec![templated("others")]);
        assert_eq!(planned(&fallback, "secrets"), (Ok(vec!["others".to_owned()]), vec![]));

        let all = Route { pattern: "*".to_owned(), topic: "all".to_owned(), ..Route::default() };
        let (result, filtered) = planned(&table(vec![templated(""), all]), "secrets");
        assert_eq!((result, &filtered[..]), (Ok(vec!["all".to_owned()]), &not_allowed[..]));
    }

    #[test]
    fn a_message_that_a_filter_turned_away_has_no_record_and_is_no_failure() {
        use crate::config::{Filter, Rule, Test};
        let rule = Rule::new("partner", Test::Is("sky".to_owned()));
        let filter = Filter { allow: vec![rule], ..Filter::default() };
        let of_sky = |pattern: &str| Route {
            pattern: pattern.to_owned(),
            topics: vec!["a".to_owned(), "b".to_owned()],
            topic_shard_strategy: "roundrobin".to_owned(),
            filter: filter.clone(),
            ..Route::default()
        };
        let both = table(vec![of_sky("*"), templated("")]);
        assert_eq!(planned(&both, "iot"), (Ok(vec!["wrp-iot".to_owned()]), vec!["a,b allow".to_owned()]));
        let (result, filtered) = planned(&both, "secrets");
        assert_eq!(result, Ok(vec![]));
        assert_eq!(filtered, ["a,b allow", "wrp-{event_type} allowedTopics"]);
        // A filter says nothing of event types that its route does not match.
        assert!(planned(&table(vec![of_sky("iot")]), "reboot").0.is_err());
    }

    #[test]
    fn a_destination_that_is_not_utf8_is_a_validation_error() {
        let table = crate::DynamicConfig::default().compile(false).unwrap();
        let message = MessageRef { dest: wrp::Text::new(b"event:\xff"), ..MessageRef::default() };
        let unroutable = table.plan(&message, None, |_| {}).unwrap_err();
        assert_eq!(unroutable.error.error_type(), crate::ErrorType::ValidationError);
    }
}
