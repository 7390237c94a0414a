//! Holds the code under test to a time that is linear in the length of its input.
//!
//! What is measured is the CPU time of the thread, not the clock on the wall: on a busy machine a thread waits, and that
//! must not be a finding. What remains is noise that only ever adds time: cold caches, page faults, a slower core, the
//! other hyperthread. So
//!
//! - the bound is generous: [`BASE`] for any input, and for each byte ten times what was measured per byte in this very
//!   build (instrumented, with debug assertions) on a machine with two shared cores. Every [`Cost`] names what was
//!   measured; `TALARIA_FUZZ_COSTS=1` prints what a run measures, for a new machine or a new target;
//! - for the whole work on a message of a device the bound is not what was measured, but what is promised (contract
//!   §14.25): [`PROMISED`] for each byte, times [`INSTRUMENTED`];
//! - a measurement over the bound is repeated up to [`REPEATS`] times, and the shortest counts.
//!
//! The bound still finds what it is for: work that is quadratic takes minutes at 1 MiB, where the bound is a fraction of a
//! second, and passes it from a few tens of kilobytes on.

#![expect(unsafe_code, reason = "the CPU time of a thread has no safe interface in the standard library")]

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What any input may take, however short: a fixed part that does not depend on the length.
pub const BASE: Duration = Duration::from_millis(20);

/// What a byte of a device's message may take in a release build.
pub const PROMISED: Duration = Duration::from_nanos(10);

/// How much slower this build is, with instrumentation and debug assertions, by the worst messages of
/// `examples/worst_messages.rs`, and room for the noise of a busy machine.
pub const INSTRUMENTED: u32 = 5;

/// How often a measurement over the bound is repeated before it is a finding.
pub const REPEATS: usize = 5;

/// Shorter inputs say nothing about the time per byte.
const LONG: usize = 16 * 1024;

/// What some work may cost.
pub struct Cost {
    name: &'static str,
    base: Duration,
    /// Ten times what was measured for each byte, or what is promised.
    per_byte: Duration,
    /// The most that was measured per byte, if it is printed.
    most: AtomicU64,
}

impl Cost {
    /// Work for which this many nanoseconds per byte were measured.
    #[must_use]
    pub const fn measured(name: &'static str, nanoseconds_per_byte: u64) -> Self {
        let per_byte = Duration::from_nanos(10 * nanoseconds_per_byte);
        Self { name, base: BASE, per_byte, most: AtomicU64::new(0) }
    }

    /// Work whose cost is promised. The fixed part is a millisecond, the longest that anything may take on a thread that
    /// serves connections.
    #[must_use]
    pub const fn promised(name: &'static str) -> Self {
        let (base, per_byte) = (Duration::from_millis(1), PROMISED);
        Self {
            name,
            base: base.saturating_mul(INSTRUMENTED),
            per_byte: per_byte.saturating_mul(INSTRUMENTED),
            most: AtomicU64::new(0),
        }
    }

    /// The same with another fixed part.
    #[must_use]
    pub const fn with_base(self, base: Duration) -> Self {
        Self { base, ..self }
    }

    /// Does the work on an input of this many bytes.
    ///
    /// # Panics
    /// If it takes longer than it may, again and again.
    pub fn hold<T>(&self, bytes: usize, mut work: impl FnMut() -> T) -> T {
        let allowed = self.base + self.per_byte * u32::try_from(bytes).expect("an input of less than 4 GiB");
        let (mut result, mut taken) = timed(&mut work);
        for _ in 0..REPEATS {
            if taken <= allowed {
                break;
            }
            let (again, shorter) = timed(&mut work);
            (result, taken) = (again, taken.min(shorter));
        }
        assert!(taken <= allowed, "{}: {taken:?} for {bytes} bytes, allowed are {allowed:?}", self.name);
        self.print(bytes, taken);
        result
    }

    #[expect(clippy::disallowed_methods, reason = "the variable is for measuring, not a setting")]
    fn print(&self, bytes: usize, taken: Duration) {
        static IS_WANTED: OnceLock<bool> = OnceLock::new();
        if bytes < LONG || !IS_WANTED.get_or_init(|| std::env::var_os("TALARIA_FUZZ_COSTS").is_some()) {
            return;
        }
        let per_byte = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX) / bytes as u64;
        if per_byte > self.most.fetch_max(per_byte, Relaxed) {
            eprintln!("cost {}: {per_byte} ns a byte, {taken:?} for {bytes} bytes", self.name);
        }
    }
}

fn timed<T>(work: &mut impl FnMut() -> T) -> (T, Duration) {
    let before = thread_time();
    let result = work();
    (result, thread_time().saturating_sub(before))
}

/// The CPU time that this thread has used.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the call to write to, which keeps no pointer to it.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "the system has no CPU time of threads");
    Duration::new(
        u64::try_from(time.tv_sec).expect("a time"),
        u32::try_from(time.tv_nsec).expect("nanoseconds"),
    )
}
