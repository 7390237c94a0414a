//! The pace at which sessions end: together their ends take at most a share of the CPU, so that the devices that stay connected
//! have the rest also when a whole site leaves at once (contract §2.20).
//!
//! An end that comes while there is time left happens at once. The others wait in line. Meanwhile their devices are not found any
//! more, nothing can be sent to them, and a device that connects again does not wait for the end of its old session. There
//! are at most as many in line as there are sessions, and each holds its socket and its entry in the registry.
//!
//! Deliberately absent: what an end is (`session/run/ending.rs`). Start reading at [`Ends::begin`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::time::Instant;

use super::connected::Device;
use super::outbox::Signal;
use crate::cpu_share::{CpuShare, cores, nanoseconds, thread_time, tick};

/// What an end is taken to cost before one was measured.
const FIRST_GUESS: Duration = Duration::from_micros(50);

/// The part (one of this many) of a new measurement in the cost.
const SMOOTHING: i64 = 8;

/// The ends of all sessions.
pub(super) struct Ends {
    state: Mutex<State>,
    /// `disconnects_waiting`.
    waiting: IntGauge,
}

struct State {
    share: CpuShare,
    /// What an end took lately, in nanoseconds of CPU.
    cost: i64,
    line: VecDeque<Arc<Device>>,
    /// Whether a task lets those in line end, and looks how late the runtime is.
    is_driven: bool,
    /// Whether nothing waits any more, because the gateway stops.
    is_lifted: bool,
}

/// The end of a session that may happen. Dropping it ends the account of its cost, so it is the last part of the session that
/// is dropped.
pub(super) struct RunningEnd {
    ends: Arc<Ends>,
    spent: Duration,
    /// The CPU time of its thread when it began to compute.
    since: Option<Duration>,
}

impl Ends {
    /// `percent` of all cores, from 1 to 100.
    pub(super) fn new(percent: u32, waiting: IntGauge) -> Arc<Self> {
        let state = State {
            share: CpuShare::new(cores(), percent),
            cost: nanoseconds(FIRST_GUESS),
            line: VecDeque::new(),
            is_driven: false,
            is_lifted: false,
        };
        Arc::new(Self { state: Mutex::new(state), waiting })
    }

    /// `percent` of all cores, from now on.
    pub(super) fn set_percent(&self, percent: u32) {
        self.state.lock().share.set(cores(), percent);
    }

    /// Whether the session of this device may end now. If not, the device gets [`Signal::MayEnd`] when its turn has come.
    pub(super) fn begin(self: &Arc<Self>, device: &Arc<Device>) -> bool {
        let mut state = self.state.lock();
        state.share.earn(Instant::now());
        if !std::mem::replace(&mut state.is_driven, true) {
            tokio::spawn(Arc::clone(self).drive());
        }
        if state.is_lifted || state.line.is_empty() && state.share.is_left() {
            state.take();
            return true;
        }
        state.line.push_back(Arc::clone(device));
        self.waiting.set(state.line.len() as i64);
        false
    }

    /// The end begins to compute.
    pub(super) fn run(self: &Arc<Self>) -> RunningEnd {
        RunningEnd { ends: Arc::clone(self), spent: Duration::ZERO, since: Some(thread_time()) }
    }

    /// Nothing waits any more, from now on: the gateway stops, and paces the ends in its own way.
    pub(super) fn lift(&self) {
        let line = {
            let mut state = self.state.lock();
            state.is_lifted = true;
            self.waiting.set(0);
            std::mem::take(&mut state.line)
        };
        line.iter().for_each(|device| device.outbox().signal(Signal::MayEnd));
    }

    /// Lets those in line end until none is left. There is one such task at a time, and only while sessions end.
    async fn drive(self: Arc<Self>) {
        loop {
            let late = tick().await;
            let (admitted, is_last) = {
                let mut state = self.state.lock();
                state.share.adapt(late);
                let admitted = state.admit(Instant::now());
                self.waiting.set(state.line.len() as i64);
                state.is_driven = !state.line.is_empty();
                (admitted, state.line.is_empty())
            };
            admitted.iter().for_each(|device| device.outbox().signal(Signal::MayEnd));
            if is_last {
                return;
            }
        }
    }

    /// Uses up the share for so much time, for tests.
    #[cfg(test)]
    pub(super) fn use_up(&self, time: Duration) {
        self.state.lock().share.spend(nanoseconds(time));
    }
}

impl RunningEnd {
    /// It computes again.
    pub(super) fn resume(&mut self) {
        self.since.get_or_insert_with(thread_time);
    }

    /// It waits for its device.
    pub(super) fn pause(&mut self) {
        if let Some(since) = self.since.take() {
            self.spent += thread_time().saturating_sub(since);
        }
    }
}

impl Drop for RunningEnd {
    fn drop(&mut self) {
        self.pause();
        let mut state = self.ends.state.lock();
        let correction = nanoseconds(self.spent).saturating_sub(state.cost);
        state.share.spend(correction);
        state.cost += correction / SMOOTHING;
    }
}

impl State {
    const fn take(&mut self) {
        self.share.spend(self.cost);
    }

    /// Those for whom there is time now.
    fn admit(&mut self, now: Instant) -> Vec<Arc<Device>> {
        self.share.earn(now);
        let mut admitted = Vec::new();
        while self.share.is_left()
            && let Some(device) = self.line.pop_front()
        {
            self.take();
            admitted.push(device);
        }
        if self.line.is_empty() {
            // The memory of a storm does not stay.
            self.line = VecDeque::new();
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use talaria_protocol::connect::Identity;

    use super::*;
    use crate::device::{Config, session_id};

    #[tokio::test(start_paused = true)]
    async fn many_ends_take_their_share_of_the_cpu_in_their_order_and_no_more() {
        let ends = Ends::new(25, IntGauge::new("waiting", "waiting").unwrap());
        {
            let mut state = ends.state.lock();
            state.share = CpuShare::new(1, 25);
            state.cost = nanoseconds(Duration::from_millis(1));
        }
        let device = |number| {
            let id = format!("serial:{number}").parse().unwrap();
            Device::new(Identity::new(id, session_id::random()), &Config::default())
        };
        let devices: Vec<_> = (0..101).map(device).collect();
        let at_once = devices.iter().filter(|device| ends.begin(device)).count();
        assert_eq!(at_once, 1, "4 ms of a quarter of a core");
        assert_eq!(ends.waiting.get(), 100);
        let may_end = || devices.iter().filter(|device| device.outbox().take_signals().has(Signal::MayEnd));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let first: Vec<_> = may_end().map(|device| device.id().clone()).collect();
        assert!((49..=51).contains(&first.len()), "{}", first.len());
        let expected: Vec<_> =
            devices[1..].iter().map(|device| device.id().clone()).take(first.len()).collect();
        assert_eq!(first, expected);
        tokio::time::sleep(Duration::from_millis(210)).await;
        assert_eq!(first.len() + may_end().count(), 100);
        assert_eq!(ends.waiting.get(), 0);
        assert!(!ends.state.lock().is_driven);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_end_has_computed_counts() {
        let ends = Ends::new(25, IntGauge::new("waiting", "waiting").unwrap());
        let mut end = ends.run();
        end.pause();
        end.spent = Duration::from_secs(1);
        drop(end);
        assert!(!ends.state.lock().share.is_left());
    }
}
