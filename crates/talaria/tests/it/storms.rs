//! Many devices that connect at the same time, over real sockets (contract §2.20).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::certificates::Authority;
use crate::support::eventually;
use crate::support::http::{Client, Response, request};
use crate::support::process::GatewayProcess;

/// So little that a storm takes longer than its devices may wait.
const LITTLE: &str = "device: {manager: {handshakes: {cpuPercent: 1, maxWait: 1s}}}\n";
const STORM: usize = 400;

fn handshake(id: usize) -> String {
    format!(
        "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: serial:{id}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

async fn connect(address: SocketAddr, id: usize) -> (Client, Response) {
    let mut client = Client::connect(address).await;
    client.send(handshake(id)).await;
    let response = client.response().await;
    (client, response)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_storm_some_connect_the_rest_is_asked_to_come_back_and_the_api_is_served() {
    let gateway = GatewayProcess::start(LITTLE).await;
    let storm = join_all((0..STORM).map(|id| connect(gateway.primary(), id)));
    let devices = request(gateway.primary(), "GET /api/v2/devices HTTP/1.1\r\nHost: t\r\n\r\n");
    let (storm, devices) = tokio::join!(storm, devices);
    assert_eq!(devices.status, 200);
    let (connected, refused): (Vec<_>, Vec<_>) = storm
        .into_iter()
        .map(|(client, response)| (response.status, client, response))
        .partition(|(status, ..)| *status == 101);
    assert!(!connected.is_empty() && !refused.is_empty(), "{} connected", connected.len());
    for (status, _, response) in &refused {
        assert_eq!(*status, 503);
        let retry_after: u64 = response.header("retry-after").unwrap().parse().unwrap();
        assert!((2..=60).contains(&retry_after), "{retry_after}");
        assert_eq!(
            response.body,
            br#"{"code": 503, "message": "too many clients connect at the same time, try again later"}"#
        );
    }
    let metric = async |name: &str| gateway.metric(&format!("talaria_talaria_{name}"), &[]).await;
    assert_eq!(metric("handshakes_refused_total").await, refused.len() as f64);
    assert_eq!(metric("device_count").await, connected.len() as f64);
    assert!(gateway.log_line("handshakes refused, too many clients connect at the same time").is_some());
    gateway.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_that_leave_at_once_wait_for_their_turns_and_are_not_found_meanwhile() {
    let gateway = GatewayProcess::start("device: {manager: {disconnectCpuPercent: 4}}\n").await;
    let mut connected = Vec::new();
    for id in 0..STORM {
        let (client, response) = connect(gateway.primary(), id).await;
        assert_eq!(response.status, 101);
        connected.push(client);
    }
    drop(connected);
    let metric = async |name: &str| gateway.metric(&format!("talaria_talaria_{name}"), &[]).await;
    eventually("their ends wait", Duration::from_secs(30), async || {
        metric("disconnects_waiting").await > 0.0
    })
    .await;
    eventually("no device is found", Duration::from_secs(30), async || {
        let devices = request(gateway.primary(), "GET /api/v2/devices HTTP/1.1\r\nHost: t\r\n\r\n").await;
        devices.body == br#"{"devices":[]}"#
    })
    .await;
    let (_client, response) = connect(gateway.primary(), STORM - 1).await;
    assert_eq!(response.status, 101, "it does not wait for the end of its old connection");
    eventually("all others are disconnected", Duration::from_secs(60), async || {
        metric("device_count").await == 1.0 && metric("disconnects_waiting").await == 0.0
    })
    .await;
    assert_eq!(metric("disconnect_count").await, STORM as f64);
    gateway.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_handshakes_wait_in_the_same_line_and_resumptions_are_counted() {
    let authority = Authority::new();
    let pair = authority.pair("server", &["talaria.test"]);
    let files = [
        ("TALARIA_PRIMARY_CERTIFICATEFILE", pair.certificate.as_path()),
        ("TALARIA_PRIMARY_KEYFILE", pair.key.as_path()),
    ];
    let gateway = GatewayProcess::start_in(LITTLE, &files as &[(&str, &Path)]).await;
    let connector = TlsConnector::from(Arc::new(authority.client(None, &[&TLS13])));
    let connect = async || {
        let socket = TcpStream::connect(gateway.primary()).await.unwrap();
        connector.connect(ServerName::try_from("talaria.test").unwrap(), socket).await
    };
    let storm = join_all((0..STORM).map(|_| connect())).await;
    let connected = storm.iter().flatten().count();
    assert!((1..STORM).contains(&connected), "{connected}");
    let metric = async |name: &str, label: &str| {
        gateway.metric(&format!("talaria_talaria_{name}"), &["server=\"primary\"", label]).await
    };
    assert_eq!(
        metric("connection_failures_total", "reason=\"handshake_refused\"").await,
        (STORM - connected) as f64
    );
    assert_eq!(metric("tls_handshakes_total", "kind=\"full\"").await, connected as f64);
    // A client that reads something has a ticket for its next connection.
    eventually("a session is resumed", Duration::from_secs(30), async || {
        let Ok(socket) = connect().await else { return false };
        let mut client = Client::over(socket);
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        client.response().await.status == 404
            && metric("tls_handshakes_total", "kind=\"resumed\"").await > 0.0
    })
    .await;
    gateway.terminate().await;
}
