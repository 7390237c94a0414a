//! The report of an attack drill, which is printed as a JSON object and as a table.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::counts::AttemptCounts;
use super::kind::Kind;
use crate::latency::Summary;

/// A 99th percentile up to this many milliseconds is accepted in any case: a busy machine alone can cause it.
const HARMLESS: f64 = 20.0;

/// The growth of the metrics page, in series, up to which the drill passes: twelve families may get some new labels each.
const MORE_SERIES: usize = 500;

/// The results of a drill. Memory is the gateway's resident memory, in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Honest devices.
    pub devices: usize,
    /// Honest devices that lost their connection.
    pub lost_devices: u64,
    /// Attackers.
    pub attackers: usize,
    /// The duration of the attack.
    pub seconds: f64,
    /// Events that the honest devices sent, before and during the attack.
    pub events: u64,
    /// Events that did not arrive at all far ends.
    pub lost_events: u64,
    /// The latency of events before the attack.
    pub calm: EventLatency,
    /// The latency of events during the attack.
    pub attacked: EventLatency,
    /// The gateway's memory.
    pub memory: Memory,
    /// The gateway's metrics page.
    pub series: Series,
    /// The results of each kind of attack.
    #[serde(rename = "deeds")]
    pub kinds: Vec<KindResult>,
    /// The exit code of a gateway that the drill started, or -1 if a signal ended it; absent for a running gateway.
    pub exit_code: Option<i32>,
}

/// The latency of events from the device to the far ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct EventLatency {
    /// Up to the event receiver; absent if there was none.
    pub http: Option<Summary>,
    /// Up to the topic; absent if there was none.
    pub kafka: Option<Summary>,
}

/// The gateway's resident memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The memory before the attack.
    pub before: u64,
    /// The highest value during the attack.
    pub peak: u64,
    /// The memory after the attack, with the honest devices still connected.
    pub after: u64,
    /// The growth up to which the drill passes.
    pub allowed: u64,
}

/// The series on the gateway's metrics page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// How many there were before the attack.
    pub before: usize,
    /// How many there were at its end.
    pub after: usize,
}

/// The result of one kind of attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindResult {
    /// The kind of attack.
    pub kind: Kind,
    /// The attempts of the attackers.
    pub done: AttemptCounts,
    /// The gateway's counters for this kind.
    pub counted: Vec<CounterIncrease>,
}

/// The increase of one of the gateway's counters during the attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterIncrease {
    /// The name of the counter, with the value of its label `reason`.
    pub counter: String,
    /// The increase.
    pub count: u64,
}

impl Memory {
    /// The growth during the attack.
    #[must_use]
    pub fn growth(&self) -> u64 {
        self.peak.saturating_sub(self.before)
    }
}

impl EventLatency {
    /// Whether each 99th percentile is at most twice that of `calm`, or harmless.
    #[must_use]
    pub fn at_most_double(&self, calm: &Self) -> bool {
        let is_fine = |now: Option<Summary>, calm: Option<Summary>| {
            let calm = calm.unwrap_or_default().p99;
            now.is_none_or(|now| now.p99 <= (2.0 * calm).max(HARMLESS))
        };
        is_fine(self.http, calm.http) && is_fine(self.kafka, calm.kafka)
    }
}

impl KindResult {
    /// Whether the gateway counted the attack in one of its counters for this kind, or no attempt was made.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.done.attempts == 0 || self.counted.iter().any(|counted| counted.count > 0)
    }
}

impl Report {
    /// The reasons why the drill failed; empty if it passed.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = vec![];
        if self.lost_devices > 0 {
            failures.push(format!("{} devices lost their connection", self.lost_devices));
        }
        if self.lost_events > 0 {
            failures.push(format!("{} events did not arrive", self.lost_events));
        }
        if !self.attacked.at_most_double(&self.calm) {
            failures.push("the 99th percentile of the events more than doubled".to_owned());
        }
        if self.memory.growth() > self.memory.allowed {
            failures.push(format!("the memory grew by {} MiB", self.memory.growth() >> 20));
        }
        if self.series.after > self.series.before + MORE_SERIES {
            failures.push(format!("the metrics page grew to {} series", self.series.after));
        }
        for result in self.kinds.iter().filter(|result| !result.is_counted()) {
            failures.push(format!("the gateway did not count: {}", result.kind.as_str()));
        }
        if let Some(code) = self.exit_code.filter(|code| *code != 0) {
            failures.push(format!("the gateway ended with exit code {code}"));
        }
        failures
    }

    /// Whether the drill passed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failures().is_empty()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { devices, attackers, seconds, events, lost_events, memory, .. } = self;
        writeln!(
            f,
            "{attackers} attackers for {seconds:.0} s on {devices} devices, {} lost",
            self.lost_devices
        )?;
        writeln!(f, "{events} events, {lost_events} lost")?;
        for (end, calm, attacked) in
            [("http", self.calm.http, self.attacked.http), ("kafka", self.calm.kafka, self.attacked.kafka)]
        {
            if let (Some(calm), Some(attacked)) = (calm, attacked) {
                writeln!(f, "  {end:6} before attack {calm}\n         under attack  {attacked}")?;
            }
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (before, peak, after) = (mib(memory.before), mib(memory.peak), mib(memory.after));
        writeln!(f, "memory {before:.1} MiB before, {peak:.1} at most, {after:.1} after")?;
        writeln!(f, "metrics {} series before, {} after", self.series.before, self.series.after)?;
        writeln!(
            f,
            "{:16} {:>8} {:>8} {:>8} {:>8} {:>10}",
            "attack", "attempts", "refused", "cut", "endured", "KiB"
        )?;
        for KindResult { kind, done, counted } in &self.kinds {
            let AttemptCounts { attempts, refused, cut, endured, bytes, .. } = done;
            let kib = bytes / 1024;
            write!(f, "{:16} {attempts:>8} {refused:>8} {cut:>8} {endured:>8} {kib:>10}  ", kind.as_str())?;
            for CounterIncrease { counter, count } in counted {
                write!(f, " {count} {counter}")?;
            }
            writeln!(f)?;
        }
        match self.failures() {
            failures if failures.is_empty() => write!(f, "passed"),
            failures => write!(f, "FAILED: {}", failures.join("; ")),
        }
    }
}
