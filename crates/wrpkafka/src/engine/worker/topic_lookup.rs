//! Whether the topics of the routes exist, asked at the start and when routes change: a topic that is misspelled is named
//! before a record meets it, and one that takes smaller batches than others gets none that it would refuse (contract §8.18).
//!
//! The brokers are asked on a thread of its own, since the client's thread must not wait. What they do not answer is asked
//! again when they are reached.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::{Client, TopicAnswer};
use crate::engine::Engine;

/// How long brokers may take to answer for one topic.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The topics to ask for, and the thread that asks.
#[derive(Debug, Default)]
pub(super) struct TopicLookup {
    pending: BTreeSet<Arc<str>>,
    /// Returns the topics that were not answered for.
    asking: Option<JoinHandle<BTreeSet<Arc<str>>>>,
    /// Whether brokers did not answer: they are asked again when they are reached.
    is_unanswered: bool,
}

impl TopicLookup {
    /// Asks for these topics, too.
    pub(super) fn add(&mut self, topics: impl IntoIterator<Item = Arc<str>>) {
        self.pending.extend(topics);
        self.is_unanswered = false;
    }

    /// Begins to ask, or takes the answers.
    pub(super) fn go_on(&mut self, engine: &Arc<Engine>, client: &Arc<dyn Client>, number: u64) {
        if let Some(asking) = self.asking.take_if(|asking| asking.is_finished()) {
            // A thread that panicked asked for nothing more.
            let unanswered = asking.join().unwrap_or_default();
            self.is_unanswered = !unanswered.is_empty();
            self.pending.extend(unanswered);
        }
        let is_time = !self.is_unanswered || engine.is_up();
        if self.pending.is_empty() || self.asking.is_some() || !is_time {
            return;
        }
        let topics = std::mem::take(&mut self.pending);
        let (engine, client) = (Arc::clone(engine), Arc::clone(client));
        let ask = move || ask(&engine, &*client, number, topics);
        self.asking = std::thread::Builder::new().name("wrpkafka-topics".to_owned()).spawn(ask).ok();
    }
}

/// Asks for one topic after the other, and logs those that cannot be written to. Returns the topics from the first one on
/// for which there is no answer.
fn ask(
    engine: &Engine,
    client: &dyn Client,
    number: u64,
    mut topics: BTreeSet<Arc<str>>,
) -> BTreeSet<Arc<str>> {
    let mut existing = Vec::new();
    while let Some(topic) = topics.pop_first() {
        match client.look_up(&topic, TIMEOUT) {
            Some(TopicAnswer::Exists) => existing.push(topic),
            Some(TopicAnswer::Failed(error)) => {
                tracing::warn!(%topic, %error, "kafka topic of a route cannot be written to");
            }
            None => {
                topics.insert(topic);
                break;
            }
        }
        engine.reached(number);
    }
    ask_for_limits(engine, client, &existing);
    topics
}

/// Asks how large the batches of these topics may be. A broker need not say it: then it is asked again when one was refused.
fn ask_for_limits(engine: &Engine, client: &dyn Client, topics: &[Arc<str>]) {
    for topic in topics {
        let begun = Instant::now();
        match client.largest_batch(topic, TIMEOUT) {
            Some(bytes) => engine.topic_takes(topic, bytes),
            None if begun.elapsed() >= TIMEOUT => return,
            None => tracing::debug!(%topic, "the largest batch of a kafka topic is not known"),
        }
    }
}
