//! Compiles one route of the topic map.

use super::{Faults, dynamic};
use crate::config::{Filter, Route, ShardStrategy};
use crate::routing::{
    CompiledFilter, CompiledRoute, KeySource, Pattern, Template, Topics, check_rule, check_topic,
};

impl Route {
    /// The compiled route; none if it has a fault.
    pub(super) fn compile(&self, index: usize, faults: &mut Faults) -> Option<CompiledRoute> {
        let mut found = RouteFaults { faults, index };
        let pattern = Pattern::parse(&self.pattern, self.case_insensitive);
        let pattern = pattern.map_err(|e| found.add("pattern", format!("`{}` {e}", self.pattern))).ok();
        let key = KeySource::new(&self.hash_key);
        let topics = self.compile_topics(&mut found);
        let filter = compile_filter(&self.filter, &mut found);
        Some(CompiledRoute { pattern: pattern?, key, topics: topics?, filter: filter? })
    }

    fn compile_topics(&self, found: &mut RouteFaults<'_>) -> Option<Topics> {
        if !self.topic_template.is_empty() {
            return self.compile_template(found);
        }
        for (key, is_given) in [
            ("allowedTopics", !self.allowed_topics.is_empty()),
            ("fallbackTopic", !self.fallback_topic.is_empty()),
        ] {
            if is_given {
                found.add(key, "is given without a topicTemplate, which it belongs to");
                return None;
            }
        }
        let topics = match (self.topic.is_empty(), self.topics.is_empty(), &self.topic_shard_strategy) {
            (true, true, _) => {
                let expected = "expected topic, topics with a strategy, or topicTemplate";
                found.add("topic", format!("is missing: {expected}"));
                None
            }
            (false, false, _) => {
                found.add("topics", "excludes topic: expected only one of them");
                None
            }
            (false, true, Some(strategy)) => {
                let problem = format!("is `{strategy}`: a route with a single topic takes no strategy");
                found.add("topicShardStrategy", problem);
                None
            }
            (false, true, None) => Some(Topics::single(&self.topic)),
            (true, false, None) => {
                found.add("topicShardStrategy", format!("is missing: {}", ShardStrategy::UNKNOWN));
                None
            }
            (true, false, Some(strategy)) => Some(Topics::sharded(&self.topics, strategy)),
        };
        let names = self.topics.iter().enumerate().map(|(index, topic)| (format!("topics[{index}]"), topic));
        let mut is_right = true;
        for (key, topic) in names.chain([("topic".to_owned(), &self.topic)]) {
            // The reference allows a topic of a list to be empty.
            if !topic.is_empty()
                && let Err(error) = check_topic(topic)
            {
                found.add(&key, error.to_string());
                is_right = false;
            }
        }
        topics.filter(|_| is_right)
    }

    fn compile_template(&self, found: &mut RouteFaults<'_>) -> Option<Topics> {
        let text = &self.topic_template;
        let before = found.faults.count();
        for (key, is_given) in [
            ("topic", !self.topic.is_empty()),
            ("topics", !self.topics.is_empty()),
            ("topicShardStrategy", self.topic_shard_strategy.is_some()),
        ] {
            if is_given {
                found.add(key, "excludes topicTemplate: expected only one of them");
            }
        }
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(e) => {
                found.add("topicTemplate", format!("`{text}` {e}"));
                return None;
            }
        };
        if self.allowed_topics.is_empty() {
            let problem = "is empty: expected the names of all topics that the template may lead to";
            found.add("allowedTopics", problem);
        }
        let fallback = (!self.fallback_topic.is_empty()).then_some(self.fallback_topic.as_str());
        let templated = template.with_topics(&self.allowed_topics, fallback, |setting, problem| {
            found.add(&setting.to_string(), problem.to_string());
        });
        (found.faults.count() == before).then_some(Topics::Templated(templated))
    }
}

/// The outer `None` means a fault, the inner one that the route accepts every sender.
fn compile_filter(filter: &Filter, found: &mut RouteFaults<'_>) -> Option<Option<CompiledFilter>> {
    let before = found.faults.count();
    for (list, rules) in [("allow", &filter.allow), ("deny", &filter.deny)] {
        for (at, rule) in rules.iter().enumerate() {
            if let Err(error) = check_rule(rule) {
                found.add(&format!("filter.{list}[{at}]{}", error.key()), error.to_string());
            }
        }
    }
    (found.faults.count() == before).then(|| (!filter.is_empty()).then(|| CompiledFilter::new(filter)))
}

/// Adds faults whose keys are relative to one route.
struct RouteFaults<'a> {
    faults: &'a mut Faults,
    index: usize,
}

impl RouteFaults<'_> {
    fn add(&mut self, key: &str, problem: impl Into<String>) {
        self.faults.add(dynamic(&format!("topicMap[{}].{key}", self.index)), problem);
    }
}
