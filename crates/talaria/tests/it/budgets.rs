//! What all clients together may use of the process, with the real defaults (contract §14.25, docs/limits.md).

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wrpkafka::mock::MockKafka;

use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::http::request;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(30);

/// Full of devices, then full of strangers that send nothing, under a limit of 256 open files.
#[tokio::test(flavor = "multi_thread")]
async fn sinks_and_operators_keep_their_descriptors_however_many_clients_connect() {
    let (receiver, kafka) = (Receiver::start().await, MockKafka::start(1).unwrap());
    let sections = format!(
        "control: {{address: '127.0.0.1:0'}}\n\
         device: {{outbound: {{eventEndpoints: {{default: '{}'}}}}}}\n\
         kafka: {{enabled: true, brokers: ['{}']}}\n",
        receiver.url(),
        kafka.brokers()
    );
    let gateway = GatewayProcess::start_with_files(256, &sections).await;
    let limit = gateway.log_line("limit of open files").expect("the start says what clients may use");
    let (reserve, room) = (limit["reserve"].as_u64().unwrap(), limit["max_connections"].as_u64().unwrap());
    assert_eq!((limit["limit"].as_u64(), reserve + room), (Some(256), 256), "{limit}");
    let control = gateway.log_lines("starting server");
    let control = control.iter().find(|line| line["server"] == "control").unwrap();
    let control: SocketAddr = control["address"].as_str().unwrap().parse().unwrap();

    let mut devices = Vec::new();
    for number in 0..room {
        devices.push(Device::connect(gateway.primary(), &format!("mac:{number:012x}")).await);
    }
    let beyond = TcpStream::connect(gateway.primary()).await.unwrap();
    eventually("a connection beyond the limit is closed", PATIENCE, async || is_ended(&beyond)).await;
    all_works(&gateway, control, &devices, 1).await;

    devices.truncate(3);
    let mut strangers = Vec::new();
    eventually("the gateway is full of strangers", PATIENCE, async || {
        // Those that are there already have not sent anything, and are closed after `readHeaderTimeout`.
        while strangers.len() < 600 {
            strangers.push(TcpStream::connect(gateway.primary()).await.unwrap());
        }
        strangers.retain(|stranger| !is_ended(stranger));
        gateway.metric("talaria_talaria_active_connections", &["server=\"primary\""]).await >= room as f64
    })
    .await;
    all_works(&gateway, control, &devices, 2).await;
    drop(beyond);
    gateway.terminate().await;
}

/// Each device that is closed for what it costs has a line a minute in the log.
#[tokio::test(flavor = "multi_thread")]
async fn devices_that_are_closed_for_what_they_cost_are_logged_each() {
    const LINE: &str = "device closed, its message did not arrive completely in time";
    let gateway = GatewayProcess::start("device: {manager: {messageTimeout: 200ms}}\n").await;
    for id in ["mac:111111111111", "mac:222222222222", "mac:111111111111"] {
        let mut device = gateway.device(id).await;
        // The beginning of a masked frame of 5 bytes.
        device.get_mut().write_all(b"\x82\x85\0\0\0\0x").await.unwrap();
        while let Some(Ok(_)) = device.next().await {}
    }
    let closed =
        gateway.metric("talaria_talaria_device_protocol_errors_total", &["reason=\"slow_message\""]).await;
    assert_eq!(closed, 3.0);
    let mut lines = Vec::new();
    eventually("it is logged", PATIENCE, async || {
        lines = gateway.log_lines(LINE);
        lines.len() == 2
    })
    .await;
    assert_eq!(lines[0]["id"], "mac:111111111111");
    assert_eq!(lines[0]["reason"], "message not complete within 200ms:readerror");
    assert_eq!(lines[1]["id"], "mac:222222222222");
    gateway.terminate().await;
}

/// Each device sends an event, whose acknowledgement says that both sinks have delivered it; the operator's servers answer.
async fn all_works(gateway: &GatewayProcess, control: SocketAddr, devices: &[Device], acks: usize) {
    for device in devices {
        device.send(event(device.id(), acks, 80));
    }
    for device in devices {
        eventually("both sinks deliver", PATIENCE, async || device.acks().len() >= acks).await;
        let acks = device.acks();
        assert!(acks.iter().all(|ack| ack.rdr == Some(0)), "{acks:?}");
    }
    assert!(gateway.is_healthy().await);
    assert!(gateway.metric("talaria_talaria_device_count", &[]).await >= devices.len() as f64);
    let gate = format!("GET /api/v2/device/gate HTTP/1.1\r\nHost: {control}\r\n\r\n");
    let gate = request(control, &gate).await;
    assert_eq!(gate.status, 200, "{gate:?}");
}

/// Whether the gateway has closed this connection.
fn is_ended(socket: &TcpStream) -> bool {
    match socket.try_read(&mut [0; 64]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
