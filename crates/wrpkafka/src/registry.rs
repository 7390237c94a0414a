//! The thread that asks the registry, so that nobody who publishes has to.

mod api;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::config::SchemaRegistry;
use crate::engine::Engine;
use crate::error::PublishError;
use crate::schema::{Schemas, Subject};
use api::{LookupError, Registry};

/// Between attempts to reach a registry that is down: doubled each time.
const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_millis(250)..=Duration::from_secs(30);
/// A registry that refused is asked again, in case somebody has changed its mind.
const RECONSIDER: Duration = Duration::from_secs(60);
/// How often it is logged that the registry cannot be reached.
const COMPLAIN: Duration = Duration::from_secs(60);

/// The registrar's other end: ends its thread when it is dropped.
pub(crate) struct Registrar(SyncSender<()>);

impl Registrar {
    /// Starts the thread, which asks for every subject that is not known.
    ///
    /// # Errors
    /// A file that cannot be used, or the operating system gives no thread.
    pub(crate) fn start(
        engine: &Arc<Engine>,
        schemas: &Arc<Schemas>,
        config: &SchemaRegistry,
    ) -> Result<Registrar, String> {
        // Opened here only for its faults: it is opened anew for each round, as its files may change.
        Registry::open(config)?;
        let (orders, received) = sync_channel(1);
        let clerk = Clerk {
            engine: Arc::downgrade(engine),
            schemas: Arc::clone(schemas),
            config: config.clone(),
            backoff: *BACKOFF.start(),
            complained: None,
        };
        std::thread::Builder::new()
            .name("wrpkafka-registry".to_owned())
            .spawn(move || clerk.run(&received))
            .map_err(|error| format!("the registry's thread cannot be started: {error}"))?;
        Ok(Registrar(orders))
    }

    /// The routes have changed: there may be other subjects.
    pub(crate) fn look_again(&self) {
        // One order that waits is as good as two; a thread that has ended has been told to.
        let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = self.0.try_send(());
    }
}

/// Who asks.
struct Clerk {
    engine: Weak<Engine>,
    schemas: Arc<Schemas>,
    config: SchemaRegistry,
    backoff: Duration,
    complained: Option<Instant>,
}

impl Clerk {
    fn run(mut self, orders: &Receiver<()>) {
        loop {
            let next = self.round(orders);
            match orders.recv_timeout(next) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Asks for all that is not known. Returns when to do so again, unless there is an order before.
    fn round(&mut self, orders: &Receiver<()>) -> Duration {
        let now = Instant::now();
        let due = |subject: &Arc<Subject>| subject.refused_at().is_none_or(|at| now >= at + RECONSIDER);
        let due: Vec<_> = self.schemas.subjects.unknown().into_iter().filter(due).collect();
        if due.is_empty() {
            return RECONSIDER;
        }
        let registry = match Registry::open(&self.config) {
            Ok(registry) => registry,
            Err(error) => return self.is_down(&error),
        };
        for subject in due {
            if orders.try_recv() == Err(TryRecvError::Disconnected) {
                return Duration::ZERO;
            }
            if let Err(LookupError::Down(error)) = self.ask(&registry, &subject) {
                return self.is_down(&error);
            }
        }
        if self.complained.take().is_some() {
            tracing::info!("the schema registry answers again");
        }
        self.backoff = *BACKOFF.start();
        RECONSIDER
    }

    fn ask(&self, registry: &Registry, subject: &Subject) -> Result<(), LookupError> {
        let answer = registry.id(&subject.name, self.schemas.schema);
        let counts = &self.schemas.counts;
        let counter = match &answer {
            Ok(id) => {
                subject.know(*id);
                tracing::info!(subject = &*subject.name, id, "schema registered");
                &counts.answers
            }
            Err(LookupError::Refused { status, reason }) => {
                // Asked once a minute, and so told once a minute.
                tracing::error!(
                    subject = &*subject.name,
                    status,
                    reason,
                    "the schema registry refuses: no record can be written under this subject"
                );
                let (name, reason) = (&*subject.name, reason.as_str());
                let error = PublishError::SchemaRefused {
                    subject: name.into(),
                    status: *status,
                    reason: reason.into(),
                };
                subject.refuse(error, Instant::now());
                &counts.refusals
            }
            Err(LookupError::Down(_)) => &counts.failures,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if !matches!(answer, Err(LookupError::Down(_)))
            && let Some(engine) = self.engine.upgrade()
        {
            engine.subject_decided();
        }
        answer.map(|_| ()).or_else(|error| match error {
            LookupError::Refused { .. } => Ok(()),
            down @ LookupError::Down(_) => Err(down),
        })
    }

    /// Returns when to try again.
    fn is_down(&mut self, error: &str) -> Duration {
        self.schemas.subjects.unknown().iter().for_each(|subject| subject.miss());
        if let Some(engine) = self.engine.upgrade() {
            engine.subject_decided();
        }
        let now = Instant::now();
        if self.complained.is_none_or(|last| now >= last + COMPLAIN) {
            self.complained = Some(now);
            let policy = self.config.when_down.as_str();
            tracing::warn!(error, whenDown = policy, "the schema registry cannot be reached");
        }
        let pause = self.backoff;
        self.backoff = (pause * 2).min(*BACKOFF.end());
        pause
    }
}
