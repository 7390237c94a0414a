//! The system calls of [`process`](super). They are the only unsafe code of this crate.

#![expect(unsafe_code, reason = "the standard library does not have these system calls")]

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

pub(super) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut clock = MaybeUninit::uninit();
    // SAFETY: the call writes a clock id or returns an error.
    let error = unsafe { libc::clock_getcpuclockid(pid_t(pid)?, clock.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call above wrote the clock id; this one writes a time or returns an error.
    if unsafe { libc::clock_gettime(clock.assume_init(), time.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it wrote the time.
    let time = unsafe { time.assume_init() };
    Ok(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// What another process is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    Interrupt,
    Terminate,
}

pub(super) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Interrupt => libc::SIGINT,
        Signal::Terminate => libc::SIGTERM,
    };
    // SAFETY: the call accesses no memory.
    if unsafe { libc::kill(pid_t(pid)?, number) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

pub(super) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes to `limit`, which outlives it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the call reads from `limit`, which outlives it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// Converts a process id for the system. 0 is an error: it would mean this process or its group.
fn pid_t(pid: u32) -> io::Result<libc::pid_t> {
    match libc::pid_t::try_from(pid) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is not a process id"))),
    }
}
