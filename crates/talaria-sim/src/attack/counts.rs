//! The counts of attempts, by kind of attack and by outcome.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::attempt::Outcome;
use super::kind::Kind;

/// Counts the attempts of all attackers while they run.
#[derive(Debug, Default)]
pub(super) struct AttemptCounters([Counters; Kind::ALL.len()]);

#[derive(Debug, Default)]
struct Counters {
    attempts: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    endured: AtomicU64,
    unreachable: AtomicU64,
    bytes: AtomicU64,
}

/// The attempts of all attackers of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptCounts {
    /// Attempts that were begun.
    pub attempts: u64,
    /// Attempts that the gateway answered with an error status.
    pub refused: u64,
    /// Attempts whose connection the gateway closed.
    pub cut: u64,
    /// Attempts that the gateway did not stop: they ended at their own limit.
    pub endured: u64,
    /// Attempts that could not connect.
    pub unreachable: u64,
    /// Bytes that the attackers sent.
    pub bytes: u64,
}

impl AttemptCounters {
    pub(super) fn begun(&self, kind: Kind) {
        add(&self.of_kind(kind).attempts, 1);
    }

    pub(super) fn ended(&self, kind: Kind, outcome: Outcome, bytes: u64) {
        let counters = self.of_kind(kind);
        add(&counters.bytes, bytes);
        let counter = match outcome {
            Outcome::Refused => &counters.refused,
            Outcome::Cut => &counters.cut,
            Outcome::Endured => &counters.endured,
            Outcome::Unreachable => &counters.unreachable,
        };
        add(counter, 1);
    }

    /// The counts of this kind up to now.
    pub(super) fn of(&self, kind: Kind) -> AttemptCounts {
        let counters = self.of_kind(kind);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AttemptCounts {
            attempts: load(&counters.attempts),
            refused: load(&counters.refused),
            cut: load(&counters.cut),
            endured: load(&counters.endured),
            unreachable: load(&counters.unreachable),
            bytes: load(&counters.bytes),
        }
    }

    fn of_kind(&self, kind: Kind) -> &Counters {
        &self.0[kind as usize]
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
