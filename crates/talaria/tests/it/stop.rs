//! A stop: what devices have sent is delivered and acknowledged before they are closed, their offline events are delivered,
//! and what is said of it at the end is true (contract §9.11, §14.21).

use std::time::Duration;

use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

const DELIVERED: &str = "stopped, everything was delivered";
const LOST: &str = "stopped, events were lost: not everything could be delivered within shutdownTimeout";

fn configuration(receiver: &Receiver, outbound: &str, more: &str) -> String {
    format!(
        "device: {{outbound: {{eventEndpoints: {{default: '{}'}}, {outbound}}}}}\n{more}\n",
        receiver.url()
    )
}

async fn connect(gateway: &GatewayProcess, count: usize) -> Vec<Device> {
    let mut devices = Vec::new();
    for number in 0..count {
        devices.push(Device::connect(gateway.primary(), &format!("mac:{number:012x}")).await);
    }
    devices
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_slow_receiver_every_message_is_acknowledged_before_its_device_is_closed() {
    const EVENTS: usize = 100;
    let receiver = Receiver::answering_after(Duration::from_millis(200)).await;
    let mut gateway = GatewayProcess::start(&configuration(&receiver, "workerPoolSize: 10", "")).await;
    let devices = connect(&gateway, 4).await;
    for device in &devices {
        (0..EVENTS / 4).for_each(|n| device.send(event(device.id(), n, 25 + n as i64)));
    }
    eventually("all events are queued", PATIENCE, async || {
        gateway.metric("total_outbound_events", &["success"]).await as usize == EVENTS + devices.len()
    })
    .await;
    gateway.signal("-TERM");
    assert!(gateway.ended().await.success());
    for device in &devices {
        let acks = device.acks();
        assert_eq!(acks.len(), EVENTS / 4, "{}", gateway.log());
        assert!(acks.iter().all(|ack| ack.rdr == Some(0)));
    }
    assert_eq!(receiver.count(), EVENTS + 2 * devices.len());
    assert!(gateway.log_line(DELIVERED).is_some(), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_offline_events_of_many_devices_find_room_in_small_queues() {
    const DEVICES: usize = 300;
    let receiver = Receiver::start().await;
    let outbound = "outboundQueueSize: 2, statusQueueSize: 10, workerPoolSize: 2";
    let mut gateway = GatewayProcess::start(&configuration(&receiver, outbound, "")).await;
    let devices = connect(&gateway, DEVICES).await;
    eventually("all are online", PATIENCE, async || receiver.count() == DEVICES).await;
    gateway.signal("-TERM");
    assert!(gateway.ended().await.success());
    assert_eq!(receiver.count(), 2 * DEVICES);
    assert!(gateway.log_line(DELIVERED).is_some(), "{}", gateway.log());
    drop(devices);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_queues_refuse_after_the_stop_has_begun_is_counted_as_lost() {
    const DEVICES: usize = 30;
    let receiver = Receiver::answering_after(Duration::from_secs(3600)).await;
    let outbound = "statusQueueSize: 40";
    let mut gateway = GatewayProcess::start(&configuration(&receiver, outbound, "shutdownTimeout: 2s")).await;
    let devices = connect(&gateway, DEVICES).await;
    gateway.signal("-TERM");
    assert!(gateway.ended().await.success(), "exit code 0 (contract §9.11)");
    let line = gateway.log_line(LOST).unwrap_or_else(|| panic!("{}", gateway.log()));
    assert_eq!(line["http"], 2 * DEVICES, "the online and the offline events: {line}");
    drop(devices);
}
