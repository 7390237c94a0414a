//! What an attack came to.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::Kind;
pub use super::attacker::Done;
use crate::latency::Summary;

/// A 99th percentile up to this, in milliseconds, is no harm, whatever it was before: a busy machine has such moments.
const HARMLESS: f64 = 20.0;

/// The findings. Memory is in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Honest devices.
    pub devices: usize,
    /// Honest devices that lost their connection.
    pub lost_devices: u64,
    /// Attackers.
    pub attackers: usize,
    /// How long the attack lasted.
    pub seconds: f64,
    /// Events that the honest devices sent, in peace and under attack.
    pub events: u64,
    /// Events that did not arrive everywhere.
    pub lost_events: u64,
    /// How long events took in peace.
    pub calm: Times,
    /// How long events took under attack.
    pub attacked: Times,
    /// The gateway's memory.
    pub memory: Memory,
    /// What each kind of attack did, and what the gateway says of it.
    pub deeds: Vec<Deeds>,
    /// The gateway's exit code, if it was started for this.
    pub exit_code: Option<i32>,
}

/// How long events took from their device to where they belong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// To the event receiver.
    pub http: Option<Summary>,
    /// To the topic.
    pub kafka: Option<Summary>,
}

/// The gateway's resident memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Before the attack.
    pub before: u64,
    /// The most during the attack.
    pub peak: u64,
    /// After the attack, while the honest devices are still there.
    pub after: u64,
    /// How far it may grow.
    pub allowed: u64,
}

/// One kind of attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deeds {
    /// Which.
    pub kind: Kind,
    /// What the attackers achieved.
    pub done: Done,
    /// What the gateway's counters say.
    pub counted: Vec<Counted>,
}

/// A counter of the gateway, and how far it went on during the attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Its name, with its reason.
    pub counter: String,
    /// By how much.
    pub count: u64,
}

impl Memory {
    /// How far it grew at most.
    #[must_use]
    pub fn growth(&self) -> u64 {
        self.peak.saturating_sub(self.before)
    }
}

impl Times {
    /// Whether the 99th percentiles are at most twice those in peace.
    #[must_use]
    pub fn at_most_double(&self, calm: &Times) -> bool {
        let fine = |now: Option<Summary>, calm: Option<Summary>| {
            let calm = calm.unwrap_or_default().p99;
            now.is_none_or(|now| now.p99 <= (2.0 * calm).max(HARMLESS))
        };
        fine(self.http, calm.http) && fine(self.kafka, calm.kafka)
    }
}

impl Deeds {
    /// Whether the gateway counted the attack under its name, if there was one.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.done.attempts == 0 || self.counted.iter().any(|counted| counted.count > 0)
    }
}

impl Report {
    /// What the gateway did not endure; empty if it endured all of it.
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
        for deeds in self.deeds.iter().filter(|deeds| !deeds.is_counted()) {
            failures.push(format!("nothing was counted of: {}", deeds.kind.as_str()));
        }
        if let Some(code) = self.exit_code.filter(|code| *code != 0) {
            failures.push(format!("the gateway ended with exit code {code}"));
        }
        failures
    }

    /// Whether the gateway endured all of it.
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
                writeln!(f, "  {end:6} in peace      {calm}\n         under attack  {attacked}")?;
            }
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (before, peak, after) = (mib(memory.before), mib(memory.peak), mib(memory.after));
        writeln!(f, "memory {before:.1} MiB before, {peak:.1} at most, {after:.1} after")?;
        writeln!(
            f,
            "{:16} {:>8} {:>8} {:>8} {:>8} {:>10}",
            "attack", "attempts", "refused", "cut", "endured", "KiB"
        )?;
        for Deeds { kind, done, counted } in &self.deeds {
            let Done { attempts, refused, cut, endured, bytes, .. } = done;
            let kib = bytes / 1024;
            write!(f, "{:16} {attempts:>8} {refused:>8} {cut:>8} {endured:>8} {kib:>10}  ", kind.as_str())?;
            for Counted { counter, count } in counted {
                write!(f, " {count} {counter}")?;
            }
            writeln!(f)?;
        }
        match self.failures() {
            failures if failures.is_empty() => write!(f, "endured"),
            failures => write!(f, "NOT ENDURED: {}", failures.join("; ")),
        }
    }
}
