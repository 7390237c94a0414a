//! What a process costs, seen from outside: its CPU time and its memory. And the few other things to ask of the system
//! that the standard library has no words for.

mod sys;

use std::fs;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often memory is looked at while it settles.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks in a row that must agree before memory counts as settled.
const SAME_LOOKS: usize = 5;

/// How far apart looks may be that agree, in bytes.
const SAME_WITHIN: u64 = 128 * 1024;

/// Another process, or this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: u32,
}

/// A process's memory once it no longer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Whether it did stop changing in the time given.
    pub stable: bool,
}

impl Process {
    /// The process of this id.
    #[must_use]
    pub fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// Its id.
    #[must_use]
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// The CPU time that all its threads, those that have ended included, have used so far, in the kernel and outside,
    /// to the nanosecond.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn cpu_time(self) -> io::Result<Duration> {
        sys::cpu_time(self.pid)
    }

    /// Its resident memory in bytes, as `/proc/PID/smaps_rollup` counts it page by page: the cheaper `statm` is off by
    /// what the kernel has not yet summed up.
    ///
    /// # Errors
    /// If there is no such process, or it is not ours to look at.
    pub fn resident(self) -> io::Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let kib = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .and_then(|rest| rest.trim().strip_suffix("kB"))
            .and_then(|number| number.trim().parse::<u64>().ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "smaps_rollup names no Rss"))?;
        Ok(kib * 1024)
    }

    /// Waits until its resident memory no longer changes, but no longer than `within`.
    ///
    /// # Errors
    /// As [`Process::resident`].
    pub async fn settle(self, within: Duration) -> io::Result<Settled> {
        let deadline = Instant::now() + within;
        let mut looks: Vec<u64> = vec![];
        loop {
            looks.push(self.resident()?);
            let stable = agree(&looks);
            if stable || Instant::now() >= deadline {
                return Ok(Settled { resident: looks.last().copied().unwrap_or(0), stable });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// If there is no such process, or it is not ours.
    pub fn terminate(self) -> io::Result<()> {
        sys::terminate(self.pid)
    }
}

/// Raises this process's limit of open files as far as the system allows and returns it.
///
/// # Errors
/// If the system does not tell or does not allow even that.
pub fn raise_open_files() -> io::Result<u64> {
    sys::raise_open_files()
}

/// Whether the last few looks at a process's memory found the same.
fn agree(looks: &[u64]) -> bool {
    let recent = &looks[looks.len().saturating_sub(SAME_LOOKS)..];
    let (low, high) =
        recent.iter().fold((u64::MAX, 0), |(low, high), look| (low.min(*look), high.max(*look)));
    recent.len() == SAME_LOOKS && high - low <= SAME_WITHIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this() -> Process {
        Process::new(std::process::id())
    }

    #[test]
    fn this_process_has_memory_and_uses_cpu_time() {
        assert!(this().resident().unwrap() > 100_000);
        let before = this().cpu_time().unwrap();
        while this().cpu_time().unwrap() == before {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        let none = Process::new(0x7fff_fff0);
        assert!(none.resident().is_err() && none.cpu_time().is_err() && none.terminate().is_err());
    }

    #[test]
    fn open_files_are_raised_to_what_the_system_allows() {
        assert!(raise_open_files().unwrap() >= 256);
    }

    #[test]
    fn memory_has_settled_once_five_looks_agree() {
        const MIB: u64 = 1 << 20;
        assert!(!agree(&[MIB; 4]));
        assert!(agree(&[9 * MIB, MIB, MIB, MIB, MIB, MIB + SAME_WITHIN]));
        assert!(!agree(&[MIB, MIB, MIB, MIB, MIB + SAME_WITHIN + 1]));
    }
}
