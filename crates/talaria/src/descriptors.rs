//! The limit of open files of the process. Each connection needs one, so the limit bounds the number of devices.

use tracing::{info, warn};

/// Raises the soft limit to the hard one, as the Go runtime does for every program.
pub fn raise_limit() {
    match raise() {
        Ok(limit) => info!(limit, "limit of open files set to the hard limit"),
        Err(error) => warn!(%error, "cannot raise the limit of open files, fewer devices can connect"),
    }
}

#[expect(unsafe_code, reason = "the standard library has no call for resource limits")]
fn raise() -> std::io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer refers to a live rlimit that nothing else uses, which is all that getrlimit requires.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above; setrlimit only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}
