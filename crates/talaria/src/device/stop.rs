//! The devices' part of a stop: no device is admitted, and those that are connected are closed one after the other.
//!
//! Each device is served until its turn comes (`closeOver`, contract §2.20). Then nothing more is read from it, its messages
//! are acknowledged, and it is closed as there is room for its offline event. So neither the gateways that the devices
//! connect to next nor the receivers of the events get all of them in one moment. What is left when that time is over is
//! closed together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use talaria_protocol::session::CloseReason;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::connected::Device;
use super::manager::Manager;
use super::session::SessionContext;
use super::spread::Spread;

/// How often a stop checks whether messages are acknowledged.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often in a row a device must owe no acknowledgement before it is closed. What was being read when reading stopped
/// may still be on its way to the sinks.
const LOOKS: u8 = 2;

/// How many tasks close the devices that are left.
const CLOSERS: usize = 4;

/// How many devices such a task closes before other tasks have their turn.
const CLOSED_IN_A_ROW: usize = 8;

/// How long devices may at least take to read their close frames.
const LAST_FRAMES: Duration = Duration::from_secs(1);

/// Devices from which nothing more is read, until they can be closed.
#[derive(Default)]
struct Settling {
    /// With the number of looks at which they owed no acknowledgement.
    devices: VecDeque<(Arc<Device>, u8)>,
}

impl Manager {
    /// The first step: admits no further device.
    pub fn stop_admitting(&self) {
        self.context.is_stopping.store(true, Ordering::SeqCst);
        self.context.ends.lift();
    }

    /// The second step: closes the devices one after the other over `closeOver`, at most until `deadline`. Those whose
    /// messages are not acknowledged by then are still connected.
    pub async fn close_spread(&self, deadline: Instant) {
        self.stop_admitting();
        let registry = &self.context.registry;
        let time =
            self.context.config.load().close_over.min(deadline.saturating_duration_since(Instant::now()));
        let mut spread = Spread::over(time, registry.len());
        let mut settling = Settling::default();
        for shard in 0..registry.shard_count() {
            for device in registry.shard_devices(shard) {
                let close = spread.next_close();
                while Instant::now() < close.min(deadline) {
                    sleep_until(close.min(deadline).min(Instant::now() + LOOK_EVERY)).await;
                    settling.close(&self.context, deadline).await;
                }
                stop_reading(&device);
                settling.devices.push_back((device, 0));
            }
        }
        while !settling.devices.is_empty() && Instant::now() < deadline {
            sleep_until(deadline.min(Instant::now() + LOOK_EVERY)).await;
            settling.close(&self.context, deadline).await;
        }
    }

    /// The third step, for the devices that are left: reads nothing more from them. Their requests fail, since no answer is
    /// read.
    pub fn stop_reading(&self) {
        self.stop_admitting();
        self.context.registry.for_each(stop_reading);
    }

    /// The fourth step: waits until every message is acknowledged, at most until `deadline`. Devices that do not read are not
    /// waited for.
    pub async fn acknowledged(&self, deadline: Instant) {
        let mut settled = 0;
        while settled < LOOKS && Instant::now() < deadline {
            sleep_until(deadline.min(Instant::now() + LOOK_EVERY)).await;
            settled = if self.owes_acks() { 0 } else { settled + 1 };
        }
    }

    /// The last step: closes every device with a close frame and announces that it is offline, as there is room for these
    /// events, and waits until all sessions have ended. Returns the number of sessions that have not ended in time; their
    /// offline events are made, too.
    pub async fn shutdown(&self, within: Duration) -> usize {
        self.stop_reading();
        let deadline = Instant::now() + within;
        let closing: Vec<_> = (0..CLOSERS)
            .map(|first| tokio::spawn(close_shards(Arc::clone(&self.context), first, deadline)))
            .collect();
        for shards in closing {
            // A panic has been logged, and the sessions of these devices have not ended.
            let _ = shards.await;
        }
        self.context.registry.wait_until_empty(deadline.max(Instant::now() + LAST_FRAMES)).await
    }

    fn owes_acks(&self) -> bool {
        let registry = &self.context.registry;
        (0..registry.shard_count())
            .any(|shard| registry.shard_devices(shard).iter().any(|device| owes_acks(device)))
    }
}

impl Settling {
    /// Closes the devices whose messages are acknowledged.
    async fn close(&mut self, context: &SessionContext, deadline: Instant) {
        for _ in 0..self.devices.len() {
            let Some((device, looks)) = self.devices.pop_front() else { return };
            if owes_acks(&device) {
                self.devices.push_back((device, 0));
            } else if looks + 1 < LOOKS {
                self.devices.push_back((device, looks + 1));
            } else {
                context.events.room(deadline).await;
                context.close(&device, &CloseReason::shutdown());
            }
        }
    }
}

fn stop_reading(device: &Arc<Device>) {
    device.outbox().stop_reading();
    device.transactions().close();
}

/// Whether the device still has to be sent acknowledgements, and reads.
fn owes_acks(device: &Device) -> bool {
    device.outbox().owes_acks() && !device.vitals().has_stuck_write()
}

/// Closes the devices of every [`CLOSERS`]-th shard, from `first` on. After the deadline it does not wait for room.
async fn close_shards(context: Arc<SessionContext>, first: usize, deadline: Instant) {
    let reason = CloseReason::shutdown();
    for shard in (first..context.registry.shard_count()).step_by(CLOSERS) {
        for devices in context.registry.shard_devices(shard).chunks(CLOSED_IN_A_ROW) {
            for device in devices {
                context.events.room(deadline).await;
                context.close(device, &reason);
            }
            yield_now().await;
        }
    }
}
