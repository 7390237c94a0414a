//! The thread that fetches a client's access tokens, so that the client is served while a token server answers
//! (contract §8.19).
//!
//! A token is fetched anew when four fifths of its life are over, or when a broker refuses it. After a failure or a refusal the
//! next request waits, longer each time; the token that is there stays in use as long as it is valid. Each client has a thread
//! of its own, which ends with it. How a token is asked for is in `token/request.rs`; start reading at [`Tokens::start`].

#![expect(clippy::disallowed_methods, reason = "the thread is without tokio and owns its clock")]

#[cfg(not(feature = "registry"))]
mod absent;
mod issued;
#[cfg(feature = "registry")]
mod request;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

#[cfg(not(feature = "registry"))]
use self::absent::TokenServer;
pub(crate) use self::issued::Token;
#[cfg(feature = "registry")]
use self::request::TokenServer;
use crate::config::OAuth2;

/// The pause after a failure or a refusal; it doubles each time.
const PAUSE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// Asks for a token before the time, since a broker has refused the newest one.
struct Renewal;

/// A client's access tokens. Dropping it ends the thread without waiting for it.
pub(crate) struct Tokens {
    newest: Arc<Newest>,
    /// The thread ends when this does.
    refusals: SyncSender<Renewal>,
}

/// What the thread has found out and the client does not know yet.
#[derive(Default)]
struct Newest {
    is_there: AtomicBool,
    news: Mutex<Option<News>>,
}

/// What a client has to know.
pub(crate) enum News {
    /// To be used from now on.
    Token(Token),
    /// There is no valid token, and why.
    Missing(String),
}

impl Tokens {
    /// Starts the thread.
    ///
    /// # Errors
    /// A file of the configuration cannot be used, or the operating system gives no thread.
    pub(crate) fn start(config: &OAuth2) -> Result<Self, String> {
        let server = TokenServer::open(config)?;
        let newest = Arc::<Newest>::default();
        let (refusals, refused) = sync_channel(1);
        let fetching = Fetching {
            server,
            newest: Arc::clone(&newest),
            valid_until: None,
            after_failure: Pause::default(),
            after_refusal: Pause::default(),
        };
        std::thread::Builder::new()
            .name("wrpkafka-token".to_owned())
            .spawn(move || fetching.run(&refused))
            .map_err(|error| format!("the thread that fetches access tokens cannot be started: {error}"))?;
        Ok(Self { newest, refusals })
    }

    /// What has happened since the last call. One look at an atomic if nothing has.
    pub(crate) fn news(&self) -> Option<News> {
        if !self.newest.is_there.load(Ordering::Relaxed) {
            return None;
        }
        let mut news = self.newest.news.lock();
        self.newest.is_there.store(false, Ordering::Relaxed);
        news.take()
    }

    /// A broker has refused the newest token: another one is fetched before long.
    pub(crate) fn refused(&self) {
        // A refusal that is pending serves for this one, and a thread that has ended fetches nothing.
        let (Ok(()) | Err(TrySendError::Full(Renewal) | TrySendError::Disconnected(Renewal))) =
            self.refusals.try_send(Renewal);
    }
}

/// A pause that doubles with each use.
#[derive(Default)]
struct Pause {
    uses: u32,
}

impl Pause {
    fn next(&mut self) -> Duration {
        let pause = PAUSE.start().saturating_mul(1 << self.uses.min(6)).min(*PAUSE.end());
        self.uses = self.uses.saturating_add(1);
        pause
    }
}

/// The state of the thread.
struct Fetching {
    server: TokenServer,
    newest: Arc<Newest>,
    /// When the token in use ends.
    valid_until: Option<Instant>,
    after_failure: Pause,
    /// Begins anew when a token was not refused until it was replaced.
    after_refusal: Pause,
}

impl Fetching {
    fn run(mut self, refused: &Receiver<Renewal>) {
        let mut next = self.fetch();
        let mut is_refused = false;
        loop {
            match refused.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {
                    if !is_refused {
                        self.after_refusal = Pause::default();
                    }
                    (next, is_refused) = (self.fetch(), false);
                }
                // Each connection that is tried meanwhile is refused as well.
                Ok(Renewal) if is_refused => {}
                Ok(Renewal) => {
                    is_refused = true;
                    next = next.min(Instant::now() + self.after_refusal.next());
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Fetches a token. Returns when to fetch the next one.
    fn fetch(&mut self) -> Instant {
        let (asked, time) = (Instant::now(), SystemTime::now());
        match self.server.token(time) {
            Ok((token, life)) => {
                if self.after_failure.uses > 0 {
                    tracing::info!(
                        failures = self.after_failure.uses,
                        "access token for kafka fetched again"
                    );
                }
                self.after_failure = Pause::default();
                self.valid_until = Some(asked + life);
                self.tell(News::Token(token));
                asked + life * 4 / 5
            }
            Err(error) => self.failed(&error.to_string()),
        }
    }

    fn failed(&mut self, error: &str) -> Instant {
        let now = Instant::now();
        let left = self.valid_until.and_then(|end| end.checked_duration_since(now));
        match left {
            Some(left) if self.after_failure.uses == 0 => {
                let valid_seconds = left.as_secs();
                tracing::warn!(
                    error,
                    valid_seconds,
                    "access token for kafka cannot be fetched, the old one is used"
                );
            }
            Some(_) => {}
            None => self.tell(News::Missing(error.to_owned())),
        }
        let pause = self.after_failure.next();
        // That a token ends meanwhile is not noticed later than that.
        now + left.map_or(pause, |left| pause.min(left.max(*PAUSE.start())))
    }

    fn tell(&self, news: News) {
        *self.newest.news.lock() = Some(news);
        self.newest.is_there.store(true, Ordering::Relaxed);
    }
}
