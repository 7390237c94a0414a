//! An attacker: it repeats one kind of attempt, with a pause in between.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::attempt::Attempt;
use super::counts::AttemptCounters;

/// Repeats an attempt until its task is aborted, over one connection at a time.
pub(super) struct Attacker {
    pub(super) attempt: Attempt,
    /// The pause between two attempts.
    pub(super) pause: Duration,
    pub(super) counters: Arc<AttemptCounters>,
}

impl Attacker {
    pub(super) async fn run(self) {
        let kind = self.attempt.kind;
        loop {
            self.counters.begun(kind);
            let (outcome, bytes) = self.attempt.run().await;
            self.counters.ended(kind, outcome, bytes);
            sleep(self.pause).await;
        }
    }
}
