//! Ids and addresses that are refused for a time (`device.manager.refusal`, contract §2.19): their responses, their metrics
//! and their lines in the log.
//!
//! Who is refused, and for how long, is decided in [`talaria_protocol::refusal`]. Without limits in the configuration nothing is
//! counted.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec};
use talaria_protocol::connect::{ConnectError, Identity};
use talaria_protocol::refusal::{RefusalBegin, RefusalReason, RefusalRules, Refusals, RefusedError, Subject};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::connected::Device;
use crate::telemetry::keyed_throttle::KeyedThrottle;
use crate::telemetry::metrics::Metrics;

/// What is refused, for all connections.
#[derive(Debug)]
pub(super) struct RefusalTable {
    refusals: Mutex<Refusals>,
    rules: ArcSwap<RefusalRules>,
    /// The moment from which times count.
    started: Instant,
    /// Notified when a refusal begins.
    begun: Notify,
    metrics: RefusalMetrics,
    begin_lines: KeyedThrottle,
    end_lines: KeyedThrottle,
}

/// The metrics of refusals (contract §10.4).
#[derive(Clone, Debug)]
pub(super) struct RefusalMetrics {
    begun: IntCounterVec,
    active: IntGaugeVec,
    connects: IntCounterVec,
}

impl RefusalMetrics {
    /// Registers the families.
    pub(super) fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        Self {
            begun: family.counter_vec(
                "device_refusals_total",
                "ids and addresses of devices that were refused for a time",
                &["subject", "reason"],
            ),
            active: family.gauge_vec(
                "device_refusals_active",
                "ids and addresses of devices that are refused now",
                &["subject"],
            ),
            connects: family.counter_vec(
                "device_refused_connects_total",
                "connections that were answered with 429 because their id or address was refused",
                &["subject"],
            ),
        }
    }
}

impl RefusalTable {
    /// A table by these rules.
    pub(super) fn new(rules: &RefusalRules, metrics: RefusalMetrics) -> Self {
        Self {
            refusals: Mutex::new(Refusals::new(rules.clone())),
            rules: ArcSwap::from_pointee(rules.clone()),
            started: Instant::now(),
            begun: Notify::new(),
            metrics,
            begin_lines: KeyedThrottle::new(),
            end_lines: KeyedThrottle::new(),
        }
    }

    /// Other rules, from now on.
    pub(super) fn set_rules(&self, rules: &RefusalRules) {
        if **self.rules.load() == *rules {
            return;
        }
        self.rules.store(Arc::new(rules.clone()));
        self.refusals.lock().set_rules(rules.clone(), self.now());
        // The next refusal may end earlier.
        self.begun.notify_one();
        self.report_ended();
    }

    /// Checks the address of a client that asks to connect.
    ///
    /// # Errors
    /// [`ConnectError::Refused`]
    pub(super) fn check_address(&self, client: IpAddr) -> Result<(), ConnectError> {
        if !self.rules.load().is_active() {
            return Ok(());
        }
        let checked = self.refusals.lock().check_address(client, self.now());
        checked.map_err(|refused| self.refuse("address", refused))
    }

    /// Checks the id of a client that asks to connect and whose token is known to be valid.
    ///
    /// # Errors
    /// [`ConnectError::Refused`]
    pub(super) fn check_id(&self, identity: &Identity) -> Result<(), ConnectError> {
        if !self.rules.load().is_active() {
            return Ok(());
        }
        let (id, has_token) = (&identity.id, identity.claims.is_some());
        let checked = self.refusals.lock().check_id(id, has_token, identity.client, self.now());
        checked.map_err(|refused| self.refuse("id", refused))
    }

    /// A device has exceeded its rate for so long. Returns the configured time if that was too long; then its connection is
    /// to be closed.
    pub(super) fn exceeded(
        &self,
        device: &Device,
        client: Option<IpAddr>,
        lasts: Duration,
    ) -> Option<Duration> {
        let most = self.rules.load().flood_time.filter(|most| lasts >= *most)?;
        let has_token = device.claims().is_some();
        let begun = self.refusals.lock().exceeded(device.id(), has_token, client, lasts, self.now())?;
        begun.iter().for_each(|refusal| self.begin(refusal));
        Some(most)
    }

    /// Whether the addresses of devices matter after they have connected.
    pub(super) fn needs_address(&self) -> bool {
        self.rules.load().flood_time.is_some()
    }

    /// Reports the refusals that end, for ever.
    pub(super) async fn run(&self) {
        loop {
            let next_end = self.refusals.lock().next_end();
            match next_end {
                Some(end) => tokio::select! {
                    () = sleep_until(self.started + end) => {}
                    () = self.begun.notified() => {}
                },
                None => self.begun.notified().await,
            }
            self.report_ended();
        }
    }

    fn report_ended(&self) {
        let ended = self.refusals.lock().take_ended(self.now());
        for ended in ended {
            let kind = ended.subject.kind();
            self.metrics.active.with_label_values(&[kind]).dec();
            let subject = ended.subject.to_string();
            if let Some(suppressed) = self.end_lines.admit(&subject) {
                let refused = ended.connects;
                info!(
                    kind,
                    subject, refused, suppressed, "refusal has ended, connections are accepted again"
                );
            }
        }
    }

    fn refuse(&self, kind: &str, refused: RefusedError) -> ConnectError {
        self.metrics.connects.with_label_values(&[kind]).inc();
        if let Some(refusal) = refused.begins {
            self.begin(&refusal);
        }
        ConnectError::Refused { seconds: refused.wait.as_millis().div_ceil(1000).max(1) as u64 }
    }

    fn begin(&self, RefusalBegin { subject, reason }: &RefusalBegin) {
        let kind = subject.kind();
        self.metrics.begun.with_label_values(&[kind, reason.label()]).inc();
        self.metrics.active.with_label_values(&[kind]).inc();
        self.begun.notify_one();
        self.log(subject, *reason);
        // One that made room has ended early.
        self.report_ended();
    }

    fn log(&self, subject: &Subject, reason: RefusalReason) {
        let (kind, subject) = (subject.kind(), subject.to_string());
        let Some(suppressed) = self.begin_lines.admit(&subject) else { return };
        let time = self.rules.load().time.as_secs_f64();
        let message = match reason {
            RefusalReason::Flapping => "connects too often, connections are refused for a time",
            RefusalReason::Flooding => "exceeds its rate for too long, connections are refused for a time",
        };
        warn!(kind, subject, time, suppressed, "{message}");
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
