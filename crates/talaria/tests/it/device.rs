//! Devices over real sockets and a real HTTP server: the handshake, and sessions with a WebSocket client that is not ours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use talaria::device::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use wrp::{Message, MessageType};

use crate::support::gateway::Gateway;

const ID: &str = "mac:112233445566";

/// Sends bytes on a new connection and reads all that comes back; half-closes first, so that there is an end.
async fn raw(gateway: &Gateway, request: &str) -> String {
    let mut socket = TcpStream::connect(gateway.address()).await.expect("connects");
    socket.write_all(request.as_bytes()).await.expect("is written");
    socket.shutdown().await.expect("is half-closed");
    let mut response = Vec::new();
    socket.read_to_end(&mut response).await.expect("is read");
    String::from_utf8_lossy(&response).into_owned()
}

async fn client(gateway: &Gateway) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let mut request =
        format!("ws://{}/api/v2/device", gateway.address()).into_client_request().expect("a request");
    request
        .headers_mut()
        .insert("x-webpa-device-name", "MAC:11:22:33:44:55:66/parodus".parse().expect("a value"));
    let socket = TcpStream::connect(gateway.address()).await.expect("connects");
    let (client, response) = tokio_tungstenite::client_async(request, socket).await.expect("is upgraded");
    let mut names: Vec<&str> = response.headers().keys().map(http::HeaderName::as_str).collect();
    names.retain(|name| *name != "date");
    names.sort_unstable();
    assert_eq!(names, ["connection", "sec-websocket-accept", "upgrade"]);
    client
}

fn event(payload: Vec<u8>) -> Vec<u8> {
    let message = Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: ID.into(),
        dest: "event:iot".into(),
        payload: Some(payload),
        ..Message::default()
    };
    let mut out = Vec::new();
    message.as_ref().encode_v3(&mut out);
    out
}

const UPGRADE: &str = "GET /api/v2/device HTTP/1.1\r\nHost: talaria\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn what_is_no_device_or_no_handshake_is_refused_as_the_reference_refuses() {
    let gateway = Gateway::of_devices(Config::default());
    let named = format!("X-Webpa-Device-Name: {ID}\r\n");
    let bad = "{\"code\": 400, \"message\": \"failed to extract device ID: ";
    for (request, status, body) in [
        (UPGRADE.to_owned(), "400 Bad Request", format!("{bad}missing device name header\"}}")),
        (
            format!("{UPGRADE}X-Webpa-Device-Name:\r\n"),
            "400 Bad Request",
            format!("{bad}missing device name header\"}}"),
        ),
        (
            format!("{UPGRADE}X-Webpa-Device-Name: mac:1\r\n"),
            "400 Bad Request",
            format!("{bad}invalid device name\"}}"),
        ),
        (
            format!("{UPGRADE}{named}").replace("GET", "POST"),
            "405 Method Not Allowed",
            "Method Not Allowed\n".to_owned(),
        ),
        (format!("{UPGRADE}{named}").replace("13", "8"), "400 Bad Request", "Bad Request\n".to_owned()),
        (format!("{UPGRADE}{named}Origin: http://elsewhere\r\n"), "403 Forbidden", "Forbidden\n".to_owned()),
        (
            format!("GET /api/v2/device HTTP/1.1\r\nHost: x\r\n{named}"),
            "400 Bad Request",
            "Bad Request\n".to_owned(),
        ),
    ] {
        let response = raw(&gateway, &format!("{request}\r\n")).await;
        let (head, got) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}\n{response}");
        assert_eq!(got, body, "{request}");
        if !body.starts_with('{') {
            let head = head.to_ascii_lowercase();
            assert!(
                head.contains("sec-websocket-version: 13")
                    && head.contains("x-content-type-options: nosniff")
            );
        }
    }
    gateway.manager.gate().set_open(false);
    let response = raw(&gateway, &format!("{UPGRADE}\r\n")).await;
    assert!(response.starts_with("HTTP/1.1 503 ") && response.ends_with("\r\n\r\n"), "{response}");
}

