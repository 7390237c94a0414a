//! What devices are checked against when they connect (contract §2.15).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use prometheus::IntCounter;
use talaria_protocol::connect::ConnectError;
use talaria_protocol::discovery::fleet::View;
use tracing::warn;
use wrp::DeviceId;

use crate::telemetry::keyed_throttle::KeyedThrottle;

/// Which devices belong to this gateway. Until the instances of the fleet are known, all do.
pub struct Membership {
    view: ArcSwap<View>,
    refuses_devices: AtomicBool,
    refused: IntCounter,
    lines: KeyedThrottle,
}

impl Membership {
    pub(super) fn new(refused: IntCounter) -> Self {
        let view = ArcSwap::default();
        Self { view, refuses_devices: AtomicBool::new(false), refused, lines: KeyedThrottle::new() }
    }

    /// Whether a device that connects belongs here.
    ///
    /// # Errors
    /// [`ConnectError::Elsewhere`] if it belongs to another instance.
    pub fn check(&self, id: &DeviceId) -> Result<(), ConnectError> {
        if !self.refuses_devices.load(Ordering::Relaxed) {
            return Ok(());
        }
        let view = self.view.load();
        let Some(instance) = view.elsewhere(id.as_str().as_bytes()) else { return Ok(()) };
        self.refused.inc();
        if let Some(suppressed) = self.lines.admit(id.as_str()) {
            warn!(%id, instance, suppressed, "device does not hash to this instance");
        }
        Err(ConnectError::Elsewhere)
    }

    /// What is known of the fleet now.
    pub(super) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    pub(super) fn publish(&self, view: Arc<View>, refuses_devices: bool) {
        self.view.store(view);
        self.refuses_devices.store(refuses_devices, Ordering::Relaxed);
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("view", &self.view).finish_non_exhaustive()
    }
}
