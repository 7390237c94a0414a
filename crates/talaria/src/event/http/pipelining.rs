//! Whether a receiver gets several events in one packet: HTTP/1.1 pipelining (contract §5.4, RFC 9112 §9.3.2).
//!
//! It is off unless it is configured. A receiver that does not bear it gets one event at a time for a while: a minute, then twice
//! as long each time, up to an hour. A connection can also break because the receiver restarts, so no receiver is given up for
//! ever, and an hour without a fault starts again with a minute.
//!
//! Deliberately absent: a clock, the connection (`connection/http1/pipeline.rs`), and the events (`batch.rs`). Start reading at
//! [`Pipelining::failed`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::url::Target;
use tokio::time::Instant;

use super::metrics::HttpMetrics;
use crate::event::config::PipelineDepth;

/// The first pause, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// After so long without a fault the next pause is the first one again.
const CALM: Duration = PAUSES.1;

/// Whether one receiver gets several events at a time.
pub(super) struct Pipelining {
    depth: PipelineDepth,
    state: State,
    /// The last pause; zero before the first one.
    pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Several at a time since then; none since the start.
    Used { since: Option<Instant> },
    /// One at a time until then.
    Paused { until: Instant },
}

/// What a receiver has done with requests that were sent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PipelineFault {
    /// It closed the connection, or announced so, before it had answered all of them.
    Closed,
    /// It answered a request that had not been sent.
    Unexpected,
    /// It sent something that is not HTTP.
    NotHttp,
    /// It did not answer one of them in time.
    Silent,
}

/// A receiver gets one event at a time for a while.
pub(super) struct PipelineFallback<'a> {
    pub(super) target: &'a Arc<Target>,
    pub(super) fault: PipelineFault,
    pub(super) pause: Duration,
}

impl Pipelining {
    pub(super) const fn new(depth: PipelineDepth) -> Self {
        Self { depth, state: State::Used { since: None }, pause: Duration::ZERO }
    }

    /// As many events may go to the receiver with another one.
    pub(super) const fn further(&self) -> usize {
        match self.state {
            State::Used { .. } => self.depth.get() - 1,
            State::Paused { .. } => 0,
        }
    }

    /// The receiver did not bear several requests. Returns how long it gets one at a time; none if it does already, since
    /// the requests on several connections may fail for the same reason.
    pub(super) fn failed(&mut self, now: Instant) -> Option<Duration> {
        let State::Used { since } = self.state else { return None };
        if since.is_some_and(|since| now - since > CALM) {
            self.pause = Duration::ZERO;
        }
        self.pause = (2 * self.pause).clamp(PAUSES.0, PAUSES.1);
        self.state = State::Paused { until: now + self.pause };
        Some(self.pause)
    }

    /// Ends a pause whose time is over.
    pub(super) fn tick(&mut self, now: Instant) {
        if let State::Paused { until } = self.state
            && until <= now
        {
            self.state = State::Used { since: Some(now) };
        }
    }
}

impl PipelineFault {
    pub(super) const ALL: [Self; 4] = [Self::Closed, Self::Unexpected, Self::NotHttp, Self::Silent];

    /// Its label in the metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Unexpected => "unexpected_answer",
            Self::NotHttp => "not_http",
            Self::Silent => "no_answer",
        }
    }
}

impl fmt::Display for PipelineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "it closed the connection before it had answered all of them",
            Self::Unexpected => "it answered a request that had not been sent",
            Self::NotHttp => "its answer is not HTTP/1.1",
            Self::Silent => "it did not answer one of them in time",
        })
    }
}

impl PipelineFallback<'_> {
    /// Counts and logs it.
    pub(super) fn emit(&self, metrics: &HttpMetrics) {
        let Self { target: url, fault, pause } = self;
        metrics.pipeline_fallback(url, *fault);
        tracing::warn!(%url, %fault, ?pause, "event receiver does not bear several events in one packet, it gets one at a time for now");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipelining(now: Instant) -> (Pipelining, Instant) {
        (Pipelining::new(PipelineDepth::new(8).unwrap()), now)
    }

    #[test]
    fn without_a_configured_depth_each_event_goes_alone() {
        assert_eq!(Pipelining::new(PipelineDepth::default()).further(), 0);
        assert_eq!((PipelineDepth::new(0), PipelineDepth::new(65)), (None, None));
        assert_eq!(Pipelining::new(PipelineDepth::new(64).unwrap()).further(), 63);
    }

    #[test]
    fn a_receiver_that_does_not_bear_it_is_spared_for_a_minute_then_twice_as_long_up_to_an_hour() {
        let (mut pipelining, mut now) = pipelining(Instant::now());
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(pipelining.further(), 7);
            let pause = Duration::from_secs(60 * minutes);
            assert_eq!(pipelining.failed(now), Some(pause));
            assert_eq!((pipelining.failed(now), pipelining.further()), (None, 0), "counted once");
            now += pause;
            pipelining.tick(now - Duration::from_millis(1));
            assert_eq!(pipelining.further(), 0);
            pipelining.tick(now);
        }
        assert_eq!(pipelining.further(), 7);
    }

    #[test]
    fn after_an_hour_without_a_fault_the_pause_is_a_minute_again() {
        let (mut pipelining, mut now) = pipelining(Instant::now());
        for _ in 0..3 {
            now += pipelining.failed(now).unwrap();
            pipelining.tick(now);
        }
        now += CALM + Duration::from_secs(1);
        assert_eq!(pipelining.failed(now), Some(PAUSES.0));
    }
}
