//! What an idle connected device costs in memory, without and with TLS, counted where it is allocated.
//!
//! The measurement has a process of its own, which this test binary starts of itself: it counts all that the process
//! allocates. The clients are bare sockets, which
//! own no memory: a client's TLS session is forgotten as soon as its device is connected.

#![expect(unsafe_code, reason = "asks the C library what it has allocated")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, StreamOwned};
use talaria::device::{Config, Device, Dropped, Events, Manager, session_id};
use talaria::primary::upgrade;
use talaria::server::{self, Address, Body, ConnectionMetrics, Handler, Identity, Server, tls};
use talaria::telemetry::metrics::Metrics;
use talaria_protocol::claims::Claims;
use talaria_protocol::connect::Candidate;
use talaria_protocol::session::CloseReason;
use talaria_protocol::ws::handshake;
use wrp::MessageRef;

use crate::support::certificates::Authority;
use crate::support::{allocator, alone};

/// Devices that are measured, after as many that warm everything up.
const DEVICES: usize = 1000;
/// The same over TLS, where a handshake of an unoptimised build takes its time.
const TLS_DEVICES: usize = 150;
/// What one device may cost, in bytes.
const LIMIT: isize = 2048;
/// What one device may cost over TLS, in bytes, all told.
const TLS_LIMIT: isize = 6 * 1024;

const CONVEY: &str = r#"{"boot-time":1542834188,"hw-model":"TG1682G","hw-manufacturer":"ARRIS",
    "hw-serial-number":"123456789","hw-last-reboot-reason":"unknown","fw-name":"TG1682_3.14p9s6_PROD_sey",
    "last-reconnect-reason":"webpa_process_starts","webpa-last-reconnect-reason":"ping_miss",
    "webpa-protocol":"PARODUS-2.0-1234","webpa-interface-used":"erouter0","boot-time-retry-wait":10,
    "webpa-interface-label":"docsis","wan-ipv4-address":"203.0.113.7"}"#;

struct Deaf;

