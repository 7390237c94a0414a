//! What this process has used so far.

use std::time::Duration;

use talaria_sim::process::Process;

/// CPU time and memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Resident, in bytes.
    pub(crate) resident: i64,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let process = Process::new(std::process::id());
        let resident = process.resident().expect("a process may read its own memory map");
        Self {
            cpu: process.cpu_time().expect("this process exists"),
            resident: i64::try_from(resident).expect("memory is not that large"),
        }
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        Self { cpu: self.cpu - before.cpu, resident: self.resident - before.resident }
    }
}
