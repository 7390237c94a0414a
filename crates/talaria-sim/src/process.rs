//! Measuring another process: its CPU time, its memory and its threads. Also what the standard library lacks: signals, and the limit
//! of open files. Works on Linux only.

mod sys;
mod threads;

use std::fs;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use threads::{Activity, Threads};

/// The interval between two samples of the memory.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// The number of consecutive samples that must agree for the memory to be stable.
const SAMPLES: usize = 5;

/// The greatest difference between samples that agree, in bytes.
const TOLERANCE: u64 = 128 * 1024;

/// A process, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: u32,
}

/// The memory of a process after [`Process::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The resident memory in bytes.
    pub resident: u64,
    /// Whether it had stopped changing before the time limit.
    pub stable: bool,
}

impl Process {
    /// The process with this id.
    #[must_use]
    pub fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// The process id.
    #[must_use]
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// The CPU time of all threads of the process, also of those that have ended, in user and kernel mode.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn cpu_time(self) -> io::Result<Duration> {
        sys::cpu_time(self.pid)
    }

    /// The threads of the process, and what they have done up to now.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn threads(self) -> io::Result<Threads> {
        Threads::of(self.pid)
    }

    /// The resident memory in bytes, from `/proc/PID/smaps_rollup`, which counts the pages. `statm` would be cheaper, but the
    /// kernel updates it late.
    ///
    /// # Errors
    /// If there is no such process, or if this process may not read its memory map.
    pub fn resident(self) -> io::Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let kib = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .and_then(|rest| rest.trim().strip_suffix("kB"))
            .and_then(|number| number.trim().parse::<u64>().ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "smaps_rollup has no line Rss"))?;
        Ok(kib * 1024)
    }

    /// Waits until the resident memory stops changing, at most for `limit`.
    ///
    /// # Errors
    /// As for [`Process::resident`].
    pub async fn settle(self, limit: Duration) -> io::Result<Settled> {
        let deadline = Instant::now() + limit;
        let mut samples: Vec<u64> = vec![];
        loop {
            samples.push(self.resident()?);
            let stable = is_stable(&samples);
            if stable || Instant::now() >= deadline {
                return Ok(Settled { resident: samples.last().copied().unwrap_or(0), stable });
            }
            sleep(SAMPLE_INTERVAL).await;
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    ///
    /// # Errors
    /// If there is no such process, or if this process may not send it signals.
    pub fn interrupt(self) -> io::Result<()> {
        sys::signal(self.pid, sys::Signal::Interrupt)
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// If there is no such process, or if this process may not send it signals.
    pub fn terminate(self) -> io::Result<()> {
        sys::signal(self.pid, sys::Signal::Terminate)
    }
}

/// Raises this process's limit of open files to the hard limit, and returns it.
///
/// # Errors
/// If the limit cannot be read or set.
pub fn raise_open_files() -> io::Result<u64> {
    sys::raise_open_files()
}

/// Whether the last samples of the memory agree.
fn is_stable(samples: &[u64]) -> bool {
    let recent = &samples[samples.len().saturating_sub(SAMPLES)..];
    let (low, high) =
        recent.iter().fold((u64::MAX, 0), |(low, high), sample| (low.min(*sample), high.max(*sample)));
    recent.len() == SAMPLES && high - low <= TOLERANCE
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
    fn a_process_that_does_not_exist_is_an_error() {
        let none = Process::new(0x7fff_fff0);
        assert!(none.resident().is_err() && none.cpu_time().is_err() && none.terminate().is_err());
    }

    #[test]
    fn the_limit_of_open_files_is_raised() {
        assert!(raise_open_files().unwrap() >= 256);
    }

    #[test]
    fn memory_is_stable_when_five_samples_agree() {
        const MIB: u64 = 1 << 20;
        assert!(!is_stable(&[MIB; 4]));
        assert!(is_stable(&[9 * MIB, MIB, MIB, MIB, MIB, MIB + TOLERANCE]));
        assert!(!is_stable(&[MIB, MIB, MIB, MIB, MIB + TOLERANCE + 1]));
    }
}