impl Events for Deaf {
    fn online(&self, _: &Arc<Device>) {}
    fn offline(&self, _: &Arc<Device>, _: &CloseReason) {}
    fn message(&self, _: &Arc<Device>, _: &mut MessageRef<'_>) {}
    fn dropped(&self, _: &Arc<Device>, _: &MessageRef<'_>, _: Dropped) {}
}

struct Devices {
    manager: Arc<Manager>,
    claims: Claims,
}

impl Handler for Devices {
    async fn handle(&self, mut request: Request<Incoming>) -> Response<Body> {
        let candidate = Candidate::new(request.headers(), session_id::random()).expect("a device's name");
        let candidate = candidate.with_claims(Some(self.claims.clone())).expect("good claims");
        let accept =
            handshake::check(request.version(), request.method(), request.headers()).expect("a handshake");
        upgrade::switch_protocols(&self.manager, &mut request, accept, candidate.into_identity())
    }
}

/// What was allocated for each device: by Rust, and with what the C code of the cryptography allocates by itself.
#[derive(Clone, Copy, Debug)]
struct Cost {
    rust: isize,
    all: isize,
}

#[test]
fn an_idle_device_with_convey_and_token_costs_less_than_two_kibibytes_and_less_than_six_over_tls() {
    alone(
        "device_memory::an_idle_device_with_convey_and_token_costs_less_than_two_kibibytes_and_less_than_six_over_tls",
        measure_all,
    );
}

fn measure_all() {
    let authority = Authority::new();
    let pair = authority.pair("server", &["talaria.test"]);
    let tls = tls::Config::of(vec![pair]);
    println!("{:<8} {:>8} {:>14}", "", "heap", "with C's heap");
    let plain = measure(DEVICES, None, &|socket| Box::new(socket));
    println!("{:<8} {:>8} {:>14}", "plain", plain.rust, plain.all);
    let mut costs = Vec::new();
    for (name, version) in [("TLS 1.2", &TLS12), ("TLS 1.3", &TLS13)] {
        let client = Arc::new(authority.client(None, &[version]));
        let cost = measure(TLS_DEVICES, Some(tls.clone()), &|socket| {
            let name = ServerName::try_from("talaria.test").expect("a name");
            let session = ClientConnection::new(Arc::clone(&client), name).expect("a client");
            Box::new(StreamOwned::new(session, socket))
        });
        println!("{name:<8} {:>8} {:>14}", cost.rust, cost.all);
        costs.push(cost);
    }
    assert!(plain.rust < LIMIT, "an idle device costs {plain:?} bytes");
    assert!(plain.rust > 500, "{plain:?} bytes cannot be true");
    for cost in costs {
        assert!(
            cost.all < TLS_LIMIT && cost.rust < TLS_LIMIT,
            "an idle device costs {cost:?} bytes over TLS"
        );
        assert!(cost.rust > plain.rust, "{cost:?} bytes cannot be true");
    }
}

/// A connection from a device's end.
trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// Makes a connection of a socket.
type Open<'a> = &'a dyn Fn(TcpStream) -> Box<dyn Connection>;

fn measure(number: usize, tls: Option<tls::Config>, open: Open<'_>) -> Cost {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (manager, address, _server) = runtime.block_on(async {
        let metrics = Metrics::default();
        let manager = Manager::new(Config::default(), Arc::new(Deaf), &metrics);
        let claims = serde_json::json!({
            "sub": "client:supplied", "partner-id": "comcast", "trust": 1000, "accountID": "2912345678901234567",
            "capabilities": ["x1:issuer:api:.*:all"], "exp": 4_102_444_800_u64
        });
        let claims = Claims::new(claims.as_object().expect("an object"));
        let listen = server::Config { address: Address::loopback(0), tls, ..server::Config::on_port(0) };
        let identity = Identity::new("1", "here", "east", "mint", jiff::Timestamp::UNIX_EPOCH);
        let server =
            Server::bind("primary", listen, identity.expect("good"), &ConnectionMetrics::register(&metrics));
        let handler = Devices { manager: Arc::clone(&manager), claims };
        let server = server.expect("a free port").start(handler);
        (manager, server.local_addr(), server)
    });
    let mut devices = connect(address, 0..number, open);
    settle(&manager, number);
    devices.reserve_exact(number);
    let before = (allocator::live(), allocated());
    devices.append(&mut connect(address, number..2 * number, open));
    settle(&manager, 2 * number);
    let each = |before: isize, after: isize| (after - before) / number as isize;
    Cost { rust: each(before.0, allocator::live()), all: each(before.1, allocated()) }
}

/// All that is in use of the C library's heap, with what it takes to keep count of it.
fn allocated() -> isize {
    // SAFETY: it reads the allocator's own numbers.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as isize
}

/// Connects devices, one after the other, and reads their 101.
fn connect(address: SocketAddr, numbers: std::ops::Range<usize>, open: Open<'_>) -> Vec<TcpStream> {
    let convey = base64::engine::general_purpose::STANDARD.encode(CONVEY);
    numbers
        .map(|number| {
            let socket = TcpStream::connect(address).expect("connects");
            socket.set_nodelay(true).expect("an option");
            let mut device = open(socket.try_clone().expect("a second handle"));
            write!(
                device,
                "GET /api/v2/device HTTP/1.1\r\nHost: talaria\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 X-Webpa-Device-Name: mac:{number:012x}\r\nX-Webpa-Convey: {convey}\r\n\r\n"
            )
            .expect("is written");
            device.flush().expect("is sent");
            let mut head = [0; 12];
            device.read_exact(&mut head).expect("is read");
            assert_eq!(&head, b"HTTP/1.1 101");
            socket
        })
        .collect()
}

/// Waits until all are registered, and until what their handshakes used is gone.
fn settle(manager: &Manager, devices: usize) {
    let until = Instant::now() + Duration::from_secs(30);
    let mut last = isize::MAX;
    while manager.registry().len() < devices || allocator::live() != last {
        assert!(Instant::now() < until, "{} of {devices} devices connected", manager.registry().len());
        last = allocator::live();
        std::thread::sleep(Duration::from_millis(200));
    }
}
