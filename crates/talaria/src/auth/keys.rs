//! The keys that tokens are signed with: fetched from a key server, kept, and fetched anew.
//!
//! A key is asked for by its id. It is found among those that the refresh sources gave, or in the cache, or fetched from
//! the URL that the template makes of the id. Whoever asks for a key that is being fetched waits for that one request.
//!
//! The id is a stranger's choice, so everything that it could make grow has a bound: requests under way and waiting,
//! failures that are remembered, keys that are kept, the length of a document, the time that all of it may take.

mod cache;
mod der;
mod document;
mod fetch;
mod metrics;
mod refresh;
mod template;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use document::{DocumentError, Key};
pub use fetch::FetchError;
pub use metrics::KeyMetrics;
pub use template::{InvalidTemplate, Template};

use super::jwt::key_id::KeyId;
use cache::{Answer, Cache, Flight};
use document::Document;
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
            sources: Vec::new(),
        }
    }
}

/// Keys as they were fetched.
#[derive(Clone, Debug)]
pub struct Known {
    /// The keys of one id, seldom more than one.
    pub keys: Arc<[Key]>,
    /// When.
    fetched: Instant,
}

/// Why there is no key of an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No source has it, and there is no template.
    #[error("no source has the key")]
    Unknown,
    /// Too many other keys are being fetched.
    #[error("too many keys are being fetched")]
    Busy,
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What was fetched is no key.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It was fetched only a moment ago and is not fetched again yet.
    #[error("the key was fetched only just")]
    Fresh,
}

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
    cache: Mutex<Cache>,
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
        let answer = self.shared.cache.lock().look_up(id, None);
        self.follow(id, answer).await
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
        let answer = self.shared.cache.lock().look_up(id, Some(than.fetched));
        self.follow(id, answer).await
    }

    async fn follow(&self, id: &KeyId, answer: Answer) -> Result<Known, KeyError> {
        match answer {
            Answer::Known(known) => Ok(known),
            Answer::Failed(error) => Err(error),
            Answer::Wait(flight) => landed(flight).await,
            Answer::Stale(known, landing) => {
                self.take_off(id, landing);
                Ok(known)
            }
            Answer::Fetch(landing, flight) => {
                self.take_off(id, landing);
                landed(flight).await
            }
        }
    }

    /// Fetches in a task of its own, so that no waiter's leaving ends it for the others. It ends within the timeout.
    fn take_off(&self, id: &KeyId, landing: watch::Sender<Option<Result<Known, KeyError>>>) {
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        tokio::spawn(async move {
            let outcome = shared.fetch(&id).await;
            shared.metrics.resolved(shared.config.template.as_ref(), &id, &outcome);
            shared.cache.lock().finish(&id, &outcome);
            landing.send_replace(Some(outcome));
        });
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
        Ok(Known { keys: document.keys_of(id)?, fetched: Instant::now() })
    }
}

impl KeyError {
    /// Whether the key server knows for sure that there is no such key: one that it had is revoked.
    fn is_final(&self) -> bool {
        matches!(self, Self::Document(DocumentError::Absent) | Self::Fetch(FetchError::Status(404 | 410)))
    }
}

async fn landed(mut flight: Flight) -> Result<Known, KeyError> {
    match flight.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(KeyError::Busy)),
        // Its task was ended with the runtime.
        Err(_) => Err(KeyError::Busy),
    }
}
