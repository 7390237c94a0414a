//! Simulated devices. Each costs a socket and a small task, so that one process can have ten thousand.
//!
//! A device connects with its name and a convey, answers pings and requests, counts its acknowledgements, and reconnects with
//! backoff. It sends no events by itself: [`Fleet::send`] writes a message of a device into its socket, from any thread;
//! [`traffic`](crate::traffic) calls it. The life of a device is in `session.rs`.

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
use serde::{Deserialize, Serialize};
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

/// The configuration of a fleet.
#[derive(Debug, Clone)]
pub struct Config {
    /// The gateway's device endpoint.
    pub target: Target,
    /// The TLS configuration, if the endpoint uses TLS.
    pub tls: Option<Tls>,
    /// The number of devices.
    pub devices: usize,
    /// The number of devices that connect at the same time.
    pub connecting: usize,
    /// Whether devices send `X-Webpa-Convey`.
    pub convey: bool,
    /// Further headers of the handshake, such as `Authorization`.
    pub headers: Vec<(String, String)>,
    /// The backoff after a connection failed or ended; `None` if devices do not reconnect.
    pub reconnect: Option<Backoff>,
}

impl Config {
    /// The default behaviour, for this number of devices.
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

/// Why a device did not send a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The device is not connected.
    #[error("the device is offline")]
    Offline,
    /// The connection is broken, or the device's buffer is full because the gateway does not read.
    #[error("the device's connection is broken or its buffer is full")]
    Stuck,
}

/// The result of connecting some devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// Devices that connected at their first attempt.
    pub online: usize,
    /// Devices that did not. They try again if [`Config::reconnect`] is set.
    pub failed: usize,
    /// The error of the first of them.
    pub error: Option<String>,
}

/// A set of simulated devices. Dropping it drops the connections without a close frame; [`Fleet::stop`] sends one.
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
    /// One permit for each device that may be connecting.
    connect_permits: Semaphore,
    /// Has no permits; it is closed when the fleet stops.
    stopped: Semaphore,
}

#[derive(Debug)]
struct Device {
    id: Box<str>,
    /// `None` while the device is offline.
    link: Mutex<Option<Arc<Link>>>,
}

impl Fleet {
    /// A fleet whose devices are all offline. Their ids are those of the ledger's run.
    #[must_use]
    pub fn new(config: Config, ledger: Arc<Ledger>) -> Self {
        let device = |index| Device { id: ledger.run().device_id(index).into(), link: Mutex::default() };
        let shared = Shared {
            devices: (0..config.devices).map(device).collect(),
            counters: Counters::new(),
            connect_permits: Semaphore::new(config.connecting.max(1)),
            stopped: Semaphore::new(0),
            config,
            ledger,
        };
        Self { shared: Arc::new(shared), tasks: Mutex::new(JoinSet::new()) }
    }

    /// Starts the devices with these indices, and waits until each has connected or failed; `progress` is called after each. Call
    /// it at most once for each device, within a tokio runtime.
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

    /// The number of devices, connected or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.devices.len()
    }

    /// Whether the fleet has no devices.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.devices.is_empty()
    }

    /// The id of the device with this index.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<&str> {
        self.shared.devices.get(index).map(|device| &*device.id)
    }

    /// Whether the device with this index is connected.
    #[must_use]
    pub fn is_online(&self, index: usize) -> bool {
        self.shared.devices.get(index).is_some_and(|device| device.link.lock().is_some())
    }

    /// Sends a message from the device with this index. `write` receives the device's id and appends the message. Does not
    /// wait.
    ///
    /// # Errors
    /// If the device is offline, or its connection is broken or its buffer full.
    pub fn send(&self, index: usize, write: impl FnOnce(&str, &mut Vec<u8>)) -> Result<(), SendError> {
        let sent = self.try_send(index, write);
        if sent.is_err() {
            add(&self.shared.counters.unsent);
        }
        sent
    }

    fn try_send(&self, index: usize, write: impl FnOnce(&str, &mut Vec<u8>)) -> Result<(), SendError> {
        let device = self.shared.devices.get(index).ok_or(SendError::Offline)?;
        let link = device.link.lock().clone().ok_or(SendError::Offline)?;
        link.send(Opcode::Binary, |out| write(&device.id, out)).map_err(|_| SendError::Stuck)
    }

    /// The counters up to now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.counters.snapshot()
    }

    /// The time that connects took, including the handshake.
    #[must_use]
    pub fn connect_latency(&self) -> Summary {
        self.shared.counters.connect_latency.total()
    }

    /// The time from the send of an event to its acknowledgement.
    #[must_use]
    pub fn ack_latency(&self) -> Summary {
        self.shared.counters.ack_latency.total()
    }

    /// The same, for the acknowledgements since the last call.
    #[must_use]
    pub fn recent_ack_latency(&self) -> Summary {
        self.shared.counters.ack_latency.recent()
    }

    /// Sends a close frame (code 1000) from each device, and waits at most for `limit` until the gateway has closed all
    /// connections. Returns the number of connections that were still open, which are dropped.
    pub async fn stop(&self, limit: Duration) -> usize {
        self.shared.stopped.close();
        self.shared.connect_permits.close();
        for device in &self.shared.devices {
            if let Some(link) = device.link.lock().clone() {
                // If this fails, the connection is dropped below.
                let _ = link.send(Opcode::Close, |out| out.extend_from_slice(&1000u16.to_be_bytes()));
            }
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        // After a timeout, the connections that are still open are counted and dropped.
        let _ = timeout(limit, all_ended).await;
        let open = self.snapshot().online;
        tasks.shutdown().await;
        usize::try_from(open).unwrap_or(usize::MAX)
    }
}
