//! Who a device is, over real sockets (contract §14.26, §14.27): what one device cannot do in the name of another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use serde_json::{Value, json};
use talaria::api;
use talaria::auth::{DeviceConfig, jwt, keys};
use talaria::device;
use talaria::server::{self, tls};
use talaria_protocol::inbound::SourceCheck;
use talaria_protocol::token::Requirements;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use wrp::{Message, MessageType};

use crate::support::certificates::Authority;
use crate::support::gateway::{Gateway, MAC, Socket, any_port, msgpack};
use crate::support::http::{Client, Response};
use crate::support::process::GatewayProcess;
use crate::support::tokens::{KeyServer, Signer, now};

/// Devices with and without a token are accepted.
fn fail_open(keys: &KeyServer) -> DeviceConfig {
    let keys = keys::Config { template: Some(keys.template().parse().unwrap()), ..keys::Config::default() };
    DeviceConfig {
        jwt: Some(jwt::Config { keys, required: Requirements::default() }),
        ..DeviceConfig::default()
    }
}

fn token(signer: &Signer, more: &Value) -> String {
    let mut claims = json!({"sub": "device", "exp": now() + 100});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    signer.token(&json!({"alg": "ES256"}), &claims)
}

/// A device with this token, connected.
async fn connected(gateway: &mut Gateway, token: &str) -> Socket {
    let url = format!("ws://{}/api/v2/device", gateway.address());
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("X-Webpa-Device-Name", MAC.parse().unwrap());
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
    let (socket, _) = Box::pin(tokio_tungstenite::connect_async(request)).await.unwrap();
    gateway.registered().await;
    socket
}

/// What a request to connect with these headers is answered.
async fn ask(gateway: &Gateway, headers: &str) -> Response {
    gateway.ask(upgrade(headers)).await
}

fn upgrade(headers: &str) -> String {
    format!(
        "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: {MAC}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {headers}\r\n"
    )
}

#[tokio::test]
async fn a_stranger_does_not_displace_a_live_device_with_a_token() {
    let signer = Signer::new("ES256");
    let keys = KeyServer::of(&signer);
    let mut gateway = Gateway::of_devices_with_tokens(device::Config::default(), &fail_open(&keys));
    let mut device = connected(&mut gateway, &token(&signer, &json!({}))).await;
    // Reads and answers pings until the connection ends.
    let device = tokio::spawn(async move { while let Some(Ok(_)) = device.next().await {} });
    let started = Instant::now();
    let refused = ask(&gateway, "").await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.text(),
        r#"{"code": 403, "message": "a device with a token is connected with this id"}"#
    );
    assert!(!device.is_finished());
    assert_eq!(
        ask(&gateway, &format!("Authorization: Bearer {}\r\n", token(&signer, &json!({})))).await.status,
        101
    );
    assert_eq!(gateway.offline_reason().await, "*no error*:duplicate");
}

