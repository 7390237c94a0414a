//! The topics of one route: one, several to choose from, or one named after the event type.

use std::sync::Arc;

use wrp::MessageRef;

use super::key::Key;
use super::shard::Sharding;
use super::target::Target;
use super::template::TemplatedTopics;
use crate::config::ShardStrategy;

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
    /// The topics' names, joined with commas.
    names: Box<str>,
}

impl Topics {
    pub(crate) fn single(topic: &str) -> Self {
        Self::Single(Target::new(topic, ""))
    }

    pub(crate) fn sharded(topics: &[String], strategy: &ShardStrategy) -> Self {
        let name = strategy.to_string();
        Self::Sharded(ShardedTopics {
            targets: topics.iter().map(|topic| Target::new(topic, &name)).collect(),
            sharding: Sharding::new(strategy),
            names: topics.join(",").into(),
        })
    }

    /// Every target that a record of this route may have.
    pub(super) fn all(&self) -> Vec<&Arc<Target>> {
        match self {
            Self::Single(target) => vec![target],
            Self::Sharded(topics) => topics.targets.iter().collect(),
            Self::Templated(topics) => topics.targets().collect(),
        }
    }

    /// The target of a message's record; none if the template's topic is not allowed and there is no fallback.
    pub(super) fn choose(
        &self,
        event_type: &str,
        message: &MessageRef<'_>,
        key: Option<&Key<'_>>,
    ) -> Option<&Arc<Target>> {
        match self {
            Self::Single(target) => Some(target),
            Self::Sharded(ShardedTopics { targets, sharding, .. }) => {
                targets.get(sharding.choose(targets.len(), message, key.map(Key::as_bytes)))
            }
            Self::Templated(topics) => topics.choose(event_type),
        }
    }

    /// As configured, to name the route where a message got no topic: the topic, the topics or the template.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Single(target) => &target.topic,
            Self::Sharded(topics) => &topics.names,
            Self::Templated(topics) => topics.template(),
        }
    }
}
