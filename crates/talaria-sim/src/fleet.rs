//! Simulated devices: any number of them, as cheap as a socket and a small task each.
//!
//! A device connects with its name and a convey, answers pings and requests, counts its acks and reconnects with
//! backoff. What it sends is up to others: [`Fleet::send`] writes a message of one device's, from whatever thread,
//! straight into its socket.

mod backoff;
mod convey;
mod counters;
mod link;
mod session;
mod target;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use backoff::Backoff;
pub use counters::Snapshot;
pub use target::{Target, TargetError};

use crate::latency::Summary;
use crate::ledger::Ledger;
use crate::tls::Tls;
use crate::ws::Opcode;
use counters::{Counters, add};
use link::Link;

/// How a fleet is to behave.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where its devices connect to.
    pub target: Target,
    /// How they speak TLS, if they do.
    pub tls: Option<Tls>,
    /// How many devices there may be.
    pub devices: usize,
    /// How many may be connecting at a time.
    pub connecting: usize,
    /// Whether they send `X-Webpa-Convey`.
    pub convey: bool,
    /// Further headers of the handshake, such as `Authorization`.
    pub headers: Vec<(String, String)>,
    /// How they come back when a connection fails or ends; `None`: not at all.
    pub reconnect: Option<Backoff>,
}

impl Config {
    /// The ordinary behaviour of so many devices.
    #[must_use]
    pub fn new(target: Target, devices: usize) -> Self {
        Self {
            target,
            tls: None,
            devices,
            connecting: 64,
            convey: true,
            headers: vec![],
            reconnect: Some(Backoff::default()),
        }
    }
}

/// Why a device did not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// It is not connected.
    #[error("the device is offline")]
    Offline,
    /// Its connection broke, or the gateway has long not read from it.
    #[error("the device's connection takes nothing")]
    Stuck,
}

/// How connecting some devices went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connected {
    /// Devices that came online at their first attempt.
    pub online: usize,
    /// Devices that did not. They try again if the fleet's devices reconnect.
    pub failed: usize,
    /// What the first failed one ran into.
    pub error: Option<String>,
}

/// A set of simulated devices. They go when this is dropped, without a word to the gateway: see [`Fleet::stop`].
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    ledger: Arc<Ledger>,
    devices: Box<[Device]>,
    counters: Counters,
    /// Permits to be connecting.
    turns: Semaphore,
    /// Has no permits; closed when the fleet stops.
    stopped: Semaphore,
}

#[derive(Debug)]
struct Device {
    id: Box<str>,
    link: Mutex<Option<Arc<Link>>>,
}

impl Fleet {
    /// A fleet none of whose devices has connected yet. Its devices bear the ids of the ledger's run.
    #[must_use]
    pub fn new(config: Config, ledger: Arc<Ledger>) -> Self {
        let device = |index| Device { id: ledger.run().device_id(index).into(), link: Mutex::default() };
        let shared = Shared {
            devices: (0..config.devices).map(device).collect(),
            counters: Counters::new(),
            turns: Semaphore::new(config.connecting.max(1)),
            stopped: Semaphore::new(0),
            config,
            ledger,
        };
        Self { shared: Arc::new(shared), tasks: Mutex::new(JoinSet::new()) }
    }

    /// Starts these devices (by their index) and waits until each has connected or failed to. `progress` hears of
    /// every one of them. To be called once for each device, within a tokio runtime.
    pub async fn connect(&self, devices: Range<usize>, mut progress: impl FnMut()) -> Connected {
        let (sender, mut outcomes) = mpsc::channel(1024);
        {
            let mut tasks = self.tasks.lock();
            for index in devices.start..devices.end.min(self.len()) {
                tasks.spawn(session::run(Arc::clone(&self.shared), index, sender.clone()));
            }
        }
        drop(sender);
        let mut connected = Connected::default();
        while let Some(outcome) = outcomes.recv().await {
            match outcome {
                Ok(()) => connected.online += 1,
                Err(error) => {
                    connected.failed += 1;
                    connected.error.get_or_insert_with(|| error.to_string());
                }
            }
            progress();
        }
        connected
    }

    /// How many devices there are, connected or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.devices.len()
    }

    /// Whether there is no device at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.devices.is_empty()
    }

    /// The id of the `index`-th device, if there is one.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<&str> {
        self.shared.devices.get(index).map(|device| &*device.id)
    }

    /// Whether the `index`-th device is connected.
    #[must_use]
    pub fn is_online(&self, index: usize) -> bool {
        self.shared.devices.get(index).is_some_and(|device| device.link.lock().is_some())
    }

    /// Sends one message of the `index`-th device's: `write` appends it, given the device's id. Never waits.
    ///
    /// # Errors
    /// If the device is offline or its connection takes nothing more.
    pub fn send(&self, index: usize, write: impl FnOnce(&str, &mut Vec<u8>)) -> Result<(), Unsent> {
        let sent = self.try_send(index, write);
        if sent.is_err() {
            add(&self.shared.counters.unsent);
        }
        sent
    }

    fn try_send(&self, index: usize, write: impl FnOnce(&str, &mut Vec<u8>)) -> Result<(), Unsent> {
        let device = self.shared.devices.get(index).ok_or(Unsent::Offline)?;
        let link = device.link.lock().clone().ok_or(Unsent::Offline)?;
        link.send(Opcode::Binary, |out| write(&device.id, out)).map_err(|_| Unsent::Stuck)
    }

    /// The counters up to now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.counters.snapshot()
    }

    /// How long connecting took, handshake included.
    #[must_use]
    pub fn connect_latency(&self) -> Summary {
        self.shared.counters.connect_latency.total()
    }

    /// How long acknowledgements took, from the event's sending.
    #[must_use]
    pub fn ack_latency(&self) -> Summary {
        self.shared.counters.ack_latency.total()
    }

    /// The same, since the last call.
    #[must_use]
    pub fn recent_ack_latency(&self) -> Summary {
        self.shared.counters.ack_latency.recent()
    }

    /// Has every device say goodbye (close code 1000) and waits for the gateway to close, but no longer than `within`.
    /// Returns how many connections were still open then and were cut.
    pub async fn stop(&self, within: Duration) -> usize {
        self.shared.stopped.close();
        self.shared.turns.close();
        for device in &self.shared.devices {
            if let Some(link) = device.link.lock().clone() {
                // a connection that takes nothing is cut below
                let _ = link.send(Opcode::Close, |out| out.extend_from_slice(&1000u16.to_be_bytes()));
            }
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        // whether in time or not, what is still open is counted and cut
        let _ = timeout(within, all_ended).await;
        let open = self.snapshot().online;
        tasks.shutdown().await;
        usize::try_from(open).unwrap_or(usize::MAX)
    }
}
