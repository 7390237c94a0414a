//! The keys that tokens are signed with: fetched from a key server, kept, and fetched again.
//!
//! A key is looked up by its id: among the keys of the refresh sources, then in the cache, whose rules are
//! [`talaria_protocol::keys`]'s. If it has to be fetched, one request is made, and all callers wait for it.
//!
//! A stranger chooses the id, so everything that it could make grow has a bound: running and waiting requests, remembered
//! failures, kept keys, the length of a document, and the time of all of it together.
//!
//! Start reading at [`Keys::get`].

mod config;
mod fetch;
mod metrics;
mod refresh;

use std::sync::Arc;

use parking_lot::Mutex;
use talaria_protocol::keys::{Answer, Cache, KeyError, KeyId, Known};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use config::{Config, Source};
pub use metrics::KeyMetrics;

use fetch::Fetcher;
use metrics::SourceMetrics;
use refresh::Refreshed;

/// A running fetch, and its outcome once it has ended.
type Fetching = watch::Receiver<Option<Result<Known, KeyError>>>;

/// The keys of one validator. Dropping it stops the fetches of its sources.
#[derive(Debug)]
pub struct Keys {
    shared: Arc<Shared>,
    refreshing: Option<AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    fetcher: Fetcher,
    cache: Mutex<Cache<Fetching>>,
    refreshed: Refreshed,
    metrics: SourceMetrics,
}

impl Keys {
    /// Starts to fetch the sources, if there are any. Needs a tokio runtime.
    #[must_use]
    pub fn start(config: Config, metrics: &KeyMetrics) -> Self {
        let shared = Arc::new(Shared {
            fetcher: Fetcher::new(&config),
            cache: Mutex::new(Cache::new(config.max_age, config.max_keys)),
            refreshed: Refreshed::new(config.sources.is_empty()),
            metrics: metrics.of(&config),
            config,
        });
        let refreshing = (!shared.config.sources.is_empty())
            .then(|| tokio::spawn(refresh::run(Arc::clone(&shared))).abort_handle());
        Self { shared, refreshing }
    }

    /// Where the keys come from.
    pub(super) fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Waits until the sources have been fetched once, at most for `Resolve.Timeout`. Returns whether they have any keys;
    /// without sources there is nothing to wait for.
    pub(super) async fn are_ready(&self) -> bool {
        if self.shared.config.sources.is_empty() {
            return true;
        }
        self.shared.refreshed.first_round(self.shared.config.timeout).await;
        self.shared.refreshed.has_keys()
    }

    /// The keys with this id.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn get(&self, id: &KeyId) -> Result<Known, KeyError> {
        if let Some(known) = self.shared.refreshed.get(id) {
            return Ok(known);
        }
        if self.shared.config.template.is_none() {
            self.shared.refreshed.first_round(self.shared.config.timeout).await;
            return self.shared.refreshed.get(id).ok_or(KeyError::Unknown);
        }
        self.look_up(id, None).await
    }

    /// Newer keys with this id, because a signature matches none of the known ones. The key server is asked again only if
    /// these are older than a minute, so that bad signatures do not cause requests.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn get_newer(&self, id: &KeyId, than: &Known) -> Result<Known, KeyError> {
        if self.shared.config.template.is_none() {
            return Err(KeyError::Unknown);
        }
        self.look_up(id, Some(than.fetched)).await
    }

    async fn look_up(&self, id: &KeyId, newer_than: Option<std::time::Instant>) -> Result<Known, KeyError> {
        let fetching = {
            let mut cache = self.shared.cache.lock();
            match cache.look_up(id, newer_than, now()) {
                Answer::Known(known) => return Ok(known),
                Answer::Failed(error) => return Err(error),
                Answer::Wait(fetching) => fetching,
                Answer::Stale(known) => {
                    cache.begin(id, self.fetch(id));
                    return Ok(known);
                }
                Answer::Fetch => {
                    let fetching = self.fetch(id);
                    cache.begin(id, fetching.clone());
                    fetching
                }
            }
        };
        fetched(fetching).await
    }

    /// Fetches in a task of its own, so that a caller that stops waiting does not end it for the others. It ends within the
    /// timeout.
    fn fetch(&self, id: &KeyId) -> Fetching {
        let (outcome_sender, fetching) = watch::channel(None);
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        tokio::spawn(async move {
            let outcome = shared.fetch(&id).await;
            {
                let mut cache = shared.cache.lock();
                cache.finish(&id, &outcome, now());
                shared.metrics.keep_labels(|id| cache.is_known(id));
            }
            shared.metrics.resolved(&id, &outcome);
            outcome_sender.send_replace(Some(outcome));
        });
        fetching
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(refreshing) = &self.refreshing {
            refreshing.abort();
        }
        self.shared.fetcher.close();
    }
}

impl Shared {
    async fn fetch(&self, id: &KeyId) -> Result<Known, KeyError> {
        let template = self.config.template.as_ref().ok_or(KeyError::Unknown)?;
        let document = self.fetcher.fetch(template.expand(id)).await?;
        self.metrics.fetched(template, &document);
        Ok(Known { keys: document.keys_of(id)?, fetched: now() })
    }
}

async fn fetched(mut fetching: Fetching) -> Result<Known, KeyError> {
    match fetching.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(KeyError::Busy)),
        // The runtime has been shut down.
        Err(_) => Err(KeyError::Busy),
    }
}

/// The current time by tokio's clock, which tests can pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
