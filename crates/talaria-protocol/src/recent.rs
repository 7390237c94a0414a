//! A map of bounded size that forgets what has not been looked up for the longest time.
//!
//! Strangers choose the keys (an address, an id), so their number must not grow with that of the strangers. The map has two
//! halves: when the recent one is full it becomes the older one, and the older one is dropped. So nothing is searched to
//! make room, and an entry survives at least as many new ones as a half has.

use std::collections::HashMap;
use std::hash::Hash;

/// A map of at most twice as many entries as a half has.
#[derive(Debug)]
pub struct RecentMap<K, V> {
    half: usize,
    recent: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Default> RecentMap<K, V> {
    /// An empty map whose halves have so many entries, at least one.
    #[must_use]
    pub fn new(half: usize) -> Self {
        Self { half: half.max(1), recent: HashMap::new(), older: HashMap::new() }
    }

    /// The value of a key, which is recent from now on; the default if the key is not there.
    pub fn entry(&mut self, key: K) -> &mut V {
        let known = if self.recent.contains_key(&key) { None } else { self.older.remove(&key) };
        if self.recent.len() >= self.half && !self.recent.contains_key(&key) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.entry(key).or_insert_with(|| known.unwrap_or_default())
    }

    /// The value of a key, if it is there.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.recent.get(key).or_else(|| self.older.get(key))
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        self.recent.remove(key);
        self.older.remove(key);
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_keys_takes_bounded_memory() {
        let mut map = RecentMap::<u32, u32>::new(100);
        for key in 0..10_000 {
            *map.entry(key) += 1;
            assert!(map.len() <= 200);
        }
        assert_eq!(map.get(&9_999), Some(&1));
        assert_eq!(map.get(&0), None);
    }

    #[test]
    fn what_is_looked_up_is_kept_while_others_come_and_go() {
        let mut map = RecentMap::<u32, u32>::new(100);
        for key in 1..10_000 {
            *map.entry(0) += 1;
            *map.entry(key) += 1;
        }
        assert_eq!(map.get(&0), Some(&9_999));
        map.remove(&0);
        assert_eq!(map.get(&0), None);
    }
}
