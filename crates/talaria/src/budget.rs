//! A bound on the memory that many holders take together (contract §14.25).
//!
//! A [`Budget`] is for one [`Store`]. Each holder reports how many bytes it has, in its own [`Holding`]. Up to [`SMALL`]
//! bytes they count in a quarter of the budget that only small holdings use, by one atomic addition. All others are in a
//! list, ordered by their size. When the list is over its limit, the largest holder that may go has to go, not the one
//! that grows next: a stranger who holds much cannot cause the end of others who hold little.
//!
//! A holder that has to go gives its memory back a moment later, when its task runs. Its bytes are taken from the list at
//! once, so that no second holder goes for the same bytes.
//!
//! Deliberately absent: what a holder is, and how it ends. Start reading at [`Budget::change`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;

/// The largest holding that counts as small, in bytes.
pub const SMALL: usize = 64 * 1024;
/// The part of a budget that only small holdings use: a quarter.
const SMALL_SHARE: usize = 4;
/// How many of the largest holders are asked whether they may go. Few hold much, and the list is locked meanwhile.
const ASKED: usize = 64;

/// What a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Messages of devices that have not arrived completely.
    Unfinished,
    /// Messages to devices that have not been written.
    Queued,
    /// Acknowledgements that wait for the outcome of their messages.
    Unacknowledged,
    /// Bodies of requests and of responses.
    Bodies,
}

/// An owner of bytes that can be ended to get them back. Its methods are called while other holders may be locked: they
/// must not lock anything and must not wait.
pub trait Holder: Send + Sync {
    /// Whether it may be ended for the sake of the others.
    fn may_go(&self, store: Store) -> bool;

    /// Ends it soon.
    fn go(&self, store: Store);
}

/// The bound on one store.
pub struct Budget {
    store: Store,
    limit: AtomicUsize,
    small: AtomicUsize,
    list: Mutex<List>,
}

/// What one holder has of a budget. It must be [changed](Budget::change) to 0 before it is dropped.
#[derive(Debug, Default)]
pub struct Holding {
    bytes: usize,
    is_listed: bool,
}

/// There is no room for more bytes: the largest holder that may go is the caller, or none may go. The caller's holding
/// is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room: all of them together have reached their limit")]
pub struct NoRoomError;

#[derive(Default)]
struct List {
    used: usize,
    /// By the bytes they hold and by their address.
    holders: BTreeMap<(usize, usize), Arc<dyn Holder>>,
}

impl Budget {
    /// An empty budget of so many bytes.
    #[must_use]
    pub fn new(store: Store, limit: usize) -> Self {
        Self { store, limit: AtomicUsize::new(limit), small: AtomicUsize::new(0), list: Mutex::default() }
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Another limit in bytes. If the holders have more, they go when one of them asks for more.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
    }

    fn small_limit(&self) -> usize {
        self.limit() / SMALL_SHARE
    }

    /// The bytes that all holders have.
    #[must_use]
    pub fn used(&self) -> usize {
        self.small.load(Relaxed) + self.list.lock().used
    }

    /// A holder has now this many bytes. `holder` is called only if they are many; it is the same one each time.
    ///
    /// # Errors
    /// [`NoRoomError`] if there is no room for more; fewer bytes are always accepted.
    pub fn change(
        &self,
        holding: &mut Holding,
        bytes: usize,
        holder: impl FnOnce() -> Arc<dyn Holder>,
    ) -> Result<(), NoRoomError> {
        if bytes == holding.bytes {
            return Ok(());
        }
        if !holding.is_listed && bytes <= SMALL && self.change_small(holding.bytes, bytes) {
            holding.bytes = bytes;
            return Ok(());
        }
        self.change_listed(holding, bytes, holder())
    }

    /// Whether there is room for a small holding to change so.
    fn change_small(&self, from: usize, to: usize) -> bool {
        if to <= from {
            self.small.fetch_sub(from - to, Relaxed);
            return true;
        }
        let more = to - from;
        if self.small.fetch_add(more, Relaxed) + more <= self.small_limit() {
            return true;
        }
        self.small.fetch_sub(more, Relaxed);
        false
    }

    fn change_listed(
        &self,
        holding: &mut Holding,
        bytes: usize,
        holder: Arc<dyn Holder>,
    ) -> Result<(), NoRoomError> {
        let address = Arc::as_ptr(&holder).addr();
        let (limit, small_limit) = (self.limit(), self.small_limit());
        let mut list = self.list.lock();
        let mut victims = Vec::new();
        if holding.is_listed && list.remove(holding.bytes, address).is_none() {
            // It has to go already, and its bytes are given back.
            let is_more = bytes > holding.bytes;
            *holding = Holding { bytes, is_listed: bytes > 0 };
            return if is_more { Err(NoRoomError) } else { Ok(()) };
        }
        if bytes <= SMALL && holding.is_listed && self.change_small(0, bytes) {
            *holding = Holding { bytes, is_listed: false };
            return Ok(());
        }
        list.add(bytes, address, Arc::clone(&holder));
        let mut has_room = true;
        while list.used + small_limit > limit && bytes > holding.bytes {
            let largest = list.holders.iter().rev().take(ASKED);
            let mut may_go = largest.filter(|(_, holder)| holder.may_go(self.store));
            let Some(&(most, whose)) = may_go.next().map(|(key, _)| key) else {
                list.remove(bytes, address);
                has_room = false;
                break;
            };
            victims.extend(list.remove(most, whose));
            if whose == address {
                has_room = false;
                break;
            }
        }
        if has_room {
            if !holding.is_listed {
                self.small.fetch_sub(holding.bytes, Relaxed);
            }
            *holding = Holding { bytes, is_listed: true };
        } else if holding.is_listed && !victims.iter().any(|victim| Arc::ptr_eq(victim, &holder)) {
            list.add(holding.bytes, address, holder);
        }
        drop(list);
        for victim in victims {
            victim.go(self.store);
        }
        if has_room { Ok(()) } else { Err(NoRoomError) }
    }
}

