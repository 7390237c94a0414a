//! Service discovery: which gateways the fleet has, and which of them each device belongs to (contract §11).
//!
//! A *backend* watches the services of the configuration and registers this gateway. What it reports goes to one task, the
//! `coordinator`, which keeps the [`Fleet`](talaria_protocol::discovery::Fleet): it publishes the hash ring, against which
//! devices are checked when they connect ([`Membership`]), and lets those move that belong to another gateway (`rehash`).
//!
//! The gate, a drain of all devices and a stop withdraw the registration first, so that no request is sent here any more
//! when the devices go.
//!
//! Deliberately absent: the hash and the rules, which are in [`talaria_protocol::discovery`]. Start reading at [`Discovery`],
//! then `coordinator.rs`.

mod backoff;
mod config;
pub mod consul;
mod coordinator;
mod fixed;
mod live;
mod membership;
mod metrics;
mod presence;
mod registrations;
mod rehash;
mod report;
mod standing;
pub mod zookeeper;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::device::Manager;
use crate::event::ReceiverInstances;
use crate::telemetry::metrics::Metrics;

pub use config::{Backend, Config};
use coordinator::{Command, Coordinator};
pub use membership::Membership;
use metrics::DiscoveryMetrics;
use presence::Shared;
pub use presence::State;

/// How long a drain waits at most for its gateway to be deregistered.
const LONGEST_WITHDRAWAL: Duration = Duration::from_secs(5);

/// How many commands may wait for the coordinator.
const COMMANDS: usize = 16;

/// Service discovery of one gateway. Dropping it ends its tasks without deregistering anything.
pub struct Discovery {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    membership: Arc<Membership>,
    task: AbortHandle,
}

/// The gateway is withdrawn from its fleet as long as this exists.
#[must_use]
pub struct Withdrawal(Arc<Shared>);

impl Discovery {
    /// Discovery that is off until [`apply`](Self::apply). It writes the instances of the event receivers to `receivers`. It
    /// spawns its task, so it needs a tokio runtime.
    #[must_use]
    pub fn new(manager: &Arc<Manager>, receivers: Arc<ReceiverInstances>, metrics: &Metrics) -> Self {
        let metrics = DiscoveryMetrics::register(metrics);
        let membership = Arc::new(Membership::new(metrics.refused_device_count.clone()));
        let shared = Arc::<Shared>::default();
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let coordinator = Coordinator::new(
            Arc::clone(manager),
            Arc::clone(&shared),
            Arc::clone(&membership),
            receivers,
            metrics,
        );
        let task = tokio::spawn(coordinator.run(receiver)).abort_handle();
        Self { commands, shared, membership, task }
    }

    /// What devices are checked against when they connect.
    #[must_use]
    pub fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// What is known at the moment, for readiness.
    #[must_use]
    pub fn state(&self) -> State {
        *self.shared.state.borrow()
    }

    /// Whether a drain has withdrawn the gateway from its fleet.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.wishes.borrow().drains > 0
    }

    /// Takes up another configuration; without one, discovery is off. Returns when it is in force, which does not mean that
    /// anything has answered yet. Only what has changed is started anew.
    pub async fn apply(&self, config: Option<Config>) {
        let (done, applied) = oneshot::channel();
        // Errors mean that the task has ended, so that nothing can be applied.
        if self.commands.send(Command::Apply(config.map(Box::new), done)).await.is_ok() {
            let _ = applied.await;
        }
    }

    /// Withdraws the gateway from its fleet for a drain, and waits for some seconds until it is deregistered.
    pub async fn withdraw(&self) -> Withdrawal {
        self.shared.wishes.send_modify(|wishes| wishes.drains += 1);
        let withdrawal = Withdrawal(Arc::clone(&self.shared));
        self.deregistered(LONGEST_WITHDRAWAL).await;
        withdrawal
    }

    /// Withdraws the gateway from its fleet for good, and waits at most so long until it is deregistered.
    pub async fn stop(&self, within: Duration) {
        self.shared.wishes.send_modify(|wishes| wishes.is_stopping = true);
        self.deregistered(within).await;
    }

    async fn deregistered(&self, within: Duration) {
        let mut registered = self.shared.registered.subscribe();
        // The sender lives as long as this. A registration that cannot be withdrawn in time ends by its checks or its session.
        let _ = timeout(within, registered.wait_for(|registrations| *registrations == 0)).await;
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        self.0.wishes.send_modify(|wishes| wishes.drains = wishes.drains.saturating_sub(1));
    }
}
