//! The keys that tokens are signed with: fetched from a key server, kept, and fetched anew.
//!
//! A key is looked up by its id: among the keys of the refresh sources, then in the cache, whose rules are
//! [`talaria_protocol::keys`]'s. If it has to be fetched, one request is made, and all callers wait for it.
//!
//! The id is a stranger's choice, so everything that it could make grow has a bound: requests under way and waiting,
//! failures that are remembered, keys that are kept, the length of a document, the time that all of it may take.

mod fetch;
mod metrics;
mod refresh;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use talaria_protocol::keys::{Answer, Cache, KeyError, KeyId, Known, MinRsaBits, Template};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use metrics::KeyMetrics;

use fetch::Fetcher;
use refresh::Refreshed;

/// Where keys come from (`jwtValidator.Config`, contract §6.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The URL of a key (`Resolve.Template`); none: only keys of the sources are known.
    pub template: Option<Template>,
    /// How long a fetch may take in all, waiting for its turn included (`Resolve.Timeout`).
    pub timeout: Duration,
    /// The age from which a key is fetched anew (`Resolve.MaxAge`). It is used until the answer is there.
    pub max_age: Duration,
    /// How many keys are kept (`Resolve.MaxKeys`); beyond it the one that was not used for longest goes.
    pub max_keys: usize,
    /// The least size of an RSA key (`MinRSABits`); smaller ones are not used.
    pub min_rsa_bits: MinRsaBits,
    /// Documents that are fetched again and again (`Refresh.Sources`).
    pub sources: Vec<Source>,
}

/// A document of keys that is fetched again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Where it is (`uri`).
    pub uri: Template,
    /// The time from one fetch to the next (`interval`).
    pub interval: Duration,
    /// The least time from one fetch to the next, and the time to it after a failure (`minInterval`).
    pub min_interval: Duration,
    /// By how much the interval is varied, as a part of it, from 0 to 1 (`jitter`).
    pub jitter: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            template: None,
            timeout: Duration::from_secs(10),
            max_age: Duration::from_secs(24 * 60 * 60),
            max_keys: 1024,
            min_rsa_bits: MinRsaBits::default(),
            sources: Vec::new(),
        }
    }
}

/// How callers wait for a fetch: its outcome, once it is there.
type Fetching = watch::Receiver<Option<Result<Known, KeyError>>>;

/// The keys of one validator. Dropped, it stops refreshing them.
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
    metrics: KeyMetrics,
}

impl Keys {
    /// Starts to fetch the sources, if there are any. To be called within a runtime.
    pub fn start(config: Config, metrics: KeyMetrics) -> Self {
        let shared = Arc::new(Shared {
            fetcher: Fetcher::new(&config),
            cache: Mutex::new(Cache::new(config.max_age, config.max_keys)),
            refreshed: Refreshed::new(config.sources.is_empty()),
            config,
            metrics,
        });
        let refreshing = (!shared.config.sources.is_empty())
            .then(|| tokio::spawn(refresh::run(Arc::clone(&shared))).abort_handle());
        Self { shared, refreshing }
    }

    /// The keys of this id.
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

    /// The keys of this id if the key server has other ones by now, since a signature was by none of these. Asks again
    /// only if they are older than a minute: bad signatures must not become requests.
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

    /// Fetches in a task of its own, so that no waiter's leaving ends it for the others. It ends within the timeout.
    fn fetch(&self, id: &KeyId) -> Fetching {
        let (tell, fetching) = watch::channel(None);
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        tokio::spawn(async move {
            let outcome = shared.fetch(&id).await;
            shared.metrics.resolved(shared.config.template.as_ref(), &id, &outcome);
            shared.cache.lock().finish(&id, &outcome, now());
            tell.send_replace(Some(outcome));
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
        // Its task was ended with the runtime.
        Err(_) => Err(KeyError::Busy),
    }
}

/// The time that tests can pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
