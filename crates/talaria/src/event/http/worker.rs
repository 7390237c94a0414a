//! The workers: each takes an event from the queue, makes one attempt to post it, and records the outcome.

use std::pin::pin;
use std::sync::Arc;

use ::http::StatusCode;
use tokio::time::Instant;

use super::deadline_timer::DeadlineTimer;
use super::dial::Lookup;
use super::job::Job;
use super::lane::LaneContext;
use super::metrics::Attempt;
use super::post_error::PostError;
use super::queue::WorkerSlot;
use crate::event::reason::DropReason;
use crate::event::verdict::Verdict;

/// Takes and posts events until the queue is closed.
pub(super) async fn work(context: Arc<LaneContext>, worker: usize) {
    let mut slot = WorkerSlot::new(&context.queue, worker);
    let mut timer = DeadlineTimer::new();
    let lookup = Lookup::new();
    while let Some(job) = slot.next().await {
        InFlight { context: &context, job: Some(job) }.attempt(&mut timer, &lookup).await;
        if lookup.is_running() {
            // It blocks a thread. So it still counts as a request of its device and of its host, and no worker has two.
            slot.linger();
            lookup.ended().await;
        }
    }
}

/// The job of a worker. If the worker is stopped or panics, the job is counted as lost.
struct InFlight<'a> {
    context: &'a LaneContext,
    job: Option<Job>,
}

impl InFlight<'_> {
    async fn attempt(mut self, timer: &mut DeadlineTimer, lookup: &Lookup) {
        let (context, Some(job)) = (self.context, self.job.as_mut()) else {
            return;
        };
        let start = Instant::now();
        if job.attempts == 0 {
            job.deadline = job.deadline.min(start + context.config.client_timeout);
        }
        if start >= job.deadline {
            return self.finish(Err(PostError::DeadlineExceeded));
        }
        job.attempts += 1;
        let in_flight = context.metrics.in_flight();
        let posted = {
            let post = pin!(context.client.post(&job.target, &job.body, lookup));
            timer.within(job.deadline, post).await.unwrap_or(Err(PostError::DeadlineExceeded))
        };
        drop(in_flight);
        context.metrics.attempted(&Attempt {
            scheme: job.scheme,
            outcome: posted.as_ref().copied().map_err(PostError::reason),
            took: start.elapsed(),
            size: job.body.len(),
        });
        self.finish(posted);
    }

    /// The outcome of an attempt: the event is delivered, tried again, or lost.
    fn finish(mut self, posted: Result<StatusCode, PostError>) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        if matches!(posted, Ok(StatusCode::ACCEPTED)) {
            tracing::debug!(url = %job.target, attempts = job.attempts, "event receiver took the event");
            if let Some(share) = job.share.take() {
                share.finish(Verdict::Delivered);
            }
            return;
        }
        if is_retryable(&posted) {
            self.context.metrics.retryable();
            if matches!(posted, Err(PostError::KeptClosed(_))) {
                self.context.metrics.possible_duplicate();
            }
            if job.attempts <= self.context.config.retries {
                let due = self.context.next_attempt(&posted).min(job.deadline);
                match self.context.retry_at(due, job) {
                    Ok(()) => return,
                    Err(given_back) => job = given_back,
                }
            }
        }
        self.context.lose(job, posted);
    }
}

impl Drop for InFlight<'_> {
    /// The worker was stopped during an attempt, or it panicked.
    fn drop(&mut self) {
        if let Some(mut job) = self.job.take() {
            if std::thread::panicking() {
                self.context.metrics.message_dropped(job.scheme, None, DropReason::Panic);
                if let Some(share) = job.share.take() {
                    share.finish(Verdict::Abandoned);
                }
            } else {
                self.context.lose(job, Err(PostError::Cancelled));
            }
        }
    }
}

/// Whether the reference makes another attempt (contract §5.6).
fn is_retryable(posted: &Result<StatusCode, PostError>) -> bool {
    match posted {
        Ok(status) => matches!(
            *status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::GATEWAY_TIMEOUT
        ),
        Err(error) => error.is_temporary(),
    }
}
