//! Carries out one drain at a time, in a task of its own, and reports its progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use talaria_protocol::control::drain::{Job, Order};
use talaria_protocol::session::Reason;
use tokio::sync::watch;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tracing::info;

use super::walk::{Step, Walk};
use crate::control::ControlMetrics;
use crate::device::{Manager, Registry, Spread};
use crate::discovery::Discovery;

/// How many devices a drain checks before other tasks have their turn.
const CHECKS_AT_ONCE: usize = 256;

/// How long a drain waits for room for offline events before it goes on without.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Carries out one drain at a time and remembers the latest. Dropping it ends the running one.
#[derive(Debug)]
pub struct Drainer {
    registry: Arc<Registry>,
    /// Those who make the offline events; none in tests.
    manager: Option<Arc<Manager>>,
    /// The fleet that the gateway leaves while all devices are drained.
    discovery: Option<Arc<Discovery>>,
    metrics: ControlMetrics,
    latest: Mutex<Option<LatestJob>>,
}

/// A job and its progress.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether it is running.
    pub is_active: bool,
    /// The job.
    pub job: Job,
    /// Its progress.
    pub progress: Progress,
}

/// The progress of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many devices met the conditions.
    pub visited: u64,
    /// How many of them were closed; the others were already closing.
    pub drained: u64,
    /// When it started.
    pub started: Timestamp,
    /// When it finished, if it has.
    pub finished: Option<Timestamp>,
}

/// A drain is running, so that no other one can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a drain operation is already running")]
pub struct AlreadyRunningError;

/// The latest job, as the drainer has it.
#[derive(Debug)]
struct LatestJob {
    run: Arc<Run>,
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

/// The latest job, as its task and the drainer share it.
#[derive(Debug)]
struct Run {
    job: Job,
    manager: Option<Arc<Manager>>,
    /// The fleet to leave first; none if devices stay.
    leaves: Option<Arc<Discovery>>,
    visited: AtomicU64,
    drained: AtomicU64,
    started: Timestamp,
    /// When it finished. Set when its task is dropped, for whatever reason.
    finished: watch::Sender<Option<Timestamp>>,
    metrics: ControlMetrics,
}

/// The task of a job. Dropping it marks the job as finished.
struct DrainTask(Arc<Run>);

impl Drainer {
    /// A drainer of all devices. It waits for room for their offline events.
    #[must_use]
    pub fn of(manager: &Arc<Manager>, metrics: ControlMetrics) -> Self {
        let mut drainer = Self::new(Arc::clone(manager.registry()), metrics);
        drainer.manager = Some(Arc::clone(manager));
        drainer
    }

    /// A drainer of the devices of this registry.
    #[must_use]
    pub fn new(registry: Arc<Registry>, metrics: ControlMetrics) -> Self {
        Self { registry, manager: None, discovery: None, metrics, latest: Mutex::new(None) }
    }

    /// Withdraws the gateway from its fleet while all devices are drained, so that no requests are sent for them any more.
    #[must_use]
    pub fn leaving(mut self, discovery: Arc<Discovery>) -> Self {
        self.discovery = Some(discovery);
        self
    }

    /// Starts a job in a task of its own. Needs a runtime.
    ///
    /// # Errors
    /// If another one is running.
    pub fn start(&self, order: &Order) -> Result<Job, AlreadyRunningError> {
        let mut latest = self.latest.lock();
        if latest.as_ref().is_some_and(|latest| latest.run.is_active()) {
            return Err(AlreadyRunningError);
        }
        let job = Job::of(order, self.registry.len());
        let is_of_all = job.selection.is_empty() && job.count >= self.registry.len() as u64;
        let leaves = self.discovery.clone().filter(|_| is_of_all);
        let run = Arc::new(Run::new(job.clone(), self.manager.clone(), leaves, self.metrics.clone()));
        let walk = Walk::new(&self.registry, &job.selection);
        let (stop, stopped) = watch::channel(false);
        self.metrics.set_draining(true);
        info!(job = %serde_json::Value::from(job.describe()), "drain started");
        let task = tokio::spawn(DrainTask(Arc::clone(&run)).drain(walk, stopped)).abort_handle();
        *latest = Some(LatestJob { run, stop, task });
        Ok(job)
    }

    /// The job that an order would be now, and how many devices it would find. Closes no device, and works while a drain is
    /// running.
    pub async fn count(&self, order: &Order) -> (Job, u64) {
        let job = Job::of(order, self.registry.len());
        let mut walk = Walk::new(&self.registry, &job.selection);
        let mut matching = 0;
        loop {
            for _ in 0..CHECKS_AT_ONCE {
                match walk.next() {
                    Step::Match(_) => matching += 1,
                    Step::Other => {}
                    Step::End => return (job, matching),
                }
            }
            yield_now().await;
        }
    }

    /// The latest job, if there was one.
    pub fn status(&self) -> Option<Status> {
        self.latest.lock().as_ref().map(|latest| latest.run.status())
    }

