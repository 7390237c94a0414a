//! A whole gateway with very many devices in one process, each on a stream in memory instead of a socket, so that neither
//! descriptors nor a machine's network bound their number.
//!
//! It measures what grows with the number of devices, and fails if something of it is wrong: a connect, memory, pings and pongs,
//! `/devices`, requests for one device, a reload, a drain, a stop. By default it runs with few devices, as a test of the rest;
//! figures are from an optimised build:
//!
//! `TALARIA_SESSIONS=1000000 cargo test --release -p talaria --test sessions`
//!
//! `TALARIA_SESSIONS_PING=45s` is the period of pings; by default it is short. Deliberately absent: sinks, sockets of devices
//! and TLS, which `talaria-sim bench` measures. Start reading at [`main`].

#![expect(clippy::disallowed_methods, reason = "a measurement reads real time and its own environment")]
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it prints what it has measured, and ends at what is wrong"
)]

mod far_end;
mod http;
mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::HeaderMap;
use bytes::Bytes;
use talaria::config::{self, Loaded, Sources};
use talaria::device::{Manager, session_id};
use talaria::gateway::{Gateway, Unfinished};
use talaria::reload::{Cause, Reload};
use talaria::server::Address;
use talaria_protocol::claims::Claims;
use talaria_protocol::connect::Candidate;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use far_end::{FarEnd, GatewayEnd};
use http::KEY;
use process::Usage;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const DEVICES: usize = 2_000;
const PING_PERIOD: Duration = Duration::from_secs(3);
/// How many devices are asked for one after the other.
const ASKED: usize = 200;
/// What a drain disconnects in a second.
const DRAIN_RATE: usize = 10_000;
/// The longest that anything may take before it counts as failed.
const BOUND: Duration = Duration::from_secs(300);

const CONVEY: &str = r#"{"boot-time":1542834188,"hw-model":"TG1682G","hw-manufacturer":"ARRIS","hw-serial-number":"123456789",
    "hw-last-reboot-reason":"unknown","fw-name":"TG1682_3.14p9s6_PROD_sey","last-reconnect-reason":"webpa_process_starts",
    "webpa-last-reconnect-reason":"ping_miss","webpa-protocol":"PARODUS-2.0-1234","webpa-interface-used":"erouter0",
    "boot-time-retry-wait":10,"webpa-interface-label":"docsis","wan-ipv4-address":"203.0.113.7"}"#;

/// The gateway, and the far ends of its devices.
struct Fleet {
    runtime: Runtime,
    manager: Arc<Manager>,
    reload: Arc<Reload>,
    file: std::path::PathBuf,
    primary: SocketAddr,
    control: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Unfinished>,
    far_ends: Vec<Arc<FarEnd>>,
}

fn main() {
    // `cargo test` hands on the names of the tests that it is to run. This one runs if it is named, or none is.
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let lists = std::env::args().any(|argument| argument == "--list");
    if lists || !names.is_empty() && !names.iter().any(|name| "sessions".contains(name.as_str())) {
        return println!("0 tests, 0 benchmarks");
    }
    let devices = std::env::var("TALARIA_SESSIONS").map_or(DEVICES, |text| text.parse().expect("a number"));
    let period = std::env::var("TALARIA_SESSIONS_PING").unwrap_or_else(|_| format!("{PING_PERIOD:?}"));
    let mut fleet = Fleet::start(devices, &period);
    println!("{devices} devices, pinged every {period}");
    fleet.connect();
    fleet.ping();
    fleet.list();
    fleet.ask();
    fleet.reload();
    fleet.drain();
    fleet.stop();
    println!("test result: ok. 1 passed; 0 failed");
}

impl Fleet {
    fn start(devices: usize, period: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let file = std::env::temp_dir().join(format!("talaria-sessions-{}.yaml", std::process::id()));
        write_configuration(&file, period, "2m");
        let loaded = load(&file);
        let (manager, reload, addresses, stop, running) = runtime.block_on(async {
            let gateway = Gateway::build(loaded.config.clone()).expect("a gateway");
            let manager = Arc::clone(gateway.manager());
            let bound = gateway.bind().expect("free ports");
            let reload = Reload::new(loaded, bound.parts(), bound.gateway().reload_metrics().clone());
            let bound = bound.with_reload(Arc::clone(&reload));
            let addresses = bound.addresses();
            let (stop, stopping) = oneshot::channel();
            let running = tokio::spawn(async move {
                Box::pin(bound.run(async { _ = stopping.await })).await.expect("the gateway runs")
            });
            (manager, reload, addresses, stop, running)
        });
        let far_ends = (0..devices).map(|_| FarEnd::new()).collect();
        let control = addresses.control.expect("it is configured");
        Self { runtime, manager, reload, file, primary: addresses.primary, control, stop, running, far_ends }
    }

