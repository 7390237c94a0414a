//! Sessions over an in-memory pipe, with time paused.

mod acks;
mod back_pressure;
mod client;
mod closing;
mod ends;
mod exchange;
mod liveness;
mod long_message;
mod pace;
mod stop;
mod takeover;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use talaria_protocol::connect::Identity;
use talaria_protocol::session::{CloseReason, Reason};
use wrp::{Message, MessageRef, MessageType};

use super::run::Task;
use crate::device::{Acknowledged, Config, Device, Dropped, Events, Manager, session_id};
use crate::long_work::LONG;
use crate::server::upgrade::Socket;
use crate::telemetry::metrics::Metrics;
use client::Client;

const ID: &str = "mac:112233445566";

/// A message to this destination makes its session panic.
const PANIC: &str = "event:panic";

/// A call of [`Events`].
#[derive(Debug, PartialEq)]
enum Recorded {
    Online,
    Offline(String),
    Message(Box<Message>),
    /// With its qos.
    Dropped(Dropped, i64),
}

/// What became of acknowledgements.
#[derive(Debug, Default, PartialEq)]
struct Acks {
    written: usize,
    /// How many for each reason.
    unwritten: Vec<(usize, Reason)>,
}

#[derive(Default)]
struct Recorder {
    recorded: Mutex<Vec<Recorded>>,
    acks: Mutex<Acks>,
    /// Whether there is no room for offline events.
    is_full: AtomicBool,
    /// Recording the next message with a long payload waits until the sender has been dropped.
    long: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Events for Recorder {
    fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }

    fn online(&self, _: &Arc<Device>) {
        self.recorded.lock().push(Recorded::Online);
    }

    fn offline(&self, _: &Arc<Device>, reason: &CloseReason) {
        self.recorded.lock().push(Recorded::Offline(reason.to_string()));
    }

    fn message(&self, _: &Arc<Device>, message: &mut MessageRef<'_>) {
        if message.payload.is_some_and(|payload| payload.len() >= LONG) {
            let held = self.long.lock().take();
            held.map(|held| held.recv());
        }
        assert_ne!(message.dest.to_str(), Ok(PANIC), "wanted by a test");
        self.recorded.lock().push(Recorded::Message(Box::new(message.to_owned())));
    }

    fn dropped(&self, _: &Arc<Device>, message: &MessageRef<'_>, reason: Dropped) {
        self.recorded.lock().push(Recorded::Dropped(reason, message.qos.0));
    }

    fn acknowledged(&self, _: &Arc<Device>, messages: &[Acknowledged]) {
        self.acks.lock().written += messages.len();
    }

    fn unacknowledged(&self, _: &Arc<Device>, messages: &[Acknowledged], reason: Reason) {
        self.acks.lock().unwritten.push((messages.len(), reason));
    }
}

/// A gateway without a network.
struct Gateway {
    manager: Arc<Manager>,
    events: Arc<Recorder>,
    metrics: Metrics,
}

impl Gateway {
    fn new(config: Config) -> Self {
        let events = Arc::new(Recorder::default());
        let metrics = Metrics::default();
        Self {
            manager: Manager::new(config, Arc::clone(&events) as Arc<dyn Events>, &metrics),
            events,
            metrics,
        }
    }

    /// Connects a device over a pipe that holds so many bytes each way.
    fn connect(&self, pipe: usize) -> (Client, Arc<Device>) {
        self.connect_with(pipe, b"")
    }

    fn connect_with(&self, pipe: usize, read_ahead: &'static [u8]) -> (Client, Arc<Device>) {
        self.connect_identity(pipe, read_ahead, identity(ID))
    }

    fn connect_id(&self, id: &str, pipe: usize) -> (Client, Arc<Device>) {
        self.connect_identity(pipe, b"", identity(id))
    }

    fn connect_identity(
        &self,
        pipe: usize,
        read_ahead: &'static [u8],
        identity: Identity,
    ) -> (Client, Arc<Device>) {
        let (near, far) = tokio::io::duplex(pipe);
        let id = identity.id.clone();
        self.manager.connect(near, Bytes::from_static(read_ahead), identity).unwrap();
        (Client::new(far), self.manager.registry().get(&id).unwrap())
    }

    /// The calls since the last time, once the sessions have had their turn.
    async fn recorded(&self) -> Vec<Recorded> {
        settle().await;
        std::mem::take(&mut *self.events.recorded.lock())
    }

    /// Waits for so many calls. Another thread makes them, so letting the tasks run is not enough.
    async fn record(&self, count: usize) -> Vec<Recorded> {
        let mut recorded = Vec::new();
        while recorded.len() < count {
            recorded.extend(self.recorded().await);
        }
        recorded
    }

    fn metric(&self, name: &str) -> String {
        let text = String::from_utf8(self.metrics.gather_text()).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("talaria_talaria_{name}")));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or("absent").to_owned()
    }
}

fn identity(id: &str) -> Identity {
    Identity::new(id.parse().unwrap(), session_id::random())
}

/// Lets every task run that can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// An event of the device, as msgpack.
fn event(dest: &str) -> Vec<u8> {
    encoded(&Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: ID.into(),
        dest: dest.into(),
        ..Message::default()
    })
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.as_ref().encode_v3(&mut out);
    out
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_task_of_a_device_is_small() {
    let size = size_of::<Task<Socket>>();
    println!("session task: {size} bytes, Device: {} bytes", size_of::<Device>());
    assert!(size < 300, "{size} bytes");
    assert!(size_of::<Device>() < 600, "{} bytes", size_of::<Device>());
}
