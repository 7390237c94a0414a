//! A device that connects again while its old connection stands, over real sockets (contract §14.22).

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wrp::{Message, MessageRef};
use wrpkafka::mock::MockKafka;

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

const MAC: &str = "mac:112233445566";

/// Offline comes before online each time: at both sinks, and by the time that the events carry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_takeovers_each_offline_event_comes_before_the_next_online_event() {
    const CONNECTIONS: usize = 200;
    let (receiver, kafka) = (Receiver::start().await, MockKafka::start(4).unwrap());
    let sections = format!(
        "device: {{outbound: {{eventEndpoints: {{default: '{}'}}}}}}\nkafka: {{enabled: true, brokers: ['{}']}}\n",
        receiver.url(),
        kafka.brokers()
    );
    let gateway = GatewayProcess::start(&sections).await;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(gateway.device(MAC).await);
    }
    eventually("all events are posted", PATIENCE, async || receiver.count() >= 2 * CONNECTIONS - 1).await;
    let posted: Vec<Message> = receiver.take().into_iter().map(|posted| posted.message).collect();
    let records = kafka.records("wrp-events", 2 * CONNECTIONS - 1, PATIENCE).unwrap();
    let published =
        records.iter().map(|record| MessageRef::decode_v5(&record.value).unwrap().0.to_owned()).collect();
    for (sink, messages) in [("http", posted), ("kafka", published)] {
        let dests = messages.iter().map(|message| message.dest.to_string());
        let expected = ["online", "offline"].into_iter().cycle().take(2 * CONNECTIONS - 1);
        let expected = expected.map(|what| format!("event:device-status/{MAC}/{what}"));
        assert!(dests.eq(expected), "{sink}: in order");
        let times: Vec<jiff::Timestamp> = messages.iter().map(time).collect();
        assert!(times.is_sorted(), "{sink}: in order by their time");
    }
    let mut last = connections.pop().unwrap();
    for mut old in connections {
        let close = old.next().await.unwrap().unwrap();
        assert!(close.is_close(), "{close:?}");
    }
    drop(gateway);
    assert!(last.next().await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_registered_before_it_receives_the_101() {
    let mut gateway = Gateway::open();
    for number in 0..100 {
        let socket = TcpStream::connect(gateway.address()).await.unwrap();
        let request = request(&gateway, &format!("mac:{number:012x}"));
        let mut socket = socket;
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.readable().await.unwrap();
        assert_eq!(gateway.manager.registry().len(), 1, "the 101 is here");
        drop(socket);
        gateway.online().await;
        gateway.offline().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_leaves_before_its_101_goes_offline_once() {
    let mut gateway = Gateway::open();
    for number in 0..100 {
        let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
        socket.write_all(request(&gateway, &format!("mac:{number:012x}")).as_bytes()).await.unwrap();
        socket.set_zero_linger().unwrap();
        drop(socket);
    }
    // However many the gateway has noticed: each that was online is offline again.
    eventually("nothing is left", PATIENCE, async || {
        gateway.metric("talaria_talaria_connect_count") == gateway.metric("talaria_talaria_disconnect_count")
            && gateway.metric("talaria_talaria_device_count") == 0.0
            && gateway.metric("talaria_talaria_active_connections{server=\"primary\"}") == 0.0
    })
    .await;
    assert!(gateway.manager.registry().is_empty());
    let socket = gateway.device(MAC).await;
    drop(socket);
}

fn request(gateway: &Gateway, id: &str) -> String {
    format!(
        "GET /api/v2/device HTTP/1.1\r\nHost: {}\r\nX-Webpa-Device-Name: {id}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gateway.address()
    )
}

/// `ts` of an online or offline event.
fn time(event: &Message) -> jiff::Timestamp {
    let payload = event.payload.as_deref().unwrap_or_default();
    let payload: serde_json::Value = serde_json::from_slice(payload).expect("a status event has JSON");
    payload["ts"].as_str().expect("a time").parse().expect("RFC 3339")
}
