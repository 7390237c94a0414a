//! The events that devices send to hosts of their own choice: devices take turns, and the requests of a device and to a
//! host are bounded (contract §5.8).
//!
//! An event that must wait for its device or its host does not hold up those behind it. The search for the next one looks at
//! each waiting event at most once, and the queue bounds their number.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use talaria_protocol::url::{Origin, Target};
use wrp::DeviceId;

use super::job::Job;

/// Waiting events by device, and the requests that run.
pub(super) struct Turns {
    /// The waiting events of each device; never empty. Events without a device take turns as one device.
    waiting: HashMap<Option<DeviceId>, VecDeque<Job>>,
    /// The devices with waiting events; the next one is first.
    order: VecDeque<Option<DeviceId>>,
    by_device: Running<Option<DeviceId>>,
    by_host: Running<Origin>,
}

/// A request that runs.
pub(super) struct Started {
    device: Option<DeviceId>,
    target: Arc<Target>,
}

/// The number of running requests by device or host. Those without any take no memory.
struct Running<K> {
    counts: HashMap<K, usize>,
    limit: usize,
}

impl Turns {
    pub(super) fn new(max_per_device: usize, max_per_host: usize) -> Self {
        Self {
            waiting: HashMap::new(),
            order: VecDeque::new(),
            by_device: Running { counts: HashMap::new(), limit: max_per_device },
            by_host: Running { counts: HashMap::new(), limit: max_per_host },
        }
    }

    pub(super) fn push_back(&mut self, job: Job) {
        self.waiting_with(&job).push_back(job);
    }

    /// In front of the other events of its device.
    pub(super) fn push_front(&mut self, job: Job) {
        self.waiting_with(&job).push_front(job);
    }

    pub(super) fn take(&mut self) -> Option<(Job, Started)> {
        for _ in 0..self.order.len() {
            let device = self.order.pop_front()?;
            let jobs = self.waiting.get_mut(&device)?;
            let Some(at) = next(&self.by_device, &self.by_host, &device, jobs) else {
                self.order.push_back(device);
                continue;
            };
            let job = jobs.remove(at)?;
            let started = Started { device: device.clone(), target: Arc::clone(&job.target) };
            if jobs.is_empty() {
                self.waiting.remove(&device);
            } else {
                self.order.push_back(device.clone());
            }
            self.by_device.add(device);
            if let Some(host) = host(&job.target) {
                self.by_host.add(host.clone());
            }
            return Some((job, started));
        }
        None
    }

    pub(super) fn can_start(&self) -> bool {
        self.waiting.iter().any(|(device, jobs)| next(&self.by_device, &self.by_host, device, jobs).is_some())
    }

    pub(super) fn ended(&mut self, started: &Started) {
        self.by_device.remove(&started.device);
        if let Some(host) = host(&started.target) {
            self.by_host.remove(host);
        }
    }

    pub(super) fn drain(&mut self) -> Vec<Job> {
        self.order.clear();
        self.waiting.drain().flat_map(|(_, jobs)| jobs).collect()
    }

    fn waiting_with(&mut self, job: &Job) -> &mut VecDeque<Job> {
        let device = job.device().cloned();
        self.waiting.entry(device).or_insert_with_key(|device| {
            self.order.push_back(device.clone());
            VecDeque::new()
        })
    }
}

impl<K: Eq + Hash> Running<K> {
    fn has_room(&self, key: &K) -> bool {
        self.counts.get(key).is_none_or(|count| *count < self.limit)
    }

    fn add(&mut self, key: K) {
        *self.counts.entry(key).or_insert(0) += 1;
    }

    fn remove(&mut self, key: &K) {
        match self.counts.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.counts.remove(key)),
        }
    }
}

/// The position of the first event of a device that may be posted.
fn next(
    by_device: &Running<Option<DeviceId>>,
    by_host: &Running<Origin>,
    device: &Option<DeviceId>,
    jobs: &VecDeque<Job>,
) -> Option<usize> {
    if !by_device.has_room(device) {
        return None;
    }
    jobs.iter().position(|job| host(&job.target).is_none_or(|host| by_host.has_room(host)))
}

/// None if the URL has no host: posting to it fails without a connection.
fn host(target: &Target) -> Option<&Origin> {
    target.address().ok().map(|address| &address.origin)
}
