//! One client in place of another.
//!
//! The old client gets no more records: new ones wait in the room. When all that it had have come back, acknowledged or
//! to be sent again, the next one takes over, and the room's records go to it in their order. So no two clients ever
//! hold records of the same key, and nothing is written twice that a broker has answered for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{PATIENCE, SHORT_TICK, Worker};
use crate::engine::{Engine, Generation};
use crate::problem::ConnectionProblem;

/// How long a client that works may take to deliver what it has. Then its records are taken away from it: a broker that
/// is away for longer must not keep a wanted change from everybody else.
const DRAIN: Duration = Duration::from_secs(30);
/// Between attempts to build a client.
const RETRY: Duration = Duration::from_secs(1);
/// How much longer than the period of its reports a client that has nothing left is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// How far the replacement of a client has come.
pub(super) struct Replacement {
    /// None only if there was no client.
    pub(super) old: Option<Arc<Generation>>,
    /// The one that takes over; none if it has to be built yet.
    next: Option<Arc<Generation>>,
    /// When the old one's records are taken away from it.
    deadline: Instant,
    purged: bool,
    next_attempt: Instant,
}

/// A client that was replaced.
pub(super) struct Retired {
    pub(super) generation: Arc<Generation>,
    /// Since when nothing is left in it, and how many reports it had given by then.
    idle: Option<(Instant, u64)>,
}

impl Retired {
    pub(super) fn new(generation: Arc<Generation>) -> Retired {
        Retired { generation, idle: None }
    }

    /// Whether anything is to come from it still, or anybody may give it something.
    pub(super) fn is_busy(&self) -> bool {
        is_busy(&self.generation)
    }
}

fn is_busy(generation: &Arc<Generation>) -> bool {
    // In this order: whoever had it in hand has put in what he wanted.
    Arc::strong_count(generation) > 1 || generation.client.outstanding() > 0
}

impl Worker {
    /// Lets another client take over. Of several the last one does; the others have got no record yet.
    pub(super) fn replace_by(&mut self, next: Arc<Generation>) {
        self.watch.serving(next.files);
        let patience = if self.engine.is_refused() { Duration::ZERO } else { DRAIN };
        self.engine.problems_of(&next);
        match &mut self.replacement {
            Some(replacement) => replacement.next = Some(next),
            None => self.begin(Some(next), patience),
        }
    }

    /// Replaces a client that is beyond use. What is on its way may be answered still.
    pub(super) fn replace_broken(&mut self) {
        self.begin(None, PATIENCE);
    }

    fn begin(&mut self, next: Option<Arc<Generation>>, patience: Duration) {
        let now = Instant::now();
        let old = self.engine.hold();
        self.engine.doubtful.store(0, Ordering::Relaxed);
        self.replacement =
            Some(Replacement { old, next, deadline: now + patience, purged: false, next_attempt: now });
    }

    /// Replaces the client once all its records have come back.
    pub(super) fn go_on_replacing(&mut self) {
        let Some(replacement) = &mut self.replacement else { return };
        let now = Instant::now();
        if let Some(old) = &replacement.old {
            old.client.flush(SHORT_TICK);
            old.client.poll(SHORT_TICK);
            if is_busy(old) {
                if now >= replacement.deadline && !replacement.purged {
                    replacement.purged = true;
                    old.client.purge();
                }
                return;
            }
        }
        let next = match replacement.next.take() {
            Some(next) => next,
            None if now < replacement.next_attempt => return,
            None => match self.engine.build(&self.connect, &self.settings.get()) {
                Ok(next) => {
                    self.watch.serving(next.files);
                    self.engine.problems_of(&next);
                    next
                }
                Err(error) => {
                    replacement.next_attempt = now + RETRY;
                    tracing::warn!(%error, "kafka client cannot be replaced yet");
                    return;
                }
            },
        };
        let old = replacement.old.take();
        self.replacement = None;
        self.retired.extend(old.map(Retired::new));
        self.engine.release(next);
        let records = self.engine.doubtful.swap(0, Ordering::Relaxed);
        if records > 0 {
            tracing::warn!(
                records,
                "kafka client replaced before brokers had answered: these may be there twice"
            );
        } else {
            tracing::info!("kafka client replaced");
        }
    }

    /// Lets go of the clients from which nothing comes any more: neither records nor the last count of what they did.
    pub(super) fn serve_retired(&mut self) {
        let engine = &self.engine;
        let interval = self.settings.get().statistics_interval;
        self.retired.retain_mut(|retired| {
            let generation = &retired.generation;
            generation.client.poll(Duration::ZERO);
            if retired.is_busy() {
                return true;
            }
            let reports = engine.stats.lock().reports(generation.number);
            let (since, before) = *retired.idle.get_or_insert_with(|| (Instant::now(), reports));
            let has_counted = interval.is_zero() || reports > before || since.elapsed() > interval + GRACE;
            if has_counted {
                engine.stats.lock().forget(generation.number);
            }
            !has_counted
        });
    }
}

impl Engine {
    /// From now on this client's problems are the publisher's.
    fn problems_of(&self, next: &Generation) {
        self.problems.next_client(next.number);
    }

    /// Whether the brokers have never let the present client in, so that none of its records can have been written.
    fn is_refused(&self) -> bool {
        let has_reached = self.reached_by.load(Ordering::Relaxed) == self.problems.client();
        !has_reached && self.problem().is_some_and(ConnectionProblem::is_refusal)
    }
}