impl List {
    fn add(&mut self, bytes: usize, address: usize, holder: Arc<dyn Holder>) {
        self.used += bytes;
        self.holders.insert((bytes, address), holder);
    }

    fn remove(&mut self, bytes: usize, address: usize) -> Option<Arc<dyn Holder>> {
        let holder = self.holders.remove(&(bytes, address))?;
        self.used -= bytes;
        Some(holder)
    }
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget")
            .field("store", &self.store)
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    const KIB: usize = 1024;

    struct Client {
        may_go: bool,
        has_gone: AtomicBool,
    }

    impl Holder for Client {
        fn may_go(&self, _: Store) -> bool {
            self.may_go
        }

        fn go(&self, _: Store) {
            self.has_gone.store(true, Relaxed);
        }
    }

    struct Held {
        client: Arc<Client>,
        holding: Holding,
    }

    impl Held {
        fn new(may_go: bool) -> Self {
            let client = Arc::new(Client { may_go, has_gone: AtomicBool::new(false) });
            Self { client, holding: Holding::default() }
        }

        fn change(&mut self, budget: &Budget, bytes: usize) -> bool {
            let client = Arc::clone(&self.client);
            budget.change(&mut self.holding, bytes, move || client).is_ok()
        }

        fn has_gone(&self) -> bool {
            self.client.has_gone.load(Relaxed)
        }
    }

    fn used(budget: &Budget) -> (usize, usize) {
        (budget.small.load(Relaxed), budget.list.lock().used)
    }

    #[test]
    fn the_largest_goes_and_not_the_one_that_grows() {
        // 768 KiB for those that hold much.
        let budget = Budget::new(Store::Unfinished, 1024 * KIB);
        let (mut large, mut other, mut growing) = (Held::new(true), Held::new(true), Held::new(true));
        assert!(large.change(&budget, 400 * KIB));
        assert!(other.change(&budget, 300 * KIB));
        assert!(growing.change(&budget, 100 * KIB), "another one goes for it");
        assert_eq!([&large, &other, &growing].map(Held::has_gone), [true, false, false]);
        assert_eq!(used(&budget), (0, 400 * KIB), "the bytes are free before the holder is");
        assert!(!large.change(&budget, 500 * KIB), "it may not grow any more");
        for held in [&mut large, &mut other, &mut growing] {
            assert!(held.change(&budget, 0));
        }
        assert_eq!(used(&budget), (0, 0));
    }

    #[test]
    fn the_one_that_grows_goes_if_it_is_the_largest() {
        let budget = Budget::new(Store::Unfinished, 1024 * KIB);
        let (mut other, mut growing) = (Held::new(true), Held::new(true));
        assert!(other.change(&budget, 300 * KIB));
        assert!(growing.change(&budget, 400 * KIB));
        assert!(!growing.change(&budget, 500 * KIB));
        assert_eq!([&other, &growing].map(Held::has_gone), [false, true]);
        assert!(growing.change(&budget, 0));
        assert_eq!(used(&budget), (0, 300 * KIB));
    }

    #[test]
    fn small_holdings_have_room_of_their_own() {
        let budget = Budget::new(Store::Unfinished, 1024 * KIB);
        let mut large = Held::new(false);
        assert!(large.change(&budget, 768 * KIB));
        let mut small: Vec<Held> = (0..4).map(|_| Held::new(true)).collect();
        assert!(small.iter_mut().all(|held| held.change(&budget, SMALL)));
        let mut beyond = Held::new(true);
        assert!(!beyond.change(&budget, 1), "their room is used up, and the large one may not go");
        assert!(small[0].change(&budget, 0));
        assert!(beyond.change(&budget, 1));
        assert!(!large.has_gone());
    }

    #[test]
    fn nobody_goes_who_may_not_and_a_refused_change_changes_nothing() {
        let budget = Budget::new(Store::Unfinished, 1024 * KIB);
        let (mut large, mut growing) = (Held::new(false), Held::new(false));
        assert!(large.change(&budget, 600 * KIB));
        assert!(growing.change(&budget, 100 * KIB));
        assert!(!growing.change(&budget, 200 * KIB));
        assert_eq!(used(&budget), (0, 700 * KIB));
        assert!(growing.change(&budget, 10), "fewer are always accepted");
        assert_eq!(used(&budget), (10, 600 * KIB));
        assert!(!growing.change(&budget, 400 * KIB));
        assert_eq!(used(&budget), (10, 600 * KIB));
    }
}
