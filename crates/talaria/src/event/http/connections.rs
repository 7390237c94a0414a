//! Where a request gets its connection from: a kept one, else whichever comes first, a new one or one that becomes free.
//!
//! A receiver that is slow to accept connections does not hold up an event that another connection could carry. A
//! connection that is opened goes to the next event or into the pool if its own event did not need it. Start reading at
//! [`Connections::get`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::url::Origin;
use tokio::runtime::Handle;
use tokio::time::{interval, timeout};

use super::connection::{Connection, Http1};
use super::dial::{Dial, Lookup};
use super::dial_window::DialPermit;
use super::pool::{Checkout, Pool, Waiting};
use super::post_error::PostError;
use crate::event::config::Transport;

/// The connections of a client.
pub(super) struct Connections {
    pool: Pool,
    dial: Arc<dyn Dial>,
    /// The time limit of name resolution, connection and TLS handshake together, waiting for a turn included.
    connect_timeout: Duration,
}

type Opened = Result<Connection, PostError>;

/// A connection that is being opened. When it is dropped before it is open, it goes on in a task of its own, and the
/// connection goes to another event or into the pool.
struct Opening {
    connections: Arc<Connections>,
    origin: Origin,
    opened: Option<Pin<Box<dyn Future<Output = Opened> + Send>>>,
}

impl Connections {
    pub(super) fn new(transport: &Transport, connect_timeout: Duration, dial: Arc<dyn Dial>) -> Arc<Self> {
        Arc::new(Self { pool: Pool::new(transport), dial, connect_timeout })
    }

    /// A connection for a request. `lookup` is the name resolution of the worker, if it may have only one at a time.
    ///
    /// # Errors
    /// Why none could be opened; [`PostError::ConnectTimeout`] if none was open or free in time.
    pub(super) async fn get(self: &Arc<Self>, origin: &Origin, lookup: Option<&Lookup>) -> Opened {
        match self.pool.check_out(origin) {
            Checkout::Kept(connection) => Ok(connection),
            Checkout::Wait(waiting) => {
                // Boxed, so that an event that finds a connection does not carry the state of one that waits.
                let race = Box::pin(self.race(waiting, origin, lookup));
                timeout(self.connect_timeout, race).await.unwrap_or(Err(PostError::ConnectTimeout))
            }
        }
    }

    /// An idle connection that can carry several requests at a time.
    pub(super) fn take_proven(&self, origin: &Origin) -> Option<Http1> {
        self.pool.take_proven(origin)
    }

    /// Returns a connection whose request has been answered.
    pub(super) fn put(&self, origin: &Origin, connection: Connection) {
        self.pool.put(origin, connection);
    }

    /// Closes connections that the receiver has closed, or that were idle for too long. Never ends.
    pub(super) async fn sweep(&self) {
        let mut ticks = interval(self.pool.sweep_period());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.pool.stirred() => {}
            }
            self.pool.sweep();
        }
    }

    async fn race(
        self: &Arc<Self>,
        mut waiting: Waiting<'_>,
        origin: &Origin,
        lookup: Option<&Lookup>,
    ) -> Opened {
        let window = Arc::clone(waiting.window());
        let permit = tokio::select! {
            biased;
            freed = waiting.freed() => return Ok(freed),
            permit = window.permit() => permit,
        };
        let opened =
            Arc::clone(self).open(origin.clone(), lookup.map_or_else(Lookup::new, Lookup::clone), permit);
        let opened: Pin<Box<dyn Future<Output = Opened> + Send>> = Box::pin(opened);
        let mut opening =
            Opening { connections: Arc::clone(self), origin: origin.clone(), opened: Some(opened) };
        tokio::select! {
            biased;
            freed = waiting.freed() => Ok(freed),
            opened = opening.ended() => opened,
        }
    }

    async fn open(self: Arc<Self>, origin: Origin, lookup: Lookup, permit: DialPermit) -> Opened {
        let open = async { Connection::open(self.dial.dial(&origin, &lookup).await?).await };
        let opened = timeout(self.connect_timeout, open).await.unwrap_or(Err(PostError::ConnectTimeout));
        if let Ok(Connection::Http2(place)) = &opened {
            // Other events need not wait until this one has ended.
            self.pool.share(&origin, place.shared());
        }
        permit.ended(opened.is_ok());
        opened
    }
}

impl Opening {
    async fn ended(&mut self) -> Opened {
        let opened = match &mut self.opened {
            Some(opening) => opening.await,
            None => Err(PostError::ConnectTimeout),
        };
        self.opened = None;
        opened
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let (Some(opened), Ok(runtime)) = (self.opened.take(), Handle::try_current()) else { return };
        let (connections, origin) = (Arc::clone(&self.connections), self.origin.clone());
        runtime.spawn(async move {
            // An error is that of an event which has ended.
            if let Ok(connection) = opened.await {
                connections.put(&origin, connection);
            }
        });
    }
}
