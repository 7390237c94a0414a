//! Whether a receiver gets requests at all (contract §5.5): the circuit breaker.
//!
//! - **Closed**: it gets requests, as many as its limit allows.
//! - **Open**: several requests in a row have failed. Its events wait, for at most a second, and lose no attempt meanwhile.
//! - **Half-open**: one event tries it. An answer closes the breaker, a failure opens it again.
//!
//! A receiver that only refuses (429, 503 and the like) is alive, so it is tried again soon; one that cannot be reached or has
//! stopped answering, once a second. Pauses double from one failure to the next. They start again from the shortest one only after
//! the receiver has worked for a while: one that works by fits and starts is not tried more often for that.
//!
//! A request that was sent before the breaker opened decides nothing by its failure, but its answer shows that the receiver works.
//!
//! Deliberately absent: a clock. Start reading at [`Breaker::ended`].

use std::time::Duration;

use tokio::time::Instant;

use super::health::{Health, Report};

/// How many requests have to fail in a row.
const FAILURES: u32 = 5;

/// The first pause, and the longest one, of a receiver that refuses.
const REFUSED_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(200));

/// The first pause, and the longest one, of a receiver that does not answer. Every `Retry-After` is kept for an event, but a
/// receiver is tried again after this pause, with another event.
const FAILED_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));

/// After so long without a pause, the next one is the shortest.
const CALM: Duration = Duration::from_secs(10);

/// How long a request that tries a receiver may take, at least and at most. It is twice what answers take; if that is not known, it
/// doubles each time that it was too short.
const TRIAL_TIMES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

pub(super) struct Breaker {
    state: State,
    /// The pause after the next failure.
    pause: Duration,
    /// When it opened, and when it last closed.
    opened: Option<Instant>,
    closed: Option<Instant>,
    trial_time: Duration,
}

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// All requests.
    Closed {
        /// How many requests have failed since the last answer.
        failures: u32,
    },
    /// None until then.
    Open { until: Instant },
    /// One, if none is under way.
    HalfOpen { is_trying: bool },
}

