//! The pace of handshakes: together they take at most a share of the CPU, so that connected devices always have the rest
//! (contract §2.20).
//!
//! A handshake that comes while there is time left begins at once. The others wait in line. When the line is so long that its
//! first have waited half as long as a client may wait, the newest go first: the oldest are likely to give up anyway, and
//! a handshake that its client gives up is wasted. Those that have waited too long are refused.
//!
//! What counts is the CPU time that handshakes take, measured around each of their turns on a thread. A client that is slow
//! to answer holds nothing. A handshake takes what its kind took lately when it begins, and the difference when it ends.
//! While others wait for their turns because of the handshakes, or because the machine has too little CPU, the share is lowered
//! (`cpu_share.rs`).
//!
//! After TLS the request of a device waits again, in front of all others: clients that were slow to answer may all go on at once.
//!
//! Start reading at [`Handshakes::begin`].

mod live;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::cpu_share::{CpuShare, cores, nanoseconds, thread_time, tick};
use crate::random;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::throttle::Throttle;

/// What a handshake is taken to cost before one was measured.
const FIRST_GUESS: Duration = Duration::from_micros(200);

/// The part (one of this many) of a new measurement in the cost of a kind.
const SMOOTHING: i64 = 8;

/// The shortest and the longest time after which a refused client is asked to come back, in seconds.
const SHORTEST_RETRY: f64 = 2.0;
const LONGEST_RETRY: f64 = 60.0;

/// The settings of `device.manager.handshakes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakesConfig {
    /// The share of all cores that handshakes may take, from 1 to 100 (`cpuPercent`).
    pub cpu_percent: u32,
    /// How long one may wait in line (`maxWait`).
    pub max_wait: Duration,
}

/// A kind of handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeKind {
    /// TLS (RFC 8446).
    Tls,
    /// The request of a device: its token, its registration and the upgrade to a WebSocket (RFC 6455).
    Device,
}

/// The pace of the handshakes of all servers for devices.
#[derive(Debug)]
pub struct Handshakes {
    state: Mutex<State>,
    cores: u32,
    waiting: IntGauge,
    refused: [IntCounter; 2],
    lines: Throttle,
}

/// A handshake that may go on. Dropping it ends the account of its cost.
#[derive(Debug)]
pub struct Handshake<'a> {
    all: &'a Handshakes,
    kind: HandshakeKind,
    /// What it has taken at its beginning.
    taken: i64,
    spent: Duration,
}

/// A handshake is refused: it has waited too long, or left its place to a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many clients connect at the same time")]
pub struct RefusedError {
    /// When the client should come back.
    pub retry_after: Duration,
}

#[derive(Debug)]
struct State {
    share: CpuShare,
    max_wait: Duration,
    /// What a handshake of each kind took lately, in nanoseconds of CPU.
    cost: [i64; 2],
    line: VecDeque<Waiting>,
    /// Those whose connection has waited in line before.
    going_on: VecDeque<Waiting>,
    /// Whether a task lets those in line begin, and looks how late the runtime is.
    is_driven: bool,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    kind: HandshakeKind,
    begin: oneshot::Sender<i64>,
}

impl Default for HandshakesConfig {
    fn default() -> Self {
        Self { cpu_percent: 50, max_wait: Duration::from_secs(4) }
    }
}

impl HandshakeKind {
    /// The label `kind` of the metric.
    fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Device => "device",
        }
    }
}

impl Handshakes {
    /// Registers `handshakes_waiting` and `handshakes_refused_total{kind}`.
    #[must_use]
    pub fn new(config: HandshakesConfig, metrics: &Metrics) -> Arc<Self> {
        Self::on(cores(), config, metrics)
    }

