//! Bursts of events: they are slowed down before anything is lost (contract §14.4).

use std::collections::HashSet;
use std::time::Duration;

use crate::support::device::Device;
use crate::support::event::{event, number};
use crate::support::eventually;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(60);

/// How many events may wait. A device waits for room for half a second at least, so what is sent beyond this must be delivered
/// in that time, also on a busy machine.
const QUEUE: usize = 200;

/// Sends so many events of each device at once, and waits until all have arrived.
async fn burst(devices: usize, events: usize) {
    let receiver = Receiver::answering_after(Duration::from_millis(5)).await;
    let url = receiver.url();
    let endpoints = format!("{{outboundQueueSize: {QUEUE}, eventEndpoints: {{default: '{url}'}}}}");
    let gateway = GatewayProcess::start(&format!("device: {{outbound: {endpoints}}}\n")).await;
    let mut connected = Vec::new();
    for device in 0..devices {
        connected.push(Device::connect(gateway.primary(), &format!("mac:{device:012x}")).await);
    }
    for number in 0..events {
        for device in &connected {
            device.send(event(device.id(), number, 0));
        }
    }
    let mut arrived = HashSet::new();
    eventually("all events arrive", PATIENCE, async || {
        arrived.extend(receiver.take().iter().filter_map(|posted| number(&posted.message)));
        arrived.len() == devices * events
    })
    .await;
    gateway.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_one_device_arrives_completely() {
    burst(1, QUEUE * 3 / 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_of_several_devices_arrive_completely() {
    burst(10, QUEUE * 3 / 20).await;
}
