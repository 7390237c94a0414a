//! CPU time, which other processes on the machine do not lengthen.

use std::time::Duration;

/// What the calling thread has used.
#[allow(dead_code, reason = "each benchmark uses some")]
pub(crate) fn of_thread() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// What all threads of the process have used.
#[allow(dead_code, reason = "each benchmark uses some")]
pub(crate) fn of_process() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// What a thread of the process has used, by its id.
#[allow(dead_code, reason = "each benchmark uses some")]
pub(crate) fn of(thread: i32) -> Duration {
    /// A thread's clock of CPU time (the kernel's `CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED`).
    const OF_THREAD: i32 = 6;
    clock((!thread << 3) | OF_THREAD)
}

#[expect(unsafe_code, reason = "the standard library has no clock of CPU time")]
fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a value of ours, which the call fills.
    let result = unsafe { libc::clock_gettime(id, &raw mut time) };
    assert_eq!(result, 0, "these clocks exist since Linux 2.6");
    let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}
