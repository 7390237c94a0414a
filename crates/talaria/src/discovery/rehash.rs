//! Moves devices: closes those that belong to another gateway, or all, one after the other (contract §11.4).
//!
//! The pace is `device.rehasher.rate`, or that of every other close of many devices (`closeOver`), each at a random moment of
//! its part. What a device belongs to is decided when its turn comes, by what is known then.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::session::{CloseReason, Reason};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;

use super::membership::Membership;
use super::metrics::DiscoveryMetrics;
use crate::device::{Device, Manager, Spread};

/// How long a move waits for room for offline events before it goes on without.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// After this time the devices are checked again: one may have been checked before the change and registered after it.
const LATE: Duration = Duration::from_secs(5);

/// How many devices are checked before other tasks have their turn.
const CHECKS_AT_ONCE: usize = 256;

/// Which devices have to go.
#[derive(Clone, Debug)]
pub(super) enum Moving {
    /// Those that belong to another instance.
    Elsewhere,
    /// All that are connected when it begins.
    All(CloseReason),
}

/// A move of devices.
pub(super) struct Rehash {
    pub(super) manager: Arc<Manager>,
    pub(super) membership: Arc<Membership>,
    pub(super) metrics: DiscoveryMetrics,
    /// The service that has changed.
    pub(super) service: String,
    /// Devices in a second; 0: as `closeOver` says.
    pub(super) rate: u32,
    pub(super) moving: Moving,
}

impl Rehash {
    /// Moves the devices. Dropping the future leaves those connected whose turn has not come.
    pub(super) async fn run(self) {
        let began = Instant::now();
        if let Moving::Elsewhere = self.moving {
            info!(service = self.service, "rehash starting");
        }
        let (moving, keep) = self.count(began).await;
        if let Moving::Elsewhere = self.moving {
            self.metrics.rehash_started(&self.service, keep);
        }
        let mut disconnected = self.pass(moving, began).await;
        if let Moving::Elsewhere = self.moving {
            self.metrics.rehash_ended(&self.service, began.elapsed());
        }
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(
            service = self.service,
            disconnect_count = disconnected,
            keep_count = keep,
            duration_ms,
            "rehash complete"
        );
        if let Moving::Elsewhere = self.moving {
            sleep(LATE).await;
            let (moving, _) = self.count(began).await;
            disconnected = self.pass(moving, began).await;
            if disconnected > 0 {
                info!(
                    service = self.service,
                    disconnect_count = disconnected,
                    "rehash: late devices disconnected"
                );
            }
        }
    }

    /// How many devices have to go, and how many stay.
    async fn count(&self, began: Instant) -> (usize, usize) {
        let registry = self.manager.registry();
        let (mut moving, mut keep) = (0, 0);
        for shard in 0..registry.shard_count() {
            for devices in registry.shard_devices(shard).chunks(CHECKS_AT_ONCE) {
                for device in devices {
                    *if self.reason(device, began).is_some() { &mut moving } else { &mut keep } += 1;
                }
                yield_now().await;
            }
        }
        (moving, keep)
    }

    /// Closes the devices that have to go. Returns how many there were.
    async fn pass(&self, moving: usize, began: Instant) -> usize {
        let registry = self.manager.registry();
        let mut spread = match self.rate {
            0 => self.manager.spread(moving),
            rate => Spread::at_rate(rate),
        };
        let mut disconnected = 0;
        for shard in 0..registry.shard_count() {
            // Only the ids, so that no device is held while others wait for their turns.
            for id in registry.shard_ids(shard) {
                let Some(device) = registry.get(&id) else { continue };
                if self.reason(&device, began).is_none() {
                    continue;
                }
                drop(device);
                sleep_until(spread.next_close()).await;
                self.manager.room(Instant::now() + LONGEST_WAIT).await;
                // It may have left meanwhile, or the fleet may have changed again.
                let Some(device) = registry.get(&id) else { continue };
                let Some(reason) = self.reason(&device, began) else { continue };
                if device.close(reason) {
                    disconnected += 1;
                    if let Moving::Elsewhere = self.moving {
                        self.metrics.count_moved(&self.service);
                    }
                }
            }
            yield_now().await;
        }
        disconnected
    }

    /// Why a device has to go, if it has to.
    fn reason(&self, device: &Device, began: Instant) -> Option<CloseReason> {
        match &self.moving {
            Moving::Elsewhere => {
                let view = self.membership.view();
                view.elsewhere(device.id().as_str().as_bytes()).map(|_| Reason::RehashOtherInstance.into())
            }
            // Those that come back stay.
            Moving::All(reason) => device.statistics().was_connected_at(began).then(|| reason.clone()),
        }
    }
}
