//! Metric labels whose values strangers choose (contract §14.24): each value is cut, their number is bounded, and their
//! series are removed when no device has them any more.
//!
//! Anyone who connects is a stranger: a device chooses its model and firmware, the issuer of its token the partner, the trust
//! and the key id. All labels that they choose are made here and nowhere else:
//!
//! | family | labels | bound, then `other` |
//! |---|---|---|
//! | `hardware_model` | `model`, `partnerid`, `firmware`, `trust` | [`MAX_MODELS`] combinations |
//! | `outbound_ack_*` | `partner_id` | [`MAX_PARTNERS`] |
//! | `keys_resolve_*` | `keyID` | [`MAX_KEY_IDS`], of keys that were found |
//!
//! All other labels come from lists in the code or from the configuration: methods, statuses, reasons, schemes, topics (a
//! template is confined to `allowedTopics`) and sources of keys.
//!
//! Deliberately absent: what a family counts. Start reading at [`LabelTable::hold`].

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Combinations of model, partner, firmware and trust that have a series of their own.
pub const MAX_MODELS: usize = 4096;

/// Partners that have series of their own.
pub const MAX_PARTNERS: usize = 256;

/// Key ids that have series of their own.
pub const MAX_KEY_IDS: usize = 64;

/// The value of all that are too many.
pub const OTHER: &str = "other";

/// The longest value, in bytes.
const LONGEST: usize = 64;

/// The combinations of values of `N` labels that are in use, each with its series `S`.
pub struct LabelTable<const N: usize, S> {
    most: usize,
    make: ForValues<N, S>,
    remove: ForValues<N, ()>,
    /// By [`key`].
    held: Mutex<HashMap<String, Arc<Entry<N, S>>>>,
}

/// A combination that its owner has until it drops this. One pointer.
pub struct HeldLabels<const N: usize, S>(Arc<Entry<N, S>>);

type Values<const N: usize> = [Box<str>; N];

type ForValues<const N: usize, T> = Box<dyn Fn([&str; N]) -> T + Send + Sync>;

struct Entry<const N: usize, S> {
    values: Values<N>,
    series: S,
    /// Changed under the lock of the table only.
    holders: AtomicUsize,
    table: Weak<LabelTable<N, S>>,
}

impl<const N: usize, S> LabelTable<N, S> {
    /// An empty table of at most so many combinations, besides the one of all others. `make` gives the series of a
    /// combination, and `remove` removes them from their families.
    pub fn new(
        most: usize,
        make: impl Fn([&str; N]) -> S + Send + Sync + 'static,
        remove: impl Fn([&str; N]) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { most, make: Box::new(make), remove: Box::new(remove), held: Mutex::default() })
    }

    /// Gives a combination of values, cut, to one more holder. If there are too many, it is the one of all others.
    pub fn hold(self: &Arc<Self>, values: [&str; N]) -> HeldLabels<N, S> {
        let mut values = values.map(cut);
        let mut key_of_values = key(values);
        let mut held = self.held.lock();
        if !held.contains_key(&key_of_values) && held.len() >= self.most {
            values = [OTHER; N];
            key_of_values = key(values);
        }
        let entry = held.entry(key_of_values).or_insert_with(|| {
            let (series, table) = ((self.make)(values), Arc::downgrade(self));
            Arc::new(Entry { values: values.map(Box::from), series, holders: AtomicUsize::new(0), table })
        });
        entry.holders.fetch_add(1, Ordering::Relaxed);
        HeldLabels(Arc::clone(entry))
    }
}

impl<const N: usize, S> HeldLabels<N, S> {
    /// The values as the labels have them.
    #[must_use]
    pub fn values(&self) -> [&str; N] {
        self.0.values.each_ref().map(|value| &**value)
    }
}

impl<const N: usize, S> Deref for HeldLabels<N, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.series
    }
}

impl<const N: usize, S> Drop for HeldLabels<N, S> {
    fn drop(&mut self) {
        let Some(table) = self.0.table.upgrade() else { return };
        let mut held = table.held.lock();
        if self.0.holders.fetch_sub(1, Ordering::Relaxed) == 1 {
            held.remove(&key(self.values()));
            // Under the lock, so that a new holder of the same values does not lose its series.
            (table.remove)(self.values());
        }
    }
}

impl<const N: usize, S> fmt::Debug for LabelTable<N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabelTable").field("most", &self.most).finish_non_exhaustive()
    }
}

impl<const N: usize, S> fmt::Debug for HeldLabels<N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeldLabels").field(&self.0.values).finish()
    }
}

/// A text that only this combination has: each value after its length.
fn key<const N: usize>(values: [&str; N]) -> String {
    let mut key = String::with_capacity(values.map(|value| value.len() + 1).iter().sum());
    for value in values {
        // No value is longer than 64 bytes, so its length is a character of ASCII.
        key.push(char::from(u8::try_from(value.len()).unwrap_or(u8::MAX)));
        key.push_str(value);
    }
    key
}

/// As much of a value as a label may have.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
mod tests {
    use prometheus::IntGauge;

    use super::*;
    use crate::telemetry::metrics::Metrics;

    /// A table over a gauge with two labels.
    fn table(metrics: &Metrics, most: usize) -> Arc<LabelTable<2, IntGauge>> {
        let family = metrics.bare().gauge_vec("held", "held", &["a", "b"]);
        let removed = family.clone();
        LabelTable::new(
            most,
            move |values| family.with_label_values(&values),
            move |values| drop(removed.remove_label_values(&values)),
        )
    }

    fn series(metrics: &Metrics) -> Vec<String> {
        let text = String::from_utf8(metrics.gather_text()).unwrap();
        text.lines().filter(|line| line.starts_with("held{")).map(str::to_owned).collect()
    }

    #[test]
    fn a_series_stays_as_long_as_somebody_has_its_values() {
        let metrics = Metrics::default();
        let table = table(&metrics, 10);
        let (one, two) = (table.hold(["x", "y"]), table.hold(["x", "y"]));
        one.inc();
        two.inc();
        assert_eq!(series(&metrics), [r#"held{a="x",b="y"} 2"#]);
        drop(one);
        assert_eq!(series(&metrics).len(), 1);
        drop(two);
        assert_eq!(series(&metrics), [""; 0]);
        table.hold(["x", "y"]).inc();
        assert_eq!(series(&metrics), [""; 0]);
    }

    #[test]
    fn values_that_are_too_many_share_a_series_until_there_is_room() {
        let metrics = Metrics::default();
        let table = table(&metrics, 100);
        let held: Vec<_> = (0..1000).map(|number| table.hold([&number.to_string(), "b"])).collect();
        held.iter().for_each(|held| held.inc());
        let found = series(&metrics);
        assert_eq!(found.len(), 101);
        assert!(found.contains(&r#"held{a="other",b="other"} 900"#.to_owned()), "{found:?}");
        // One that is known gets its own series although there is no room for another.
        assert_eq!(table.hold(["7", "b"]).values(), ["7", "b"]);
        drop(held);
        assert_eq!(series(&metrics), [""; 0]);
        assert_eq!(table.hold(["new", "b"]).values(), ["new", "b"]);
    }

    #[test]
    fn values_are_cut_between_characters() {
        let table = table(&Metrics::default(), 10);
        let (long, multibyte) = ("x".repeat(5000), "é".repeat(5000));
        let held = table.hold([&long, &format!("x{multibyte}")]);
        assert_eq!(held.values(), [&*"x".repeat(64), &*format!("x{}", "é".repeat(31))]);
    }
}
