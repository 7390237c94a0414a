//! What an idle connected device costs in memory, counted where it is allocated.
//!
//! Only this test may run in its process: it counts all that the process allocates. The clients are bare sockets, which
//! own no memory.

#![expect(clippy::expect_used, reason = "a test's helpers fail the test")]
#![expect(unsafe_code, reason = "a global allocator that counts cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use base64::Engine as _;
use http::{Request, Response};
use hyper::body::Incoming;
use talaria::device::handshake::Candidate;
use talaria::device::{Claims, CloseReason, Config, Device, Events, Manager};
use talaria::server::{self, Address, Body, ConnectionMetrics, Handler, Identity, Server};
use talaria::telemetry::metrics::Metrics;
use wrp::MessageRef;

/// Devices that are measured, after as many that warm everything up.
const DEVICES: usize = 1000;
/// What one device may cost, in bytes.
const LIMIT: isize = 2048;

const CONVEY: &str = r#"{"boot-time":1542834188,"hw-model":"TG1682G","hw-manufacturer":"ARRIS",
    "hw-serial-number":"123456789","hw-last-reboot-reason":"unknown","fw-name":"TG1682_3.14p9s6_PROD_sey",
    "last-reconnect-reason":"webpa_process_starts","webpa-last-reconnect-reason":"ping_miss",
    "webpa-protocol":"PARODUS-2.0-1234","webpa-interface-used":"erouter0","boot-time-retry-wait":10,
    "webpa-interface-label":"docsis","wan-ipv4-address":"203.0.113.7"}"#;

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: all memory is the system allocator's; this only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Deaf;

impl Events for Deaf {
    fn online(&self, _: &Arc<Device>) {}
    fn offline(&self, _: &Arc<Device>, _: &CloseReason) {}
    fn message(&self, _: &Arc<Device>, _: &mut MessageRef<'_>) {}
}

struct Devices {
    manager: Arc<Manager>,
    claims: Claims,
}

impl Handler for Devices {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let candidate = Candidate::new(request.headers()).expect("a device's name");
        let candidate = candidate.with_claims(Some(self.claims.clone())).expect("good claims");
        self.manager.upgrade(request, candidate)
    }
}

#[test]
fn an_idle_device_with_convey_and_token_costs_less_than_two_kibibytes() {
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
        let listen = server::Config { address: Address::loopback(0), ..server::Config::on_port(0) };
        let identity = Identity::new("1", "here", "east", "mint", jiff::Timestamp::UNIX_EPOCH);
        let server =
            Server::bind("primary", listen, identity.expect("good"), &ConnectionMetrics::register(&metrics));
        let handler = Devices { manager: Arc::clone(&manager), claims };
        let server = server.expect("a free port").start(handler);
        (manager, server.local_addr(), server)
    });
    let mut devices = connect(address, 0..DEVICES);
    settle(&manager, DEVICES);
    let before = LIVE.load(Relaxed);
    devices.reserve_exact(DEVICES);
    let clients = LIVE.load(Relaxed) - before;
    devices.append(&mut connect(address, DEVICES..2 * DEVICES));
    settle(&manager, 2 * DEVICES);
    let each = (LIVE.load(Relaxed) - before - clients) / DEVICES as isize;
    println!("an idle device costs {each} bytes of heap");
    assert!(each < LIMIT, "an idle device costs {each} bytes");
    assert!(each > 500, "{each} bytes cannot be true");
}

/// Connects devices, one after the other, and reads their 101.
fn connect(address: SocketAddr, numbers: std::ops::Range<usize>) -> Vec<TcpStream> {
    let convey = base64::engine::general_purpose::STANDARD.encode(CONVEY);
    numbers
        .map(|number| {
            let mut socket = TcpStream::connect(address).expect("connects");
            write!(
                socket,
                "GET /api/v2/device HTTP/1.1\r\nHost: talaria\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 X-Webpa-Device-Name: mac:{number:012x}\r\nX-Webpa-Convey: {convey}\r\n\r\n"
            )
            .expect("is written");
            let mut head = [0; 12];
            socket.read_exact(&mut head).expect("is read");
            assert_eq!(&head, b"HTTP/1.1 101");
            socket
        })
        .collect()
}

/// Waits until all are registered, and until what their handshakes used is gone.
fn settle(manager: &Manager, devices: usize) {
    let until = Instant::now() + Duration::from_secs(30);
    let mut last = isize::MAX;
    while manager.registry().len() < devices || LIVE.load(Relaxed) != last {
        assert!(Instant::now() < until, "{} of {devices} devices connected", manager.registry().len());
        last = LIVE.load(Relaxed);
        std::thread::sleep(Duration::from_millis(200));
    }
}
