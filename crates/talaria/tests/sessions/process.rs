//! What this process has used so far, from `/proc`.

use std::time::Duration;

/// The kernel's clock ticks a second, as user space sees them.
const USER_HZ: u64 = 100;

/// CPU time and memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Resident, in bytes.
    pub(crate) resident: i64,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let field = |index: usize| {
            fields.split_ascii_whitespace().nth(index).and_then(|text| text.parse::<u64>().ok())
        };
        let ticks = field(11).zip(field(12)).map(|(user, system)| user + system).expect("CPU times");
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident
            .and_then(|text| text.trim().strip_suffix(" kB"))
            .and_then(|text| text.parse::<i64>().ok());
        Self {
            cpu: Duration::from_millis(ticks * 1000 / USER_HZ),
            resident: resident.expect("a size") * 1024,
        }
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        Self { cpu: self.cpu - before.cpu, resident: self.resident - before.resident }
    }
}