    /// Admits each device as the primary server does after its checks, and starts its session.
    fn connect(&mut self) {
        let before = Usage::now();
        let started = Instant::now();
        let claims = claims();
        {
            let _runtime = self.runtime.enter();
            for (number, far_end) in self.far_ends.iter().enumerate() {
                let candidate =
                    Candidate::new(&headers(number), session_id::random()).expect("a device's name");
                let candidate = candidate.with_claims(Some(claims.clone())).expect("good claims");
                let admitted = self.manager.admit(candidate.into_identity()).expect("there is room");
                admitted.start(GatewayEnd::of(far_end), Bytes::new());
            }
        }
        wait_until("every session waits for its device", || {
            self.far_ends.iter().all(|far_end| far_end.is_awaited())
        });
        let (used, number) = (Usage::now().since(&before), self.far_ends.len());
        assert_eq!(self.manager.registry().len(), number);
        println!(
            "connect        {:.1} µs of CPU each, {:.2?} in all; {} bytes each resident",
            used.cpu.as_secs_f64() * 1e6 / number as f64,
            started.elapsed(),
            used.resident / number as i64
        );
    }

    /// Waits until each device has been pinged and has answered.
    fn ping(&self) {
        let pongs = || self.far_ends.iter().filter(|far_end| far_end.pings() > 0).count();
        let (before, started) = (Usage::now(), Instant::now());
        wait_until("each device is pinged", || pongs() == self.far_ends.len());
        let (used, took) = (Usage::now().since(&before), started.elapsed());
        let pings: usize = self.far_ends.iter().map(|far_end| far_end.pings()).sum();
        println!(
            "ping           {:.1} % of a core, {:.2} µs of CPU each, the devices' own included; all within {took:.1?}",
            used.cpu.as_secs_f64() / took.as_secs_f64() * 100.0,
            used.cpu.as_secs_f64() * 1e6 / pings as f64,
        );
    }

    /// `GET /devices` has each of them once.
    fn list(&self) {
        let before = Usage::now();
        let mut devices = 0;
        let read = http::get(self.primary, "/api/v2/devices", |bytes| {
            devices += bytes.windows(5).filter(|window| window == b"\"id\":").count();
        });
        let used = Usage::now().since(&before);
        assert_eq!(read.status, 200);
        // A key that lies across two reads is not seen.
        let seen = devices as f64 / self.far_ends.len() as f64;
        assert!((0.99..=1.0).contains(&seen), "{devices} devices are listed");
        println!(
            "/devices       first byte after {:.1?}, {} MB in {:.2?}, {:.2} µs of CPU a device; {} KiB more resident",
            read.first_byte,
            read.bytes / 1_000_000,
            read.took,
            used.cpu.as_secs_f64() * 1e6 / self.far_ends.len() as f64,
            used.resident / 1024
        );
    }

    /// Looks up devices all over the fleet, and sends an event to each of them.
    fn ask(&self) {
        let step = (self.far_ends.len() / ASKED).max(1);
        let (mut looked_up, mut sent) = (Vec::new(), Vec::new());
        for (number, far_end) in self.far_ends.iter().enumerate().step_by(step) {
            let start = Instant::now();
            let answer = http::get(self.primary, &format!("/api/v2/device/{}/stat", id(number)), |_| {});
            assert_eq!(answer.status, 200, "{}", id(number));
            looked_up.push(start.elapsed());
            let start = Instant::now();
            let status = http::post(self.primary, "/api/v2/device/send", &event_to(number));
            assert_eq!(status, 200, "{}", id(number));
            sent.push(start.elapsed());
            wait_until("the device has the event", || far_end.messages() == 1);
        }
        println!("stat           {}", quantiles(&mut looked_up));
        println!("send           {}", quantiles(&mut sent));
    }

