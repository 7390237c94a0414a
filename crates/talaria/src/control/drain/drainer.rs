use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use talaria_protocol::control::drain::{Job, Order};
use talaria_protocol::session::Reason;
use tokio::sync::watch;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::info;

use super::walk::{Look, Walk};
use crate::control::ControlMetrics;
use crate::device::Registry;

/// How many devices a drain looks at before it lets others have the thread.
const LOOKS_AT_ONCE: usize = 256;

/// Carries out drains, one at a time, and remembers the latest. Dropped, it ends the one that is running.
#[derive(Debug)]
pub struct Drainer {
    registry: Arc<Registry>,
    metrics: ControlMetrics,
    latest: Mutex<Option<Running>>,
}

/// A job and how far it has come.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether it is running.
    pub is_active: bool,
    /// What it is.
    pub job: Job,
    /// How far it has come.
    pub progress: Progress,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Devices that met the conditions.
    pub visited: u64,
    /// Those of them that were sent away; the others were leaving anyway.
    pub drained: u64,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, if it has.
    pub finished: Option<Timestamp>,
}

/// A drain is running: there can be no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a drain operation is already running")]
pub struct AlreadyRunning;

/// The drainer's end of a job.
#[derive(Debug)]
struct Running {
    run: Arc<Run>,
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

/// What a job's task and its drainer share.
#[derive(Debug)]
struct Run {
    job: Job,
    visited: AtomicU64,
    drained: AtomicU64,
    started: Timestamp,
    /// When it ended: told when its task is gone, however that came about.
    finished: watch::Sender<Option<Timestamp>>,
    metrics: ControlMetrics,
}

/// Tells that a job has ended when it is dropped.
struct Ending(Arc<Run>);

impl Drainer {
    /// Drains the devices of this registry.
    #[must_use]
    pub fn new(registry: Arc<Registry>, metrics: ControlMetrics) -> Drainer {
        Drainer { registry, metrics, latest: Mutex::new(None) }
    }

    /// Starts a job in a task of its own. Needs a runtime.
    ///
    /// # Errors
    /// If one is running.
    pub fn start(&self, order: &Order) -> Result<Job, AlreadyRunning> {
        let mut latest = self.latest.lock();
        if latest.as_ref().is_some_and(|latest| latest.run.is_active()) {
            return Err(AlreadyRunning);
        }
        let job = Job::of(order, self.registry.len());
        let run = Arc::new(Run::new(job.clone(), self.metrics.clone()));
        let walk = Walk::new(&self.registry, &job.selection);
        let (stop, stopped) = watch::channel(false);
        self.metrics.is_draining(true);
        info!(job = %serde_json::Value::from(job.describe()), "drain started");
        let task = tokio::spawn(Ending(Arc::clone(&run)).drain(walk, stopped)).abort_handle();
        *latest = Some(Running { run, stop, task });
        Ok(job)
    }

    /// How many devices an order would find now, and the job that it would be. Closes nobody, and needs no other drain
    /// to have ended.
    pub async fn count(&self, order: &Order) -> (Job, u64) {
        let job = Job::of(order, self.registry.len());
        let mut walk = Walk::new(&self.registry, &job.selection);
        let mut matching = 0;
        loop {
            for _ in 0..LOOKS_AT_ONCE {
                match walk.look() {
                    Look::Match(_) => matching += 1,
                    Look::Other => {}
                    Look::End => return (job, matching),
                }
            }
            yield_now().await;
        }
    }

    /// The latest job, if there was any.
    pub fn status(&self) -> Option<Status> {
        self.latest.lock().as_ref().map(|latest| latest.run.status())
    }

    /// Ends the job that is running, and waits for its end; the devices that it has not reached stay. Whether one was
    /// running.
    pub async fn cancel(&self) -> bool {
        let mut finished = {
            let latest = self.latest.lock();
            let Some(latest) = latest.as_ref().filter(|latest| latest.run.is_active()) else { return false };
            latest.stop.send_replace(true);
            latest.run.finished.subscribe()
        };
        // The sender lives as long as the latest job does: another one can only begin when this one has ended.
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
    fn new(job: Job, metrics: ControlMetrics) -> Run {
        Run {
            job,
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

    /// Sends up to `most` devices away; how many that were, and whether there may be more.
    async fn batch(&self, most: u64, walk: &mut Walk, stopped: &watch::Receiver<bool>) -> (u64, bool) {
        let mut visited = 0;
        while visited < most {
            for _ in 0..LOOKS_AT_ONCE {
                match walk.look() {
                    Look::Match(device) => {
                        visited += 1;
                        self.visited.fetch_add(1, Ordering::AcqRel);
                        if device.close(Reason::Drained.into()) {
                            self.drained.fetch_add(1, Ordering::AcqRel);
                            self.metrics.count_drained(1);
                        }
                    }
                    Look::Other => {}
                    Look::End => return (visited, false),
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

impl Ending {
    /// Batch after batch, each after a tick if the job has a pace, until the count is reached, nobody is left, or the
    /// drain is cancelled.
    async fn drain(self, mut walk: Walk, mut stopped: watch::Receiver<bool>) {
        let run = &*self.0;
        let mut remaining = run.job.count;
        let mut ticks = run.job.pace.map(|pace| ticks(pace.tick));
        let rate = run.job.pace.map_or(u64::MAX, |pace| pace.rate);
        while remaining > 0 {
            if let Some(ticks) = &mut ticks {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                    _ = ticks.tick() => {}
                }
            }
            let (visited, is_more) = run.batch(rate.min(remaining), &mut walk, &stopped).await;
            remaining -= visited;
            if !is_more {
                return;
            }
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let run = &self.0;
        run.metrics.is_draining(false);
        run.finished.send_replace(Some(Timestamp::now()));
        let Progress { visited, drained, .. } = run.status().progress;
        info!(visited, drained, "drain finished");
    }
}

/// The first batch comes after one tick; a batch that comes late does not hurry the next.
fn ticks(tick: std::time::Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + tick, tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
