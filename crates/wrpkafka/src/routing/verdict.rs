//! What a configuration's filters decided about a sender, computed once for each sender and configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use smallvec::SmallVec;

use super::filter::{Attributes, CompiledFilter};
use super::filtered::FilteredBy;

/// The sender of a message, for routes that have a filter.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// What is known of the sender. Read only if a route has a filter, and then once for each configuration.
    pub attributes: &'a dyn Attributes,
    /// Where the filters' verdict on the sender is kept.
    pub verdict: &'a CachedVerdict,
}

/// The verdict of all routes' filters on one sender, kept from message to message.
///
/// Keep one with each sender for as long as its [`Attributes`] do not change: with a connection, for instance. It takes
/// one pointer, and about 50 bytes behind it once a message has met a filter. After a change of the configuration
/// ([`Publisher::update_config`](crate::Publisher::update_config)), the sender's next message computes it anew.
#[derive(Debug, Default)]
pub struct CachedVerdict(ArcSwapOption<Verdict>);

/// What one set of filters decided about one sender.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The [`FilterSet`] that decided.
    filter_set: u64,
    /// For each route, the setting that rejects the sender.
    rejected_by: SmallVec<[Option<FilteredBy>; 16]>,
}

/// Identifies the filters of one configuration.
#[derive(Debug)]
pub(crate) struct FilterSet {
    id: u64,
    /// The verdict on messages without a sender, of whom nothing is known.
    unknown_sender: Arc<Verdict>,
}

/// Ids are unique in the process, so that a sender may use several publishers.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl FilterSet {
    /// None if no route has a filter.
    pub(crate) fn new<'f>(filters: impl Iterator<Item = Option<&'f CompiledFilter>> + Clone) -> Option<Self> {
        if filters.clone().all(|filter| filter.is_none()) {
            return None;
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Some(Self { id, unknown_sender: Arc::new(Verdict::new(id, None, filters)) })
    }

    /// The verdict on a sender: the cached one if this set made it, else a new one, which is cached.
    pub(crate) fn verdict<'f>(
        &self,
        sender: Option<&Sender<'_>>,
        filters: impl Iterator<Item = Option<&'f CompiledFilter>>,
    ) -> Arc<Verdict> {
        let Some(Sender { attributes, verdict: cached }) = sender else {
            return Arc::clone(&self.unknown_sender);
        };
        if let Some(verdict) = cached.0.load_full()
            && verdict.filter_set == self.id
        {
            return verdict;
        }
        let verdict = Arc::new(Verdict::new(self.id, Some(*attributes), filters));
        cached.0.store(Some(Arc::clone(&verdict)));
        verdict
    }
}

impl Verdict {
    fn new<'f>(
        filter_set: u64,
        sender: Option<&dyn Attributes>,
        filters: impl Iterator<Item = Option<&'f CompiledFilter>>,
    ) -> Self {
        let rejected_by = filters.map(|filter| filter.and_then(|filter| filter.rejects(sender)));
        Self { filter_set, rejected_by: rejected_by.collect() }
    }

    /// The setting by which the route at this index rejects the sender; none if it accepts the sender.
    pub(crate) fn rejected_by(&self, route: usize) -> Option<FilteredBy> {
        self.rejected_by.get(route).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::config::{Filter, Rule, Test};
    use crate::routing::Attribute;

    /// Counts how often it is read.
    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Attributes for Counted {
        fn get(&self, _: &str) -> Option<Attribute<'_>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Some("x".into())
        }
    }

    #[test]
    fn a_sender_is_judged_once_by_each_configuration() {
        let rule = Rule::new("key", Test::Is("x".to_owned()));
        let filter = CompiledFilter::new(&Filter { deny: vec![rule], ..Filter::default() });
        let filters = [None, Some(&filter)];
        let (read, cached) = (Counted::default(), CachedVerdict::default());
        let sender = Sender { attributes: &read, verdict: &cached };
        let mut set = FilterSet::new(filters.into_iter()).unwrap();
        for times in 1..=2 {
            for _ in 0..3 {
                let verdict = set.verdict(Some(&sender), filters.into_iter());
                assert_eq!(verdict.rejected_by(0), None);
                assert_eq!(verdict.rejected_by(1), Some(FilteredBy::Deny));
            }
            assert_eq!(read.0.load(Ordering::Relaxed), times);
            set = FilterSet::new(filters.into_iter()).unwrap();
        }
        assert_eq!(set.verdict(None, filters.into_iter()).rejected_by(1), None, "nothing is known");
        assert_eq!(read.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn without_filters_there_is_no_filter_set_and_a_cached_verdict_is_a_pointer() {
        assert!(FilterSet::new([None, None].into_iter()).is_none());
        assert_eq!(size_of::<CachedVerdict>(), size_of::<usize>());
    }
}
