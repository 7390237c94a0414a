//! The subjects of the registry, and what it has answered about our schema under each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::config::SubjectStrategy;
use crate::error::PublishError;

/// The size of a value's frame: a zero byte and the schema's id.
pub(crate) const FRAME: usize = 5;

/// One subject. Topics share it if the strategy gives them the same name.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: Box<str>,
    /// [`KNOWN`] and the schema's id, once the registry has answered. It never changes after that.
    id: AtomicU64,
    /// Whether the registry was asked at least once and could not be reached.
    is_unanswered: AtomicBool,
    /// Why the registry rejects our schema under this subject, and when it said so.
    rejection: Mutex<Option<(PublishError, Instant)>>,
}

const KNOWN: u64 = 1 << 32;

impl Subject {
    fn new(name: Box<str>) -> Self {
        Self {
            name,
            id: AtomicU64::new(0),
            is_unanswered: AtomicBool::new(false),
            rejection: Mutex::new(None),
        }
    }

    /// The frame of a value under this subject, once the id is known.
    pub(crate) fn frame(&self) -> Option<[u8; FRAME]> {
        let id = self.id.load(Ordering::Acquire);
        // The lowest five bytes of the word are 1 and the id; the first byte of a frame is 0.
        let [_, _, _, _, a, b, c, d] = id.to_be_bytes();
        (id & KNOWN != 0).then_some([0, a, b, c, d])
    }

    /// The error of records under this subject, if the registry rejects our schema.
    pub(crate) fn rejection(&self) -> Option<PublishError> {
        self.rejection.lock().as_ref().map(|(error, _)| error.clone())
    }

    /// When the registry rejected our schema last, if it still does.
    pub(crate) fn rejected_at(&self) -> Option<Instant> {
        self.rejection.lock().as_ref().map(|(_, at)| *at)
    }

    /// Whether the registry was asked and could not be reached. Until then it may be about to answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.is_unanswered.load(Ordering::Relaxed)
    }

    pub(crate) fn set_unanswered(&self) {
        self.is_unanswered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_id(&self, id: u32) {
        *self.rejection.lock() = None;
        self.id.store(KNOWN | u64::from(id), Ordering::Release);
    }

    pub(crate) fn set_rejected(&self, error: PublishError, now: Instant) {
        *self.rejection.lock() = Some((error, now));
    }
}

/// Every subject that a publisher has needed. Ids that are known are kept for the publisher's life.
#[derive(Debug)]
pub(crate) struct Subjects {
    strategy: SubjectStrategy,
    /// The full name of the schema's record.
    record: &'static str,
    all: Mutex<HashMap<Box<str>, Arc<Subject>>>,
}

impl Subjects {
    pub(crate) fn new(strategy: SubjectStrategy, record: &'static str) -> Self {
        Self { strategy, record, all: Mutex::default() }
    }

    /// The subject of a topic's values, which is new if no topic has needed it before.
    pub(crate) fn of_topic(&self, topic: &str) -> Arc<Subject> {
        let mut all = self.all.lock();
        let subject = all.entry(self.name(topic));
        Arc::clone(subject.or_insert_with_key(|name| Arc::new(Subject::new(name.clone()))))
    }

    /// Drops the subjects that are used nowhere else, unless their ids are known.
    pub(crate) fn forget_unused(&self) {
        self.all.lock().retain(|_, subject| subject.frame().is_some() || Arc::strong_count(subject) > 1);
    }

    /// The subjects whose ids are not known, sorted by name.
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
#[expect(clippy::disallowed_methods, reason = "any time will do")]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_zero_byte_and_the_id_in_big_endian() {
        let subject = Subject::new("s".into());
        assert_eq!(subject.frame(), None);
        subject.set_rejected(PublishError::SchemaUnknown { subject: "s".into() }, Instant::now());
        subject.set_id(0x0102_0304);
        assert_eq!(subject.frame(), Some([0, 1, 2, 3, 4]));
        assert_eq!(subject.rejection(), None);
        subject.set_id(u32::MAX);
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

    #[test]
    fn a_subject_is_forgotten_when_no_topic_needs_it_unless_its_id_is_known() {
        let subjects = Subjects::new(SubjectStrategy::Topic, "xmidt.wrp.Message");
        let (known, needed) = (subjects.of_topic("known"), subjects.of_topic("needed"));
        known.set_id(1);
        drop((known, subjects.of_topic("unused")));
        subjects.forget_unused();
        assert_eq!(subjects.of_topic("known").frame(), Some([0, 0, 0, 0, 1]));
        let unknown = subjects.unknown();
        assert!(matches!(unknown.as_slice(), [only] if Arc::ptr_eq(only, &needed)), "{unknown:?}");
    }
}
