//! The route table: all routes and headers of one configuration, and the plan of a message's records.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use smallvec::SmallVec;
use wrp::{Locator, MessageRef};

use super::filter::CompiledFilter;
use super::filtered::{Filtered, FilteredBy};
use super::header::{HeaderBlock, HeaderTemplates};
use super::key::{Key, KeySource};
use super::pattern::Pattern;
use super::target::Target;
use super::topics::Topics;
use super::verdict::{FilterSet, Sender};
use crate::error::PublishError;
use crate::schema::Subjects;

/// Records of a message that are planned without a heap allocation.
const INLINE_RECORDS: usize = 4;

/// The most topics that the routes of a configuration may name.
pub(crate) const MAX_TOPICS: usize = 512;

/// All routes and headers of a configuration. [`Config::compile`](crate::Config::compile) makes it; a publisher swaps it
/// as a whole when its configuration changes.
#[derive(Debug)]
pub struct RouteTable {
    routes: Box<[CompiledRoute]>,
    headers: HeaderTemplates,
    nil_key: NilKey,
    /// None if no route has a filter: then nothing is asked of a sender.
    filters: Option<FilterSet>,
}

/// One entry of the topic map, ready for use.
#[derive(Debug)]
pub(crate) struct CompiledRoute {
    pub(crate) pattern: Pattern,
    pub(crate) key: KeySource,
    pub(crate) topics: Topics,
    pub(crate) filter: Option<CompiledFilter>,
}

/// What happens to a record without a key (`denyNilPartitionKey`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NilKey {
    /// It goes to any partition.
    Allowed,
    /// It is an error.
    Denied,
}

/// The records that a message becomes.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The authority of the message's destination.
    pub event_type: Cow<'a, str>,
    /// In the order of the routes. Empty if every matching route rejected the message.
    pub records: SmallVec<[PlannedRecord<'a>; INLINE_RECORDS]>,
}

/// One record of a [`Plan`].
#[derive(Debug)]
pub struct PlannedRecord<'a> {
    /// Where the record goes.
    pub target: Arc<Target>,
    /// The record's key; none is Kafka's null.
    pub key: Option<Key<'a>>,
}

/// Why a message becomes no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct RoutingError {
    /// The authority of the message's destination; empty if it has none.
    pub event_type: String,
    /// The error for the caller and the listeners.
    pub error: PublishError,
}

impl RouteTable {
    pub(crate) fn new(routes: Vec<CompiledRoute>, headers: HeaderTemplates, nil_key: NilKey) -> Self {
        let filters = FilterSet::new(routes.iter().map(|route| route.filter.as_ref()));
        Self { routes: routes.into(), headers, nil_key, filters }
    }

    /// Plans the records of a message: one for every route that matches its event type and whose filter accepts its
    /// sender. Calls `filtered` for every route that matches but rejects the message.
    ///
    /// # Errors
    /// The destination is not a locator, no route has a topic for the event type, or a record lacks its key or topic.
    pub fn plan<'a>(
        &self,
        message: &MessageRef<'a>,
        sender: Option<&Sender<'_>>,
        mut filtered: impl FnMut(&Filtered<'_>),
    ) -> Result<Plan<'a>, RoutingError> {
        let event_type = Self::event_type(message)?;
        let verdict = self.filters.as_ref().map(|filters| filters.verdict(sender, self.filters()));
        let mut records = SmallVec::new();
        let mut is_filtered = false;
        for (index, route) in self.routes.iter().enumerate() {
            if !route.pattern.matches(&event_type) {
                continue;
            }
            let topics = &route.topics;
            if let Some(by) = verdict.as_ref().and_then(|verdict| verdict.rejected_by(index)) {
                is_filtered = true;
                filtered(&Filtered { event_type: &event_type, topic: topics.name(), by });
                continue;
            }
            let key = route.key.key_of(message);
            let Some(target) = topics.choose(&event_type, message, key.as_ref()) else {
                let by = FilteredBy::AllowedTopics;
                filtered(&Filtered { event_type: &event_type, topic: topics.name(), by });
                continue;
            };
            if key.is_none() && self.nil_key == NilKey::Denied {
                let hash_key = route.key.hash_key().to_string().into();
                let error = PublishError::MissingHashKey { hash_key };
                return Err(RoutingError { event_type: event_type.into_owned(), error });
            }
            if target.topic.is_empty() {
                let error = PublishError::EmptyTopic;
                return Err(RoutingError { event_type: event_type.into_owned(), error });
            }
            records.push(PlannedRecord { target: Arc::clone(target), key });
        }
        if records.is_empty() && !is_filtered {
            let error = PublishError::NoTopicMatch { event_type: event_type.as_ref().into() };
            return Err(RoutingError { event_type: event_type.into_owned(), error });
        }
        Ok(Plan { event_type, records })
    }

    /// The event type of a message: the authority of its destination, whatever the scheme.
    ///
    /// # Errors
    /// The destination is not a locator.
    pub fn event_type<'a>(message: &MessageRef<'a>) -> Result<Cow<'a, str>, RoutingError> {
        let invalid = |problem: String| RoutingError {
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

    /// Appends the headers of a message's records, which are the same for all of them.
    pub fn render_headers(&self, message: &MessageRef<'_>, out: &mut HeaderBlock) {
        self.headers.render(message, out);
    }

    /// Gives every target the subject of its schema. Forgets subjects that no target of any table needs any more.
    pub(crate) fn assign_subjects(&self, subjects: &Subjects) {
        for target in self.targets() {
            target.assign_subject(|| subjects.of_topic(&target.topic));
        }
        subjects.forget_unused();
    }

    /// The number of topics that records may go to.
    pub(crate) fn count_topics(&self) -> usize {
        self.targets().map(|target| &target.topic).collect::<HashSet<_>>().len()
    }

    /// The names of all topics that a record may have.
    pub(crate) fn topic_names(&self) -> impl Iterator<Item = Arc<str>> {
        self.targets().map(|target| Arc::from(&*target.topic)).filter(|topic: &Arc<str>| !topic.is_empty())
    }

    /// Every target that a record may have.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.routes.iter().flat_map(|route| route.topics.all())
    }

    fn filters(&self) -> impl Iterator<Item = Option<&CompiledFilter>> {
        self.routes.iter().map(|route| route.filter.as_ref())
    }
}
