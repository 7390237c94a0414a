//! What a phase costs the gateway's process, divided by the number of things that happened in it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::error::BenchError;
use super::instrument::{Counting, Instrument};
use crate::process::{Process, Threads};
use crate::testbed::TestbedError;

/// What one connect, event or request costs the gateway's process. The machine blurs CPU times; the switches are counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// The CPU time in microseconds.
    pub cpu_us: f64,
    /// How often a thread has waited and was woken.
    pub voluntary_switches: f64,
    /// How often a thread had to give way to another one.
    pub involuntary_switches: f64,
    /// What a tool has counted, by name; empty without one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, f64>,
    /// The CPU time in microseconds by the name of the thread, as far as the kernel says it.
    pub cpu_us_by_thread: BTreeMap<String, f64>,
}

/// What the gateway's process had used at the start of a phase.
pub(super) struct Stopwatch {
    process: Process,
    cpu: Duration,
    threads: Threads,
    time: Instant,
    counting: Option<Counting>,
}

impl Stopwatch {
    /// Starts, with this tool.
    pub(super) fn start(process: Process, instrument: Option<Instrument>) -> Result<Self, BenchError> {
        let counting = instrument.map(|instrument| instrument.start(process)).transpose()?;
        let failed = |source| TestbedError::of_process(process, source);
        let threads = process.threads().map_err(failed)?;
        let cpu = process.cpu_time().map_err(failed)?;
        Ok(Self { process, cpu, threads, time: Instant::now(), counting })
    }

    pub(super) fn seconds(&self) -> f64 {
        self.time.elapsed().as_secs_f64()
    }

    /// What the process has used since the start, divided by `count`.
    pub(super) fn costs_each(self, count: u64) -> Result<Costs, BenchError> {
        let failed = |source| TestbedError::of_process(self.process, source);
        let cpu = self.process.cpu_time().map_err(failed)? - self.cpu;
        let threads = self.process.threads().map_err(failed)?.since(&self.threads);
        let each = |total: f64| total / count.max(1) as f64;
        let micros = |cpu: Duration| each(cpu.as_secs_f64() * 1e6);
        let counts = self.counting.map(Counting::finish).transpose()?.unwrap_or_default();
        let used = threads.iter().filter(|(_, activity)| !activity.cpu.is_zero());
        Ok(Costs {
            cpu_us: micros(cpu),
            voluntary_switches: each(threads.values().map(|one| one.voluntary_switches as f64).sum()),
            involuntary_switches: each(threads.values().map(|one| one.involuntary_switches as f64).sum()),
            counts: counts.into_iter().map(|(name, count)| (name, each(count as f64))).collect(),
            cpu_us_by_thread: used.map(|(name, one)| (name.clone(), micros(one.cpu))).collect(),
        })
    }
}
