//! The subjects of the registry, and what it has said about our schema under each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::config::SubjectStrategy;
use crate::error::PublishError;
use crate::routing::RouteTable;

/// The zero byte and the id before a value.
pub(crate) const FRAME: usize = 5;

/// One subject. Topics share it where the strategy says so.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: Box<str>,
    /// [`KNOWN`] and the schema's id, once the registry has told it; it never changes then.
    id: AtomicU64,
    /// Whether the registry was asked in vain, at least once.
    is_missed: AtomicBool,
    /// Why the registry will have none of it, and when it said so.
    refusal: Mutex<Option<(PublishError, Instant)>>,
}

const KNOWN: u64 = 1 << 32;

impl Subject {
    fn new(name: Box<str>) -> Subject {
        Subject { name, id: AtomicU64::new(0), is_missed: AtomicBool::new(false), refusal: Mutex::new(None) }
    }

    /// What goes before a value, once the id is known.
    pub(crate) fn frame(&self) -> Option<[u8; FRAME]> {
        let id = self.id.load(Ordering::Acquire);
        // The lowest five bytes of the word are 1 and the id; the first byte of a frame is 0.
        let [_, _, _, _, a, b, c, d] = id.to_be_bytes();
        (id & KNOWN != 0).then_some([0, a, b, c, d])
    }

    /// Why records under this subject cannot be framed, if the registry said so.
    pub(crate) fn refusal(&self) -> Option<PublishError> {
        self.refusal.lock().as_ref().map(|(error, _)| error.clone())
    }

    /// When the registry refused, if it did.
    pub(crate) fn refused_at(&self) -> Option<Instant> {
        self.refusal.lock().as_ref().map(|(_, at)| *at)
    }

    /// Whether the registry did not answer when it was asked. Before, it may be about to.
    pub(crate) fn is_missed(&self) -> bool {
        self.is_missed.load(Ordering::Relaxed)
    }

    pub(crate) fn miss(&self) {
        self.is_missed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn know(&self, id: u32) {
        *self.refusal.lock() = None;
        self.id.store(KNOWN | u64::from(id), Ordering::Release);
    }

    pub(crate) fn refuse(&self, error: PublishError, now: Instant) {
        *self.refusal.lock() = Some((error, now));
    }
}

/// Every subject that a publisher has needed. What is known of one is kept for the publisher's life.
#[derive(Debug)]
pub(crate) struct Subjects {
    strategy: SubjectStrategy,
    /// The full name of the schema's record.
    record: &'static str,
    all: Mutex<HashMap<Box<str>, Arc<Subject>>>,
}

impl Subjects {
    pub(crate) fn new(strategy: SubjectStrategy, record: &'static str) -> Subjects {
        Subjects { strategy, record, all: Mutex::default() }
    }

    /// Gives every target of the routes its subject. Those that no route needs any more are forgotten, unless known.
    pub(crate) fn assign(&self, table: &RouteTable) {
        let mut all = self.all.lock();
        for target in table.targets() {
            let name = self.name(&target.topic);
            let subject = all.entry(name).or_insert_with_key(|name| Arc::new(Subject::new(name.clone())));
            target.subject.get_or_init(|| Arc::clone(subject));
        }
        all.retain(|_, subject| subject.frame().is_some() || Arc::strong_count(subject) > 1);
    }

    /// Those whose id is not known.
    pub(crate) fn unknown(&self) -> Vec<Arc<Subject>> {
        let mut unknown: Vec<_> =
            self.all.lock().values().filter(|subject| subject.frame().is_none()).cloned().collect();
        unknown.sort_by(|one, other| one.name.cmp(&other.name));
        unknown
    }

    fn name(&self, topic: &str) -> Box<str> {
        match self.strategy {
            SubjectStrategy::Topic => format!("{topic}-value").into(),
            SubjectStrategy::Record => self.record.into(),
            SubjectStrategy::TopicRecord => format!("{topic}-{}", self.record).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_zero_byte_and_the_id_in_big_endian() {
        let subject = Subject::new("s".into());
        assert_eq!(subject.frame(), None);
        subject.refuse(PublishError::SchemaUnknown { subject: "s".into() }, Instant::now());
        subject.know(0x0102_0304);
        assert_eq!(subject.frame(), Some([0, 1, 2, 3, 4]));
        assert_eq!(subject.refusal(), None);
        subject.know(u32::MAX);
        assert_eq!(subject.frame(), Some([0, 255, 255, 255, 255]));
    }

    #[test]
    fn the_strategy_names_the_subjects() {
        for (strategy, name) in [
            (SubjectStrategy::Topic, "events-value"),
            (SubjectStrategy::Record, "xmidt.wrp.Message"),
            (SubjectStrategy::TopicRecord, "events-xmidt.wrp.Message"),
        ] {
            assert_eq!(&*Subjects::new(strategy, "xmidt.wrp.Message").name("events"), name);
        }
    }
}
