//! The registry: which devices are connected, by id.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use talaria_protocol::session::Reason;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use wrp::DeviceId;

use super::Device;

/// `/devices` and drains read one shard at a time, and a shard that grows copies all it has under its lock. Of a million devices a
/// shard has a thousand.
const SHARDS: usize = 1024;

/// The connected devices by id, in shards. No operation holds more than one shard's lock, nor holds it for long. A device whose
/// session has ended and waits to be disconnected counts, and may be replaced, but is not found.
#[derive(Debug)]
pub struct Registry {
    shards: Box<[RwLock<HashSet<ById>>]>,
    /// Held while devices of a shard are registered or removed *and* announced.
    turns: Box<[Mutex<()>]>,
    hasher: RandomState,
    count: AtomicUsize,
    limit: AtomicUsize,
    /// How many sessions have not ended, those of replaced connections included.
    sessions: AtomicUsize,
    /// Notified when the last session has ended.
    idle: Notify,
}

/// Why a device was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The limit is reached and the device does not replace a connection of its own.
    #[error("the limit of {0} devices is reached")]
    LimitReached(usize),
    /// The device has no token, and one with a token is connected with its id and alive.
    #[error("the id belongs to a live device that has a token")]
    Occupied,
}

/// Counts a session as running until it is dropped.
#[derive(Debug)]
pub(super) struct RunningSession(Arc<Registry>);

/// A device, hashed and compared by its id.
#[derive(Debug)]
struct ById(Arc<Device>);

impl Registry {
    /// An empty registry for at most this many devices; for any number if none.
    #[must_use]
    pub fn new(max_devices: Option<usize>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            turns: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            count: AtomicUsize::new(0),
            limit: AtomicUsize::new(max_devices.unwrap_or(usize::MAX)),
            sessions: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    /// At most this many devices from now on; any number if none. Those that are connected stay.
    pub(super) fn set_limit(&self, max_devices: Option<usize>) {
        self.limit.store(max_devices.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Registers a device. If a device with its id is connected, that connection is closed as a duplicate and returned, and
    /// the new device has one more duplication.
    ///
    /// # Errors
    /// If the limit is reached; a duplicate is registered even then. Or if a device without a token would displace one that
    /// has a token and was not found dead.
    pub fn connect(&self, device: &Arc<Device>) -> Result<Option<Arc<Device>>, RegisterError> {
        let replaced = {
            let mut shard = self.shard(device.id()).write();
            // The newcomer's check was earlier; a device with a token may have connected since.
            if device.claims().is_none()
                && shard.get(device.id().as_str()).is_some_and(|ById(old)| old.is_protected())
            {
                return Err(RegisterError::Occupied);
            }
            let replaced = shard.take(device.id().as_str());
            if let Some(ById(old)) = &replaced {
                device.statistics().set_duplications(old.statistics().duplications() + 1);
            } else {
                let limit = self.limit.load(Ordering::Relaxed);
                let counted = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                    (count < limit).then_some(count + 1)
                });
                counted.map_err(|_| RegisterError::LimitReached(limit))?;
            }
            shard.insert(ById(Arc::clone(device)));
            replaced.map(|ById(old)| old)
        };
        if let Some(old) = &replaced {
            old.close(Reason::Duplicate.into());
        }
        Ok(replaced)
    }

    /// Removes a device unless a newer connection has replaced it. Returns whether it was there.
    pub fn disconnect(&self, device: &Arc<Device>) -> bool {
        let mut shard = self.shard(device.id()).write();
        let id = device.id().as_str();
        if !shard.get(id).is_some_and(|ById(found)| Arc::ptr_eq(found, device)) {
            return false;
        }
        shard.remove(id);
        self.count.fetch_sub(1, Ordering::AcqRel);
        true
    }

    /// The connected device with this id.
    #[must_use]
    pub fn get(&self, id: &DeviceId) -> Option<Arc<Device>> {
        let shard = self.shard(id).read();
        shard.get(id.as_str()).and_then(ById::staying).map(Arc::clone)
    }

    /// How many devices are connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether no device is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Visits every device that stays connected meanwhile, one shard after the other. No lock is held while `visit` runs.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Device>)) {
        for shard in 0..self.shard_count() {
            self.shard_devices(shard).iter().for_each(&mut visit);
        }
    }

    /// How many shards there are, for callers that walk through them at their own pace.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The devices of one shard; empty for a shard that does not exist.
    #[must_use]
    pub fn shard_devices(&self, shard: usize) -> Vec<Arc<Device>> {
        let Some(shard) = self.shards.get(shard) else { return Vec::new() };
        shard.read().iter().filter_map(ById::staying).map(Arc::clone).collect()
    }

