//! A service that sends events to all devices of a fleet without a pause, while the fleet changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{address, ring, try_send};

/// Sends an event to each device in turn, by the REST API of the gateway that the instances name at that moment, until it is
/// [ended](Requests::end).
pub(crate) struct Requests {
    is_over: Arc<AtomicBool>,
    sending: JoinHandle<Reached>,
}

/// What became of the events.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// How many each device got.
    pub(crate) events: BTreeMap<String, usize>,
    /// The devices that one did not reach.
    pub(crate) missed: BTreeSet<String>,
}

impl Requests {
    pub(super) fn start(ids: Vec<String>, instances: watch::Receiver<Vec<String>>) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let sending = tokio::spawn(send_all(ids, instances, Arc::clone(&is_over)));
        Self { is_over, sending }
    }

    /// Ends after a whole round.
    pub(crate) async fn end(self) -> Reached {
        self.is_over.store(true, Ordering::Relaxed);
        self.sending.await.unwrap()
    }
}

async fn send_all(
    ids: Vec<String>,
    instances: watch::Receiver<Vec<String>>,
    is_over: Arc<AtomicBool>,
) -> Reached {
    let mut reached = Reached::default();
    loop {
        let is_last = is_over.load(Ordering::Relaxed);
        for id in &ids {
            let gateway = address(ring(&instances.borrow()).owner(id.as_bytes()).unwrap());
            if try_send(gateway, id).await == Some(200) {
                *reached.events.entry(id.clone()).or_default() += 1;
            } else {
                reached.missed.insert(id.clone());
            }
        }
        if is_last {
            return reached;
        }
    }
}
