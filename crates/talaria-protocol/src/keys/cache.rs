//! Which keys are known, which could not be fetched, and which are being fetched.
//!
//! The cache does no I/O and has no clock: an [`Answer`] says what its owner has to do. How the others wait for a fetch is
//! the owner's choice `W` (in the gateway, one end of a channel).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{KeyError, KeyId, Known};

/// How many keys may be fetched, or wait to be fetched, at the same time.
const MOST_FETCHES: usize = 256;

/// How many failures are remembered.
const MOST_FAILURES: usize = 1024;

/// For how long the key server is not asked again for a key that it does not have.
const ABSENT_STANDS: Duration = Duration::from_secs(10);

/// For how long it is not asked again after another failure.
const FAILURE_STANDS: Duration = Duration::from_secs(2);

/// How old a key must be to be fetched again because a signature was not its own.
const LEAST_AGE: Duration = Duration::from_secs(60);

/// What is to be done for a caller that asks for a key.
#[derive(Debug)]
pub enum Answer<W> {
    /// Use these keys.
    Known(Known),
    /// There are none, and the key server is not asked now.
    Failed(KeyError),
    /// They are being fetched: wait for that fetch.
    Wait(W),
    /// Use these keys, and fetch them again: call [`Cache::begin`], later [`Cache::finish`].
    Stale(Known),
    /// Fetch them: call [`Cache::begin`], later [`Cache::finish`].
    Fetch,
}

/// The keys of one template, by their ids.
#[derive(Debug)]
pub struct Cache<W> {
    max_age: Duration,
    max_keys: usize,
    keys: HashMap<KeyId, Entry>,
    failures: HashMap<KeyId, FailedFetch>,
    fetches: HashMap<KeyId, W>,
    /// Counts look-ups. The entry with the lowest count has not been used for the longest time.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    used: u64,
}

#[derive(Debug)]
struct FailedFetch {
    error: KeyError,
    until: Instant,
}

impl<W: Clone> Cache<W> {
    /// An empty cache. A key older than `max_age` is fetched again; of more than `max_keys` keys, the one that has not
    /// been used for the longest time is forgotten.
    #[must_use]
    pub fn new(max_age: Duration, max_keys: usize) -> Self {
        let (keys, failures, fetches) = Default::default();
        Self { max_age, max_keys: max_keys.max(1), keys, failures, fetches, clock: 0 }
    }

    /// What to do for a caller that asks for this key now; with `newer_than`, for a key that was fetched after that.
    #[must_use]
    pub fn look_up(&mut self, id: &KeyId, newer_than: Option<Instant>, now: Instant) -> Answer<W> {
        self.clock += 1;
        if let Some(entry) = self.keys.get_mut(id) {
            entry.used = self.clock;
            let known = entry.known.clone();
            let age = now.duration_since(known.fetched);
            match newer_than {
                Some(than) if known.fetched <= than => {
                    if age < LEAST_AGE {
                        return Answer::Failed(KeyError::Fresh);
                    }
                }
                _ if age < self.max_age => return Answer::Known(known),
                _ => {
                    return match self.missing(id, now) {
                        Answer::Fetch => Answer::Stale(known),
                        _ => Answer::Known(known),
                    };
                }
            }
        }
        self.missing(id, now)
    }

    /// Whether keys with this id are kept.
    #[must_use]
    pub fn is_known(&self, id: &KeyId) -> bool {
        self.keys.contains_key(id)
    }

    /// A fetch of this key begins; `waiter` is what others get who ask for it meanwhile.
    pub fn begin(&mut self, id: &KeyId, waiter: W) {
        self.fetches.insert(id.clone(), waiter);
    }

    /// The fetch of this key has ended.
    pub fn finish(&mut self, id: &KeyId, outcome: &Result<Known, KeyError>, now: Instant) {
        self.fetches.remove(id);
        match outcome {
            Ok(known) => {
                self.failures.remove(id);
                self.clock += 1;
                self.keys.insert(id.clone(), Entry { known: known.clone(), used: self.clock });
                keep(&mut self.keys, self.max_keys, |entry| entry.used);
            }
            Err(error) => {
                let stands = if error.is_final() { ABSENT_STANDS } else { FAILURE_STANDS };
                if error.is_final() {
                    self.keys.remove(id);
                }
                let failure = FailedFetch { error: error.clone(), until: now + stands };
                self.failures.insert(id.clone(), failure);
                keep(&mut self.failures, MOST_FAILURES, |failure| failure.until);
            }
        }
    }

    /// What to do for a key that is not known: fetch it, unless that is being done, has just failed, or too many keys are
    /// being fetched.
    fn missing(&self, id: &KeyId, now: Instant) -> Answer<W> {
        if let Some(failure) = self.failures.get(id).filter(|failure| now < failure.until) {
            return Answer::Failed(failure.error.clone());
        }
        if let Some(waiter) = self.fetches.get(id) {
            return Answer::Wait(waiter.clone());
        }
        if self.fetches.len() >= MOST_FETCHES {
            return Answer::Failed(KeyError::Busy);
        }
        Answer::Fetch
    }
}

