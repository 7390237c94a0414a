//! What the filters have decided of a sender, once for each sender and configuration: a message asks no rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use smallvec::SmallVec;

use super::filter::{Attributes, CompiledFilter};
use crate::listener::FilteredBy;

/// Who sends a message, for routes that have a filter.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// What is known of it. Asked only if a route has a filter, and then once for each configuration.
    pub attributes: &'a dyn Attributes,
    /// Where it is remembered what was decided.
    pub admission: &'a Admission,
}

/// What the filters of the routes have decided of one sender, remembered from message to message.
///
/// It belongs to the sender, for as long as its [`Attributes`] stay as they are: to a connection, say. It takes one
/// pointer, and some 50 bytes behind it once a message has met a filter. Another configuration
/// ([`Publisher::update_config`](crate::Publisher::update_config)) decides anew with the sender's next message.
#[derive(Debug, Default)]
pub struct Admission(ArcSwapOption<Decision>);

/// What one set of filters makes of one sender.
#[derive(Debug)]
pub(crate) struct Decision {
    generation: u64,
    /// What turns it away from each route.
    turned_away: SmallVec<[Option<FilteredBy>; 16]>,
}

/// The filters of one configuration at work.
#[derive(Debug)]
pub(crate) struct Judge {
    generation: u64,
    /// For messages whose sender is not told: nothing is known of it.
    unknown: Arc<Decision>,
}

/// Tells all sets of filters apart, whosever they are. 0 is none.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

impl Judge {
    /// The judge over routes with these filters; none if there is nothing to filter.
    pub(crate) fn new<'f>(
        filters: impl Iterator<Item = Option<&'f CompiledFilter>> + Clone,
    ) -> Option<Judge> {
        if filters.clone().all(|filter| filter.is_none()) {
            return None;
        }
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        Some(Judge { generation, unknown: Arc::new(Decision::new(generation, None, filters)) })
    }

    /// What was decided of a sender, or is now.
    pub(crate) fn decide<'f>(
        &self,
        sender: Option<&Sender<'_>>,
        filters: impl Iterator<Item = Option<&'f CompiledFilter>>,
    ) -> Arc<Decision> {
        let Some(Sender { attributes, admission }) = sender else { return Arc::clone(&self.unknown) };
        if let Some(decision) = admission.0.load_full()
            && decision.generation == self.generation
        {
            return decision;
        }
        let decision = Arc::new(Decision::new(self.generation, Some(*attributes), filters));
        admission.0.store(Some(Arc::clone(&decision)));
        decision
    }
}

impl Decision {
    fn new<'f>(
        generation: u64,
        sender: Option<&dyn Attributes>,
        filters: impl Iterator<Item = Option<&'f CompiledFilter>>,
    ) -> Decision {
        let turned_away = filters.map(|filter| filter.and_then(|filter| filter.turns_away(sender)));
        Decision { generation, turned_away: turned_away.collect() }
    }

    /// What turns the sender away from the route of this number.
    pub(crate) fn turned_away(&self, route: usize) -> Option<FilteredBy> {
        self.turned_away.get(route).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::config::{Filter, Rule, Test};
    use crate::routing::Attribute;

    /// Counts how often it is asked.
    #[derive(Default)]
    struct Asked(AtomicU32);

    impl Attributes for Asked {
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
        let (asked, admission) = (Asked::default(), Admission::default());
        let sender = Sender { attributes: &asked, admission: &admission };
        let mut judge = Judge::new(filters.into_iter()).unwrap();
        for times in 1..=2 {
            for _ in 0..3 {
                let decision = judge.decide(Some(&sender), filters.into_iter());
                assert_eq!(decision.turned_away(0), None);
                assert_eq!(decision.turned_away(1), Some(FilteredBy::Deny));
            }
            assert_eq!(asked.0.load(Ordering::Relaxed), times);
            judge = Judge::new(filters.into_iter()).unwrap();
        }
        assert_eq!(judge.decide(None, filters.into_iter()).turned_away(1), None, "nothing is known");
        assert_eq!(asked.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn without_filters_there_is_no_judge_and_an_admission_is_a_pointer() {
        assert!(Judge::new([None, None].into_iter()).is_none());
        assert_eq!(size_of::<Admission>(), size_of::<usize>());
    }
}
