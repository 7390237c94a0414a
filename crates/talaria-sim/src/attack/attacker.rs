//! One attacker: an attempt, a short rest, the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::Kind;
use super::attempt::{self, Outcome};
use crate::fleet::Target;
use crate::tls::Tls;

/// Attacks until it is aborted. Holds one connection at a time.
pub(super) struct Attacker {
    pub(super) kind: Kind,
    pub(super) target: Target,
    /// How the gateway speaks TLS, if it does.
    pub(super) tls: Option<Tls>,
    /// `user:password` of the API, for those that need to get past it.
    pub(super) auth: String,
    /// The device id that it goes by.
    pub(super) id: String,
    /// How long it rests between attempts.
    pub(super) pause: Duration,
    pub(super) tally: Arc<Tally>,
}

/// What all attackers have achieved, by kind.
#[derive(Debug, Default)]
pub(super) struct Tally([Counters; Kind::ALL.len()]);

#[derive(Debug, Default)]
struct Counters {
    attempts: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    endured: AtomicU64,
    unreachable: AtomicU64,
    bytes: AtomicU64,
}

/// What the attackers of one kind have achieved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Attempts that were begun.
    pub attempts: u64,
    /// Attempts that the gateway answered with an error's status.
    pub refused: u64,
    /// Attempts that the gateway ended by closing the connection.
    pub cut: u64,
    /// Attempts that the gateway let be until the attacker had enough.
    pub endured: u64,
    /// Attempts that found nobody listening.
    pub unreachable: u64,
    /// Bytes that were sent.
    pub bytes: u64,
}

impl Attacker {
    pub(super) async fn run(self) {
        let counters = &self.tally.0[self.kind as usize];
        loop {
            add(&counters.attempts, 1);
            let (outcome, bytes) = attempt::make(&self).await;
            add(&counters.bytes, bytes);
            let counter = match outcome {
                Outcome::Refused => &counters.refused,
                Outcome::Cut => &counters.cut,
                Outcome::Endured => &counters.endured,
                Outcome::Unreachable => &counters.unreachable,
            };
            add(counter, 1);
            sleep(self.pause).await;
        }
    }
}

impl Tally {
    /// What those of this kind have achieved up to now.
    pub(super) fn of(&self, kind: Kind) -> Done {
        let counters = &self.0[kind as usize];
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Done {
            attempts: load(&counters.attempts),
            refused: load(&counters.refused),
            cut: load(&counters.cut),
            endured: load(&counters.endured),
            unreachable: load(&counters.unreachable),
            bytes: load(&counters.bytes),
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
