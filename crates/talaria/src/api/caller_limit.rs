//! How many messages of one caller may be under way to devices at the same time (`inbound.maxRequestsPerCaller`).
//!
//! The credentials say who calls: a basic key, the subject of a token, or the client's address if no credentials are
//! configured. A caller without requests takes no memory, so the table is bounded by the connections.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;

use crate::auth::Caller;

/// Counts the requests of each caller.
#[derive(Debug)]
pub(super) struct CallerLimit {
    limit: AtomicUsize,
    /// Seeded, so that no caller can choose credentials that share the count of another.
    hashes: RandomState,
    under_way: Mutex<HashMap<u64, usize>>,
}

/// A request that is under way. It counts until this is dropped.
#[derive(Debug)]
pub(super) struct CallerSlot<'a> {
    limit: &'a CallerLimit,
    key: u64,
}

impl CallerLimit {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: AtomicUsize::new(limit), hashes: RandomState::new(), under_way: Mutex::default() }
    }

    /// Another limit, for the requests that come.
    pub(super) fn set(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Begins a request of this caller; none if so many are under way already.
    pub(super) fn begin(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Option<CallerSlot<'_>> {
        let key = match caller {
            Caller::Anonymous => self.hashes.hash_one(("address", peer)),
            Caller::Basic => {
                self.hashes.hash_one(("basic", headers.get(AUTHORIZATION).map(|value| value.as_bytes())))
            }
            Caller::Bearer { subject } => self.hashes.hash_one(("bearer", subject)),
        };
        let mut under_way = self.under_way.lock();
        let count = under_way.entry(key).or_default();
        if *count >= self.limit.load(Ordering::Relaxed) {
            return None;
        }
        *count += 1;
        Some(CallerSlot { limit: self, key })
    }
}

impl Drop for CallerSlot<'_> {
    fn drop(&mut self) {
        let mut under_way = self.limit.under_way.lock();
        if let Some(count) = under_way.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn each_caller_has_its_own_bound_and_none_takes_memory_without_requests() {
        let limit = CallerLimit::new(2);
        let headers = |value| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        let (one, other) = (headers("Basic b25l"), headers("Basic b3RoZXI="));
        let basic = |headers| limit.begin(&Caller::Basic, headers, None);
        let slots = [basic(&one), basic(&one)];
        assert!(slots.iter().all(Option::is_some) && basic(&one).is_none());
        assert!(basic(&other).is_some());
        let bearer = Caller::Bearer { subject: "one".into() };
        assert!(limit.begin(&bearer, &one, None).is_some());
        let address = |address: [u8; 4]| limit.begin(&Caller::Anonymous, &one, Some(address.into()));
        let slots = (slots, [address([127, 0, 0, 1]), address([127, 0, 0, 1])]);
        assert!(address([127, 0, 0, 1]).is_none() && address([127, 0, 0, 2]).is_some());
        drop(slots);
        assert!(basic(&one).is_some());
        assert!(limit.under_way.lock().is_empty());
    }
}
