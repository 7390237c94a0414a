//! What decides whether the gateway is ready (contract §10.1): its parts, as [`Readiness`] asks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::time::Instant;
use wrpkafka::Publisher;

use crate::device::Manager;
use crate::discovery::{Discovery, State};
use crate::event::Dispatcher;
use crate::observe::{Readiness, Reason};

/// How far the gateway has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Stopping,
}

/// The phase of one gateway. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Phases(watch::Sender<Phase>);

impl Phases {
    pub(super) fn serves(&self) {
        self.0.send_replace(Phase::Serving);
    }

    pub(super) fn stops(&self) {
        self.0.send_replace(Phase::Stopping);
    }

    /// Waits until the gateway serves. Never ends if it stops before.
    pub(super) async fn serving(self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|phase| *phase == Phase::Serving).await;
    }

    fn are(&self, phase: Phase) -> bool {
        *self.0.borrow() == phase
    }
}

/// The parts of the gateway that decide.
pub(super) struct Parts {
    pub(super) discovery: Arc<Discovery>,
    pub(super) publisher: Publisher,
    pub(super) manager: Arc<Manager>,
    pub(super) dispatcher: Arc<Dispatcher>,
    /// Until when Kafka and service discovery are waited for.
    pub(super) waits_until: Instant,
}

/// The checks of a gateway that starts now.
pub(super) fn of(parts: Parts, phases: &Phases) -> Readiness {
    let Parts { discovery, publisher, manager, dispatcher, waits_until } = parts;
    let (starting, stopping) = (phases.clone(), phases.clone());
    let was_up = AtomicBool::new(false);
    let drains = Arc::clone(&discovery);
    let (http, kafka) = (Arc::clone(&dispatcher), dispatcher);
    Readiness::default()
        .unless(Reason::Starting, move || starting.are(Phase::Starting))
        .unless(Reason::Discovery, move || {
            discovery.state() == State::Connecting && Instant::now() < waits_until
        })
        .unless(Reason::Kafka, move || {
            if !publisher.is_enabled() || was_up.load(Ordering::Relaxed) || Instant::now() >= waits_until {
                return false;
            }
            was_up.store(publisher.is_up(), Ordering::Relaxed);
            !publisher.is_up()
        })
        .unless(Reason::Gate, move || !manager.gate().is_open())
        .unless(Reason::Drain, move || drains.is_draining())
        .unless(Reason::Stopping, move || stopping.are(Phase::Stopping))
        .unless_losing(Reason::HttpLoses, move || http.lost().http)
        .unless_losing(Reason::KafkaLoses, move || kafka.lost().kafka)
}
