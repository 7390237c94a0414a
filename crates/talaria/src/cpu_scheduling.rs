//! When the threads of the process get a core from others (contract §9.6).
//!
//! A gateway does a little for each event, in several threads that wake each other. A normal thread that is woken takes the core at
//! once, mostly from the thread that woke it and that is about to wait: so the core changes hands twice for nothing. Threads
//! of the policy `SCHED_BATCH` (sched(7)) have the same share of the CPU, but wait until the core is free or their turn has come.

use std::io;

/// How the threads are scheduled (`cpuScheduling`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpuScheduling {
    /// A thread that is woken lets the running one finish what it does.
    #[default]
    Batch,
    /// A thread that is woken takes the core at once, if it has had less of it than the running one.
    Normal,
}

/// Schedules this thread and those that it starts from now on like this. A policy that the process has been given, by `chrt` or
/// `CPUSchedulingPolicy` of a unit, stays.
///
/// # Errors
/// If the system does not allow it, as a filter of system calls may.
pub fn apply(scheduling: CpuScheduling) -> io::Result<()> {
    match scheduling {
        CpuScheduling::Batch if policy()? == libc::SCHED_OTHER => set_policy(libc::SCHED_BATCH),
        CpuScheduling::Batch | CpuScheduling::Normal => Ok(()),
    }
}

/// The policy of this thread.
#[expect(unsafe_code, reason = "the standard library has no call for scheduling policies")]
fn policy() -> io::Result<libc::c_int> {
    // SAFETY: the call takes no pointer. 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    if policy < 0 { Err(io::Error::last_os_error()) } else { Ok(policy) }
}

#[expect(unsafe_code, reason = "the standard library has no call for scheduling policies")]
fn set_policy(policy: libc::c_int) -> io::Result<()> {
    // Policies that are not for real time have no priority.
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer refers to live parameters, which the call only reads. 0 is the calling thread.
    let failed = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } != 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// The policy of a thread that has one and is then scheduled like this, and that of a thread that it starts.
    fn after(given: libc::c_int, scheduling: CpuScheduling) -> (libc::c_int, libc::c_int) {
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                set_policy(given).unwrap();
                apply(scheduling).unwrap();
                (policy().unwrap(), thread::spawn(|| policy().unwrap()).join().unwrap())
            });
            thread.join().unwrap()
        })
    }

    #[test]
    fn threads_are_scheduled_as_configured_and_those_that_they_start_likewise() {
        let (other, batch) = (libc::SCHED_OTHER, libc::SCHED_BATCH);
        assert_eq!(after(other, CpuScheduling::Batch), (batch, batch));
        assert_eq!(after(other, CpuScheduling::Normal), (other, other));
    }

    #[test]
    fn a_policy_that_the_process_was_given_stays() {
        let (batch, idle) = (libc::SCHED_BATCH, libc::SCHED_IDLE);
        assert_eq!(after(idle, CpuScheduling::Batch), (idle, idle));
        assert_eq!(after(batch, CpuScheduling::Normal), (batch, batch));
    }
}
