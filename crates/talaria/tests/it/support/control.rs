//! A gateway with a control server, and devices with tokens that are connected to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use talaria::auth::{DeviceConfig, jwt, keys};
use talaria::control::{Control, ControlMetrics, Drainer};
use talaria::server::{Config, ConnectionMetrics, RunningServer, Server};
use talaria_protocol::token::Requirements;
use talaria_protocol::web_page::ServerNames;
use tokio::io::AsyncReadExt as _;

use crate::support::eventually;
use crate::support::gateway::{Gateway, any_port, identity};
use crate::support::http::{Client, Response, request};
use crate::support::tokens::{KeyServer, Signer, now};

/// The longest that an unpaced drain may take; the drill of CONTRIBUTING drains 10,000 devices in ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Controlled {
    pub(crate) gateway: Gateway,
    control: RunningServer,
    signer: Signer,
    _keys: KeyServer,
}

/// A request to the control server and what it answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    /// Every time of day is `<time>`.
    pub(crate) body: String,
}

impl Controlled {
    /// Devices without a token are let in, those with one have to have a good one.
    pub(crate) fn start(api: talaria::api::Config) -> Self {
        let signer = Signer::new("ES256");
        let keys = KeyServer::of(&signer);
        let config = keys::Config {
            template: Some(keys.template().parse().unwrap()),
            timeout: Duration::from_secs(5),
            ..keys::Config::default()
        };
        let jwt = jwt::Config { keys: config, required: Requirements::default() };
        let gateway = Gateway::with_tokens(api, &DeviceConfig { jwt: Some(jwt), ..DeviceConfig::default() });
        let metrics = ControlMetrics::register(&gateway.metrics);
        let drainer = Arc::new(Drainer::new(Arc::clone(gateway.manager.registry()), metrics.clone()));
        let control = Control::new(Arc::clone(&gateway.manager), drainer, metrics);
        let connections = ConnectionMetrics::register(&gateway.metrics);
        let names = ServerNames::new(["control.example".parse().unwrap()]);
        let config = Config { names: Some(names), ..any_port() };
        let control = Server::bind("control", config, identity(), &connections).unwrap().start(control);
        Self { gateway, control, signer, _keys: keys }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.control.local_addr()
    }

    /// Asks the control server: `POST /device/gate?open=true`, below `/api/v3`.
    pub(crate) async fn ask(&self, line: &str, content_type: &str, body: &str) -> Answer {
        self.ask_with(line, "Host: localhost\r\n", content_type, body).await
    }

    /// The same with these headers, `Host` among them.
    pub(crate) async fn ask_with(&self, line: &str, headers: &str, content_type: &str, body: &str) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let path = if path.starts_with("/api/") { path.to_owned() } else { format!("/api/v3{path}") };
        let content_type =
            if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
        let length = body.len();
        let response = request(
            self.address(),
            format!(
                "{method} {path} HTTP/1.1\r\n{headers}{content_type}Content-Length: {length}\r\n\r\n{body}"
            ),
        )
        .await;
        assert_eq!(response.header("x-talaria-server"), Some("host"), "{line}");
        let body = without_times(response.text());
        Answer {
            status: response.status,
            content_type: response.header("content-type").map(str::to_owned),
            body,
        }
    }

    /// A device that asks to connect, with these claims if any.
    pub(crate) async fn knock(&self, id: &str, claims: Option<Value>, headers: &str) -> (Client, Response) {
        let token = claims.map_or(String::new(), |mut claims| {
            claims["sub"] = json!("device");
            claims["exp"] = json!(now() + 1000);
            let token = self.signer.token(&json!({"alg": "ES256", "kid": "current"}), &claims);
            format!("Authorization: Bearer {token}\r\n")
        });
        let mut client = Client::connect(self.gateway.address()).await;
        client
            .send(format!(
                "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: {id}\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{token}{headers}\r\n"
            ))
            .await;
        let response = client.response().await;
        (client, response)
    }

    /// A device that is let in, and registered.
    pub(crate) async fn device(&mut self, id: &str, claims: Option<Value>, headers: &str) -> Client {
        let (client, response) = self.knock(id, claims, headers).await;
        assert_eq!(response.status, 101, "{id}: {response:?}");
        self.gateway.registered().await;
        client
    }

    /// Waits until an unpaced drain is over, if one was started: a paced one of the manual takes an hour.
    pub(crate) async fn settled(&self) {
        let unpaced = "\"active\":true,\"job\":{\"count\":1}";
        eventually("the drain ends", PATIENCE, async || {
            !self.ask("GET /device/drain", "", "").await.body.contains(unpaced)
        })
        .await;
    }

    /// Asks until a drain is over, and returns the last answer.
    pub(crate) async fn drained(&self) -> String {
        let mut answer = String::new();
        eventually("the drain ends", PATIENCE, async || {
            answer = self.ask("GET /device/drain", "", "").await.body;
            answer.contains("\"active\":false")
        })
        .await;
        answer
    }
}

/// The code of the close frame that a device gets; `None` if it gets none, but the connection's end.
pub(crate) async fn close_code(mut client: Client) -> Option<u16> {
    let mut frame = Vec::new();
    while frame.len() < 4 {
        if client.socket.read_buf(&mut frame).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    assert_eq!(frame[0], 0x88, "a close frame");
    Some(u16::from_be_bytes([frame[2], frame[3]]))
}

/// Every time of day becomes `<time>`, but Go's zero.
pub(crate) fn without_times(text: &str) -> String {
    let is_time = |part: &str| {
        part.len() >= 20 && part.starts_with("20") && part.as_bytes()[10] == b'T' && part.ends_with('Z')
    };
    text.split('"').map(|part| if is_time(part) { "<time>" } else { part }).collect::<Vec<_>>().join("\"")
}
