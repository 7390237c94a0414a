//! What the requests and responses of one connection take of the budget of all (contract §14.25).
//!
//! Counted are the body of a request, from its first byte until its handler drops the head of the request, and the body of a
//! response until the kernel has accepted it. If all of them together are too much, the largest that may go has to: a request whose body
//! has not arrived completely, which is answered with 503, or a connection whose client does not read, which is cut.
//!
//! Start reading at [`ConnectionMemory::share`]. The budget is [`Budget`]; without one nothing is counted.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::ConnectionFailure;
use super::metrics::Connections;
use crate::budget::{Budget, Holder, Holding, NoRoomError, Store};

/// One connection's part of the budget.
pub(super) struct ConnectionMemory {
    budget: Arc<Budget>,
    held: Mutex<Usage>,
    /// Whether a body is arriving.
    is_arriving: AtomicBool,
    /// Whether the client does not read what is written.
    is_stuck: AtomicBool,
    /// Whether the connection has to give back what it holds.
    must_go: AtomicBool,
    /// The connection's task, while it waits for the client.
    task: AtomicWaker,
    connections: Arc<Connections>,
    peer: SocketAddr,
}

#[derive(Default)]
struct Usage {
    bytes: usize,
    holding: Holding,
}

/// Some bytes of a connection's part, which are given back when it is dropped.
pub(super) struct Share {
    memory: Arc<ConnectionMemory>,
    bytes: usize,
}

/// The share of a body that is arriving.
pub(super) struct Arriving {
    share: Share,
    flag: ArrivingFlag,
}

/// A body is arriving as long as this exists.
struct ArrivingFlag(Arc<ConnectionMemory>);

/// Bytes with their share.
struct Counted {
    bytes: Bytes,
    _share: Share,
}

impl ConnectionMemory {
    pub(super) fn new(budget: &Arc<Budget>, connections: &Arc<Connections>, peer: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            held: Mutex::default(),
            is_arriving: AtomicBool::new(false),
            is_stuck: AtomicBool::new(false),
            must_go: AtomicBool::new(false),
            task: AtomicWaker::new(),
            connections: Arc::clone(connections),
            peer,
        })
    }

    /// Counts these bytes until they are dropped.
    ///
    /// # Errors
    /// [`NoRoomError`] if there is no room for them.
    pub(super) fn count(self: &Arc<Self>, bytes: Bytes) -> Result<Bytes, NoRoomError> {
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let share = self.share(bytes.len())?;
        Ok(Bytes::from_owner(Counted { bytes, _share: share }))
    }

    /// Begins to count a body that arrives.
    pub(super) fn arriving(self: &Arc<Self>) -> Arriving {
        self.is_arriving.store(true, Release);
        let share = Share { memory: Arc::clone(self), bytes: 0 };
        Arriving { share, flag: ArrivingFlag(Arc::clone(self)) }
    }

    /// The client does not read, and the connection's task waits for it.
    pub(super) fn stuck(&self, cx: &Context<'_>) {
        self.is_stuck.store(true, Release);
        self.task.register(cx.waker());
    }

    /// The client reads again.
    pub(super) fn flowing(&self) {
        self.is_stuck.store(false, Release);
    }

    /// Whether the connection is to be cut; then it is counted and logged.
    pub(super) fn is_cut(&self) -> bool {
        let is_cut = self.must_go.load(Acquire) && !self.is_arriving.load(Acquire);
        if is_cut && self.must_go.swap(false, AcqRel) {
            self.report("connection cut whose client does not read, too many bytes of bodies wait in all");
        }
        is_cut
    }

    /// Cuts the connection at its next write.
    pub(super) fn cut(&self) {
        self.must_go.store(true, Release);
    }

    /// Counts a request or a response for which there is no room, and logs it once a minute for each address.
    pub(super) fn report(&self, message: &str) {
        self.connections.count_failure(ConnectionFailure::NoRoom);
        self.connections.log_no_room(self.peer, self.budget.limit(), message);
    }

    fn share(self: &Arc<Self>, bytes: usize) -> Result<Share, NoRoomError> {
        let mut share = Share { memory: Arc::clone(self), bytes: 0 };
        share.change(bytes)?;
        Ok(share)
    }
}

impl Share {
    fn change(&mut self, bytes: usize) -> Result<(), NoRoomError> {
        let memory = &self.memory;
        let mut held = memory.held.lock();
        let total = held.bytes - self.bytes + bytes;
        let holder = || Arc::clone(memory) as Arc<dyn Holder>;
        memory.budget.change(&mut held.holding, total, holder)?;
        held.bytes = total;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Giving back is always accepted.
        let _ = self.change(0);
    }
}

impl Arriving {
    /// So many bytes of the body are there.
    ///
    /// # Errors
    /// [`NoRoomError`] if there is no room for them.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), NoRoomError> {
        self.share.change(bytes)
    }

    /// Ready if the body has to go because all of them together are too much.
    pub(super) fn poll_must_go(&self, cx: &Context<'_>) -> Poll<()> {
        self.flag.0.task.register(cx.waker());
        if self.flag.0.must_go.load(Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The body is complete and has so many bytes, which count until the share is dropped.
    pub(super) fn finish(mut self, bytes: usize) -> Share {
        // No more than before, which is always accepted.
        let _ = self.share.change(bytes);
        self.share
    }
}

impl Drop for ArrivingFlag {
    fn drop(&mut self) {
        self.0.is_arriving.store(false, Release);
        // Whether it had to go concerned the body that was arriving.
        self.0.must_go.store(false, Release);
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Holder for ConnectionMemory {
    fn may_go(&self, _: Store) -> bool {
        self.is_arriving.load(Acquire) || self.is_stuck.load(Acquire)
    }

    fn go(&self, _: Store) {
        self.must_go.store(true, Release);
        self.task.wake();
    }
}

impl fmt::Debug for ConnectionMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionMemory").field("peer", &self.peer).finish_non_exhaustive()
    }
}