#[tokio::test]
async fn a_device_without_its_token_gets_its_id_back_from_its_dead_connection() {
    let signer = Signer::new("ES256");
    let keys = KeyServer::of(&signer);
    let config = device::Config { takeover_timeout: Duration::from_millis(500), ..device::Config::default() };
    let mut gateway = Gateway::of_devices_with_tokens(config, &fail_open(&keys));
    // The test does not read from this socket, so no ping is answered.
    let _dead = connected(&mut gateway, &token(&signer, &json!({}))).await;
    let started = Instant::now();
    assert_eq!(ask(&gateway, "").await.status, 101);
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    assert_eq!(gateway.offline_reason().await, "*no error*:duplicate");
    assert_eq!(gateway.metric(r#"talaria_talaria_device_takeovers_total{outcome="taken_over"}"#), 1.0);
}

#[tokio::test]
async fn a_claim_of_a_device_id_that_is_not_a_text_is_refused() {
    let signer = Signer::new("ES256");
    let keys = KeyServer::of(&signer);
    let gateway = Gateway::of_devices_with_tokens(device::Config::default(), &fail_open(&keys));
    for id in [json!(1), json!(true), json!([MAC]), json!({"mac": MAC}), json!("x")] {
        let bearer = format!("Authorization: Bearer {}\r\n", token(&signer, &json!({"device-id": id})));
        let refused = ask(&gateway, &bearer).await;
        assert_eq!(refused.status, 500, "{id}");
        assert_eq!(refused.text(), r#"{"code": 500, "message": "invalid device name\ninvalid device name"}"#);
    }
}

#[tokio::test]
async fn under_enforce_a_device_speaks_of_itself_only() {
    let config = device::Config { source_check: SourceCheck::Enforce, ..device::Config::default() };
    let mut gateway = Gateway::of_devices(config);
    let mut device = gateway.device(MAC).await;
    let mut event = Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: MAC.into(),
        dest: "event:device-status/mac:aabbccddeeff/offline".into(),
        metadata: Some([("/hw-deviceid", "mac:aabbccddeeff")].into()),
        ..Message::default()
    };
    device.send(Frame::binary(msgpack(&event))).await.unwrap();
    event.dest = "event:iot".into();
    device.send(Frame::binary(msgpack(&event))).await.unwrap();
    let passed_on = gateway.message().await;
    assert_eq!(passed_on.dest, "event:iot");
    assert_eq!(passed_on.metadata("/hw-deviceid").unwrap(), MAC);
    let refused = r#"talaria_talaria_device_refused_messages{reason="status_of_another"}"#;
    assert_eq!(gateway.metric(refused), 1.0);
}

#[tokio::test]
async fn the_start_warns_that_tokens_are_checked_and_not_needed() {
    let warning = "failOpen is true although jwtValidator is configured";
    let jwt = "jwtValidator: {Config: {Resolve: {Template: 'http://127.0.0.1:1/{keyID}'}}}\n";
    let open = GatewayProcess::start(jwt).await;
    assert!(open.log().contains(warning), "{}", open.log());
    let closed = GatewayProcess::start(&format!("failOpen: false\n{jwt}")).await;
    assert!(!closed.log().contains(warning), "{}", closed.log());
}

#[tokio::test]
async fn a_device_has_the_id_of_its_client_certificate() {
    let authority = Authority::new();
    let pair = authority.pair("server", &["talaria.test"]);
    let tls = tls::Config { client_ca: Some(authority.ca()), ..tls::Config::of(vec![pair]) };
    let server = server::Config { tls: Some(tls), ..any_port() };
    let status = async |rule: &str, common_name: &str, names: &[&str]| {
        let auth = DeviceConfig { certificate_rule: Some(rule.parse().unwrap()), ..DeviceConfig::default() };
        let gateway = Gateway::behind(server.clone(), api::Config::default(), &auth);
        let client = authority.client(Some(&authority.issue_to(common_name, names)), &[&TLS13]);
        let socket = TcpStream::connect(gateway.address()).await.unwrap();
        let name = ServerName::try_from("talaria.test").unwrap();
        let socket = TlsConnector::from(Arc::new(client)).connect(name, socket).await.unwrap();
        let mut client = Client::over(socket);
        client.send(upgrade("")).await;
        let response = client.response().await;
        let counted = gateway.metric(r#"auth_failures_total{endpoint="device",reason="certificate"}"#);
        assert_eq!(counted, f64::from(u8::from(response.status == 403)), "{rule} {common_name}");
        response.status
    };
    assert_eq!(status("cn", MAC, &["device.test"]).await, 101);
    assert_eq!(status("mac:{cn}", "11-22-33-44-55-66", &[]).await, 101);
    assert_eq!(status("mac:{san}", "x", &["device.test", "112233445566"]).await, 101);
    assert_eq!(status("cn", "mac:aabbccddeeff", &[]).await, 403);
    assert_eq!(status("san", MAC, &["device.test"]).await, 403);
    // Without a certificate, as at a server that does not ask for one.
    let auth = DeviceConfig { certificate_rule: Some("cn".parse().unwrap()), ..DeviceConfig::default() };
    let open = Gateway::with_tokens(api::Config::default(), &auth);
    let refused = ask(&open, "").await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.text(),
        r#"{"code": 403, "message": "the device id is not that of the client certificate"}"#
    );
}

#[tokio::test]
async fn a_token_for_another_audience_or_from_another_issuer_is_refused() {
    let signer = Signer::new("ES256");
    let keys = KeyServer::of(&signer);
    let mut auth = fail_open(&keys);
    let required = &mut auth.jwt.as_mut().unwrap().required;
    required.audiences = vec!["talaria".to_owned()];
    required.issuers = vec!["themis".to_owned()];
    let gateway = Gateway::of_devices_with_tokens(device::Config::default(), &auth);
    for (claims, reason) in [
        (json!({"iss": "themis", "aud": ["other", "talaria"]}), None),
        (json!({"iss": "themis", "aud": "other"}), Some("audience")),
        (json!({"iss": "themis"}), Some("audience")),
        (json!({"iss": "other", "aud": "talaria"}), Some("issuer")),
        (json!({"iss": 1, "aud": "talaria"}), Some("issuer")),
    ] {
        let counted = |reason: &str| {
            gateway.metric(&format!("auth_failures_total{{endpoint=\"device\",reason=\"{reason}\"}}"))
        };
        let before = reason.map_or(0.0, counted);
        let answer = ask(&gateway, &format!("Authorization: Bearer {}\r\n", token(&signer, &claims))).await;
        let Some(reason) = reason else {
            assert_eq!(answer.status, 101, "{claims}");
            continue;
        };
        assert_eq!((answer.status, answer.text()), (403, "bad credentials"), "{claims}");
        assert_eq!(counted(reason), before + 1.0, "{claims}");
    }
}
