//! The thread that asks the schema registry for the ids of schemas (contract §8.13), so that publishing never waits for it.
//!
//! It asks for every subject of [`Schemas`] whose id is not known, writes the answers there, and reports each answer
//! through a callback. What happens to the records that wait for an id is not decided here. Start reading at
//! [`RegistryThread::start`]; the requests themselves are in `registry/api.rs`.

#![expect(clippy::disallowed_methods, reason = "the registry's thread is without tokio and owns its clock")]

#[cfg(not(feature = "registry"))]
mod absent;
#[cfg(feature = "registry")]
mod api;
mod lookup_error;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use crate::config::SchemaRegistry;
use crate::error::PublishError;
use crate::schema::{Schemas, Subject};
#[cfg(not(feature = "registry"))]
use absent::Registry;
#[cfg(feature = "registry")]
use api::Registry;
use lookup_error::LookupError;

/// The pause after a registry could not be reached; it doubles each time.
const BACKOFF: RangeInclusive<Duration> = Duration::from_millis(250)..=Duration::from_secs(30);
/// When a registry that rejected a schema is asked again, in case the operator has corrected the cause.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// How often a registry that cannot be reached is logged.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// A handle to the running thread. Dropping it ends the thread.
pub(crate) struct RegistryThread(SyncSender<()>);

impl RegistryThread {
    /// Starts the thread. It calls `on_answer` after every answer, and after every failure to get one.
    ///
    /// # Errors
    /// A file of the configuration cannot be used, or the operating system gives no thread.
    pub(crate) fn start(
        schemas: &Arc<Schemas>,
        config: &SchemaRegistry,
        on_answer: impl Fn() + Send + 'static,
    ) -> Result<Self, String> {
        // Only to report files that cannot be used: the thread opens it again for each round, as files may change.
        Registry::open(config)?;
        let (wake, woken) = sync_channel(1);
        let asking = Asking {
            schemas: Arc::clone(schemas),
            config: config.clone(),
            on_answer,
            backoff: *BACKOFF.start(),
            logged_down: None,
        };
        std::thread::Builder::new()
            .name("wrpkafka-registry".to_owned())
            .spawn(move || asking.run(&woken))
            .map_err(|error| format!("the registry's thread cannot be started: {error}"))?;
        Ok(Self(wake))
    }

    /// Asks for new subjects now. To be called when the routes have changed.
    pub(crate) fn look_again(&self) {
        // A wake-up that is pending already serves for this one, and a thread that has ended has nothing to ask.
        let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = self.0.try_send(());
    }
}

/// The state of the thread.
struct Asking<F> {
    schemas: Arc<Schemas>,
    config: SchemaRegistry,
    on_answer: F,
    backoff: Duration,
    /// When it was last logged that the registry cannot be reached; none while it answers.
    logged_down: Option<Instant>,
}

impl<F: Fn()> Asking<F> {
    fn run(mut self, woken: &Receiver<()>) {
        loop {
            let pause = self.ask_for_all(woken);
            match woken.recv_timeout(pause) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Asks for all ids that are not known. Returns the pause until the next time.
    fn ask_for_all(&mut self, woken: &Receiver<()>) -> Duration {
        let now = Instant::now();
        let is_due = |subject: &Arc<Subject>| subject.rejected_at().is_none_or(|at| now >= at + ASK_AGAIN);
        let due: Vec<_> = self.schemas.subjects.unknown().into_iter().filter(is_due).collect();
        if due.is_empty() {
            return ASK_AGAIN;
        }
        let registry = match Registry::open(&self.config) {
            Ok(registry) => registry,
            Err(error) => return self.is_down(&error),
        };
        for subject in due {
            if woken.try_recv() == Err(TryRecvError::Disconnected) {
                return Duration::ZERO;
            }
            if let Err(error) = self.ask(&registry, &subject) {
                return self.is_down(&error);
            }
        }
        if self.logged_down.take().is_some() {
            tracing::info!("schema registry answers again");
        }
        self.backoff = *BACKOFF.start();
        ASK_AGAIN
    }

    /// Asks for one id.
    ///
    /// # Errors
    /// Why the registry cannot be reached. That it rejects the schema is an answer.
    fn ask(&self, registry: &Registry, subject: &Subject) -> Result<(), String> {
        let counts = &self.schemas.counts;
        let name = &*subject.name;
        match registry.id(name, self.schemas.schema) {
            Ok(id) => {
                subject.set_id(id);
                tracing::info!(subject = name, id, "schema registered");
                counts.answers.fetch_add(1, Ordering::Relaxed);
            }
            Err(LookupError::Rejected { status, reason }) => {
                // Asked once a minute, and so logged once a minute.
                tracing::error!(
                    subject = name,
                    status,
                    reason,
                    "schema registry rejects the schema: records under this subject fail"
                );
                let reason = reason.into();
                let error = PublishError::SchemaRefused { subject: name.into(), status, reason };
                subject.set_rejected(error, Instant::now());
                counts.refusals.fetch_add(1, Ordering::Relaxed);
            }
            Err(LookupError::Unreachable(error)) => {
                counts.failures.fetch_add(1, Ordering::Relaxed);
                return Err(error);
            }
        }
        (self.on_answer)();
        Ok(())
    }

    /// Returns the pause until the next attempt.
    fn is_down(&mut self, error: &str) -> Duration {
        self.schemas.subjects.unknown().iter().for_each(|subject| subject.set_unanswered());
        (self.on_answer)();
        let now = Instant::now();
        if self.logged_down.is_none_or(|last| now >= last + LOG_PERIOD) {
            self.logged_down = Some(now);
            let when_down = self.config.when_down.as_str();
            tracing::warn!(
                error,
                whenDown = when_down,
                "schema registry cannot be reached: records without a known schema id are handled by whenDown"
            );
        }
        let pause = self.backoff;
        self.backoff = (pause * 2).min(*BACKOFF.end());
        pause
    }
}
