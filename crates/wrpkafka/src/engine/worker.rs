//! The one thread of a publisher: it serves the client's events, and with them everything that follows from them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Engine, Generation, Port};
use crate::client::{Client, Connect};

/// How long the thread listens to the client before it looks at anything else. Events wake it at once.
const TICK: Duration = Duration::from_millis(100);
/// The same while it waits for something to be over.
const SHORT_TICK: Duration = Duration::from_millis(2);
/// How long what is on its way to a broker may take to be answered, when the client is beyond use or given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts to build a client.
const RETRY: Duration = Duration::from_secs(1);

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
    control: Receiver<StopRequest>,
    clients: u64,
    replacement: Option<Replacement>,
    /// Clients that were replaced and may still be in a caller's hands.
    retired: Vec<Arc<Generation>>,
}

/// How far the replacement of a client has come.
struct Replacement {
    since: Instant,
    purged: bool,
    next_attempt: Instant,
}

impl Worker {
    /// Builds the first client.
    ///
    /// # Errors
    /// The client library's text: it refuses a setting.
    pub(crate) fn new(
        engine: Arc<Engine>,
        connect: Arc<Connect>,
        control: Receiver<StopRequest>,
    ) -> Result<Worker, String> {
        let client = connect(Port::new(&engine, 0))?;
        engine.install(client, 0);
        Ok(Worker { engine, connect, control, clients: 1, replacement: None, retired: Vec::new() })
    }

    /// Runs until a stop is asked for, or nobody is left who could.
    pub(crate) fn run(mut self) {
        let request = loop {
            self.turn(TICK);
            match self.control.try_recv() {
                Ok(request) => break Some(request),
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => {}
            }
        };
        if let Some(request) = &request {
            while !self.engine.is_drained() && Instant::now() < request.deadline {
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
        let now = Instant::now();
        self.engine.expire(now);
        if self.replacement.is_none() && self.engine.replace.swap(false, Ordering::Relaxed) {
            self.engine.hold();
            self.replacement = Some(Replacement { since: now, purged: false, next_attempt: now });
        }
        let tick = if self.replacement.is_some() { SHORT_TICK } else { tick };
        if let Some(generation) = self.engine.client.load_full() {
            generation.client.poll(tick);
            self.go_on_replacing(&*generation.client);
        }
        self.retired.retain(|generation| {
            generation.client.poll(Duration::ZERO);
            Arc::strong_count(generation) > 1 || generation.client.outstanding() > 0
        });
    }

    /// Replaces the client once all its records have come back: those that were sent with the broker's answer, the
    /// others (and after a while all) to be sent again. What the broker had written but not yet acknowledged is then
    /// written twice.
    fn go_on_replacing(&mut self, old: &dyn Client) {
        let Some(replacement) = &mut self.replacement else { return };
        let now = Instant::now();
        if old.outstanding() > 0 {
            if !replacement.purged && now >= replacement.since + PATIENCE {
                replacement.purged = true;
                old.purge();
            }
            return;
        }
        if now < replacement.next_attempt {
            return;
        }
        match (self.connect)(Port::new(&self.engine, self.clients)) {
            Ok(client) => {
                self.retired.extend(self.engine.install(client, self.clients));
                self.clients += 1;
                self.replacement = None;
                self.engine.replace.store(false, Ordering::Relaxed);
                self.engine.release();
                tracing::info!("kafka client replaced");
            }
            Err(error) => {
                replacement.next_attempt = now + RETRY;
                tracing::warn!(error, "kafka client cannot be replaced yet");
            }
        }
    }

    /// Fails everything that is left and takes the client down. Returns how many records failed.
    fn shut_down(&mut self) -> u64 {
        let waited = self.engine.close();
        self.retired.extend(self.engine.client.swap(None));
        let deadline = Instant::now() + PATIENCE;
        for generation in &self.retired {
            generation.client.purge();
            let in_use = || generation.client.outstanding() > 0 || Arc::strong_count(generation) > 1;
            while in_use() && Instant::now() < deadline {
                generation.client.poll(SHORT_TICK);
            }
        }
        self.retired.clear();
        waited + self.engine.undelivered.swap(0, Ordering::Relaxed)
    }
}
