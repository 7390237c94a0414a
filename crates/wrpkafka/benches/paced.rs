//! What a record costs at a steady pace, by thread, and how soon it is acknowledged:
//! `cargo bench -p wrpkafka --features mock --bench paced -- [RECORDS_A_SECOND ...]`
//!
//! Gateways run like this: a record now and then, each of which wakes threads that sleep. `0` sends without a pause, with at
//! most 500 records on their way. The mock cluster is a process of its own, and the pauses are random, as devices are.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints what it has measured, and stops at what it cannot measure"
)]

mod cluster;
mod cpu;
mod sample;
mod threads;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use cluster::Cluster;
use parking_lot::Mutex;
use sample::{five_routes, message};
use threads::Threads;
use wrpkafka::{Config, Listener, PublishEvent, Publisher};

const LASTS: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(2);
/// The most records on their way when there is no pace.
const WINDOW: u64 = 500;
const DEVICES: u64 = 1000;

fn main() {
    if cluster::is_asked_for() {
        return cluster::serve();
    }
    let paces: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let paces = if paces.is_empty() { vec![100, 500, 3000, 0] } else { paces };
    for pace in paces {
        measure(pace);
    }
}

#[derive(Clone, Default)]
struct Acknowledged(Arc<(AtomicU64, Mutex<Vec<Duration>>)>);

impl Listener for Acknowledged {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        assert!(event.error.is_none(), "{:?}", event.error);
        self.0.1.lock().push(event.duration);
        self.0.0.fetch_add(1, Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
fn measure(pace: u64) {
    let cluster = Cluster::start();
    let mut config = Config { brokers: vec![cluster.brokers.clone()], ..Config::default() };
    five_routes(&mut config);
    let publisher = Publisher::new(config).unwrap();
    let acknowledged = Acknowledged::default();
    publisher.add_listener(acknowledged.clone());
    publisher.start().unwrap();
    let mut devices = Devices::new();
    devices.send(&publisher, &acknowledged, pace, WARM_UP);
    acknowledged.0.1.lock().clear();

    let (before, used) = (Threads::now(), cpu::of_process());
    let sent = devices.send(&publisher, &acknowledged, pace, LASTS);
    let (used, threads) = (cpu::of_process() - used, Threads::now().since(&before));
    let per_record = |total: f64| total / sent as f64;
    let mut durations = std::mem::take(&mut *acknowledged.0.1.lock());
    durations.sort();
    let at = |part: usize| durations[(durations.len() - 1) * part / 100].as_micros();
    println!(
        "{pace:>5}/s: {sent} records, {:.1} µs each, acknowledged after {} µs (p50), {} (p99)",
        per_record(used.as_secs_f64() * 1e6),
        at(50),
        at(99),
    );
    for thread in threads {
        println!(
            "  {:<16} {:>6.2} µs, {:.2} wakes, {:.2} preemptions a record; {:.2} wakes a millisecond",
            thread.name,
            per_record(thread.used.as_secs_f64() * 1e6),
            per_record(thread.wakes as f64),
            per_record(thread.preemptions as f64),
            thread.wakes as f64 / LASTS.as_millis() as f64,
        );
    }
}

/// Devices that send at random.
struct Devices {
    sources: Vec<String>,
    state: u64,
    sent: u64,
}

impl Devices {
    fn new() -> Self {
        let sources = (0..DEVICES).map(|number| format!("mac:{number:012x}")).collect();
        Self { sources, state: 0x9E37_79B9_7F4A_7C15, sent: 0 }
    }

    /// Sends for this long, and waits until everything is acknowledged. Returns how many records there were.
    fn send(
        &mut self,
        publisher: &Publisher,
        acknowledged: &Acknowledged,
        pace: u64,
        lasts: Duration,
    ) -> u64 {
        let begun = Instant::now();
        let before = self.sent;
        let mut next = begun;
        while next < begun + lasts {
            if pace > 0 {
                next += self.pause(pace);
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            } else {
                while self.sent - acknowledged.0.0.load(Relaxed) >= WINDOW {
                    std::thread::sleep(Duration::from_micros(50));
                }
                next = Instant::now();
            }
            let mut message = message();
            let device = usize::try_from(self.random() % DEVICES).unwrap();
            message.set_metadata("/hw-deviceid", &self.sources[device]);
            publisher.submit_with(&message, None).unwrap();
            self.sent += 1;
        }
        while acknowledged.0.0.load(Relaxed) < self.sent {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.sent - before
    }

    /// Exponentially distributed, so that the number of records in a time is that of independent devices.
    #[expect(clippy::cast_precision_loss, reason = "of 53 bits")]
    fn pause(&mut self, pace: u64) -> Duration {
        let uniform = ((self.random() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-uniform.ln() / pace as f64)
    }

    /// xorshift64*.
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