#[tokio::test]
async fn a_websocket_client_connects_talks_and_leaves() {
    let mut gateway = Gateway::of_devices(Config::default());
    let mut client = client(&gateway).await;
    let device = gateway.online().await;
    assert_eq!(device.id().as_str(), ID);

    client.send(Frame::binary(event(b"hello".to_vec()))).await.expect("is sent");
    assert_eq!(gateway.message().await.payload.as_deref(), Some(&b"hello"[..]));

    client.send(Frame::Ping(Bytes::from_static(b"x"))).await.expect("is sent");
    assert_eq!(
        client.next().await.expect("a frame").expect("is good"),
        Frame::Pong(Bytes::from_static(b"x"))
    );

    let deadline = Instant::now() + Duration::from_secs(20);
    device.send(Bytes::from_static(b"to the device"), deadline).await.expect("is written");
    assert_eq!(client.next().await.expect("a frame").expect("is good").into_data(), "to the device");

    client.close(None).await.expect("closes");
    while let Some(Ok(_)) = client.next().await {}
    assert_eq!(gateway.offline().await, "*no error*:readerror");
    assert!(gateway.manager.registry().is_empty());
}

#[tokio::test]
async fn twenty_megabytes_go_both_ways() {
    let mut gateway = Gateway::of_devices(Config::default());
    let mut client = client(&gateway).await;
    let device = gateway.online().await;
    let payload: Vec<u8> = (0..20_000_000_u32).map(|at| at as u8).collect();
    client.send(Frame::binary(event(payload.clone()))).await.expect("is sent");
    assert!(gateway.message().await.payload.as_ref() == Some(&payload));

    let deadline = Instant::now() + Duration::from_secs(60);
    let back = Bytes::from(payload);
    let receive = async {
        // Pieces of it may come as pings' neighbours, but not in more than one message.
        client.next().await.expect("a frame").expect("is good").into_data()
    };
    let limit = device.send(back.slice(..10_000_000), deadline);
    let (sent, received) = tokio::join!(limit, receive);
    sent.expect("is written");
    assert!(received == back.slice(..10_000_000));
}

#[tokio::test]
async fn a_frame_sent_with_the_handshake_is_not_lost() {
    let mut gateway = Gateway::of_devices(Config::default());
    let message = event(b"early".to_vec());
    let mut bytes = format!("{UPGRADE}X-Webpa-Device-Name: {ID}\r\n\r\n").into_bytes();
    // Masked with zeros: as it is.
    bytes.extend([0x82, 0x80 | message.len() as u8, 0, 0, 0, 0]);
    bytes.extend(message);
    let mut socket = TcpStream::connect(gateway.address()).await.expect("connects");
    socket.write_all(&bytes).await.expect("is written");
    gateway.online().await;
    assert_eq!(gateway.message().await.payload.as_deref(), Some(&b"early"[..]));
}

#[tokio::test]
async fn an_unmasked_frame_is_answered_with_a_protocol_error_and_others_are_unharmed() {
    let mut gateway = Gateway::of_devices(Config::default());
    let mut good = TcpStream::connect(gateway.address()).await.expect("connects");
    good.write_all(format!("{UPGRADE}X-Webpa-Device-Name: uuid:good\r\n\r\n").as_bytes())
        .await
        .expect("is written");
    gateway.online().await;
    let mut bad = TcpStream::connect(gateway.address()).await.expect("connects");
    let request = format!("{UPGRADE}X-Webpa-Device-Name: {ID}\r\n\r\n");
    bad.write_all(&[request.as_bytes(), &[0x82, 0x01, b'x']].concat()).await.expect("is written");
    gateway.online().await;
    assert_eq!(gateway.offline().await, "bad MASK:readerror");
    let mut response = Vec::new();
    bad.read_to_end(&mut response).await.expect("ends without a reset");
    assert!(response.ends_with(b"\x88\x0a\x03\xeabad MASK"), "{:?}", String::from_utf8_lossy(&response));
    good.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.expect("is written");
    let mut pong = Vec::new();
    while !pong.ends_with(&[0x8a, 0]) {
        good.read_buf(&mut pong).await.expect("is read");
    }
}

#[tokio::test]
async fn a_client_hears_why_the_gateway_closes() {
    let mut gateway = Gateway::of_devices(Config::default());
    let mut client = client(&gateway).await;
    gateway.online().await;
    let closing = tokio::spawn({
        let manager = Arc::clone(&gateway.manager);
        async move { manager.shutdown(Duration::from_secs(10)).await }
    });
    match client.next().await {
        Some(Ok(Frame::Close(Some(close)))) => {
            assert_eq!(close.code, CloseCode::Away);
            assert_eq!(close.reason.as_str(), "drained");
        }
        other => panic!("{other:?}"),
    }
    assert!(!matches!(client.next().await, Some(Err(Error::Io(_)))), "no reset");
    drop(client);
    assert_eq!(gateway.offline().await, "the gateway is shutting down:drained");
    assert_eq!(closing.await.expect("ends"), 0);
}
