//! `loom`'s lock and atomics for the backlog, and what imitates the publisher's slot and event.

use std::cell::OnceCell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use loom::sync::{Arc, Mutex};

use super::{Framed, ModelClient};
use crate::engine::backlog::lanes::Lanes;
use crate::engine::backlog::primitives::{AtomicWord, Event, Lock, Primitives, Slot};

/// `loom`'s primitives, with one of the two slots.
pub(super) struct Model<S>(PhantomData<S>);

impl<S: Slot<Arc<ModelClient>>> Primitives for Model<S> {
    type Client = Arc<ModelClient>;
    type Framing = Framed;
    type Slot = S;
    type Word = loom::sync::atomic::AtomicU64;
    type Lock = Mutex<Lanes>;
    type Event = ModelEvent;
}

impl AtomicWord for loom::sync::atomic::AtomicU64 {
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

impl<T> Lock<T> for Mutex<T> {
    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.lock().unwrap())
    }
}

/// A slot for scenarios in which the client stays. It is no part of the model, which keeps these small.
pub(super) struct FixedSlot(OnceCell<Arc<ModelClient>>);

impl Slot<Arc<ModelClient>> for FixedSlot {
    fn empty() -> Self {
        Self(OnceCell::new())
    }

    fn with<R>(&self, work: impl FnOnce(Option<&Arc<ModelClient>>) -> R) -> R {
        work(self.0.get())
    }

    fn swap(&self, client: Option<Arc<ModelClient>>) -> Option<Arc<ModelClient>> {
        client.and_then(|client| self.0.set(client).err())
    }
}

/// A reader owns the client from the moment that it is read, as with `ArcSwap`.
pub(super) struct ModelSlot(Mutex<Option<Arc<ModelClient>>>);

impl Slot<Arc<ModelClient>> for ModelSlot {
    fn empty() -> Self {
        Self(Mutex::new(None))
    }

    fn with<R>(&self, work: impl FnOnce(Option<&Arc<ModelClient>>) -> R) -> R {
        let client = self.0.lock().unwrap().clone();
        work(client.as_ref())
    }

    fn swap(&self, client: Option<Arc<ModelClient>>) -> Option<Arc<ModelClient>> {
        std::mem::replace(&mut *self.0.lock().unwrap(), client)
    }
}

/// What `tokio::sync::Notify` promises for `notify_waiters`.
pub(super) struct ModelEvent(Mutex<Notifications>);

#[derive(Default)]
struct Notifications {
    count: usize,
    wakers: Vec<Waker>,
}

struct Notified<'a> {
    event: &'a ModelEvent,
    /// The count when this was created.
    seen: usize,
}

impl Event for ModelEvent {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn notified(&self) -> impl Future<Output = ()> + Send {
        Notified { event: self, seen: self.0.lock().unwrap().count }
    }

    fn notify_all(&self) {
        let wakers = {
            let mut notifications = self.0.lock().unwrap();
            notifications.count += 1;
            std::mem::take(&mut notifications.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut notifications = self.event.0.lock().unwrap();
        if notifications.count > self.seen {
            return Poll::Ready(());
        }
        notifications.wakers.push(context.waker().clone());
        Poll::Pending
    }
}
