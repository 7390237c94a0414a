//! The idle connections to each host (`device.outbound.transport`), and the events that wait for one.
//!
//! A connection that becomes free goes to the event that has waited longest. Idle ones are watched: when the receiver closes
//! one, it is closed here, too, and no request is tried on it. Start reading at [`Pool::check_out`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use talaria_protocol::url::Origin;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::connection::{Connection, Probe};
use super::dial_window::DialWindow;
use crate::event::config::Transport;

/// Go's limit per host when none is configured.
const GO_MAX_IDLE_PER_HOST: usize = 2;

/// How often idle connections are looked through although none of them has changed.
const SWEEP_PERIOD: Duration = Duration::from_secs(90);

/// A connection that was idle for longer is only used after the system was asked whether the receiver has closed it.
/// Within less, the reactor has noticed by itself.
const PROBED_AFTER: Duration = Duration::from_millis(10);

/// Beyond it, hosts without connections and without waiting events are forgotten.
const MAX_HOSTS: usize = 1024;

/// Idle connections. The most recently used one is used next, so that only as many stay open as are needed.
pub(super) struct Pool {
    hosts: Mutex<Hosts>,
    max: usize,
    max_per_host: usize,
    timeout: Option<Duration>,
    /// An idle connection has something to read.
    stirred: Arc<Stirred>,
    /// Wakes `stirred`.
    waker: Waker,
}

/// What an event gets that needs a connection.
pub(super) enum Checkout<'a> {
    /// An open one, as far as is known.
    Kept(Box<Connection>),
    /// None; it waits for one that becomes free.
    Wait(Waiting<'a>),
}

/// The place of an event in the queue for a connection. Dropping it leaves the queue.
pub(super) struct Waiting<'a> {
    pool: &'a Pool,
    origin: Origin,
    number: u64,
    /// None if it gave a connection.
    freed: Option<oneshot::Receiver<Box<Connection>>>,
    window: Arc<DialWindow>,
}

#[derive(Default)]
struct Hosts {
    by_origin: HashMap<Origin, Host>,
    idle: usize,
    /// The number of the last check-out.
    last: u64,
}

struct Host {
    /// In the order in which they were parked.
    parked: Vec<Parked>,
    waiting: VecDeque<Waiter>,
    window: Arc<DialWindow>,
}

struct Parked {
    connection: Box<Connection>,
    since: Instant,
}

struct Waiter {
    number: u64,
    sender: oneshot::Sender<Box<Connection>>,
}

struct Stirred(Notify);

impl Pool {
    pub(super) fn new(transport: &Transport) -> Self {
        let max_per_host = match transport.max_idle_conns_per_host {
            0 => GO_MAX_IDLE_PER_HOST,
            max => max,
        };
        let max = if transport.max_idle_conns == 0 { usize::MAX } else { transport.max_idle_conns };
        let timeout = (!transport.idle_conn_timeout.is_zero()).then_some(transport.idle_conn_timeout);
        let stirred = Arc::new(Stirred(Notify::new()));
        let waker = Waker::from(Arc::clone(&stirred));
        Self { hosts: Mutex::default(), max, max_per_host, timeout, stirred, waker }
    }

