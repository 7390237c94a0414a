//! Whether the gateway should get devices and requests now: `/ready` (contract §10.1).
//!
//! A probe of an orchestrator or a load balancer asks for it. Each [`Reason`] has a check, which the gateway makes of its parts;
//! this module keeps no state of its own except whether a sink is losing events.
//!
//! Deliberately absent: `/live`, which says only that the process answers.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

/// How often it is checked whether the sinks lose events.
const PERIOD: Duration = Duration::from_secs(1);

/// A sink that has lost events in so many periods in a row is losing; it is not any more after as many without a loss.
const PERIODS: usize = 5;

/// Why the gateway is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It does not accept connections yet.
    Starting,
    /// It has not heard of its fleet since the start.
    Discovery,
    /// It has not reached a Kafka broker since the start.
    Kafka,
    /// An operator has closed the gate.
    Gate,
    /// An operator disconnects devices.
    Drain,
    /// It stops.
    Stopping,
    /// Events for HTTP receivers have been lost for some seconds.
    HttpLoses,
    /// Messages for Kafka have been lost for some seconds.
    KafkaLoses,
}

/// The checks of `/ready`.
#[derive(Default)]
pub struct Readiness {
    checks: Vec<(Reason, Box<Check>)>,
    losses: Vec<(Reason, Box<Count>, Mutex<Losing>)>,
}

/// Whether a reason holds now.
type Check = dyn Fn() -> bool + Send + Sync;

/// How many events a sink has lost since the start.
type Count = dyn Fn() -> u64 + Send + Sync;

/// Whether a sink is losing events.
#[derive(Debug, Default)]
struct Losing {
    counted: u64,
    /// Whether there were losses in each of the last periods, the newest last.
    recent: VecDeque<bool>,
    is_losing: bool,
}

impl Reason {
    /// What the answer says.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Starting => "the gateway starts",
            Self::Discovery => "service discovery has not answered since the start",
            Self::Kafka => "no kafka broker has been reached since the start",
            Self::Gate => "the gate is closed",
            Self::Drain => "devices are drained",
            Self::Stopping => "the gateway stops",
            Self::HttpLoses => "events for http receivers have been lost for some seconds",
            Self::KafkaLoses => "messages for kafka have been lost for some seconds",
        }
    }
}

impl Readiness {
    /// Not ready for this reason while `holds` says so.
    #[must_use]
    pub fn unless(mut self, reason: Reason, holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.checks.push((reason, Box::new(holds)));
        self
    }

    /// Not ready for this reason while the count of losses has been growing for some seconds.
    #[must_use]
    pub fn unless_losing(mut self, reason: Reason, lost: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.losses.push((reason, Box::new(lost), Mutex::default()));
        self
    }

    /// Checks whether the sinks lose events, once a second. Never ends by itself.
    pub async fn run(&self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for (_, count, losing) in &self.losses {
                losing.lock().counted(count());
            }
        }
    }

    /// Every reason that holds now; none if the gateway is ready.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        let checked = self.checks.iter().filter(|(_, holds)| holds()).map(|(reason, _)| *reason);
        let losing = self.losses.iter().filter(|(_, _, losing)| losing.lock().is_losing);
        checked.chain(losing.map(|(reason, ..)| *reason)).collect()
    }

    /// The answer: `{"ready":false,"reasons":[…]}`.
    pub(super) fn to_json(reasons: &[Reason]) -> String {
        let texts: Vec<&str> = reasons.iter().map(|reason| reason.text()).collect();
        json!({"ready": reasons.is_empty(), "reasons": texts}).to_string()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("reasons", &self.reasons()).finish_non_exhaustive()
    }
}

impl Losing {
    /// So many have been lost at the end of a period.
    fn counted(&mut self, lost: u64) {
        self.recent.push_back(lost > self.counted);
        self.counted = lost;
        if self.recent.len() > PERIODS {
            self.recent.pop_front();
        }
        if self.recent.len() == PERIODS && self.recent.iter().all(|lost| *lost != self.is_losing) {
            self.is_losing = !self.is_losing;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_losing_after_some_seconds_with_losses_and_no_more_after_as_many_without() {
        let mut losing = Losing::default();
        let mut after = |lost: &[u64]| {
            lost.iter().for_each(|lost| losing.counted(*lost));
            losing.is_losing
        };
        assert!(!after(&[0, 3, 3, 4, 5, 6, 7]), "a burst and four seconds");
        assert!(after(&[9]));
        assert!(after(&[9, 9, 9, 9]));
        assert!(!after(&[9]));
        assert!(!after(&[10, 11, 11, 12, 13, 14]), "one second without a loss begins anew");
    }

    #[test]
    fn every_reason_that_holds_is_named() {
        let readiness = Readiness::default().unless(Reason::Gate, || true).unless(Reason::Drain, || false);
        assert_eq!(readiness.reasons(), [Reason::Gate]);
        let json = r#"{"ready":false,"reasons":["the gate is closed"]}"#;
        assert_eq!(Readiness::to_json(&readiness.reasons()), json);
        assert_eq!(Readiness::to_json(&[]), r#"{"ready":true,"reasons":[]}"#);
    }
}
