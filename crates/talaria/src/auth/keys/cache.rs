//! What is known of keys by their ids, what is not, and what is being found out. No I/O: answers say what to do.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{KeyError, Known};
use crate::auth::jwt::key_id::KeyId;

/// How many keys may be being fetched, or wait for that.
const MOST_FLIGHTS: usize = 256;

/// How many failures are remembered.
const MOST_FAILURES: usize = 1024;

/// For how long the key server is not asked again for a key that it does not have.
const ABSENT_STANDS: Duration = Duration::from_secs(10);

/// For how long it is not asked again after another failure.
const FAILURE_STANDS: Duration = Duration::from_secs(2);

/// How old a key must be to be fetched again because a signature was not its own.
const LEAST_AGE: Duration = Duration::from_secs(60);

/// Tells all who wait when a fetch has ended.
pub(super) type Flight = watch::Receiver<Option<Result<Known, KeyError>>>;

type Landing = watch::Sender<Option<Result<Known, KeyError>>>;

/// What is to be done for one who asks for a key.
#[derive(Debug)]
pub(super) enum Answer {
    Known(Known),
    Failed(KeyError),
    /// It is being fetched.
    Wait(Flight),
    /// It is there, but to be fetched anew; whoever is told so does it.
    Stale(Known, Landing),
    /// It is to be fetched; whoever is told so does it.
    Fetch(Landing, Flight),
}

#[derive(Debug)]
pub(super) struct Cache {
    max_age: Duration,
    max_keys: usize,
    keys: HashMap<KeyId, Entry>,
    failures: HashMap<KeyId, Failure>,
    flights: HashMap<KeyId, Flight>,
    /// Counts look-ups: the entry with the lowest count was not used for longest.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    used: u64,
}

#[derive(Debug)]
struct Failure {
    error: KeyError,
    until: Instant,
}

impl Cache {
    pub(super) fn new(max_age: Duration, max_keys: usize) -> Self {
        let (keys, failures, flights) = Default::default();
        Self { max_age, max_keys: max_keys.max(1), keys, failures, flights, clock: 0 }
    }

    /// What is known of this key, or known since `newer_than`.
    pub(super) fn look_up(&mut self, id: &KeyId, newer_than: Option<Instant>) -> Answer {
        let now = Instant::now();
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
                    return match self.find_out(id, now) {
                        Answer::Fetch(landing, _) => Answer::Stale(known, landing),
                        _ => Answer::Known(known),
                    };
                }
            }
        }
        self.find_out(id, now)
    }

    /// A fetch has ended.
    pub(super) fn finish(&mut self, id: &KeyId, outcome: &Result<Known, KeyError>) {
        self.flights.remove(id);
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
                let failure = Failure { error: error.clone(), until: Instant::now() + stands };
                self.failures.insert(id.clone(), failure);
                keep(&mut self.failures, MOST_FAILURES, |failure| failure.until);
            }
        }
    }

    /// Begins to fetch a key, unless that is being done, has just failed, or too much is being done.
    fn find_out(&mut self, id: &KeyId, now: Instant) -> Answer {
        if let Some(failure) = self.failures.get(id).filter(|failure| now < failure.until) {
            return Answer::Failed(failure.error.clone());
        }
        if let Some(flight) = self.flights.get(id) {
            return Answer::Wait(flight.clone());
        }
        if self.flights.len() == MOST_FLIGHTS {
            return Answer::Failed(KeyError::Busy);
        }
        let (landing, flight) = watch::channel(None);
        self.flights.insert(id.clone(), flight.clone());
        Answer::Fetch(landing, flight)
    }
}

/// Removes the entry that comes first by `order` if there are more than `most`.
fn keep<T, O: Ord>(entries: &mut HashMap<KeyId, T>, most: usize, order: impl Fn(&T) -> O) {
    if entries.len() > most {
        let first = entries.iter().min_by_key(|(_, entry)| order(entry)).map(|(id, _)| id.clone());
        if let Some(first) = first {
            entries.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::FetchError;
    use super::*;

    fn id(text: &(impl ToString + ?Sized)) -> KeyId {
        KeyId::new(&text.to_string()).unwrap()
    }

    fn known() -> Result<Known, KeyError> {
        Ok(Known { keys: [].into(), fetched: Instant::now() })
    }

    fn cache() -> Cache {
        Cache::new(Duration::from_secs(3600), 3)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_who_asks_fetches_and_the_others_wait() {
        let mut cache = cache();
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Fetch(..)));
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Wait(_)));
        cache.finish(&id("a"), &known());
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Known(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_key_is_used_while_it_is_fetched_anew_and_kept_if_that_fails() {
        let mut cache = cache();
        cache.finish(&id("a"), &known());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Stale(..)));
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Known(_)));
        cache.finish(&id("a"), &Err(FetchError::Status(503).into()));
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Known(_)));
        tokio::time::advance(FAILURE_STANDS).await;
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Stale(..)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_the_server_has_no_more_is_gone() {
        for error in [KeyError::from(FetchError::Status(404)), super::super::DocumentError::Absent.into()] {
            let mut cache = cache();
            cache.finish(&id("a"), &known());
            cache.finish(&id("a"), &Err(error.clone()));
            assert!(matches!(cache.look_up(&id("a"), None), Answer::Failed(told) if told == error));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_stands_for_a_while() {
        let mut cache = cache();
        cache.finish(&id("a"), &Err(FetchError::Status(404).into()));
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Failed(_)));
        tokio::time::advance(ABSENT_STANDS).await;
        assert!(matches!(cache.look_up(&id("a"), None), Answer::Fetch(..)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_signature_fetches_a_key_anew_once_a_minute() {
        let mut cache = cache();
        cache.finish(&id("a"), &known());
        let Answer::Known(first) = cache.look_up(&id("a"), None) else { panic!("not known") };
        assert!(matches!(cache.look_up(&id("a"), Some(first.fetched)), Answer::Failed(KeyError::Fresh)));
        tokio::time::advance(LEAST_AGE).await;
        assert!(matches!(cache.look_up(&id("a"), Some(first.fetched)), Answer::Fetch(..)));
        cache.finish(&id("a"), &known());
        assert!(matches!(cache.look_up(&id("a"), Some(first.fetched)), Answer::Known(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_failures_and_fetches_are_bounded() {
        let mut cache = cache();
        for number in 0..5 {
            cache.finish(&id(&number), &known());
            cache.look_up(&id(&0), None);
        }
        assert_eq!(cache.keys.len(), 3);
        assert!(matches!(cache.look_up(&id(&0), None), Answer::Known(_)), "the one in use stays");
        for number in 0..2000 {
            cache.finish(&id(&format!("no{number}")), &Err(FetchError::Status(404).into()));
        }
        assert_eq!(cache.failures.len(), MOST_FAILURES);
        for number in 0..MOST_FLIGHTS {
            assert!(matches!(cache.look_up(&id(&format!("new{number}")), None), Answer::Fetch(..)));
        }
        assert!(matches!(cache.look_up(&id("one more"), None), Answer::Failed(KeyError::Busy)));
        assert!(matches!(cache.look_up(&id(&0), None), Answer::Known(_)), "known keys are not concerned");
    }
}
