//! The idle connections to each host (`device.outbound.transport`).

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use talaria_protocol::url::Origin;
use tokio::time::Instant;

use super::connection::Connection;
use crate::event::config::Transport;

/// Go's limit per host when none is configured.
const GO_MAX_IDLE_PER_HOST: usize = 2;

/// How often connections are closed that the receiver has closed.
const SWEEP_PERIOD: Duration = Duration::from_secs(90);

/// Idle connections. The most recently used one is used next, so that only as many stay open as are needed.
pub(super) struct Pool {
    idle: Mutex<Idle>,
    max: usize,
    max_per_host: usize,
    timeout: Option<Duration>,
}

#[derive(Default)]
struct Idle {
    by_origin: HashMap<Origin, Vec<Parked>>,
    total: usize,
}

struct Parked {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(transport: &Transport) -> Self {
        let max_per_host = match transport.max_idle_conns_per_host {
            0 => GO_MAX_IDLE_PER_HOST,
            max => max,
        };
        let max = if transport.max_idle_conns == 0 { usize::MAX } else { transport.max_idle_conns };
        let timeout = (!transport.idle_conn_timeout.is_zero()).then_some(transport.idle_conn_timeout);
        Self { idle: Mutex::default(), max, max_per_host, timeout }
    }

    /// A connection that is still open, as far as is known.
    pub(super) fn take(&self, origin: &Origin) -> Option<Box<Connection>> {
        loop {
            let mut parked = self.pop(origin)?;
            let is_fresh = self.timeout.is_none_or(|timeout| parked.since.elapsed() < timeout);
            if is_fresh && parked.connection.is_ready() {
                return Some(parked.connection);
            }
        }
    }

    /// Keeps a connection if it can carry another request and its host has room; otherwise closes it. Without room in all,
    /// the connection that was idle for the longest time is closed.
    pub(super) fn put(&self, origin: &Origin, mut connection: Box<Connection>) {
        if !connection.is_ready() {
            return;
        }
        let parked = Parked { connection, since: Instant::now() };
        let mut idle = self.idle.lock();
        if idle.by_origin.get(origin).is_some_and(|parked_here| parked_here.len() >= self.max_per_host) {
            return;
        }
        if idle.total >= self.max {
            idle.remove_least_recently_used();
        }
        match idle.by_origin.get_mut(origin) {
            Some(parked_here) => parked_here.push(parked),
            None => {
                // Hosts without connections stay in the table until the next sweep, but do not fill it.
                if idle.by_origin.len() > self.max {
                    idle.by_origin.retain(|_, parked| !parked.is_empty());
                }
                idle.by_origin.insert(origin.clone(), vec![parked]);
            }
        }
        idle.total += 1;
    }

    /// Closes connections that were idle for too long or that the receiver has closed, and forgets hosts without any.
    pub(super) fn sweep(&self) {
        let mut guard = self.idle.lock();
        let idle = &mut *guard;
        idle.total = 0;
        idle.by_origin.retain(|_, parked| {
            parked.retain_mut(|parked| {
                let is_old = self.timeout.is_some_and(|timeout| parked.since.elapsed() >= timeout);
                !is_old && parked.connection.is_ready()
            });
            idle.total += parked.len();
            !parked.is_empty()
        });
    }

    /// How often [`sweep`](Self::sweep) should be called, so that a connection is closed at most a quarter of its time too
    /// late although no event is sent any more.
    pub(super) fn sweep_period(&self) -> Duration {
        self.timeout
            .map_or(SWEEP_PERIOD, |timeout| timeout / 4)
            .clamp(Duration::from_millis(100), SWEEP_PERIOD)
    }

    fn pop(&self, origin: &Origin) -> Option<Parked> {
        let mut idle = self.idle.lock();
        let parked = idle.by_origin.get_mut(origin)?.pop()?;
        idle.total -= 1;
        Some(parked)
    }
}

impl Idle {
    /// Each host's connections are in the order in which they were parked.
    fn remove_least_recently_used(&mut self) {
        let first = |parked: &[Parked]| parked.first().map(|parked| parked.since);
        let oldest = self.by_origin.iter().filter_map(|(origin, parked)| Some((first(parked)?, origin)));
        let Some(origin) = oldest.min_by_key(|(since, _)| *since).map(|(_, origin)| origin.clone()) else {
            return;
        };
        if let Some(parked) = self.by_origin.get_mut(&origin) {
            parked.remove(0);
            self.total -= 1;
            if parked.is_empty() {
                self.by_origin.remove(&origin);
            }
        }
    }
}
