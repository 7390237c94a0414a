use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use wrp::DeviceId;

use talaria_protocol::session::{CloseReason, Reason};

use super::Device;

/// Whole megabytes of devices are looked at one shard at a time; more shards than this gain nothing.
const SHARDS: usize = 64;

/// The devices that are connected, by id. Sharded: no operation holds more than one shard's lock, or any for long.
#[derive(Debug)]
pub struct Registry {
    shards: Box<[RwLock<HashSet<ById>>]>,
    hasher: RandomState,
    count: AtomicUsize,
    limit: usize,
    /// Sessions that have not ended, registered or replaced.
    sessions: AtomicUsize,
    idle: Notify,
}

/// Why a device may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// As many devices as are allowed are connected, and this one is not among them.
    #[error("the limit of {0} devices is reached")]
    LimitReached(usize),
}

/// A session that runs. Dropped, it has ended.
#[derive(Debug)]
pub(super) struct Running(Arc<Registry>);

/// A device that is found by its id.
#[derive(Debug)]
struct ById(Arc<Device>);

impl Registry {
    /// Nobody connected, and room for so many devices; none means any number.
    #[must_use]
    pub fn new(max_devices: Option<usize>) -> Registry {
        Registry {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            count: AtomicUsize::new(0),
            limit: max_devices.unwrap_or(usize::MAX),
            sessions: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    /// Registers a device. If its id is connected already, that connection is closed as a duplicate and returned, and
    /// the new one's `duplications` are one more than its.
    ///
    /// # Errors
    /// If the limit is reached; a duplicate is let in even then.
    pub fn connect(&self, device: &Arc<Device>) -> Result<Option<Arc<Device>>, RegisterError> {
        let replaced = {
            let mut shard = self.shard(device.id()).write();
            let replaced = shard.take(device.id().as_str());
            if let Some(ById(old)) = &replaced {
                device.statistics().set_duplications(old.statistics().duplications() + 1);
            } else {
                let counted = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                    (count < self.limit).then_some(count + 1)
                });
                counted.map_err(|_| RegisterError::LimitReached(self.limit))?;
            }
            shard.insert(ById(Arc::clone(device)));
            replaced.map(|ById(old)| old)
        };
        if let Some(old) = &replaced {
            old.close(Reason::Duplicate.into());
        }
        Ok(replaced)
    }

    /// Removes a device, unless another connection has taken its place. Whether it was there.
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

    /// The connected device of this id.
    #[must_use]
    pub fn get(&self, id: &DeviceId) -> Option<Arc<Device>> {
        self.shard(id).read().get(id.as_str()).map(|ById(device)| Arc::clone(device))
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

    /// Shows every device that stays connected meanwhile, one shard after the other. No lock is held while `visit` runs.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Device>)) {
        for shard in 0..self.shard_count() {
            self.shard_devices(shard).iter().for_each(&mut visit);
        }
    }

    /// How many shards there are, for those who go through them at their own pace.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The devices of one shard; none of a shard that does not exist.
    #[must_use]
    pub fn shard_devices(&self, shard: usize) -> Vec<Arc<Device>> {
        let Some(shard) = self.shards.get(shard) else { return Vec::new() };
        shard.read().iter().map(|ById(device)| Arc::clone(device)).collect()
    }

    /// The ids of the devices of one shard; none of a shard that does not exist. For those who take their time: unlike
    /// the devices themselves, ids keep nothing of a device that has left.
    #[must_use]
    pub fn shard_ids(&self, shard: usize) -> Vec<DeviceId> {
        let Some(shard) = self.shards.get(shard) else { return Vec::new() };
        shard.read().iter().map(|ById(device)| device.id().clone()).collect()
    }

    /// Closes every device. Those that connect meanwhile may be missed: stop taking new ones first.
    pub fn close_all(&self, reason: &CloseReason) {
        self.for_each(|device| {
            device.close(reason.clone());
        });
    }

    /// Waits until every session has ended, its offline event told; at the deadline, says how many have not.
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

    pub(super) fn running(self: &Arc<Self>) -> Running {
        self.sessions.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(self))
    }

    fn shard(&self, id: &DeviceId) -> &RwLock<HashSet<ById>> {
        let hash = self.hasher.hash_one(id.as_str());
        &self.shards[hash as usize % SHARDS]
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.sessions.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
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
    fn eq(&self, other: &ById) -> bool {
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
        let sessions = [registry.running(), registry.running()];
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