    /// The ids of the devices of one shard; empty for a shard that does not exist. For callers that walk slowly: unlike the
    /// devices themselves, ids keep no memory of a device that has left.
    #[must_use]
    pub fn shard_ids(&self, shard: usize) -> Vec<DeviceId> {
        let Some(shard) = self.shards.get(shard) else { return Vec::new() };
        shard.read().iter().filter_map(ById::staying).map(|device| device.id().clone()).collect()
    }

    /// Waits until every session has ended and its offline event is sent. Returns how many have not ended at the deadline.
    pub async fn wait_until_empty(&self, deadline: Instant) -> usize {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            let left = self.sessions.load(Ordering::Acquire);
            if left == 0 || timeout_at(deadline, idle).await.is_err() {
                return left;
            }
        }
    }

    /// Makes registering or removing a device and announcing that one step: of two connections with this id, the events of
    /// one come before those of the other. Held for as long as it takes to queue an event.
    pub(super) fn turn(&self, id: &DeviceId) -> MutexGuard<'_, ()> {
        self.turns[self.shard_of(id)].lock()
    }

    pub(super) fn session_started(self: &Arc<Self>) -> RunningSession {
        self.sessions.fetch_add(1, Ordering::AcqRel);
        RunningSession(Arc::clone(self))
    }

    fn shard(&self, id: &DeviceId) -> &RwLock<HashSet<ById>> {
        &self.shards[self.shard_of(id)]
    }

    fn shard_of(&self, id: &DeviceId) -> usize {
        self.hasher.hash_one(id.as_str()) as usize % SHARDS
    }
}

impl Drop for RunningSession {
    fn drop(&mut self) {
        if self.0.sessions.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl ById {
    /// The device, unless its session has ended.
    fn staying(&self) -> Option<&Arc<Device>> {
        Some(&self.0).filter(|device| !device.is_leaving())
    }
}

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        self.0.id().as_str()
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id().as_str().hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id().as_str() == other.0.id().as_str()
    }
}

impl Eq for ById {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use talaria_protocol::connect::Identity;

    use super::super::Config;
    use super::*;
    use crate::device::session_id;

    fn device(id: &str) -> Arc<Device> {
        Device::new(Identity::new(id.parse().unwrap(), session_id::random()), &Config::default())
    }

    #[tokio::test]
    async fn a_reconnect_replaces_the_old_connection_and_counts_it() {
        let registry = Registry::new(None);
        let first = device("mac:112233445566");
        let second = device("mac:112233445566");
        assert!(registry.connect(&first).unwrap().is_none());
        let replaced = registry.connect(&second).unwrap().unwrap();
        assert!(Arc::ptr_eq(&replaced, &first));
        assert_eq!(second.statistics().duplications(), 1);
        assert_eq!(first.outbox().take_close(), Some(Reason::Duplicate.into()));
        assert_eq!(registry.len(), 1);
    }

    #[tokio::test]
    async fn a_disconnect_removes_only_its_own_entry() {
        let registry = Registry::new(None);
        let (first, second) = (device("uuid:a"), device("uuid:a"));
        registry.connect(&first).unwrap();
        registry.connect(&second).unwrap();
        assert!(!registry.disconnect(&first));
        assert!(Arc::ptr_eq(&registry.get(second.id()).unwrap(), &second));
        assert!(registry.disconnect(&second));
        assert!(registry.is_empty());
    }

    #[tokio::test]
    async fn at_the_limit_only_a_device_that_is_there_may_connect() {
        let registry = Registry::new(Some(1));
        registry.connect(&device("uuid:a")).unwrap();
        assert_eq!(registry.connect(&device("uuid:b")).unwrap_err(), RegisterError::LimitReached(1));
        assert!(registry.connect(&device("uuid:a")).unwrap().is_some());
        assert_eq!(registry.len(), 1);
    }

    #[tokio::test]
    async fn every_device_is_shown_once() {
        let registry = Registry::new(None);
        for number in 0..500 {
            registry.connect(&device(&format!("serial:{number}"))).unwrap();
        }
        let mut shown = Vec::new();
        registry.for_each(|device| shown.push(device.id().clone()));
        shown.sort();
        shown.dedup();
        assert_eq!(shown.len(), 500);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_last_session_or_at_the_deadline() {
        let registry = Arc::new(Registry::new(None));
        let sessions = [registry.session_started(), registry.session_started()];
        let deadline = Instant::now() + Duration::from_secs(5);
        assert_eq!(registry.wait_until_empty(deadline).await, 2);
        let waiting = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move { registry.wait_until_empty(Instant::now() + Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        drop(sessions);
        assert_eq!(waiting.await.unwrap(), 0);
    }
}