/// A change that an operator wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    /// It was open for so long.
    Closed(Duration),
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Closed { failures: 0 },
            pause: Duration::ZERO,
            opened: None,
            closed: None,
            trial_time: TRIAL_TIMES.0,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// A request starts. If it tries the receiver, it may take this long. `usual` is what answers take.
    pub(super) fn started(&mut self, usual: Option<Duration>) -> Option<Duration> {
        match &mut self.state {
            State::HalfOpen { is_trying } => {
                *is_trying = true;
                let (least, most) = TRIAL_TIMES;
                Some(usual.map_or(self.trial_time, |usual| (2 * usual).clamp(least, most)))
            }
            State::Closed { .. } | State::Open { .. } => None,
        }
    }

    /// A request has ended. `is_current` tells whether it was sent since the breaker last opened. `jitter` is from 0 to 1.
    pub(super) fn ended(&mut self, report: &Report, is_current: bool, jitter: f64) -> Option<Change> {
        match (report.health, self.state) {
            (Health::Works, State::Closed { .. }) => {
                self.state = State::Closed { failures: 0 };
                None
            }
            (Health::Works, State::Open { .. } | State::HalfOpen { .. }) => {
                self.state = State::Closed { failures: 0 };
                self.trial_time = TRIAL_TIMES.0;
                self.closed = Some(report.at);
                Some(Change::Closed(self.opened.take().map_or(Duration::ZERO, |opened| report.at - opened)))
            }
            (Health::Unknown, State::HalfOpen { .. }) if is_current => {
                self.state = State::HalfOpen { is_trying: false };
                None
            }
            (Health::Unknown, _) | (_, State::Open { .. }) => None,
            (_, _) if !is_current => None,
            (_, State::Closed { failures }) if failures + 1 < FAILURES => {
                self.state = State::Closed { failures: failures + 1 };
                None
            }
            (_, State::Closed { .. }) => {
                self.open(report, jitter);
                self.opened = Some(report.at);
                Some(Change::Opened)
            }
            (health, State::HalfOpen { .. }) => {
                if health == Health::Silent {
                    self.trial_time = (2 * self.trial_time).min(TRIAL_TIMES.1);
                }
                self.open(report, jitter);
                None
            }
        }
    }

    /// The receiver has stopped answering while its requests go on: one more tries it.
    pub(super) fn stalled(&mut self, now: Instant) -> Option<Change> {
        let change = matches!(self.state, State::Closed { .. }).then_some(Change::Opened);
        if change.is_some() {
            self.opened = Some(now);
        }
        self.state = State::HalfOpen { is_trying: false };
        change
    }

    /// Lets a request try the receiver if its time has come. Returns when it will come.
    pub(super) fn release(&mut self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Open { until } if until <= now => {
                self.state = State::HalfOpen { is_trying: false };
                None
            }
            State::Open { until } => Some(until),
            State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    fn open(&mut self, report: &Report, jitter: f64) {
        let (first, longest) = match report.health {
            Health::Refuses | Health::Fails => REFUSED_PAUSES,
            _ => FAILED_PAUSES,
        };
        if self.closed.take().is_some_and(|closed| report.at - closed > CALM) {
            self.pause = Duration::ZERO;
        }
        self.pause = (2 * self.pause).clamp(first, longest);
        let asked_for = report.retry_after.map_or(Duration::ZERO, |wait| wait.min(FAILED_PAUSES.1));
        let pause = self.pause.mul_f64(1.0 - jitter / 2.0).max(asked_for);
        self.state = State::Open { until: report.at + pause };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(health: Health, at: Instant) -> Report {
        Report { health, at, ..Report::unknown() }
    }

    /// Ends requests one after the other, at the same time, and returns what changed last.
    fn end(breaker: &mut Breaker, health: Health, at: Instant, times: u32) -> Option<Change> {
        (0..times).map(|_| breaker.ended(&report(health, at), true, 0.0)).last().flatten()
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_an_answer_in_between_starts_the_count_again() {
        let (mut breaker, now) = (Breaker::new(), Instant::now());
        assert_eq!(end(&mut breaker, Health::Unreachable, now, FAILURES - 1), None);
        assert_eq!(end(&mut breaker, Health::Works, now, 1), None);
        assert_eq!(end(&mut breaker, Health::Unreachable, now, FAILURES - 1), None);
        assert_eq!(end(&mut breaker, Health::Refuses, now, 1), Some(Change::Opened));
        assert!(matches!(breaker.state(), State::Open { .. }));
    }

    #[test]
    fn one_request_tries_the_receiver_and_decides() {
        let (mut breaker, mut now) = (Breaker::new(), Instant::now());
        let start = now;
        end(&mut breaker, Health::Unreachable, now, FAILURES);
        for pause in [250, 500, 1000, 1000] {
            let until = breaker.release(now).expect("it is open");
            assert_eq!(until - now, Duration::from_millis(pause));
            now = until;
            breaker.release(now);
            assert_eq!(breaker.state(), State::HalfOpen { is_trying: false });
            assert_eq!(breaker.started(None), Some(TRIAL_TIMES.0));
            assert_eq!(breaker.state(), State::HalfOpen { is_trying: true });
            assert_eq!(end(&mut breaker, Health::Unreachable, now, 1), None, "no change for an operator");
        }
        now = breaker.release(now).unwrap();
        breaker.release(now);
        breaker.started(None);
        assert_eq!(end(&mut breaker, Health::Works, now, 1), Some(Change::Closed(now - start)));
        assert_eq!(breaker.started(None), None);
    }

    #[test]
    fn an_answer_to_an_older_request_closes_it_and_a_failure_of_one_means_nothing() {
        let (mut breaker, now) = (Breaker::new(), Instant::now());
        assert_eq!(breaker.stalled(now), Some(Change::Opened));
        breaker.started(None);
        let old = |breaker: &mut Breaker, health| breaker.ended(&report(health, now), false, 0.0);
        assert_eq!(old(&mut breaker, Health::Silent), None);
        assert_eq!(breaker.state(), State::HalfOpen { is_trying: true });
        assert_eq!(old(&mut breaker, Health::Works), Some(Change::Closed(Duration::ZERO)));
    }

    #[test]
    fn a_receiver_that_refuses_is_tried_sooner_and_retry_after_is_kept_for_at_most_a_second() {
        let (mut breaker, now) = (Breaker::new(), Instant::now());
        end(&mut breaker, Health::Refuses, now, FAILURES);
        assert_eq!(breaker.release(now), Some(now + REFUSED_PAUSES.0));
        breaker.release(now + REFUSED_PAUSES.0);
        breaker.started(None);
        let year =
            Report { retry_after: Some(Duration::from_secs(365 * 86_400)), ..report(Health::Refuses, now) };
        breaker.ended(&year, true, 0.0);
        assert_eq!(breaker.release(now), Some(now + FAILED_PAUSES.1));
    }

    #[test]
    fn a_trial_that_was_too_short_for_an_answer_makes_the_next_one_longer_if_it_is_not_known_what_answers_take()
     {
        let (mut breaker, mut now) = (Breaker::new(), Instant::now());
        breaker.stalled(now);
        for seconds in [5, 10, 20, 30, 30] {
            assert_eq!(breaker.started(None), Some(Duration::from_secs(seconds)));
            end(&mut breaker, Health::Silent, now, 1);
            now += Duration::from_secs(2);
            breaker.release(now);
        }
        let after = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(breaker.started(Some(Duration::from_millis(1))), after(5));
        assert_eq!(breaker.started(after(7)), after(14));
    }
}
