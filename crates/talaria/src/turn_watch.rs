//! Turns of tasks that take too long: nothing else of their thread runs meanwhile (contract §10.4).
//!
//! A task that does what others ask for marks its turns ([`Turn::begin`]), which costs a store into the thread's own mark. A thread
//! of its own looks at all marks ([`TurnWatch`]); it counts and logs a turn that takes longer than [`STUCK`]. When such a turn ends,
//! its task learns how long it took ([`Turn::end`]), since only the task knows whose turn it was.
//!
//! Deliberately absent: how late tasks get their turns (`lateness.rs`).

#![expect(clippy::disallowed_methods, reason = "a thread without tokio owns its clock")]

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::IntCounter;

use crate::telemetry::throttle::Throttle;

/// A turn that takes longer holds up its thread.
const STUCK: Duration = Duration::from_millis(100);
/// How often the marks are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The shortest time between two lines of a kind.
const LINES_EVERY: Duration = Duration::from_secs(60);

thread_local! {
    static MARK: OnceCell<Arc<Mark>> = const { OnceCell::new() };
}

/// Looks at the turns of a runtime's threads. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct TurnWatch {
    stops: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
}

/// The threads of a runtime.
#[derive(Debug)]
pub(crate) struct Threads {
    seen: Mutex<Vec<Seen>>,
    began: Instant,
    /// For the lines of the tasks.
    lines: Throttle,
}

/// What a thread says of its turns.
#[derive(Debug)]
struct Mark {
    threads: Arc<Threads>,
    /// Counts each beginning and each end of a turn, so it has an odd value while a turn lasts.
    turn: AtomicU64,
    /// The last turn that was found stuck.
    stuck: AtomicU64,
    /// When that turn was seen first, in milliseconds from [`Threads::began`].
    since: AtomicU64,
}

/// A thread's mark as it was seen last.
#[derive(Debug)]
struct Seen {
    mark: Arc<Mark>,
    thread: thread::ThreadId,
    name: Box<str>,
    turn: u64,
    since: Instant,
}

/// A turn of a task. It ends when this is dropped.
pub(crate) struct Turn {
    number: u64,
}

/// The turn was stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// At least so long.
    pub(crate) took: Duration,
    /// How many such turns had no line since the last one.
    pub(crate) suppressed: u64,
}

impl Threads {
    /// No threads.
    #[must_use]
    pub(crate) fn new() -> Arc<Self> {
        let lines = Throttle::every(LINES_EVERY);
        Arc::new(Self { seen: Mutex::default(), began: Instant::now(), lines })
    }

    /// This thread's turns are looked at from now on.
    pub(crate) fn enter(self: &Arc<Self>) {
        let mark = Arc::new(Mark {
            threads: Arc::clone(self),
            turn: AtomicU64::new(0),
            stuck: AtomicU64::new(0),
            since: AtomicU64::new(0),
        });
        let current = thread::current();
        let seen = Seen {
            mark: Arc::clone(&mark),
            thread: current.id(),
            name: current.name().unwrap_or_default().into(),
            turn: 0,
            since: self.began,
        };
        // A thread has one runtime.
        if MARK.with(|cell| cell.set(mark)).is_ok() {
            self.seen.lock().push(seen);
        }
    }

    /// This thread ends.
    pub(crate) fn leave(&self) {
        let current = thread::current().id();
        self.seen.lock().retain(|seen| seen.thread != current);
    }

    /// Looks at all marks. Returns the names of threads with a turn that is stuck and was not when they were looked at before.
    fn look(&self, now: Instant) -> Vec<Box<str>> {
        let mut found = Vec::new();
        for seen in self.seen.lock().iter_mut() {
            let turn = seen.mark.turn.load(Relaxed);
            if turn != seen.turn {
                (seen.turn, seen.since) = (turn, now);
            } else if turn % 2 == 1
                && now.saturating_duration_since(seen.since) >= STUCK
                && seen.mark.stuck.load(Relaxed) != turn
            {
                let since = seen.since.saturating_duration_since(self.began).as_millis();
                seen.mark.since.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
                seen.mark.stuck.store(turn, Relaxed);
                found.push(seen.name.clone());
            }
        }
        found
    }
}

