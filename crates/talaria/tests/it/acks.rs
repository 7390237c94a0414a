//! Acknowledgements over real sockets: each arrives, as soon as its outcome is known (contract §14.21, §15.4).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use tokio_tungstenite::tungstenite::Message as Frame;
use wrpkafka::mock::MockKafka;

use crate::support::device::Device;
use crate::support::event::{event, number};
use crate::support::eventually;
use crate::support::gateway::msgpack;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// So long that the test is over before.
const HANGS: Duration = Duration::from_secs(3600);

const MAC: &str = "mac:112233445566";

fn configuration(kafka: &MockKafka, receiver: &Receiver, more: &str) -> String {
    format!(
        "device: {{outbound: {{eventEndpoints: {{default: '{}'}}, outboundQueueSize: 10000, {more}}}}}\n\
         kafka: {{enabled: true, brokers: ['{}']}}\nshutdownTimeout: 1s\n",
        receiver.url(),
        kafka.brokers()
    )
}

/// The numbers of the events that were acknowledged with this rdr.
fn acknowledged(device: &Device, rdr: i64) -> BTreeSet<usize> {
    let acks = device.acks();
    acks.iter().filter(|ack| ack.rdr == Some(rdr)).filter_map(|ack| Some(number(ack)?.1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_of_a_burst_of_one_device_is_acknowledged() {
    const EVENTS: usize = 3000;
    let (receiver, kafka) = (Receiver::start().await, MockKafka::start(1).unwrap());
    let gateway = GatewayProcess::start(&configuration(&kafka, &receiver, "")).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    (0..EVENTS).for_each(|n| device.send(event(MAC, n, 25 + (n % 75) as i64)));
    eventually("every event is acknowledged", PATIENCE, async || device.acks().len() >= EVENTS).await;
    assert_eq!(acknowledged(&device, 0), (0..EVENTS).collect());
    assert_eq!(device.acks().len(), EVENTS, "once each");
    assert_eq!(gateway.metric("outbound_ack_success", &[]).await as usize, EVENTS);
    assert_eq!(gateway.metric("outbound_ack_failure", &[]).await as usize, 0);
    assert!(gateway.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_delays_no_acknowledgement_of_kafka() {
    const EVENTS: usize = 300;
    let (receiver, kafka) = (Receiver::answering_after(HANGS).await, MockKafka::start(1).unwrap());
    let gateway = GatewayProcess::start(&configuration(&kafka, &receiver, "")).await;
    let device = Device::connect(gateway.primary(), MAC).await;
    // The first one finds no connection to the broker.
    device.send(event(MAC, EVENTS, 50));
    eventually("the first acknowledgement", PATIENCE, async || device.acks().len() == 1).await;
    let sent = Instant::now();
    (0..EVENTS).for_each(|n| device.send(event(MAC, n, 50)));
    eventually("every event is acknowledged", PATIENCE, async || device.acks().len() > EVENTS).await;
    assert!(sent.elapsed() < Duration::from_secs(20), "long before requestTimeout: {:?}", sent.elapsed());
    assert_eq!(acknowledged(&device, 0), (0..=EVENTS).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_does_not_read_its_acknowledgements_reaches_its_own_bound_only() {
    let (receiver, kafka) = (Receiver::start().await, MockKafka::start(1).unwrap());
    let more = "maxUnacknowledgedPerDevice: 100";
    let gateway = GatewayProcess::start(&configuration(&kafka, &receiver, more)).await;
    let mut deaf = gateway.device("mac:00000000dead").await;
    let other = Device::connect(gateway.primary(), MAC).await;
    // It sends until the gateway reads nothing more of it, and never reads itself.
    let frame = msgpack(&event("mac:00000000dead", 0, 50));
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(2), deaf.send(Frame::binary(frame.clone()))).await.is_ok()
    {
        sent += 1;
        assert!(sent < 1_000_000, "it is read although it does not read");
    }
    for n in 0..50 {
        other.send(event(MAC, n, 50));
        eventually("another device notices nothing", Duration::from_secs(10), async || {
            acknowledged(&other, 0).len() == n + 1
        })
        .await;
    }
    assert!(gateway.metric("outbound_dropped_messages", &["full outbound queue"]).await > 0.0);
    assert!(gateway.is_healthy().await);
}