    fn on(cores: u32, config: HandshakesConfig, metrics: &Metrics) -> Arc<Self> {
        let family = metrics.prefixed();
        let refused = family.counter_vec(
            "handshakes_refused_total",
            "The number of handshakes that were refused because too many clients connected",
            &["kind"],
        );
        let guess = nanoseconds(FIRST_GUESS);
        let state = State {
            share: CpuShare::new(cores, config.cpu_percent),
            max_wait: config.max_wait,
            cost: [guess; 2],
            line: VecDeque::new(),
            going_on: VecDeque::new(),
            is_driven: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            cores,
            waiting: family.gauge("handshakes_waiting", "The number of handshakes that wait in line"),
            refused: [HandshakeKind::Tls, HandshakeKind::Device]
                .map(|kind| refused.with_label_values(&[kind.as_str()])),
            lines: Throttle::new(),
        })
    }

    /// Waits until a handshake may begin.
    ///
    /// # Errors
    /// If it has waited too long.
    pub async fn begin(self: &Arc<Self>, kind: HandshakeKind) -> Result<Handshake<'_>, RefusedError> {
        self.wait(kind, |state| &mut state.line).await
    }

    /// As [`begin`](Self::begin), for one whose connection has waited for another handshake: it goes first.
    ///
    /// # Errors
    /// If it has waited too long.
    pub async fn go_on(self: &Arc<Self>, kind: HandshakeKind) -> Result<Handshake<'_>, RefusedError> {
        self.wait(kind, |state| &mut state.going_on).await
    }

    async fn wait(
        self: &Arc<Self>,
        kind: HandshakeKind,
        line: fn(&mut State) -> &mut VecDeque<Waiting>,
    ) -> Result<Handshake<'_>, RefusedError> {
        let (deadline, begun) = {
            let mut state = self.state.lock();
            let now = Instant::now();
            state.share.earn(now);
            if !std::mem::replace(&mut state.is_driven, true) {
                tokio::spawn(Arc::clone(self).drive());
            }
            if line(&mut state).is_empty()
                && state.going_on.is_empty()
                && let Some(taken) = state.take(kind)
            {
                return Ok(self.handshake(kind, taken));
            }
            let (begin, begun) = oneshot::channel();
            line(&mut state).push_back(Waiting { since: now, kind, begin });
            self.waiting.set(state.waiting());
            (now + state.max_wait, begun)
        };
        match timeout_at(deadline, begun).await {
            Ok(Ok(taken)) => Ok(self.handshake(kind, taken)),
            _ => Err(self.refuse(kind)),
        }
    }

    fn handshake(&self, kind: HandshakeKind, taken: i64) -> Handshake<'_> {
        Handshake { all: self, kind, taken, spent: Duration::ZERO }
    }

    /// Lets those in line begin until none is left. There is one such task at a time, and only while handshakes begin.
    async fn drive(self: Arc<Self>) {
        loop {
            let late = tick().await;
            let mut state = self.state.lock();
            let now = Instant::now();
            state.share.adapt(late);
            state.share.earn(now);
            state.admit(now);
            self.waiting.set(state.waiting());
            if state.waiting() == 0 {
                state.is_driven = false;
                return;
            }
        }
    }

    fn refuse(&self, kind: HandshakeKind) -> RefusedError {
        self.refused[kind as usize].inc();
        let waiting = self.waiting.get();
        if let Some(similar) = self.lines.admit() {
            let kind = kind.as_str();
            tracing::warn!(
                kind,
                waiting,
                similar,
                "handshakes refused, too many clients connect at the same time"
            );
        }
        // As long as the line takes, and as much again at random, so that they do not all come back together.
        let needed = {
            let state = self.state.lock();
            state.line.len() as f64 * state.cost[kind as usize] as f64 / state.share.each_second() as f64
        };
        let least = Duration::from_secs_f64(needed.clamp(SHORTEST_RETRY, LONGEST_RETRY / 2.0));
        RefusedError { retry_after: least + least.mul_f64(random::fraction()) }
    }
}

impl Handshake<'_> {
    /// Runs a part of the handshake and counts the CPU time that it takes. The part stays where it is: moved into this
    /// future, it would take its room twice.
    pub async fn run<F: Future>(&mut self, mut part: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            let start = thread_time();
            let polled = part.as_mut().poll(cx);
            self.spent += thread_time().saturating_sub(start);
            polled
        })
        .await
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        let spent = nanoseconds(self.spent);
        let mut state = self.all.state.lock();
        state.share.spend(spent.saturating_sub(self.taken));
        let cost = &mut state.cost[self.kind as usize];
        *cost += (spent - *cost) / SMOOTHING;
    }
}

impl State {
    /// Takes the cost of a handshake if there is time left.
    fn take(&mut self, kind: HandshakeKind) -> Option<i64> {
        let cost = self.cost[kind as usize];
        self.share.is_left().then(|| {
            self.share.spend(cost);
            cost
        })
    }

    fn waiting(&self) -> i64 {
        (self.line.len() + self.going_on.len()) as i64
    }

    /// Lets those begin for whom there is time, and drops those that have waited too long.
    fn admit(&mut self, now: Instant) {
        let max_wait = self.max_wait;
        for line in [&mut self.going_on, &mut self.line] {
            while line.front().is_some_and(|first| now >= first.since + max_wait) {
                line.pop_front();
            }
        }
        while let Some(first) = self.going_on.front() {
            let kind = first.kind;
            let Some(taken) = self.take(kind) else { return };
            let first = self.going_on.pop_front();
            self.let_begin(first, taken);
        }
        while let Some(first) = self.line.front() {
            let is_long = now - first.since >= max_wait / 2;
            let next = if is_long { self.line.back() } else { self.line.front() };
            let Some(taken) = next.map(|next| next.kind).and_then(|kind| self.take(kind)) else { return };
            let next = if is_long { self.line.pop_back() } else { self.line.pop_front() };
            self.let_begin(next, taken);
        }
    }