impl TurnWatch {
    /// Looks at these threads, on a thread of its own, and counts the turns that are stuck.
    #[must_use]
    pub(crate) fn start(threads: Arc<Threads>, count: IntCounter) -> Self {
        let stops = Arc::<AtomicBool>::default();
        let stop = Arc::clone(&stops);
        let look = move || {
            let lines = Throttle::every(LINES_EVERY);
            while !stop.load(Relaxed) {
                thread::park_timeout(LOOK_EVERY);
                for thread in threads.look(Instant::now()) {
                    count.inc();
                    if let Some(suppressed) = lines.admit() {
                        tracing::warn!(
                            thread = &*thread,
                            suppressed,
                            "a thread of the runtime is stuck, other devices and requests on it wait"
                        );
                    }
                }
            }
        };
        let looking = thread::Builder::new().name("turn-watch".to_owned()).spawn(look);
        if let Err(error) = &looking {
            tracing::warn!(%error, "cannot start the thread that looks for stuck threads");
        }
        Self { stops, looking: looking.ok() }
    }
}

impl Drop for TurnWatch {
    fn drop(&mut self) {
        self.stops.store(true, Relaxed);
        if let Some(looking) = self.looking.take() {
            looking.thread().unpark();
        }
    }
}

impl Turn {
    /// A turn begins on this thread.
    pub(crate) fn begin() -> Self {
        let number = MARK.with(|mark| {
            mark.get().map_or(0, |mark| {
                let number = mark.turn.load(Relaxed).wrapping_add(1) | 1;
                mark.turn.store(number, Relaxed);
                number
            })
        });
        Self { number }
    }

    /// The turn ends. `Some` if it was stuck and that is to be logged.
    pub(crate) fn end(self) -> Option<Stuck> {
        MARK.with(|mark| {
            let mark = mark.get()?;
            if mark.stuck.load(Relaxed) != self.number || self.number == 0 {
                return None;
            }
            let since = Duration::from_millis(mark.since.load(Relaxed));
            let suppressed = mark.threads.lines.admit()?;
            Some(Stuck { took: mark.threads.began.elapsed().saturating_sub(since), suppressed })
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // A thread that ends has no mark any more.
        let _ = MARK.try_with(|mark| {
            if let Some(mark) = mark.get() {
                mark.turn.store(self.number.wrapping_add(1), Relaxed);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread of these threads, for one test: it has its own mark.
    fn within<T: Send>(threads: &Arc<Threads>, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let run = || {
                threads.enter();
                let result = work();
                threads.leave();
                result
            };
            thread::Builder::new().name("worker".to_owned()).spawn_scoped(scope, run).unwrap().join().unwrap()
        })
    }

    #[test]
    fn a_turn_that_lasts_is_found_once_and_its_task_learns_how_long_it_took() {
        let threads = Threads::new();
        within(&threads, || {
            let turn = Turn::begin();
            let start = Instant::now();
            assert_eq!(threads.look(start).len(), 0);
            assert_eq!(threads.look(start + STUCK - LOOK_EVERY).len(), 0);
            assert_eq!(threads.look(start + STUCK), ["worker".into()]);
            assert_eq!(threads.look(start + 2 * STUCK).len(), 0);
            assert!(turn.end().is_some());
            // The next one is another turn.
            let turn = Turn::begin();
            assert_eq!(threads.look(start + 3 * STUCK).len(), 0);
            assert_eq!(turn.end(), None);
        });
        assert_eq!(threads.seen.lock().len(), 0);
    }

    #[test]
    fn a_thread_without_a_turn_is_never_stuck() {
        let threads = Threads::new();
        within(&threads, || {
            drop(Turn::begin());
            let start = Instant::now();
            assert_eq!(threads.look(start).len(), 0);
            assert_eq!(threads.look(start + 10 * STUCK).len(), 0);
        });
    }

    #[test]
    fn a_task_on_a_thread_that_is_not_looked_at_costs_nothing_and_learns_nothing() {
        assert_eq!(Turn::begin().end(), None);
    }

    #[test]
    fn the_watch_counts_a_thread_that_is_stuck() {
        let (threads, count) = (Threads::new(), IntCounter::new("stuck", "stuck").unwrap());
        let watch = TurnWatch::start(Arc::clone(&threads), count.clone());
        within(&threads, || {
            let turn = Turn::begin();
            while count.get() == 0 {
                thread::yield_now();
            }
            assert!(turn.end().unwrap().took >= STUCK);
        });
        drop(watch);
    }
}
