//! The idle connections to each host (`device.outbound.transport`), those by HTTP/2, and the events that wait for one.
//!
//! A connection that becomes free goes to the event that has waited longest. Idle ones are watched: when the receiver closes
//! one, it is closed here, too, and no request is tried on it. A connection by HTTP/2 is in the pool as long as it is open,
//! and gives places to events. Start reading at [`Pool::check_out`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use talaria_protocol::url::Origin;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::connection::{Connection, Http1, Multiplexed, Probe};
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
    Kept(Connection),
    /// None; it waits for one that becomes free.
    Wait(Waiting<'a>),
}

/// The place of an event in the queue for a connection. Dropping it leaves the queue.
pub(super) struct Waiting<'a> {
    pool: &'a Pool,
    origin: Origin,
    number: u64,
    /// None if it gave a connection.
    freed: Option<oneshot::Receiver<Connection>>,
    window: Arc<DialWindow>,
}

#[derive(Default)]
struct Hosts {
    by_origin: HashMap<Origin, Host>,
    /// How many connections are in the table.
    kept: usize,
    /// The number of the last check-out.
    last: u64,
}

struct Host {
    /// In the order in which they were parked.
    parked: Vec<Parked>,
    shared: Vec<Shared>,
    waiting: VecDeque<Waiter>,
    window: Arc<DialWindow>,
}

struct Parked {
    connection: Http1,
    since: Instant,
}

/// A connection by HTTP/2.
struct Shared {
    connection: Arc<Multiplexed>,
    /// When a request on it has last ended.
    since: Instant,
}

struct Waiter {
    number: u64,
    sender: oneshot::Sender<Connection>,
}

struct Stirred(Notify);

