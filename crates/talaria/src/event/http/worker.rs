//! The workers: each takes an event from the queue, makes one attempt to post it, and says what became of it.

use std::pin::pin;
use std::sync::Arc;

use ::http::StatusCode;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::failure::Failure;
use super::metrics::Attempt;
use super::queue::Seat;
use super::{Job, Shared};
use crate::event::finalizer::Verdict;
use crate::event::reason::DropReason;

/// Takes and posts events until the queue is closed.
pub(super) async fn work(shared: Arc<Shared>, worker: usize) {
    let mut seat = Seat::new(&shared.queue, worker);
    let mut alarm = Alarm::new();
    while let Some(job) = seat.next().await {
        Held { shared: &shared, job: Some(job) }.attempt(&mut alarm).await;
    }
}

/// A job in a worker's hands: whatever happens to the worker, somebody hears of it.
struct Held<'a> {
    shared: &'a Shared,
    job: Option<Job>,
}

impl Held<'_> {
    async fn attempt(mut self, alarm: &mut Alarm) {
        let (shared, Some(job)) = (self.shared, self.job.as_mut()) else {
            return;
        };
        let start = Instant::now();
        if job.attempts == 0 {
            job.deadline = job.deadline.min(start + shared.client_timeout);
        }
        if start >= job.deadline {
            return self.finish(Err(Failure::DeadlineExceeded));
        }
        job.attempts += 1;
        let in_flight = shared.metrics.in_flight();
        let posted = {
            let post = pin!(shared.client.post(&job.target, &job.body));
            alarm.within(job.deadline, post).await.unwrap_or(Err(Failure::DeadlineExceeded))
        };
        drop(in_flight);
        shared.metrics.attempted(&Attempt {
            scheme: job.scheme,
            outcome: posted.as_ref().copied().map_err(Failure::reason),
            took: start.elapsed(),
            size: job.body.len(),
        });
        self.finish(posted);
    }

    /// What an attempt came to: delivered, to be tried again, or lost.
    fn finish(mut self, posted: Result<StatusCode, Failure>) {
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
            self.shared.metrics.retryable();
            if job.attempts <= self.shared.retries {
                let due = (Instant::now() + self.shared.retry_interval).min(job.deadline);
                match self.shared.queue.retry_at(due, job) {
                    Ok(()) => return,
                    Err(refused) => job = refused,
                }
            }
        }
        self.shared.lose(job, posted);
    }
}

impl Drop for Held<'_> {
    /// The worker was stopped in the middle, or it panicked.
    fn drop(&mut self) {
        if let Some(mut job) = self.job.take() {
            if std::thread::panicking() {
                self.shared.metrics.message_dropped(job.scheme, None, DropReason::Panic);
                if let Some(share) = job.share.take() {
                    share.finish(Verdict::Abandoned);
                }
            } else {
                self.shared.lose(job, Err(Failure::Cancelled));
            }
        }
    }
}

/// What the reference tries again (contract §5.6).
fn is_retryable(posted: &Result<StatusCode, Failure>) -> bool {
    match posted {
        Ok(status) => matches!(
            *status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::GATEWAY_TIMEOUT
        ),
        Err(failure) => failure.is_temporary(),
    }
}
