//! The workers: each takes an event from the queue and makes one attempt to post it, or takes several for one receiver and sends
//! them in one packet (`batch.rs`).

use std::sync::Arc;

use super::attempt::Attempt;
use super::batch::Batch;
use super::deadline_timer::DeadlineTimer;
use super::dial::Lookup;
use super::lane_context::LaneContext;
use super::queue::{Taken, WorkerSlot};

/// Takes and posts events until the queue is closed.
pub(super) async fn work(context: Arc<LaneContext>, worker: usize) {
    let mut slot = WorkerSlot::new(&context.queue, worker);
    let mut timer = DeadlineTimer::new();
    let lookup = Lookup::new();
    while let Some(taken) = slot.next().await {
        let taken = match Batch::gather(&context, &mut slot, taken) {
            Ok(batch) => {
                // Boxed, so that the worker of a receiver that gets one event at a time does not carry its state.
                Box::pin(batch.post(&mut slot, &mut timer)).await;
                continue;
            }
            Err(taken) => taken,
        };
        let Taken { job, time, .. } = taken;
        let report = match Attempt::begin(&context, job, time) {
            Ok(attempt) => attempt.post(&mut timer, &lookup).await,
            Err(report) => report,
        };
        slot.ended(report);
        if lookup.is_running() {
            // It blocks a thread. So it still counts as a request of its device and of its host, and no worker has two.
            slot.linger();
            lookup.ended().await;
        }
    }
}