/// Removes the entry that comes first by `order`, if there are more than `most`.
fn keep<T, O: Ord>(entries: &mut HashMap<KeyId, T>, most: usize, order: impl Fn(&T) -> O) {
    if entries.len() > most {
        let first = entries.iter().min_by_key(|(_, entry)| order(entry)).map(|(id, _)| id.clone());
        if let Some(first) = first {
            entries.remove(&first);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test chooses the times, from any start")]
mod tests {
    use super::super::{DocumentError, FetchError};
    use super::*;

    /// A cache with a clock that the test turns.
    struct Fixture {
        cache: Cache<()>,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            Self { cache: Cache::new(Duration::from_secs(3600), 3), now: Instant::now() }
        }

        /// As the owner does it: what is to be fetched is being fetched from then on.
        fn look_up(&mut self, text: &str, newer_than: Option<Instant>) -> Answer<()> {
            let answer = self.cache.look_up(&id(text), newer_than, self.now);
            if matches!(answer, Answer::Fetch | Answer::Stale(_)) {
                self.cache.begin(&id(text), ());
            }
            answer
        }

        fn fetched(&mut self, text: &str) {
            let known = Known { keys: [].into(), fetched: self.now };
            self.cache.finish(&id(text), &Ok(known), self.now);
        }

        fn failed(&mut self, text: &str, error: impl Into<KeyError>) {
            self.cache.finish(&id(text), &Err(error.into()), self.now);
        }
    }

    fn id(text: &str) -> KeyId {
        KeyId::new(text).unwrap()
    }

    #[test]
    fn the_first_caller_fetches_and_the_others_wait() {
        let mut fixture = Fixture::new();
        assert!(matches!(fixture.look_up("a", None), Answer::Fetch));
        assert!(matches!(fixture.look_up("a", None), Answer::Wait(())));
        fixture.fetched("a");
        assert!(matches!(fixture.look_up("a", None), Answer::Known(_)));
    }

    #[test]
    fn an_old_key_is_used_while_it_is_fetched_anew_and_kept_if_that_fails() {
        let mut fixture = Fixture::new();
        fixture.fetched("a");
        fixture.now += Duration::from_secs(3600);
        assert!(matches!(fixture.look_up("a", None), Answer::Stale(_)));
        assert!(matches!(fixture.look_up("a", None), Answer::Known(_)));
        fixture.failed("a", FetchError::Status(503));
        assert!(matches!(fixture.look_up("a", None), Answer::Known(_)));
        fixture.now += FAILURE_STANDS;
        assert!(matches!(fixture.look_up("a", None), Answer::Stale(_)));
    }

    #[test]
    fn a_key_that_the_server_no_longer_has_is_forgotten() {
        for error in [KeyError::from(FetchError::Status(404)), DocumentError::Absent.into()] {
            let mut fixture = Fixture::new();
            fixture.fetched("a");
            fixture.failed("a", error.clone());
            assert!(matches!(fixture.look_up("a", None), Answer::Failed(given) if given == error));
        }
    }

    #[test]
    fn a_failure_stands_for_a_while() {
        let mut fixture = Fixture::new();
        fixture.failed("a", FetchError::Status(404));
        assert!(matches!(fixture.look_up("a", None), Answer::Failed(_)));
        fixture.now += ABSENT_STANDS;
        assert!(matches!(fixture.look_up("a", None), Answer::Fetch));
    }

    #[test]
    fn a_bad_signature_fetches_a_key_anew_once_a_minute() {
        let mut fixture = Fixture::new();
        fixture.fetched("a");
        let first = fixture.now;
        assert!(matches!(fixture.look_up("a", Some(first)), Answer::Failed(KeyError::Fresh)));
        fixture.now += LEAST_AGE;
        assert!(matches!(fixture.look_up("a", Some(first)), Answer::Fetch));
        fixture.fetched("a");
        assert!(matches!(fixture.look_up("a", Some(first)), Answer::Known(_)));
    }

    #[test]
    fn keys_failures_and_fetches_are_bounded() {
        let mut fixture = Fixture::new();
        for number in 0..5 {
            fixture.fetched(&format!("{number}"));
            let _used = fixture.look_up("0", None);
        }
        assert_eq!(fixture.cache.keys.len(), 3);
        assert!(matches!(fixture.look_up("0", None), Answer::Known(_)), "the one in use stays");
        for number in 0..2000 {
            fixture.failed(&format!("no{number}"), FetchError::Status(404));
        }
        assert_eq!(fixture.cache.failures.len(), MOST_FAILURES);
        for number in 0..MOST_FETCHES {
            assert!(matches!(fixture.look_up(&format!("new{number}"), None), Answer::Fetch));
        }
        assert!(matches!(fixture.look_up("one more", None), Answer::Failed(KeyError::Busy)));
        assert!(matches!(fixture.look_up("0", None), Answer::Known(_)), "known keys are not concerned");
    }
}
