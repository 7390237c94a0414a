//! The number of files that the process may open: each device needs one.

use tracing::{info, warn};

/// Raises the soft limit to the hard one, as every Go program does by itself.
pub fn raise_limit() {
    match raise() {
        Ok(limit) => info!(limit, "limit of open files"),
        Err(error) => warn!(%error, "the limit of open files cannot be raised"),
    }
}

#[expect(unsafe_code, reason = "there is no safe call for it in the standard library")]
fn raise() -> std::io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit that nothing else uses, which is all that getrlimit asks for.
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
