//! Certificates that are changed under connected devices: none of them notices (contract §9.8).
//!
//! `TALARIA_TLS_DEVICES=1000 cargo test -p talaria --test it tls_devices` is the drill; in CI there are fewer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use talaria::api;
use talaria::auth::DeviceConfig;
use talaria::server::{Config, tls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::certificates::Authority;
use crate::support::gateway::{Gateway, any_port};
use crate::support::{eventually, gateway, http};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

fn devices() -> usize {
    std::env::var("TALARIA_TLS_DEVICES").map_or(100, |number| number.parse().expect("a number of devices"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_rotated_under_connected_devices_and_none_is_lost() {
    let number = devices();
    let (before, after) = (Authority::new(), Authority::new());
    let pair = before.pair("server", &["talaria.test"]);
    let tls = tls::Config::of(vec![pair.clone()]);
    let server = Config { tls: Some(tls), ..any_port() };
    let mut gateway = Gateway::behind(server, api::Config::default(), &DeviceConfig::default());
    let (old, new) = (connector(&before), connector(&after));

    let mut devices = Vec::new();
    for at in 0..number {
        let mut device = connect(gateway.address(), &old, at).await.expect("the old certificate is believed");
        gateway.registered().await;
        assert!(answers(&mut device).await);
        devices.push(device);
    }

    let (certificate, key) = after.issue(&["talaria.test"]);
    std::fs::write(&pair.certificate, certificate).unwrap();
    std::fs::write(&pair.key, key).unwrap();
    let written = Instant::now();
    let mut newcomer = None;
    eventually("the new certificate is in use", Duration::from_secs(30), async || {
        newcomer = connect(gateway.address(), &new, number).await;
        newcomer.is_some()
    })
    .await;
    let noticed = written.elapsed();

    let mut lost = 0;
    for device in &mut devices {
        lost += usize::from(!answers(device).await);
    }
    println!(
        "{number} devices, the certificate and its authority changed under them, in use after {noticed:.1?}: {lost} lost"
    );
    assert_eq!(lost, 0);
    assert!(connect(gateway.address(), &old, number + 1).await.is_none(), "the old certificate is gone");
    assert_eq!(gateway.metric("talaria_talaria_device_count"), (number + 1) as f64);
    drop(newcomer);
}

#[tokio::test]
async fn a_device_over_tls_gets_and_sends_messages_of_any_size() {
    let authority = Authority::new();
    let pair = authority.pair("server", &["talaria.test"]);
    let tls = tls::Config::of(vec![pair]);
    // Devices over TLS on one server, the API without it on another would be the alternate's job; here both are TLS.
    let server = Config { tls: Some(tls), ..any_port() };
    let mut gateway = Gateway::behind(server, api::Config::default(), &DeviceConfig::default());
    let connector = connector(&authority);
    let mut device = connect(gateway.address(), &connector, 0).await.unwrap();
    gateway.registered().await;
    for size in [0, 1, 16 * 1024, 16 * 1024 + 1, 100_000, 3_000_000] {
        let question = wrp::Message {
            payload: Some(vec![7; size]),
            dest: "mac:000000000000/config".into(),
            ..gateway::question()
        };
        let request = gateway::send(&gateway::basic("a:b"), &gateway::msgpack(&question));
        let name = ServerName::try_from("talaria.test").unwrap();
        let tcp = TcpStream::connect(gateway.address()).await.unwrap();
        let mut client = http::Client::over(connector.connect(name, tcp).await.unwrap());
        let asking = async {
            client.send(request).await;
            client.response().await
        };
        let answering = async {
            let Some(Ok(Frame::Binary(frame))) = device.next().await else {
                panic!("a request to the device")
            };
            device.send(Frame::Binary(frame)).await.unwrap();
        };
        let (response, ()) = tokio::join!(asking, answering);
        assert_eq!(response.status, 200, "{size}: {:?}", response.body);
        let answer = wrp::MessageRef::decode_v3(&response.body).unwrap();
        assert_eq!(answer.payload.map_or(0, <[u8]>::len), size);
    }
}

fn connector(authority: &Authority) -> TlsConnector {
    TlsConnector::from(Arc::new(authority.client(None, &[&TLS13, &TLS12])))
}

/// A device of this number; `None` if it does not believe the certificate.
async fn connect(address: SocketAddr, connector: &TlsConnector, number: usize) -> Option<Socket> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let tls = connector.connect(ServerName::try_from("talaria.test").unwrap(), tcp).await.ok()?;
    let mut request = format!("wss://{address}/api/v2/device").into_client_request().unwrap();
    request.headers_mut().insert("X-Webpa-Device-Name", format!("mac:{number:012x}").parse().unwrap());
    let (socket, _) = Box::pin(tokio_tungstenite::client_async(request, tls)).await.unwrap();
    Some(socket)
}

/// Whether the gateway answers a ping of this device.
async fn answers(device: &mut Socket) -> bool {
    if device.send(Frame::Ping(b"still there?".as_slice().into())).await.is_err() {
        return false;
    }
    loop {
        match tokio::time::timeout(Duration::from_secs(20), device.next()).await {
            Ok(Some(Ok(Frame::Pong(_)))) => return true,
            Ok(Some(Ok(_))) => {}
            _ => return false,
        }
    }
}