/// What [`Pool::pop_or_wait`] finds.
enum Popped<'a> {
    /// It has to be looked at without the lock.
    Parked(Parked),
    Other(Checkout<'a>),
}

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
            let parked = match self.pop_or_wait(origin) {
                Popped::Parked(parked) => parked,
                Popped::Other(checkout) => return checkout,
            };
            if let Some(connection) = parked.checked(self.timeout) {
                return Checkout::Kept(Connection::Http1(connection));
            }
        }
    }

    /// An idle connection that can carry several requests at a time and is still open, as far as is known.
    pub(super) fn take_proven(&self, origin: &Origin) -> Option<Http1> {
        loop {
            let parked = self.pop_proven(origin)?;
            if let Some(connection) = parked.checked(self.timeout) {
                return Some(connection);
            }
        }
    }

    /// Gives a connection that can carry another request to the event that has waited longest, or keeps it if there is
    /// room; otherwise closes it. Without room in all, the connection that was idle for the longest time is closed.
    pub(super) fn put(&self, origin: &Origin, connection: Connection) {
        match connection {
            Connection::Http1(connection) => self.park(origin, connection),
            Connection::Http2(place) => {
                let shared = Arc::clone(place.shared());
                // The place is free before another event gets it.
                drop(place);
                self.share(origin, &shared);
            }
        }
    }

    /// Gives places on a connection by HTTP/2 to the events that wait, and keeps it for others.
    pub(super) fn share(&self, origin: &Origin, connection: &Arc<Multiplexed>) {
        if !connection.is_open() {
            return;
        }
        let mut guard = self.hosts.lock();
        let hosts = &mut *guard;
        let host = match hosts.by_origin.get_mut(origin) {
            Some(host) => host,
            None => add(&mut hosts.by_origin, origin),
        };
        while connection.has_room()
            && let Some(waiter) = host.waiting.pop_front()
        {
            // It fails if that event has ended.
            drop(waiter.sender.send(Connection::Http2(connection.place())));
        }
        let is_there = |shared: &&mut Shared| Arc::ptr_eq(&shared.connection, connection);
        if let Some(shared) = host.shared.iter_mut().find(is_there) {
            shared.since = Instant::now();
            return;
        }
        // One that has room is enough for all events.
        let is_needed = host.shared.iter().all(|shared| !shared.connection.has_room());
        if is_needed && host.shared.len() < self.max_per_host {
            host.shared.push(Shared { connection: Arc::clone(connection), since: Instant::now() });
            hosts.kept += 1;
            if hosts.kept > self.max {
                hosts.remove_least_recently_used();
            }
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
        let is_old = |since: Instant| self.timeout.is_some_and(|timeout| since.elapsed() >= timeout);
        hosts.kept = 0;
        hosts.by_origin.retain(|_, host| {
            host.parked.retain_mut(|parked| !is_old(parked.since) && parked.connection.park(&self.waker));
            host.shared.retain(|Shared { connection, since }| {
                connection.is_open() && !(connection.is_idle() && is_old(*since))
            });
            hosts.kept += host.parked.len() + host.shared.len();
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

    fn park(&self, origin: &Origin, mut connection: Http1) {
        if !connection.park(&self.waker) {
            return;
        }
        let mut guard = self.hosts.lock();
        let hosts = &mut *guard;
        let host = match hosts.by_origin.get_mut(origin) {
            Some(host) => host,
            None => add(&mut hosts.by_origin, origin),
        };
        while let Some(waiter) = host.waiting.pop_front() {
            match waiter.sender.send(Connection::Http1(connection)) {
                // This event has ended.
                Err(Connection::Http1(given_back)) => connection = given_back,
                _ => return,
            }
        }
        if host.parked.len() >= self.max_per_host {
            return;
        }
        host.parked.push(Parked { connection, since: Instant::now() });
        hosts.kept += 1;
        if hosts.kept > self.max {
            hosts.remove_least_recently_used();
        }
    }

    fn pop_proven(&self, origin: &Origin) -> Option<Parked> {
        let mut guard = self.hosts.lock();
        let hosts = &mut *guard;
        let parked = &mut hosts.by_origin.get_mut(origin)?.parked;
        let at = parked.iter().rposition(|parked| parked.connection.is_proven())?;
        hosts.kept -= 1;
        Some(parked.remove(at))
    }

    fn pop_or_wait(&self, origin: &Origin) -> Popped<'_> {
        let mut guard = self.hosts.lock();
        let Hosts { by_origin, kept, last } = &mut *guard;
        *last += 1;
        let number = *last;
        let host = match by_origin.get_mut(origin) {
            Some(host) => host,
            None => add(by_origin, origin),
        };
        if let Some(parked) = host.parked.pop() {
            *kept -= 1;
            return Popped::Parked(parked);
        }
        let known = host.shared.len();
        host.shared.retain(|shared| shared.connection.is_open());
        *kept -= known - host.shared.len();
        let usable = host.shared.iter().find(|Shared { connection, since }| {
            let is_old = self.timeout.is_some_and(|timeout| since.elapsed() >= timeout);
            connection.has_room() && !(connection.is_idle() && is_old)
        });
        if let Some(shared) = usable {
            return Popped::Other(Checkout::Kept(Connection::Http2(shared.connection.place())));
        }
        let (sender, freed) = oneshot::channel();
        let window = Arc::clone(&host.window);
        host.waiting.push_back(Waiter { number, sender });
        Popped::Other(Checkout::Wait(Waiting {
            pool: self,
            origin: origin.clone(),
            number,
            freed: Some(freed),
            window,
        }))
    }
}

impl Parked {
    /// The connection, if it is still open, as far as is known, and was not idle for too long.
    fn checked(mut self, timeout: Option<Duration>) -> Option<Http1> {
        let idle = self.since.elapsed();
        let is_fresh = timeout.is_none_or(|timeout| idle < timeout);
        let probe = if idle < PROBED_AFTER { Probe::Reactor } else { Probe::System };
        (is_fresh && self.connection.is_ready(probe)).then_some(self.connection)
    }
}

impl Waiting<'_> {
    /// A connection that has become free.
    pub(super) async fn freed(&mut self) -> Connection {
        if let Some(freed) = &mut self.freed {
            let freed = freed.await;
            self.freed = None;
            match freed {
                Ok(Connection::Http1(mut connection)) => {
                    if connection.is_ready(Probe::Reactor) {
                        return Connection::Http1(connection);
                    }
                }
                Ok(Connection::Http2(place)) => return Connection::Http2(place),
                Err(_) => {}
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
    fn remove_least_recently_used(&mut self) {
        let hosts = self.by_origin.values_mut().filter_map(|host| Some((host.idle_since()?, host)));
        if let Some((since, host)) = hosts.min_by_key(|(since, _)| *since) {
            host.remove_idle_since(since);
            self.kept -= 1;
        }
    }
}

impl Host {
    /// Since when its longest idle connection is idle.
    fn idle_since(&self) -> Option<Instant> {
        let parked = self.parked.first().map(|parked| parked.since);
        let shared = self.shared.iter().filter(|shared| shared.connection.is_idle());
        parked.into_iter().chain(shared.map(|shared| shared.since)).min()
    }

    fn remove_idle_since(&mut self, since: Instant) {
        if self.parked.first().is_some_and(|parked| parked.since == since) {
            self.parked.remove(0);
        } else if let Some(at) =
            self.shared.iter().position(|shared| shared.since == since && shared.connection.is_idle())
        {
            self.shared.remove(at);
        }
    }

    /// Whether forgetting it would lose anything.
    fn is_used(&self) -> bool {
        !self.parked.is_empty()
            || !self.shared.is_empty()
            || !self.waiting.is_empty()
            || Arc::strong_count(&self.window) > 1
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

fn add<'a>(by_origin: &'a mut HashMap<Origin, Host>, origin: &Origin) -> &'a mut Host {
    if by_origin.len() >= MAX_HOSTS {
        by_origin.retain(|_, host| host.is_used());
    }
    by_origin.entry(origin.clone()).or_insert_with(|| Host {
        parked: Vec::new(),
        shared: Vec::new(),
        waiting: VecDeque::new(),
        window: DialWindow::new(),
    })
}
