//! The one thread of a publisher: it serves the client's events, and with them everything that follows from them.

mod replacement;
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Engine, Generation};
use crate::client::{BuildError, Connect};
use crate::publisher::Settings;
use replacement::{Replacement, Retired};
use watch::Watch;

/// How long the thread listens to the client before it looks at anything else. Events wake it at once.
const TICK: Duration = Duration::from_millis(100);
/// The same while it waits for something to be over.
const SHORT_TICK: Duration = Duration::from_millis(2);
/// How long what is on its way to a broker may take to be answered, when the client is beyond use or given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the thread is told to do.
pub(crate) enum Order {
    /// This client takes over.
    Replace(Arc<Generation>),
    /// Everything ends.
    Stop(StopRequest),
}

/// A wish to stop.
pub(crate) struct StopRequest {
    /// Until when records may be delivered.
    pub(crate) deadline: Instant,
    /// Told how many were not.
    pub(crate) reply: oneshot::Sender<u64>,
}

pub(crate) struct Worker {
    engine: Arc<Engine>,
    connect: Arc<Connect>,
    settings: Arc<Settings>,
    orders: Receiver<Order>,
    replacement: Option<Replacement>,
    /// Clients that were replaced, until nothing comes from them any more.
    retired: Vec<Retired>,
    watch: Watch,
}

impl Worker {
    /// Builds the first client.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub(crate) fn new(
        engine: Arc<Engine>,
        connect: Arc<Connect>,
        settings: Arc<Settings>,
        orders: Receiver<Order>,
    ) -> Result<Worker, BuildError> {
        let config = settings.get();
        engine.limit_records(&config);
        let first = engine.build(&connect, &config)?;
        let watch = Watch::new(config.file_check_interval, first.files);
        engine.problems.next_client(first.number);
        engine.client.store(Some(first));
        Ok(Worker { engine, connect, settings, orders, replacement: None, retired: Vec::new(), watch })
    }

    /// Runs until a stop is asked for, or nobody is left who could.
    pub(crate) fn run(mut self) {
        let request = loop {
            self.turn(TICK);
            match self.orders.try_recv() {
                Ok(Order::Stop(request)) => break Some(request),
                Ok(Order::Replace(next)) => self.replace_by(next),
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => {}
            }
        };
        if let Some(request) = &request {
            while !self.engine.is_drained() && Instant::now() < request.deadline {
                if let Some(generation) = &*self.engine.client.load() {
                    generation.client.flush(SHORT_TICK);
                }
                self.turn(SHORT_TICK);
            }
        }
        let undelivered = self.shut_down();
        if let Some(request) = request {
            // Whoever asked may have gone.
            let _ = request.reply.send(undelivered);
        }
    }

    fn turn(&mut self, tick: Duration) {
        self.engine.expire(Instant::now());
        if self.replacement.is_none() {
            if self.engine.replace.swap(false, Ordering::Relaxed) {
                self.replace_broken();
            } else {
                self.look_at_files();
            }
        }
        if self.replacement.is_some() {
            self.go_on_replacing();
        } else if let Some(generation) = self.engine.client.load_full() {
            generation.client.poll(tick);
            self.engine.pump_if_waiting();
        }
        self.serve_retired();
    }

    /// Fails everything that is left and takes the clients down. Returns how many records failed.
    fn shut_down(&mut self) -> u64 {
        let waited = self.engine.close();
        let replaced = self.replacement.take().and_then(|replacement| replacement.old);
        let serving = self.engine.client.swap(None);
        self.retired.extend(replaced.into_iter().chain(serving).map(Retired::new));
        let deadline = Instant::now() + PATIENCE;
        for retired in &self.retired {
            retired.generation.client.purge();
            while retired.is_busy() && Instant::now() < deadline {
                retired.generation.client.poll(SHORT_TICK);
            }
        }
        for retired in self.retired.drain(..) {
            self.engine.stats.lock().forget(retired.generation.number);
        }
        waited + self.engine.undelivered.swap(0, Ordering::Relaxed)
    }
}