    /// One that has left gives back what it has not used.
    fn let_begin(&mut self, waiting: Option<Waiting>, taken: i64) {
        if waiting.is_some_and(|waiting| waiting.begin.send(taken).is_err()) {
            self.share.spend(-taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::time::sleep;

    use super::*;

    const MILLISECOND: i64 = 1_000_000;

    /// Half of one core, each handshake taken to cost a millisecond.
    fn handshakes() -> Arc<Handshakes> {
        let handshakes = Handshakes::on(1, HandshakesConfig::default(), &Metrics::default());
        {
            let mut state = handshakes.state.lock();
            state.cost = [MILLISECOND; 2];
            // What is kept for a moment.
            state.share.spend(2 * MILLISECOND);
        }
        handshakes
    }

    /// Begins a handshake that leaves the guess of the cost as it is.
    async fn begin(handshakes: &Arc<Handshakes>) -> Result<(), RefusedError> {
        let mut handshake = handshakes.begin(HandshakeKind::Device).await?;
        handshake.spent = Duration::from_millis(1);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_begin_at_once_as_long_as_they_take_less_than_their_share() {
        let (handshakes, started) = (handshakes(), Instant::now());
        for _ in 0..100 {
            sleep(Duration::from_millis(3)).await;
            begin(&handshakes).await.unwrap();
        }
        assert_eq!(started.elapsed(), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_take_their_share_of_the_cpu_and_no_more() {
        let (handshakes, started) = (handshakes(), Instant::now());
        let all = (0..1000).map(|_| begin(&handshakes));
        let begun = futures_util::future::join_all(all).await;
        assert!(begun.iter().all(Result::is_ok));
        // A thousand milliseconds at half of a core, less what is allowed at once.
        let took = started.elapsed().as_millis();
        assert!((1970..2010).contains(&took), "{took} ms");
        assert_eq!(handshakes.waiting.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_long_line_the_newest_go_first_and_those_that_wait_too_long_are_refused() {
        let handshakes = handshakes();
        let old = tokio::spawn({
            let handshakes = Arc::clone(&handshakes);
            async move { futures_util::future::join_all((0..4000).map(|_| begin(&handshakes))).await }
        });
        sleep(Duration::from_secs(3)).await;
        let came = Instant::now();
        begin(&handshakes).await.unwrap();
        assert!(came.elapsed() < Duration::from_millis(10), "{:?}", came.elapsed());
        let old = old.await.unwrap();
        let refused: Vec<_> = old.iter().filter_map(|begun| begun.err()).collect();
        assert!((1980..2020).contains(&refused.len()), "{}", refused.len());
        let mut times: Vec<_> = refused.iter().map(|refused| refused.retry_after).collect();
        times.sort();
        assert!(
            times[0] >= Duration::from_secs(2) && *times.last().unwrap() <= Duration::from_secs(60),
            "{times:?}"
        );
        times.dedup();
        assert!(times.len() > 500, "they come back at different times: {}", times.len());
        assert_eq!(handshakes.refused[HandshakeKind::Device as usize].get(), refused.len() as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_its_client_gives_up_takes_nothing_from_the_others() {
        let handshakes = handshakes();
        let leaving = futures_util::future::join_all((0..1000).map(|_| begin(&handshakes)));
        let _ = tokio::time::timeout(Duration::from_millis(1), leaving).await;
        let started = Instant::now();
        begin(&handshakes).await.unwrap();
        assert!(started.elapsed() < Duration::from_millis(50), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_go_on_after_tls_keep_the_pace_and_go_first() {
        let (handshakes, started) = (handshakes(), Instant::now());
        let going_on = async || {
            let mut handshake = handshakes.go_on(HandshakeKind::Device).await.unwrap();
            handshake.spent = Duration::from_millis(1);
            started.elapsed()
        };
        let others = futures_util::future::join_all((0..200).map(|_| begin(&handshakes)));
        let (others, first) = tokio::join!(others, going_on());
        assert!(others.iter().all(Result::is_ok) && first < Duration::from_millis(10), "{first:?}");
        let all = futures_util::future::join_all((0..500).map(|_| going_on())).await;
        let took = all.iter().max().unwrap().as_millis();
        assert!((1390..1420).contains(&took), "{took} ms for 701 at half of a core");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_handshake_computes_counts_also_if_it_did_not_wait() {
        let handshakes = handshakes();
        let mut going_on = handshakes.go_on(HandshakeKind::Device).await.unwrap();
        going_on.run(pin!(tokio::task::yield_now())).await;
        going_on.spent = Duration::from_millis(100);
        drop(going_on);
        let started = Instant::now();
        begin(&handshakes).await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());
    }
}
