//! System calls: the only unsafe code of this crate.

#![expect(unsafe_code, reason = "the standard library offers none of these calls")]

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

pub(super) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut clock = MaybeUninit::uninit();
    // SAFETY: the call writes a clock id or returns an error
    let error = unsafe { libc::clock_getcpuclockid(pid_t(pid)?, clock.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the clock was written above; the call writes a time or returns an error
    if unsafe { libc::clock_gettime(clock.assume_init(), time.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded
    let time = unsafe { time.assume_init() };
    Ok(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

pub(super) fn terminate(pid: u32) -> io::Result<()> {
    // SAFETY: the call touches no memory
    if unsafe { libc::kill(pid_t(pid)?, libc::SIGTERM) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

pub(super) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes to `limit`, which outlives it
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the call reads from `limit`, which outlives it
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// A process id as the system takes it. 0 would mean this process or group, so it is refused.
fn pid_t(pid: u32) -> io::Result<libc::pid_t> {
    match libc::pid_t::try_from(pid) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is no process id"))),
    }
}
