//! The check of one route.

use super::{Faults, dynamic};
use crate::config::{Filter, Route};
use crate::routing::{
    CompiledFilter, CompiledRoute, HashKey, Pattern, Strategy, Template, Topics, check_rule,
};

const STRATEGIES: &str = "expected `roundrobin`, `deviceid` or `metadata:<field>`";

impl Route {
    /// The compiled route, unless something is wrong with it.
    pub(super) fn compile(&self, index: usize, faults: &mut Faults) -> Option<CompiledRoute> {
        let mut found = RouteFaults { faults, index };
        let pattern = Pattern::compile(&self.pattern, self.case_insensitive);
        let pattern = pattern.map_err(|e| found.add("pattern", format!("`{}` {e}", self.pattern))).ok();
        let key = HashKey::parse(&self.hash_key);
        let key = key.map_err(|e| found.add("hashKey", format!("`{}` {e}", self.hash_key))).ok();
        let topics = self.compile_topics(&mut found);
        let filter = compile_filter(&self.filter, &mut found);
        Some(CompiledRoute { pattern: pattern?, key: key?, topics: topics?, filter: filter? })
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
        let name = &self.topic_shard_strategy;
        let topics = match (self.topic.is_empty(), self.topics.is_empty()) {
            (true, true) => {
                let expected = "expected topic, topics with a strategy, or topicTemplate";
                found.add("topic", format!("is missing: {expected}"));
                None
            }
            (false, false) => {
                found.add("topics", "excludes topic: expected only one of them");
                None
            }
            (false, true) if !name.is_empty() => {
                let problem = format!("is `{name}`: a route with a single topic takes no strategy");
                found.add("topicShardStrategy", problem);
                None
            }
            (false, true) => Some(Topics::single(&self.topic)),
            (true, false) if name.is_empty() => {
                found.add("topicShardStrategy", format!("is missing: {STRATEGIES}"));
                None
            }
            (true, false) => Strategy::parse(name)
                .map(|strategy| Topics::sharded(&self.topics, strategy, name))
                .map_err(|e| found.add("topicShardStrategy", format!("`{name}` {e}")))
                .ok(),
        };
        if self.topics.iter().chain([&self.topic]).any(|topic| topic.contains('\0')) {
            found.add("topic", "contains a zero byte");
            return None;
        }
        topics
    }

    fn compile_template(&self, found: &mut RouteFaults<'_>) -> Option<Topics> {
        let text = &self.topic_template;
        let mut is_right = true;
        for (key, is_given) in [
            ("topic", !self.topic.is_empty()),
            ("topics", !self.topics.is_empty()),
            ("topicShardStrategy", !self.topic_shard_strategy.is_empty()),
        ] {
            if is_given {
                found.add(key, "excludes topicTemplate: expected only one of them");
                is_right = false;
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
            is_right = false;
        }
        let fallback = (!self.fallback_topic.is_empty()).then_some(self.fallback_topic.as_str());
        let templated = template.confine(&self.allowed_topics, fallback, |place, problem| {
            found.add(&place.to_string(), problem.to_string());
            is_right = false;
        });
        is_right.then_some(Topics::Templated(templated))
    }
}

/// The outer `None` says that something is wrong, the inner that there is nothing to filter.
fn compile_filter(filter: &Filter, found: &mut RouteFaults<'_>) -> Option<Option<CompiledFilter>> {
    let mut is_right = true;
    for (list, rules) in [("allow", &filter.allow), ("deny", &filter.deny)] {
        for (at, rule) in rules.iter().enumerate() {
            if let Err(problem) = check_rule(rule) {
                found.add(&format!("filter.{list}[{at}]{}", problem.key()), problem.to_string());
                is_right = false;
            }
        }
    }
    is_right.then(|| (!filter.is_empty()).then(|| CompiledFilter::new(filter)))
}

/// The faults of one route, whose keys are told relative to it.
struct RouteFaults<'a> {
    faults: &'a mut Faults,
    index: usize,
}

impl RouteFaults<'_> {
    fn add(&mut self, key: &str, problem: impl Into<String>) {
        self.faults.add(dynamic(&format!("topicMap[{}].{key}", self.index)), problem);
    }
}