    /// A connection that is still open, as far as is known; else a place in the queue for one.
    pub(super) fn check_out(&self, origin: &Origin) -> Checkout<'_> {
        loop {
            match self.pop_or_wait(origin) {
                Ok(mut parked) => {
                    let idle = parked.since.elapsed();
                    let is_fresh = self.timeout.is_none_or(|timeout| idle < timeout);
                    let probe = if idle < PROBED_AFTER { Probe::Reactor } else { Probe::System };
                    if is_fresh && parked.connection.is_ready(probe) {
                        return Checkout::Kept(parked.connection);
                    }
                }
                Err(waiting) => return Checkout::Wait(waiting),
            }
        }
    }

    /// Gives a connection that can carry another request to the event that has waited longest, or keeps it if there is
    /// room; otherwise closes it. Without room in all, the connection that was idle for the longest time is closed.
    pub(super) fn put(&self, origin: &Origin, mut connection: Box<Connection>) {
        if !connection.park(&self.waker) {
            return;
        }
        let mut guard = self.hosts.lock();
        let hosts = &mut *guard;
        let host = match hosts.by_origin.get_mut(origin) {
            Some(host) => host,
            None => hosts.add(origin),
        };
        while let Some(waiter) = host.waiting.pop_front() {
            match waiter.sender.send(connection) {
                Ok(()) => return,
                // This event has ended.
                Err(given_back) => connection = given_back,
            }
        }
        if host.parked.len() >= self.max_per_host {
            return;
        }
        host.parked.push(Parked { connection, since: Instant::now() });
        hosts.idle += 1;
        if hosts.idle > self.max {
            hosts.remove_least_recently_used();
        }
    }

    /// Waits until an idle connection has something to read, which is in most cases its end.
    pub(super) async fn stirred(&self) {
        self.stirred.0.notified().await;
    }

    /// Closes connections that were idle for too long or that the receiver has closed, and forgets hosts without any.
    pub(super) fn sweep(&self) {
        let mut guard = self.hosts.lock();
        let hosts = &mut *guard;
        hosts.idle = 0;
        hosts.by_origin.retain(|_, host| {
            host.parked.retain_mut(|parked| {
                let is_old = self.timeout.is_some_and(|timeout| parked.since.elapsed() >= timeout);
                !is_old && parked.connection.park(&self.waker)
            });
            hosts.idle += host.parked.len();
            host.is_used()
        });
    }

    /// How often [`sweep`](Self::sweep) should be called, so that a connection is closed at most a quarter of its time too
    /// late although no event is sent any more.
    pub(super) fn sweep_period(&self) -> Duration {
        self.timeout
            .map_or(SWEEP_PERIOD, |timeout| timeout / 4)
            .clamp(Duration::from_millis(100), SWEEP_PERIOD)
    }

    fn pop_or_wait(&self, origin: &Origin) -> Result<Parked, Waiting<'_>> {
        let mut guard = self.hosts.lock();
        let hosts = &mut *guard;
        hosts.last += 1;
        let number = hosts.last;
        let host = match hosts.by_origin.get_mut(origin) {
            Some(host) => host,
            None => hosts.add(origin),
        };
        if let Some(parked) = host.parked.pop() {
            hosts.idle -= 1;
            return Ok(parked);
        }
        let (sender, freed) = oneshot::channel();
        let window = Arc::clone(&host.window);
        host.waiting.push_back(Waiter { number, sender });
        Err(Waiting { pool: self, origin: origin.clone(), number, freed: Some(freed), window })
    }
}

impl Waiting<'_> {
    /// A connection that has become free.
    pub(super) async fn freed(&mut self) -> Box<Connection> {
        if let Some(freed) = &mut self.freed {
            let freed = freed.await;
            self.freed = None;
            if let Ok(mut connection) = freed
                && connection.is_ready(Probe::Reactor)
            {
                return connection;
            }
        }
        // The receiver has closed it meanwhile. The event uses the one that is being opened.
        std::future::pending().await
    }

    /// The window for new connections to this host.
    pub(super) const fn window(&self) -> &Arc<DialWindow> {
        &self.window
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let unused = {
            let mut hosts = self.pool.hosts.lock();
            if let Some(host) = hosts.by_origin.get_mut(&self.origin) {
                host.waiting.retain(|waiter| waiter.number != self.number);
            }
            // Nothing can be sent any more.
            self.freed.as_mut().and_then(|freed| freed.try_recv().ok())
        };
        if let Some(connection) = unused {
            self.pool.put(&self.origin, connection);
        }
    }
}

impl Hosts {
    fn add(&mut self, origin: &Origin) -> &mut Host {
        if self.by_origin.len() >= MAX_HOSTS {
            self.by_origin.retain(|_, host| host.is_used());
        }
        self.by_origin.entry(origin.clone()).or_insert_with(|| Host {
            parked: Vec::new(),
            waiting: VecDeque::new(),
            window: DialWindow::new(),
        })
    }

    fn remove_least_recently_used(&mut self) {
        let first = |host: &Host| host.parked.first().map(|parked| parked.since);
        let hosts = self.by_origin.values_mut().filter_map(|host| Some((first(host)?, host)));
        if let Some((_, host)) = hosts.min_by_key(|(since, _)| *since) {
            host.parked.remove(0);
            self.idle -= 1;
        }
    }
}

impl Host {
    /// Whether forgetting it would lose anything.
    fn is_used(&self) -> bool {
        !self.parked.is_empty() || !self.waiting.is_empty() || Arc::strong_count(&self.window) > 1
    }
}

impl Wake for Stirred {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}
