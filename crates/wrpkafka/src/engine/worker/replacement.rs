//! One client in place of another.
//!
//! The backlog is held first: new records wait, and the old client gets none. When all its records have come back,
//! acknowledged or to be sent again, the next client takes over and gets what waits, in order. So no two clients ever hold
//! records of the same key, and nothing that a broker has answered for is written twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{PURGE_TIMEOUT, SHORT_TICK, Worker};
use crate::engine::events::build_client;
use crate::engine::instance::ClientInstance;

/// How long a client that works may take to deliver what it has. Then its records are taken from it: a broker that is
/// away for longer must not keep a wanted change from all others.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Between attempts to build a client.
const RETRY: Duration = Duration::from_secs(1);
/// A client without records is kept for one period of its reports and this much longer.
const GRACE: Duration = Duration::from_secs(1);

/// How far the replacement of a client has come.
pub(super) struct Replacement {
    /// None only if there was no client.
    pub(super) old: Option<Arc<ClientInstance>>,
    /// The one that takes over; none if it has to be built yet.
    next: Option<Arc<ClientInstance>>,
    /// When the old client's records are taken from it.
    deadline: Instant,
    is_purged: bool,
    /// Whether the old client may only finish what is on its way: what follows a refused batch must not overtake it.
    gives_back_queue: bool,
    next_attempt: Instant,
}

/// A client that was replaced, until it has reported what it did last.
pub(super) struct Retired {
    pub(super) instance: Arc<ClientInstance>,
    /// Since when it has no records, and how many reports it had given by then.
    idle: Option<(Instant, u64)>,
}

impl Retired {
    pub(super) fn new(instance: Arc<ClientInstance>) -> Self {
        Self { instance, idle: None }
    }
}

impl Worker {
    /// Lets another client take over. Of several the last one does; the others have got no record yet.
    pub(super) fn replace_by(&mut self, next: Arc<ClientInstance>) {
        self.files.set_in_use(next.files);
        let timeout = if self.engine.clients.cannot_drain() { Duration::ZERO } else { DRAIN_TIMEOUT };
        self.engine.clients.follow_connection(next.number);
        match &mut self.replacement {
            Some(replacement) => replacement.next = Some(next),
            None => self.begin(Some(next), timeout),
        }
    }

    /// Replaces a client that failed for good. What is on its way may still be answered.
    pub(super) fn replace_failed(&mut self) {
        self.begin(None, PURGE_TIMEOUT);
    }

    /// Takes from a client what it has not sent, after a batch was refused whose records go again, and replaces it.
    pub(super) fn replace_after_refused_batch(&mut self) {
        self.begin(None, PURGE_TIMEOUT);
        if let Some(replacement) = &mut self.replacement {
            replacement.gives_back_queue = true;
        }
    }

    fn begin(&mut self, next: Option<Arc<ClientInstance>>, timeout: Duration) {
        let now = Instant::now();
        let old = self.engine.backlog.hold();
        self.engine.clients.take_maybe_written();
        self.replacement = Some(Replacement {
            old,
            next,
            deadline: now + timeout,
            is_purged: false,
            gives_back_queue: false,
            next_attempt: now,
        });
    }

    /// Goes on with a replacement: ends it if the old client is empty and the next one is there.
    pub(super) fn continue_replacement(&mut self) {
        let Some(replacement) = &mut self.replacement else { return };
        let now = Instant::now();
        if let Some(old) = &replacement.old {
            if replacement.gives_back_queue {
                old.client.purge_queue();
            } else {
                old.client.flush(SHORT_TICK);
            }
            old.client.poll(SHORT_TICK);
            if old.is_busy() {
                if now >= replacement.deadline && !replacement.is_purged {
                    replacement.is_purged = true;
                    old.client.purge();
                }
                return;
            }
        }
        let next = match replacement.next.take() {
            Some(next) => next,
            None if now < replacement.next_attempt => return,
            None => match build_client(&self.engine, &self.connect, &self.settings.get()) {
                Ok(next) => {
                    self.files.set_in_use(next.files);
                    self.engine.clients.follow_connection(next.number);
                    next
                }
                Err(error) => {
                    replacement.next_attempt = now + RETRY;
                    tracing::warn!(%error, "kafka client cannot be replaced yet, records wait");
                    return;
                }
            },
        };
        let old = replacement.old.take();
        self.replacement = None;
        self.retired.extend(old.map(Retired::new));
        self.engine.clients.forget_refused_batch();
        self.engine.resume(next);
        let records = self.engine.clients.take_maybe_written();
        if records > 0 {
            tracing::warn!(
                records,
                "kafka client replaced before brokers answered, records may be written twice"
            );
        } else {
            tracing::info!("kafka client replaced");
        }
    }

    /// Polls the clients that were replaced, and drops those that have no record and have given their last report.
    pub(super) fn poll_retired(&mut self) {
        let clients = &self.engine.clients;
        let interval = self.settings.get().statistics_interval;
        self.retired.retain_mut(|retired| {
            let instance = &retired.instance;
            instance.client.poll(Duration::ZERO);
            if instance.is_busy() {
                return true;
            }
            let reports = clients.reports(instance.number);
            let (since, before) = *retired.idle.get_or_insert_with(|| (Instant::now(), reports));
            let has_reported = interval.is_zero() || reports > before || since.elapsed() > interval + GRACE;
            if has_reported {
                clients.forget(instance.number);
            }
            !has_reported
        });
    }
}
