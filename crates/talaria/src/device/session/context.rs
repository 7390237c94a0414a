//! What all sessions share: the settings, the wheel, the metrics, and the receiver of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use talaria_protocol::go::duration;
use talaria_protocol::session::{CloseReason, Ending, ProtocolError, Reason};
use tokio::time::Instant;
use tracing::warn;

use super::pace::Excess;

use crate::budget::Budget;
use crate::device::config::{BeyondRate, Config, RateLimit};
use crate::device::connected::Device;
use crate::device::ends::Ends;
use crate::device::events::Events;
use crate::device::metrics::DeviceMetrics;
use crate::device::noisiest::Noisiest;
use crate::device::refusals::RefusalTable;
use crate::device::registry::{RegisterError, Registry};
use crate::device::wheel::Wheel;
use crate::long_work::LongWork;
use crate::telemetry::keyed_throttle::KeyedThrottle;

/// The surroundings of a session. The [manager](crate::device::Manager) owns them together with the sessions.
pub(in crate::device) struct SessionContext {
    pub(in crate::device) config: ArcSwap<Config>,
    pub(in crate::device) registry: Arc<Registry>,
    pub(in crate::device) wheel: Arc<Wheel>,
    pub(in crate::device) events: Arc<dyn Events>,
    pub(in crate::device) metrics: DeviceMetrics,
    /// The memory for unfinished messages.
    pub(in crate::device) unfinished: Budget,
    /// The memory for messages to devices.
    pub(in crate::device) queued: Arc<Budget>,
    /// The moment from which the rates of devices count.
    pub(in crate::device) started: Instant,
    /// Which ids and addresses are refused.
    pub(in crate::device) refusals: Arc<RefusalTable>,
    /// The log lines about devices that are closed for what they cost.
    pub(in crate::device) cost_lines: KeyedThrottle,
    /// The log lines about devices that exceed their rates.
    pub(in crate::device) rate_lines: KeyedThrottle,
    /// Whether no device is admitted, because the gateway stops.
    pub(in crate::device) is_stopping: AtomicBool,
    /// Which devices and partners send most.
    pub(in crate::device) noisiest: Noisiest,
    /// Paces the ends of sessions.
    pub(in crate::device) ends: Arc<Ends>,
    /// Handles long messages.
    pub(in crate::device) long_work: LongWork,
}

impl SessionContext {
    /// The rate that is configured, and the time; none without a rate, and then no clock is read.
    pub(super) fn rated_now(&self) -> Option<(RateLimit, Duration)> {
        Some((self.config.load().rate?, self.started.elapsed()))
    }

    /// Counts and logs that a device has exceeded its rate. Returns how it ends if it did so for too long.
    pub(super) fn exceeded(&self, device: &Device, excess: &Excess) -> Option<Ending> {
        self.metrics.count_excess(excess.limit, excess.beyond);
        if let Some(count) = excess.log
            && let Some(suppressed) = self.rate_lines.admit(device.id().as_str())
        {
            let limit = excess.limit.label();
            let message = match excess.beyond {
                BeyondRate::Pause => {
                    "device exceeds its rate, nothing is read from it until the rate allows it"
                }
                BeyondRate::Drop => {
                    "device exceeds its rate, its messages are dropped until the rate allows them"
                }
            };
            warn!(id = %device.id(), limit, count, suppressed, "{message}");
        }
        let time = self.refusals.exceeded(device, excess.client, excess.lasts)?;
        Some(Ending::flooding(&duration::format(time)))
    }

    /// Logs that a device is closed for what it costs, once a minute for each device. Those that break the protocol are only
    /// counted: the reason is in the line about the end of each session.
    pub(super) fn log_cost(&self, device: &Device, error: ProtocolError, reason: &CloseReason) {
        let message = match error {
            ProtocolError::NoRoom => "device closed, it has the largest of too many unfinished messages",
            ProtocolError::SlowMessage => "device closed, its message did not arrive completely in time",
            ProtocolError::Unread => {
                "device closed, it does not read and most of too many messages wait for it"
            }
            _ => return,
        };
        if let Some(suppressed) = self.cost_lines.admit(device.id().as_str()) {
            warn!(id = %device.id(), %reason, suppressed, "{message}");
        }
    }

    /// Registers a device and announces it. If it is connected already, its old connection is closed and announced as
    /// offline before: this order is that of the events (contract §14.22).
    pub(in crate::device) fn connected(&self, device: &Arc<Device>) -> Result<(), RegisterError> {
        let _turn = self.registry.turn(device.id());
        if let Some(replaced) = self.registry.connect(device)? {
            self.metrics.duplicate_count.inc();
            replaced.transactions().close();
            let reason = replaced.outbox().close_reason().unwrap_or_else(|| Reason::Duplicate.into());
            self.announce_offline(&replaced, &reason);
        }
        self.metrics.connect_count.inc();
        self.metrics.device_count.set(self.registry.len() as i64);
        self.wheel.add(device);
        self.events.online(device);
        Ok(())
    }

    /// A connection has ended and will be disconnected later. Until then it can only be replaced: it is not found, nothing can be
    /// sent to it any more, and everything that waits for it fails.
    pub(super) fn leaving(&self, device: &Arc<Device>, reason: &CloseReason) {
        device.leave();
        device.outbox().leave(device, reason);
        device.transactions().close();
    }

    /// A connection has ended: nothing can be sent to the device any more, and everything that waits for it fails.
    pub(in crate::device) fn disconnected(&self, device: &Arc<Device>, reason: &CloseReason) {
        let _turn = self.registry.turn(device.id());
        self.registry.disconnect(device);
        device.outbox().shut(device, reason.reason());
        device.transactions().close();
        self.announce_offline(device, reason);
    }

    /// Closes a device and announces that it is offline, without waiting for its session.
    pub(in crate::device) fn close(&self, device: &Arc<Device>, reason: &CloseReason) {
        let _turn = self.registry.turn(device.id());
        device.close(reason.clone());
        // It may have been about to end for another reason.
        let reason = device.outbox().close_reason().unwrap_or_else(|| reason.clone());
        self.announce_offline(device, &reason);
    }

    pub(in crate::device) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Once for each connection.
    fn announce_offline(&self, device: &Arc<Device>, reason: &CloseReason) {
        if device.go_offline() {
            self.metrics.disconnect_count.inc();
            self.metrics.device_count.set(self.registry.len() as i64);
            self.events.offline(device, reason);
        }
    }
}
