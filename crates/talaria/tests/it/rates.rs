//! Devices that send more than their rate, over real sockets (contract §2.18).

use std::time::{Duration, Instant};

use crate::support::device::Device;
use crate::support::event::{event, number};
use crate::support::eventually;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(30);

async fn gateway(receiver: &Receiver, manager: &str) -> GatewayProcess {
    let endpoints = format!("{{eventEndpoints: {{default: '{}'}}}}", receiver.url());
    GatewayProcess::start(&format!("device: {{manager: {manager}, outbound: {endpoints}}}\n")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_floods_is_slowed_down_and_no_other_device_is() {
    let receiver = Receiver::start().await;
    let gateway = gateway(&receiver, "{rate: {messagesPerSecond: 20, messagesBurst: 5}}").await;
    let flooding = Device::connect(gateway.primary(), "mac:111111111111").await;
    let quiet = Device::connect(gateway.primary(), "mac:222222222222").await;
    let started = Instant::now();
    for number in 0..26 {
        flooding.send(event(flooding.id(), number, 0));
    }
    for number in 0..3 {
        quiet.send(event(quiet.id(), number, 0));
    }
    let mut posted = Vec::new();
    eventually("all events arrive", PATIENCE, async || {
        posted.extend(
            receiver.take().into_iter().filter_map(|posted| Some((posted.at, number(&posted.message)?))),
        );
        posted.len() == 29
    })
    .await;
    let last =
        |id: &str| posted.iter().filter(|(_, (device, _))| device == id).map(|(at, _)| *at).max().unwrap();
    // 5 at once, 1 that is owed, and 20 a second.
    let took = last(flooding.id()) - started;
    assert!(took >= Duration::from_millis(950), "26 messages took {took:?}");
    assert!(last(quiet.id()) < last(flooding.id()), "the other device did not wait");
    assert!(flooding.is_connected());
    let excesses = gateway
        .metric("talaria_talaria_device_rate_exceeded_total", &["limit=\"messages\"", "beyond=\"pause\""])
        .await;
    assert!(excesses >= 5.0, "{excesses}");
    let lines =
        gateway.log_lines("device exceeds its rate, nothing is read from it until the rate allows it");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["id"], flooding.id());
    gateway.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_beyond_the_rate_are_dropped_and_acknowledged_with_rdr_100_if_that_is_configured() {
    let receiver = Receiver::start().await;
    let rate = "{rate: {messagesPerSecond: 1, messagesBurst: 5, beyond: drop}}";
    let gateway = gateway(&receiver, rate).await;
    let device = Device::connect(gateway.primary(), "mac:111111111111").await;
    for number in 0..30 {
        device.send(event(device.id(), number, 30));
    }
    eventually("each message is acknowledged", PATIENCE, async || device.acks().len() == 30).await;
    let with = |rdr: i64| device.acks().iter().filter(|ack| ack.rdr == Some(rdr)).count();
    let (delivered, dropped) = (with(0), with(100));
    assert_eq!(delivered + dropped, 30);
    assert!((5..15).contains(&delivered), "{delivered} delivered");
    let refused = gateway.metric("talaria_talaria_device_refused_messages", &["reason=\"over_rate\""]).await;
    assert_eq!(refused as usize, dropped);
    assert!(device.is_connected());
    gateway.terminate().await;
}
