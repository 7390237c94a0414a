//! The pace of a drain and what it leaves, on a registry of devices without sockets, in paused time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use talaria_protocol::connect::Identity;
use talaria_protocol::control::drain::Amount;
use talaria_protocol::session::{CloseReason, Reason};
use tokio::time::{Instant, advance, sleep};
use wrp::MessageRef;

use super::*;
use crate::control::ControlMetrics;
use crate::device::{Config, Device, Dropped, Events, Manager, Registry, session_id};
use crate::telemetry::metrics::Metrics;

struct Fixture {
    registry: Arc<Registry>,
    devices: Vec<Arc<Device>>,
    drainer: Drainer,
    metrics: Metrics,
}

impl Fixture {
    fn with(devices: usize) -> Self {
        let registry = Arc::new(Registry::new(None));
        let metrics = Metrics::default();
        let drainer = Drainer::new(Arc::clone(&registry), ControlMetrics::register(&metrics));
        let mut fixture = Self { registry, devices: Vec::new(), drainer, metrics };
        for number in 0..devices {
            fixture.connect(&format!("serial:{number}"));
        }
        fixture
    }

    fn connect(&mut self, id: &str) -> Arc<Device> {
        let device =
            Device::new(Identity::new(id.parse().unwrap(), session_id::random()), &Config::default());
        self.registry.connect(&device).unwrap();
        self.devices.push(Arc::clone(&device));
        device
    }

    fn progress(&self) -> (u64, u64, bool) {
        let Status { is_active, progress, .. } = self.drainer.status().unwrap();
        assert_eq!(progress.finished.is_none(), is_active);
        (progress.visited, progress.drained, is_active)
    }

    /// Closes the devices that were not closed before, and returns their number.
    fn untouched(&self) -> usize {
        self.devices.iter().filter(|device| device.close(Reason::Unknown.into())).count()
    }

    async fn finished(&self) {
        while self.progress().2 {
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn metric(&self, series: &str) -> String {
        let text = String::from_utf8(self.metrics.gather_text()).unwrap();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).unwrap().to_owned()
    }
}

fn order(count: u64, rate: Option<u64>) -> Order {
    let amount = if count == 0 { Amount::All } else { Amount::Count(count) };
    Order { amount, rate, ..Order::default() }
}

/// Issue 5: 10,000 devices at `rate=1000&tick=1s` take 10 s, and the progress is right throughout.
#[tokio::test(start_paused = true)]
async fn ten_thousand_devices_at_a_thousand_a_second_take_ten_seconds() {
    let fixture = Fixture::with(10_000);
    let began = Instant::now();
    fixture.drainer.start(&order(0, Some(1000))).unwrap();
    sleep(Duration::from_millis(500)).await;
    for batches in 0..10 {
        // Half a tick after the latest batch. The first one comes after one tick.
        assert_eq!(fixture.progress(), (batches * 1000, batches * 1000, true));
        assert_eq!(fixture.metric("drain_status"), "1");
        assert_eq!(fixture.metric("drain_count"), (batches * 1000).to_string());
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(fixture.progress(), (10_000, 10_000, false));
    assert_eq!(fixture.metric("drain_status"), "0");
    assert_eq!(began.elapsed(), Duration::from_millis(10_500));
    assert_eq!(fixture.untouched(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_cancelled_half_way_leaves_the_rest() {
    let fixture = Fixture::with(1000);
    fixture.drainer.start(&order(0, Some(100))).unwrap();
    assert_eq!(fixture.drainer.start(&order(1, None)).unwrap_err(), AlreadyRunningError);
    sleep(Duration::from_millis(5_500)).await;
    assert!(fixture.drainer.cancel().await);
    assert_eq!(fixture.progress(), (500, 500, false));
    assert!(!fixture.drainer.cancel().await, "none is running any more");
    advance(Duration::from_secs(60)).await;
    assert_eq!(fixture.untouched(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_count_is_kept_to_the_device_with_a_rate_and_without() {
    for rate in [None, Some(300)] {
        let fixture = Fixture::with(2000);
        fixture.drainer.start(&order(700, rate)).unwrap();
        fixture.finished().await;
        assert_eq!(fixture.progress(), (700, 700, false), "{rate:?}");
        assert_eq!(fixture.untouched(), 1300, "{rate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_back_during_a_drain_is_not_drained_again() {
    let mut fixture = Fixture::with(10);
    fixture.drainer.start(&order(0, Some(1))).unwrap();
    advance(Duration::from_millis(1)).await;
    for number in 0..10 {
        fixture.connect(&format!("serial:{number}"));
    }
    fixture.finished().await;
    assert_eq!(fixture.progress(), (0, 0, false));
    // The old connections were closed as duplicates, the new ones not at all.
    assert_eq!(fixture.untouched(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_leaving_anyway_is_visited_but_not_drained() {
    let fixture = Fixture::with(5);
    fixture.devices[0].close(Reason::ReadError.into());
    fixture.drainer.start(&order(0, None)).unwrap();
    fixture.finished().await;
    assert_eq!(fixture.progress(), (5, 4, false));
}

#[tokio::test(start_paused = true)]
async fn a_drainer_that_is_dropped_ends_its_drain() {
    let Fixture { devices, drainer, metrics, .. } = Fixture::with(10);
    drainer.start(&order(0, Some(1))).unwrap();
    sleep(Duration::from_millis(3_500)).await;
    drop(drainer);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(devices.iter().filter(|device| device.close(Reason::Unknown.into())).count(), 7);
    assert!(String::from_utf8(metrics.gather_text()).unwrap().contains("drain_status 0\n"));
}

/// Ignores all events.
struct NoEvents;

impl Events for NoEvents {
    fn online(&self, _: &Arc<Device>) {}
    fn offline(&self, _: &Arc<Device>, _: &CloseReason) {}
    fn message(&self, _: &Arc<Device>, _: &mut MessageRef<'_>) {}
    fn dropped(&self, _: &Arc<Device>, _: &MessageRef<'_>, _: Dropped) {}
}

/// contract §2.20
#[tokio::test(start_paused = true)]
async fn a_drain_without_a_rate_closes_devices_over_the_configured_time() {
    let metrics = Metrics::default();
    let config = Config { close_over: Duration::from_secs(10), ..Config::default() };
    let manager = Manager::new(config, Arc::new(NoEvents), &metrics);
    let mut clients = Vec::new();
    for number in 0..2000 {
        let (near, far) = tokio::io::duplex(64);
        clients.push(far);
        let identity = Identity::new(format!("serial:{number}").parse().unwrap(), session_id::random());
        manager.connect(near, Bytes::new(), identity).unwrap();
    }
    let drainer = Drainer::of(&manager, ControlMetrics::register(&metrics));
    drainer.start(&order(0, None)).unwrap();
    for second in 1..10 {
        sleep(Duration::from_secs(1)).await;
        let drained = drainer.status().unwrap().progress.drained;
        assert!((second * 200 - 2..=second * 200 + 2).contains(&drained), "{drained} after {second} s");
    }
    assert!(drainer.cancel().await);
    assert!(drainer.status().unwrap().progress.drained < 2000);
}
