//! The workers: each takes an event from the queue, makes one attempt to post it, and records the outcome.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use tokio::time::Instant;

use super::deadline_timer::DeadlineTimer;
use super::dial::Lookup;
use super::exchange::Answer;
use super::health::Report;
use super::job::Job;
use super::lane::LaneContext;
use super::metrics::Attempt;
use super::post_error::PostError;
use super::queue::WorkerSlot;
use crate::event::reason::DropReason;
use crate::event::spans;
use crate::event::verdict::Verdict;
use crate::trace::{Span, Trace};

/// Takes and posts events until the queue is closed.
pub(super) async fn work(context: Arc<LaneContext>, worker: usize) {
    let mut slot = WorkerSlot::new(&context.queue, worker);
    let mut timer = DeadlineTimer::new();
    let lookup = Lookup::new();
    while let Some((job, time)) = slot.next().await {
        let attempt = InFlight { context: &context, job: Some(job) }.attempt(time, &mut timer, &lookup);
        slot.ended(attempt.await);
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
    /// `time` bounds this attempt, if it has less time than its event.
    async fn attempt(mut self, time: Option<Duration>, timer: &mut DeadlineTimer, lookup: &Lookup) -> Report {
        let (context, Some(job)) = (self.context, self.job.as_mut()) else {
            return Report::unknown();
        };
        let start = Instant::now();
        if job.attempts == 0 {
            job.deadline = job.deadline.min(start + context.config.client_timeout);
        }
        if start >= job.deadline {
            self.finish(Err(PostError::DeadlineExceeded));
            return Report::unknown();
        }
        job.attempts += 1;
        let in_flight = context.metrics.in_flight();
        let mut span = job
            .trace
            .as_ref()
            .and_then(|trace| spans::post(trace, context.client.method(), &job.target, job.attempts));
        let posted = {
            let trace = match &span {
                Some(span) => span.context(),
                None => job.trace.as_ref().map(Trace::context),
            };
            let post = pin!(context.client.post(&job.target, &job.body, job.deadline, lookup, trace));
            let end = time.map(|time| start + time).filter(|end| *end < job.deadline);
            let late = if end.is_some() { PostError::AttemptTimeout } else { PostError::DeadlineExceeded };
            timer.within(end.unwrap_or(job.deadline), post).await.unwrap_or(Err(late))
        };
        drop(in_flight);
        if let Some(span) = &mut span {
            spans::posted(span, posted.as_ref().map(|answer| answer.status));
        }
        let trace = span.as_ref().and_then(Span::context).map(|context| context.trace_id);
        drop(span);
        let took = start.elapsed();
        context.metrics.attempted(&Attempt {
            scheme: job.scheme,
            outcome: posted.as_ref().map(|answer| answer.status).map_err(PostError::reason),
            took,
            size: job.body.len(),
            trace,
        });
        let report = Report::new(&posted, start, took);
        self.finish(posted);
        report
    }

    /// The outcome of an attempt: the event is delivered, tried again, or lost.
    fn finish(mut self, posted: Result<Answer, PostError>) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        if matches!(posted, Ok(Answer { status: StatusCode::ACCEPTED, .. })) {
            tracing::debug!(url = %job.target, attempts = job.attempts, "event receiver took the event");
            if let Some(share) = job.share.take() {
                share.finish(Verdict::Delivered);
            }
            return;
        }
        let retry = &self.context.retry;
        if retry.is_retryable(&posted) {
            self.context.metrics.retryable();
            if posted.as_ref().is_err_and(PostError::may_have_arrived) {
                self.context.metrics.possible_duplicate();
            }
            if retry.allows(job.attempts) {
                let due = self.context.next_attempt(&job, &posted);
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
