//! The refresh sources: documents that one task fetches periodically. Each document replaces the previous one of its source.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use talaria_protocol::keys::{Document, Key, KeyId, Known};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::config::Source;
use super::{Shared, now};
use crate::random;

/// The keys of one source, by their names.
type Named = HashMap<KeyId, Known>;

/// The keys of all sources.
#[derive(Debug)]
pub(super) struct Refreshed {
    by_source: ArcSwap<Vec<Arc<Named>>>,
    first_round: watch::Sender<bool>,
}

impl Refreshed {
    /// No keys yet. `is_done` if there are no sources to wait for.
    pub(super) fn new(is_done: bool) -> Self {
        Self { by_source: ArcSwap::default(), first_round: watch::Sender::new(is_done) }
    }

    pub(super) fn get(&self, id: &KeyId) -> Option<Known> {
        self.by_source.load().iter().find_map(|named| named.get(id).cloned())
    }

    /// Whether the keys of any source are known.
    pub(super) fn has_keys(&self) -> bool {
        self.by_source.load().iter().any(|named| !named.is_empty())
    }

    /// Waits until every source has been fetched once, or the time is over.
    pub(super) async fn first_round(&self, within: Duration) {
        let mut done = self.first_round.subscribe();
        // When the time is over, the keys of the sources that have answered are used.
        let _ = timeout(within, done.wait_for(|done| *done)).await;
    }
}

/// Fetches each source when it is due. Never ends by itself.
pub(super) async fn run(shared: Arc<Shared>) {
    let sources = &shared.config.sources;
    let mut kept: Vec<Arc<Named>> = vec![Arc::default(); sources.len()];
    let mut due = vec![Instant::now(); sources.len()];
    for turn in 0.. {
        let Some(next) = (0..sources.len()).min_by_key(|source| due[*source]) else { return };
        sleep_until(due[next]).await;
        let source = &sources[next];
        let fetched = shared.fetcher.fetch(source.uri.to_url()).await;
        let count = fetched.as_ref().ok().map(Document::count);
        shared.metrics.refreshed(&source.uri, fetched.as_ref().err(), count);
        due[next] = Instant::now() + source.pause(fetched.is_ok());
        if let Ok(document) = fetched {
            shared.metrics.fetched(&source.uri, &document);
            kept[next] = Arc::new(by_name(document.named()));
            shared.refreshed.by_source.store(Arc::new(kept.clone()));
        }
        if turn + 1 == sources.len() {
            shared.refreshed.first_round.send_replace(true);
        }
    }
}

impl Source {
    /// The time to the next fetch.
    fn pause(&self, succeeded: bool) -> Duration {
        let interval = if succeeded { self.interval } else { self.min_interval };
        let varied = interval.mul_f64((1.0 + self.jitter * (2.0 * random::fraction() - 1.0)).max(0.0));
        varied.max(self.min_interval.min(interval))
    }
}

fn by_name(keys: impl Iterator<Item = (KeyId, Key)>) -> Named {
    let mut named: HashMap<KeyId, Vec<Key>> = HashMap::new();
    for (id, key) in keys {
        named.entry(id).or_default().push(key);
    }
    let fetched = now();
    named.into_iter().map(|(id, keys)| (id, Known { keys: keys.into(), fetched })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_varies_by_the_jitter_and_is_never_below_the_least() {
        let minute = Duration::from_secs(60);
        let uri = "http://h/keys".parse().unwrap();
        let mut source = Source { uri, interval: 10 * minute, min_interval: minute, jitter: 0.1 };
        let pauses: Vec<_> = (0..100).map(|_| source.pause(true)).collect();
        assert!(pauses.iter().all(|pause| (9 * minute..=11 * minute).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        assert!((0..100).all(|_| source.pause(false) >= minute));
        source.jitter = 1.0;
        assert!((0..100).all(|_| source.pause(true) >= minute));
    }
}
