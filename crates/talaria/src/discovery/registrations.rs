//! Whether this gateway is to be registered, and what registrations are in force.

use std::sync::Arc;

use tokio::sync::watch;

use super::metrics::DiscoveryMetrics;
use super::presence::Shared;

/// As the registrations of a backend see it. Each has a clone.
#[derive(Clone)]
pub(super) struct Registrations {
    wanted: watch::Receiver<bool>,
    shared: Arc<Shared>,
    metrics: DiscoveryMetrics,
}

/// A registration that is in force. Dropping it says that it no longer is.
#[must_use]
pub(super) struct InForce {
    registrations: Registrations,
    instance: String,
}

impl Registrations {
    pub(super) fn new(wanted: watch::Receiver<bool>, shared: Arc<Shared>, metrics: DiscoveryMetrics) -> Self {
        Self { wanted, shared, metrics }
    }

    /// Whether this gateway is to be registered now.
    pub(super) fn is_wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Waits until this gateway is to be registered, or is not.
    pub(super) async fn wanted(&mut self, is_wanted: bool) {
        if self.wanted.wait_for(|wanted| *wanted == is_wanted).await.is_err() {
            // The backend is about to be dropped.
            std::future::pending::<()>().await;
        }
    }

    /// Says that a registration is in force, until the result is dropped.
    pub(super) fn in_force(&self, instance: &str) -> InForce {
        self.shared.registered.send_modify(|registered| *registered += 1);
        self.metrics.set_registered(instance, true);
        InForce { registrations: self.clone(), instance: instance.to_owned() }
    }
}

impl Drop for InForce {
    fn drop(&mut self) {
        let Registrations { shared, metrics, .. } = &self.registrations;
        shared.registered.send_modify(|registered| *registered = registered.saturating_sub(1));
        metrics.set_registered(&self.instance, false);
    }
}
