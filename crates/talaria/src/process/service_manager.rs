//! What a service manager hears of the process: that it serves, reloads, stops and is alive (sd_notify(3), systemd's
//! `Type=notify` and `WatchdogSec=`). Without `NOTIFY_SOCKET` nothing is sent.

use std::future::pending;

use sd_notify::NotifyState;
use tokio::time::interval;
use tracing::warn;

/// The gateway accepts connections, and what a reload has changed is in effect.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload begins. It ends with [`ready`], also if it has failed.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "no monotonic time for the service manager"),
    }
}

/// A stop begins.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Says that the process is alive, twice in each period that the service manager has set. Never ends.
pub(super) async fn keep_alive() {
    let Some(period) = sd_notify::watchdog_enabled() else { return pending().await };
    let mut ticks = interval(period / 2);
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the service manager cannot be notified");
    }
}
