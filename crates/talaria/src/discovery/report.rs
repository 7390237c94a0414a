//! What a backend tells the coordinator.

use std::sync::Arc;

use tokio::sync::mpsc;

/// How many reports may wait for the coordinator. A backend that has more to report waits.
const REPORTS: usize = 64;

/// Of one watch.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) watch: Arc<WatchName>,
    pub(super) seen: Seen,
}

/// How a watch is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WatchName {
    /// What is watched; the label `service` of the metrics.
    pub(super) service: String,
    /// The whole watch; the label `eventKey`.
    pub(super) key: String,
}

/// What a watch sees.
#[derive(Debug)]
pub(super) enum Seen {
    /// All instances, in any order and form.
    Instances(Vec<String>),
    /// An error, after which it goes on by itself.
    Failed { error: String, finality: Finality },
    /// What is watched is gone, such as a datacenter, and the watch has ended.
    Ended,
}

/// What an error means for what was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finality {
    /// It still counts.
    Passing,
    /// It no longer counts: the gateway is refused, and leaves its fleet until it is let in again.
    Final,
}

/// Where the watches of a backend report to.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    sender: mpsc::Sender<Report>,
}

impl Reporter {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Report>) {
        let (sender, receiver) = mpsc::channel(REPORTS);
        (Self { sender }, receiver)
    }

    pub(super) async fn report(&self, watch: &Arc<WatchName>, seen: Seen) {
        // An error means that the backend is being replaced.
        let _ = self.sender.send(Report { watch: Arc::clone(watch), seen }).await;
    }
}