    /// Cancels the running job and waits for its end; devices that it has not reached stay connected. Returns whether a job
    /// was running.
    pub async fn cancel(&self) -> bool {
        let mut finished = {
            let latest = self.latest.lock();
            let Some(latest) = latest.as_ref().filter(|latest| latest.run.is_active()) else { return false };
            latest.stop.send_replace(true);
            latest.run.finished.subscribe()
        };
        // The sender cannot be gone: it lives as long as the latest job, and another job starts only after this one.
        let _ = finished.wait_for(Option::is_some).await;
        true
    }
}

impl Drop for Drainer {
    fn drop(&mut self) {
        if let Some(latest) = self.latest.get_mut() {
            latest.task.abort();
        }
    }
}

impl Run {
    fn new(
        job: Job,
        manager: Option<Arc<Manager>>,
        leaves: Option<Arc<Discovery>>,
        metrics: ControlMetrics,
    ) -> Self {
        Self {
            job,
            manager,
            leaves,
            visited: AtomicU64::new(0),
            drained: AtomicU64::new(0),
            started: Timestamp::now(),
            finished: watch::Sender::new(None),
            metrics,
        }
    }

    fn is_active(&self) -> bool {
        self.finished.borrow().is_none()
    }

    fn status(&self) -> Status {
        let finished = *self.finished.borrow();
        let progress = Progress {
            visited: self.visited.load(Ordering::Acquire),
            drained: self.drained.load(Ordering::Acquire),
            started: self.started,
            finished,
        };
        Status { is_active: finished.is_none(), job: self.job.clone(), progress }
    }

    /// Waits until there is room for the offline events of further devices, or the drain is cancelled.
    async fn room(&self, stopped: &watch::Receiver<bool>) {
        let Some(manager) = &self.manager else { return };
        let mut stopped = stopped.clone();
        tokio::select! {
            () = manager.room(Instant::now() + LONGEST_WAIT) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    /// When each device is to be closed if the job has no pace of its own.
    fn spread(&self) -> Option<Spread> {
        let manager = self.manager.as_ref().filter(|_| self.job.pace.is_none())?;
        let most = usize::try_from(self.job.count).unwrap_or(usize::MAX);
        Some(manager.spread(most.min(manager.registry().len())))
    }

    /// Closes up to `most` devices. Returns how many met the conditions, and whether there may be more.
    async fn batch(
        &self,
        most: u64,
        walk: &mut Walk,
        spread: &mut Option<Spread>,
        stopped: &watch::Receiver<bool>,
    ) -> (u64, bool) {
        let mut visited = 0;
        while visited < most {
            self.room(stopped).await;
            for _ in 0..CHECKS_AT_ONCE {
                match walk.next() {
                    Step::Match(device) => {
                        if let Some(spread) = spread
                            && !is_due(spread.next_close(), stopped).await
                        {
                            return (visited, false);
                        }
                        visited += 1;
                        self.visited.fetch_add(1, Ordering::AcqRel);
                        if device.close(Reason::Drained.into()) {
                            self.drained.fetch_add(1, Ordering::AcqRel);
                            self.metrics.count_drained(1);
                        }
                    }
                    Step::Other => {}
                    Step::End => return (visited, false),
                }
                if visited == most {
                    break;
                }
            }
            yield_now().await;
            if *stopped.borrow() {
                return (visited, false);
            }
        }
        (visited, true)
    }
}

impl DrainTask {
    /// Closes batch after batch, each after a tick if the job has a pace, until the count is reached, no device is left, or
    /// the drain is cancelled.
    async fn drain(self, mut walk: Walk, mut stopped: watch::Receiver<bool>) {
        let run = &*self.0;
        let _withdrawal = match &run.leaves {
            None => None,
            Some(discovery) => tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                withdrawal = discovery.withdraw() => Some(withdrawal),
            },
        };
        let mut remaining = run.job.count;
        let mut ticks = run.job.pace.map(|pace| ticks(pace.tick));
        let rate = run.job.pace.map_or(u64::MAX, |pace| pace.rate);
        let mut spread = run.spread();
        while remaining > 0 {
            if let Some(ticks) = &mut ticks {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                    _ = ticks.tick() => {}
                }
            }
            let (visited, is_more) = run.batch(rate.min(remaining), &mut walk, &mut spread, &stopped).await;
            remaining -= visited;
            if !is_more {
                return;
            }
        }
    }
}

impl Drop for DrainTask {
    fn drop(&mut self) {
        let run = &self.0;
        run.metrics.set_draining(false);
        run.finished.send_replace(Some(Timestamp::now()));
        let Progress { visited, drained, .. } = run.status().progress;
        info!(visited, drained, "drain finished");
    }
}

/// Waits until then. Returns false if the drain is cancelled before.
async fn is_due(close: Instant, stopped: &watch::Receiver<bool>) -> bool {
    let mut stopped = stopped.clone();
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => false,
        () = sleep_until(close) => true,
    }
}

/// The first batch comes after one tick. After a late batch, the next one does not come earlier.
fn ticks(tick: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + tick, tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