    /// A change that concerns all devices.
    fn reload(&self) {
        write_configuration(&self.file, "1h", "1h");
        let start = Instant::now();
        self.runtime.block_on(self.reload.again(Cause::Signal)).expect("a good configuration");
        println!("reload         {:.2?}", start.elapsed());
    }

    fn drain(&self) {
        let number = (self.far_ends.len() / 10).max(1);
        let (before, start) = (Usage::now(), Instant::now());
        let query = format!("/api/v3/device/drain?count={number}&rate={DRAIN_RATE}");
        assert_eq!(http::post(self.control, &query, b""), 200);
        wait_until("the devices are drained", || {
            self.manager.registry().len() == self.far_ends.len() - number
        });
        let closed = || self.far_ends.iter().filter(|far_end| far_end.is_closed()).count();
        wait_until("the drained devices get their close frames", || closed() == number);
        let (used, took) = (Usage::now().since(&before), start.elapsed());
        println!(
            "drain          {:.0} devices a second (asked {DRAIN_RATE}), {:.1} µs of CPU each",
            number as f64 / took.as_secs_f64(),
            used.cpu.as_secs_f64() * 1e6 / number as f64
        );
    }

    /// Every device gets its close frame, and nothing is left.
    fn stop(self) {
        let left = self.manager.registry().len();
        let (before, start) = (Usage::now(), Instant::now());
        self.stop.send(()).expect("the gateway runs");
        let unfinished = self.runtime.block_on(self.running).expect("the gateway does not panic");
        let (used, took) = (Usage::now().since(&before), start.elapsed());
        let untold = self.far_ends.iter().filter(|far_end| !far_end.is_closed()).count();
        println!(
            "stop           {left} devices in {took:.1?}, {:.1} µs of CPU each; {} sessions were left, {untold} devices had no close frame",
            used.cpu.as_secs_f64() * 1e6 / left as f64,
            unfinished.sessions
        );
        assert_eq!((unfinished, untold), (Unfinished::default(), 0));
        std::fs::remove_file(&self.file).expect("it is there");
    }
}

fn write_configuration(file: &std::path::Path, ping: &str, idle: &str) {
    let text = format!(
        "zap: {{level: error}}\nprimary: {{address: \"127.0.0.1:0\"}}\ninbound: {{authKey: {KEY}}}\nshutdownTimeout: 5m\n\
         device: {{manager: {{pingPeriod: {ping}, idlePeriod: {idle}, closeOver: 5s}}}}\n"
    );
    std::fs::write(file, text).expect("the folder of temporary files can be written to");
}

fn load(file: &std::path::Path) -> Loaded {
    let sources = Sources { file: Some(file.to_string_lossy().into_owned()), ..Sources::default() };
    let mut loaded = config::load(&sources).expect("a good configuration");
    let any =
        talaria::server::Config { address: Address::loopback(0), ..talaria::server::Config::on_port(0) };
    let config = &mut loaded.config;
    (config.health, config.metric, config.control) = (None, None, Some(any));
    loaded
}

fn id(number: usize) -> String {
    format!("mac:{number:012x}")
}

fn headers(number: usize) -> HeaderMap {
    use base64::Engine as _;
    let convey = base64::engine::general_purpose::STANDARD.encode(CONVEY);
    let mut headers = HeaderMap::new();
    headers.insert("x-webpa-device-name", id(number).parse().expect("a value"));
    headers.insert("x-webpa-convey", convey.parse().expect("a value"));
    headers
}

fn claims() -> Claims {
    let claims = serde_json::json!({
        "sub": "client:supplied", "partner-id": "comcast", "trust": 1000, "accountID": "2912345678901234567",
        "capabilities": ["x1:issuer:api:.*:all"], "exp": 4_102_444_800_u64
    });
    Claims::new(claims.as_object().expect("an object"))
}

fn event_to(number: usize) -> Vec<u8> {
    let message = wrp::Message {
        msg_type: wrp::MessageType::SIMPLE_EVENT,
        source: "dns:sessions".into(),
        dest: id(number).as_str().into(),
        ..wrp::Message::default()
    };
    let mut bytes = Vec::new();
    message.as_ref().encode_v3(&mut bytes);
    bytes
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn quantiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    format!("p50 {:.2?}, p99 {:.2?} of {}", at(0.5), at(0.99), times.len())
}
