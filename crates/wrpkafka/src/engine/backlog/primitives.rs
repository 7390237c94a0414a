//! What the backlog is built on, as traits: the publisher's primitives here, and `loom`'s in the model (`model.rs`, a test).
//!
//! Everything is resolved when the crate is compiled, so that the publisher pays nothing for it. Each trait has only the
//! operations that the protocol needs.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::lanes::Lanes;
use super::outlet::{Framing, Outlet};

/// The types of one backlog.
pub(crate) trait Primitives {
    /// A shared handle of a client.
    type Client: Outlet;
    type Framing: Framing;
    type Slot: Slot<Self::Client>;
    type Word: AtomicWord;
    type Lock: Lock<Lanes>;
    type Event: Event;
}

/// An atomic word of 64 bits.
pub(crate) trait AtomicWord {
    fn new(value: u64) -> Self;
    fn load(&self, order: Ordering) -> u64;
    fn fetch_add(&self, value: u64, order: Ordering) -> u64;
    fn fetch_sub(&self, value: u64, order: Ordering) -> u64;
    fn fetch_or(&self, value: u64, order: Ordering) -> u64;
    fn fetch_and(&self, value: u64, order: Ordering) -> u64;
    /// Replaces the word by what `change` makes of it, or gives the word that `change` refused.
    fn update(
        &self,
        set: Ordering,
        fetch: Ordering,
        change: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64>;
}

/// A lock that is not poisoned.
pub(crate) trait Lock<T> {
    fn new(value: T) -> Self;
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R;
}

/// The place of the current client. A caller of [`Slot::with`] counts as an owner of the client from the moment that it
/// is read.
pub(crate) trait Slot<C> {
    fn empty() -> Self;
    fn with<R>(&self, work: impl FnOnce(Option<&C>) -> R) -> R;
    fn swap(&self, client: Option<C>) -> Option<C>;
}

/// An event for which any number of tasks wait.
pub(crate) trait Event {
    fn new() -> Self;
    /// Ready after the next [`Event::notify_all`], also if that comes before the future is polled.
    fn notified(&self) -> impl Future<Output = ()> + Send;
    fn notify_all(&self);
}

/// The publisher's primitives.
pub(crate) struct Production<C, F>(PhantomData<(C, F)>);

impl<C, F: Framing> Primitives for Production<C, F>
where
    Arc<C>: Outlet,
{
    type Client = Arc<C>;
    type Framing = F;
    type Slot = ArcSwapOption<C>;
    type Word = AtomicU64;
    type Lock = parking_lot::Mutex<Lanes>;
    type Event = Notify;
}

impl AtomicWord for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.fetch_add(value, order)
    }

    fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        self.fetch_sub(value, order)
    }

    fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        self.fetch_or(value, order)
    }

    fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
        self.fetch_and(value, order)
    }

    fn update(
        &self,
        set: Ordering,
        fetch: Ordering,
        change: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        self.fetch_update(set, fetch, change)
    }
}

impl<T> Lock<T> for parking_lot::Mutex<T> {
    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.lock())
    }
}

impl<C> Slot<Arc<C>> for ArcSwapOption<C> {
    fn empty() -> Self {
        Self::empty()
    }

    fn with<R>(&self, work: impl FnOnce(Option<&Arc<C>>) -> R) -> R {
        work(self.load().as_ref())
    }

    fn swap(&self, client: Option<Arc<C>>) -> Option<Arc<C>> {
        self.swap(client)
    }
}

impl Event for Notify {
    fn new() -> Self {
        Self::new()
    }

    fn notified(&self) -> impl Future<Output = ()> + Send {
        self.notified()
    }

    fn notify_all(&self) {
        self.notify_waiters();
    }
}
