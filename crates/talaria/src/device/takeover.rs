//! Protects a device that has a token from connections without one under its id (contract §14.26).
//!
//! With `failOpen` anyone may connect under any id without a token. Such a newcomer waits while the connected device is
//! pinged, and gets the id only if the device stays silent for `takeoverTimeout`. So a stranger cannot displace a live
//! device, and a device whose issuer is down is not locked out by its own dead connection.
//!
//! Deliberately absent: newcomers with a token, which displace at once. The registry decides again when the newcomer
//! registers, since a device with a token may have connected after this check. Start reading at [`Takeovers::check`].

pub(super) mod outcome;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use talaria_protocol::connect::{ConnectError, Identity};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::connected::Device;
use super::outbox::Signal;
use super::session::SessionContext;
use super::wheel::TICK;
use outcome::TakeoverOutcome;

/// The longest time between two pings of one wait.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The newcomers that wait. Each takes one place of the limit, and each device is waited for by one of them only.
#[derive(Debug, Default)]
pub(super) struct Takeovers {
    waiting: AtomicUsize,
}

/// A place among those who wait, given back when it is dropped.
struct Place<'a> {
    takeovers: &'a Takeovers,
    device: &'a Device,
}

impl Takeovers {
    /// Lets a newcomer pass unless it would displace a live device that has a token.
    ///
    /// # Errors
    /// [`ConnectError::Occupied`] if it would.
    pub(super) async fn check(
        &self,
        context: &SessionContext,
        newcomer: &Identity,
    ) -> Result<(), ConnectError> {
        let protected = || context.registry.get(&newcomer.id).filter(|device| device.is_protected());
        let Some(device) = (if newcomer.claims.is_none() { protected() } else { None }) else {
            return Ok(());
        };
        let mut outcome = self.wait(context, &device).await;
        // While the newcomer waited, the device may have come back on another connection.
        if outcome == TakeoverOutcome::TakenOver && protected().is_some() {
            outcome = TakeoverOutcome::Answered;
        }
        context.metrics.count_takeover(outcome);
        let may_log = context.wheel.admits_takeover_line(&device);
        if outcome == TakeoverOutcome::TakenOver {
            if may_log {
                info!(
                    id = %device.id(),
                    session_id = device.session_id(),
                    "device with a token did not answer, a connection without a token gets its id"
                );
            }
            return Ok(());
        }
        if may_log {
            warn!(
                id = %device.id(),
                session_id = device.session_id(),
                outcome = outcome.label(),
                "connection without a token refused: a device with a token has its id; \
                 more within a minute are not logged"
            );
        }
        Err(ConnectError::Occupied)
    }

    /// Pings the device until it answers, leaves, or its time is over.
    async fn wait(&self, context: &SessionContext, device: &Device) -> TakeoverOutcome {
        let (limit, timeout) = {
            let config = context.config.load();
            (config.max_takeovers, config.takeover_timeout)
        };
        let place = match self.place(device, limit) {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        let pinged = context.wheel.now();
        let deadline = Instant::now() + timeout;
        let pause = (timeout / 4).clamp(TICK, LONGEST_PAUSE);
        loop {
            // More than once, because only what is heard in a later tick counts as an answer.
            place.device.outbox().signal(Signal::Ping);
            sleep_until(deadline.min(Instant::now() + pause)).await;
            if device.outbox().is_closed() {
                return TakeoverOutcome::TakenOver;
            }
            if device.vitals().is_heard_after(pinged) {
                return TakeoverOutcome::Answered;
            }
            if Instant::now() >= deadline {
                device.vitals().give_up(pinged);
                return TakeoverOutcome::TakenOver;
            }
        }
    }

    fn place<'a>(&'a self, device: &'a Device, limit: usize) -> Result<Place<'a>, TakeoverOutcome> {
        if !device.begin_takeover() {
            return Err(TakeoverOutcome::Contested);
        }
        let waiting = self.waiting.fetch_add(1, Ordering::AcqRel);
        let place = Place { takeovers: self, device };
        if waiting < limit { Ok(place) } else { Err(TakeoverOutcome::TooMany) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.takeovers.waiting.fetch_sub(1, Ordering::AcqRel);
        self.device.end_takeover();
    }
}
