//! The allocator of the tests' binary: the system's, which counts what is allocated.
//!
//! Only tests that run in a process of their own can use the counts ([`alone`](crate::support::alone)): other tests allocate
//! at the same time. It counts Rust's allocations, not those that librdkafka's C code makes.

#![expect(unsafe_code, reason = "a global allocator that counts cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicIsize, AtomicU64};

struct Counting;

/// Bytes that are in use, on all threads.
static LIVE: AtomicIsize = AtomicIsize::new(0);

/// Allocations, and their bytes, of the threads that are not [excepted](except_this_thread).
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Has no destructor and is no allocation, so that the allocator may use it.
    static IS_EXCEPTED: Cell<bool> = const { Cell::new(false) };
}

/// What was allocated. A buffer that grows counts once more for each time, with its whole new length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocated {
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
}

impl Allocated {
    /// Since the start of the process.
    pub(crate) fn total() -> Self {
        Self { allocations: ALLOCATIONS.load(Relaxed), bytes: ALLOCATED.load(Relaxed) }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { allocations: self.allocations - before.allocations, bytes: self.bytes - before.bytes }
    }
}

/// Bytes of Rust's that are in use in the whole process.
pub(crate) fn live() -> isize {
    LIVE.load(Relaxed)
}

/// Counts nothing that this thread allocates: it belongs to a far end of the gateway.
pub(crate) fn except_this_thread() {
    IS_EXCEPTED.set(true);
}

// SAFETY: all memory is the system allocator's; this only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Relaxed);
        // A thread that ends has no locals any more.
        if !IS_EXCEPTED.try_with(Cell::get).unwrap_or(true) {
            ALLOCATIONS.fetch_add(1, Relaxed);
            ALLOCATED.fetch_add(layout.size() as u64, Relaxed);
        }
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
