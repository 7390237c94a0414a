//! Hosts that devices name as destinations, over real sockets (contract §5.8, §5.7): what they get, and what they cost.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::SinkExt as _;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use wrp::{Message, MessageType};

use crate::support::eventually;
use crate::support::gateway::{MAC, msgpack};
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(30);

/// A host that a device names, or rather one port of this machine.
struct Host {
    port: u16,
    /// The requests, each with its head and its body.
    requests: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

/// How a host behaves.
#[derive(Clone)]
enum Behaviour {
    Accepts,
    /// Accepts connections and never answers.
    Hangs,
    Redirects(String),
}

impl Host {
    async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, open) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let mut accepting = JoinSet::new();
        let (seen, count) = (Arc::clone(&requests), Arc::clone(&open));
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, count, behaviour) = (Arc::clone(&seen), Arc::clone(&count), behaviour.clone());
                count.fetch_add(1, Relaxed);
                connections.spawn(async move {
                    serve(stream, &behaviour, &seen).await;
                    count.fetch_sub(1, Relaxed);
                });
            }
        });
        Self { port, requests, open, _accepting: accepting }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }

    fn open(&self) -> usize {
        self.open.load(Relaxed)
    }
}

/// Until the gateway closes the connection.
async fn serve(mut stream: TcpStream, behaviour: &Behaviour, requests: &Mutex<Vec<String>>) {
    let mut buffer = vec![0; 64 * 1024];
    // The requests of these tests come in one piece.
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        requests.lock().push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        let answer = match behaviour {
            Behaviour::Accepts => "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Behaviour::Redirects(to) => {
                format!("HTTP/1.1 307 There\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
            }
            Behaviour::Hangs => continue,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A gateway whose events go to this receiver, with these keys of `dns`.
async fn gateway(receiver: &Receiver, dns: &str) -> GatewayProcess {
    GatewayProcess::start(&format!(
        "device:\n  outbound:\n    source: dns:talaria.test\n    authKey: c2VjcmV0OmtleQ==\n    \
         eventEndpoints: {{default: '{}'}}\n    allowedSchemes: [https, http]\n    dns: {{{dns}}}\n",
        receiver.url()
    ))
    .await
}

async fn send(device: &mut WebSocketStream<TcpStream>, dest: &str) {
    let message = Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: MAC.into(),
        dest: dest.into(),
        ..Message::default()
    };
    device.send(Frame::binary(msgpack(&message))).await.unwrap();
}

#[tokio::test]
async fn no_credentials_and_no_redirects() {
    let receiver = Receiver::start().await;
    let inside = Host::start(Behaviour::Accepts).await;
    let there = format!("http://127.0.0.1:{}/inside", inside.port);
    let (plain, redirects) =
        (Host::start(Behaviour::Accepts).await, Host::start(Behaviour::Redirects(there)).await);
    let gateway = gateway(&receiver, "allowPrivate: true").await;
    let mut device = gateway.device(MAC).await;
    for port in [plain.port, redirects.port] {
        send(&mut device, &format!("dns:http://user:password@127.0.0.1:{port}/x")).await;
    }
    eventually("both hosts have a request", PATIENCE, async || {
        plain.requests().len() == 1 && redirects.requests().len() == 1
    })
    .await;
    for request in [plain.requests(), redirects.requests()].concat() {
        assert!(request.starts_with("POST /x HTTP/1.1\r\n"), "{request}");
        assert!(!request.to_lowercase().contains("authorization"), "{request}");
    }
    let labels = [r#"code="307""#, r#"reason="non202""#, r#"scheme="dns""#];
    eventually("the redirect is counted", PATIENCE, async || {
        gateway.metric("outbound_dropped_messages", &labels).await > 0.0
    })
    .await;
    assert_eq!(inside.requests().len(), 0);
}

#[tokio::test]
async fn hosts_that_hang_do_not_delay_events_of_the_endpoints() {
    let receiver = Receiver::start().await;
    let hangs = Host::start(Behaviour::Hangs).await;
    let gateway = gateway(&receiver, "allowPrivate: true").await;
    let mut device = gateway.device(MAC).await;
    for _ in 0..110 {
        send(&mut device, &format!("dns:http://127.0.0.1:{}/x", hangs.port)).await;
    }
    eventually("the host hangs", PATIENCE, async || hangs.open() > 0).await;
    // The online event and 100 others, within less than the answer timeout of the host.
    for _ in 0..100 {
        send(&mut device, "event:iot/x").await;
    }
    eventually("all events", Duration::from_secs(5), async || receiver.count() == 101).await;
    assert!(hangs.open() <= 2, "{} requests of one device", hangs.open());
    let full = [r#"reason="full outbound queue""#, r#"scheme="unknown""#];
    assert!(gateway.metric("outbound_dropped_messages", &full).await >= 50.0);
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_with_one_line_for_each_device() {
    let receiver = Receiver::start().await;
    let inside = Host::start(Behaviour::Accepts).await;
    let gateway = gateway(&receiver, "").await;
    let mut device = gateway.device(MAC).await;
    let hosts = ["127.0.0.1", "localhost", "0x7f000001", "[::ffff:127.0.0.1]"];
    for host in hosts {
        send(&mut device, &format!("dns:http://{host}:{}/x", inside.port)).await;
    }
    let labels = [r#"reason="address_not_public""#, r#"scheme="dns""#];
    eventually("the refusals are counted", PATIENCE, async || {
        gateway.metric("outbound_dropped_messages", &labels).await == 4.0
    })
    .await;
    assert_eq!(inside.requests().len() + inside.open(), 0);
    let log = gateway.log();
    assert_eq!(log.matches("address_not_public").count(), 1, "{log}");
}

#[tokio::test]
async fn allowed_hosts_are_the_only_ones() {
    let receiver = Receiver::start().await;
    let (allowed, other) = (Host::start(Behaviour::Accepts).await, Host::start(Behaviour::Accepts).await);
    let gateway =
        gateway(&receiver, &format!("allowPrivate: true, allowedHosts: ['127.0.0.1:{}']", allowed.port))
            .await;
    let mut device = gateway.device(MAC).await;
    for port in [other.port, allowed.port] {
        send(&mut device, &format!("dns:http://127.0.0.1:{port}/x")).await;
    }
    eventually("the allowed host has its event", PATIENCE, async || allowed.requests().len() == 1).await;
    assert_eq!(other.requests().len(), 0);
    let labels = [r#"reason="host_not_allowed""#, r#"scheme="unknown""#];
    assert_eq!(gateway.metric("outbound_dropped_messages", &labels).await as u64, 1);
}

#[tokio::test]
async fn no_connection_is_left_after_500_hosts() {
    let receiver = Receiver::start().await;
    let mut hosts = Vec::new();
    for _ in 0..500 {
        hosts.push(Host::start(Behaviour::Accepts).await);
    }
    let gateway = gateway(&receiver, "allowPrivate: true, transport: {idleConnTimeout: 1s}").await;
    let mut device = gateway.device(MAC).await;
    let mut most = 0;
    for some in hosts.chunks(40) {
        for host in some {
            send(&mut device, &format!("dns:http://127.0.0.1:{}/x", host.port)).await;
        }
        eventually("these hosts have their events", PATIENCE, async || {
            some.iter().all(|host| host.requests().len() == 1)
        })
        .await;
        most = most.max(hosts.iter().map(Host::open).sum());
    }
    drop(device);
    assert!(most <= 100 + 2, "{most} connections");
    eventually("no connection is left", PATIENCE, async || hosts.iter().all(|host| host.open() == 0)).await;
}
