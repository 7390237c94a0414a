//! What all sessions share: the settings, the wheel, the metrics, and the receiver of events.

use std::sync::Arc;

use talaria_protocol::session::CloseReason;

use crate::budget::Budget;
use crate::device::config::Config;
use crate::device::connected::Device;
use crate::device::events::Events;
use crate::device::metrics::DeviceMetrics;
use crate::device::registry::Registry;
use crate::device::wheel::Wheel;
use crate::long_work::LongWork;

/// The surroundings of a session. The [manager](crate::device::Manager) owns them together with the sessions.
pub(in crate::device) struct SessionContext {
    pub(in crate::device) config: Config,
    pub(in crate::device) registry: Arc<Registry>,
    pub(in crate::device) wheel: Arc<Wheel>,
    pub(in crate::device) events: Arc<dyn Events>,
    pub(in crate::device) metrics: DeviceMetrics,
    /// The memory for unfinished messages.
    pub(in crate::device) unfinished: Budget,
    /// The memory for messages to devices.
    pub(in crate::device) queued: Arc<Budget>,
    /// Handles long messages.
    pub(in crate::device) long_work: LongWork,
}

impl SessionContext {
    /// A session has ended: nothing can be sent to the device any more, and everything that waits for it fails.
    pub(super) fn disconnected(&self, device: &Arc<Device>, reason: &CloseReason) {
        self.registry.disconnect(device);
        device.outbox().shut(device);
        device.transactions().close();
        self.metrics.disconnect_count.inc();
        self.metrics.device_count.set(self.registry.len() as i64);
        self.events.offline(device, reason);
    }
}
