//! What each thread of the process has used: CPU time, and how often it was woken.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cpu;

/// The threads by id.
pub(crate) struct Threads(BTreeMap<i32, Thread>);

#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub(crate) name: String,
    pub(crate) used: Duration,
    /// It slept and was woken.
    pub(crate) wakes: u64,
    /// Another thread got its core.
    pub(crate) preemptions: u64,
}

impl Threads {
    pub(crate) fn now() -> Self {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
            let path = task.ok()?.path();
            let id = path.file_name()?.to_str()?.parse().ok()?;
            let status = std::fs::read_to_string(path.join("status")).ok()?;
            let count = |key: &str| -> Option<u64> {
                status.lines().find_map(|line| line.strip_prefix(key))?.trim().parse().ok()
            };
            Some((
                id,
                Thread {
                    name: std::fs::read_to_string(path.join("comm")).ok()?.trim().to_owned(),
                    used: cpu::of(id),
                    wakes: count("voluntary_ctxt_switches:")?,
                    preemptions: count("nonvoluntary_ctxt_switches:")?,
                },
            ))
        });
        Self(tasks.collect())
    }

    /// What they have used since then, those that used anything.
    pub(crate) fn since(self, before: &Self) -> Vec<Thread> {
        let since = |(id, mut thread): (i32, Thread)| {
            if let Some(before) = before.0.get(&id) {
                thread.used = thread.used.saturating_sub(before.used);
                thread.wakes -= before.wakes;
                thread.preemptions -= before.preemptions;
            }
            thread
        };
        self.0.into_iter().map(since).filter(|thread| thread.used > Duration::from_millis(1)).collect()
    }
}
