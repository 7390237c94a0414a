//! One attempt to post an event, from its start to its outcome: by itself or in a packet with others, it is counted, traced and
//! settled in the same way.
//!
//! Deliberately absent: the request (`exchange.rs`) and the requests that go in one packet (`batch.rs`). Start reading at
//! [`Attempt::begin`].

use std::pin::pin;
use std::time::Duration;

use ::http::{HeaderValue, StatusCode};
use talaria_protocol::receiver_answer::AnswerHead;
use talaria_protocol::trace_context::TraceContext;
use tokio::time::Instant;

use super::deadline_timer::DeadlineTimer;
use super::dial::Lookup;
use super::exchange::{Answer, Posting, Prepared};
use super::health::Report;
use super::job::Job;
use super::lane_context::LaneContext;
use super::metrics::{self, InFlightGuard};
use super::post_error::PostError;
use crate::event::reason::DropReason;
use crate::event::spans;
use crate::event::verdict::Verdict;
use crate::trace::{Span, Trace};

/// An attempt that is under way.
pub(super) struct Attempt<'a> {
    event: Unsettled<'a>,
    start: Instant,
    /// When it ends without an answer, and why.
    end: Instant,
    late: Late,
    posting: Posting,
    in_flight: InFlightGuard<'a>,
    span: Option<Span>,
}

/// Whose time is over when an attempt ends without an answer.
#[derive(Clone, Copy)]
enum Late {
    Event,
    Attempt,
}

/// An event of a worker. If the worker is stopped or panics, the event is counted as lost.
struct Unsettled<'a> {
    context: &'a LaneContext,
    job: Option<Job>,
}

impl<'a> Attempt<'a> {
    /// Begins an attempt. `time` bounds it, if it has less time than its event.
    ///
    /// # Errors
    /// The event has no time left. It is lost.
    pub(super) fn begin(
        context: &'a LaneContext,
        mut job: Job,
        time: Option<Duration>,
    ) -> Result<Self, Report> {
        let start = Instant::now();
        if job.attempts == 0 {
            job.deadline = job.deadline.min(start + context.config.client_timeout);
        }
        if start >= job.deadline {
            Unsettled { context, job: Some(job) }.finish(Err(PostError::DeadlineExceeded));
            return Err(Report::unknown());
        }
        job.attempts += 1;
        let in_flight = context.metrics.in_flight();
        let span = job
            .trace
            .as_ref()
            .and_then(|trace| spans::post(trace, context.client.method(), &job.target, job.attempts));
        let (mut end, mut late) = (job.deadline, Late::Event);
        if let Some(shorter) = time.map(|time| start + time).filter(|shorter| *shorter < end) {
            (end, late) = (shorter, Late::Attempt);
        }
        let posting = context.client.posting(&job.target);
        let event = Unsettled { context, job: Some(job) };
        Ok(Self { event, start, end, late, posting, in_flight, span })
    }

    /// The attempt shares a packet: it ends after half of the time that its event has, so that the event can be posted by itself if
    /// the receiver does not bear that. The last attempt of an event has all of its time.
    pub(super) fn share(&mut self) {
        let Unsettled { context, job } = &self.event;
        if let Some(job) = job.as_ref().filter(|job| context.retry.allows(job.attempts)) {
            let half = self.start + (job.deadline - self.start) / 2;
            if half < self.end {
                (self.end, self.late) = (half, Late::Attempt);
            }
        }
    }

    /// When it ends without an answer.
    pub(super) const fn end(&self) -> Instant {
        self.end
    }

    /// Its first request, if it can be sent now.
    pub(super) fn prepare(&self) -> Option<Prepared<'a>> {
        let Unsettled { context, job } = &self.event;
        let job = job.as_ref()?;
        let trace = trace_of(self.span.as_ref(), job);
        context.client.prepare(&job.target, &job.body, job.deadline, trace)
    }

    /// Its first request was answered by `answer`.
    ///
    /// # Errors
    /// The attempt itself, if the answer asks for another request.
    pub(super) fn answered(
        mut self,
        bearer: Option<&HeaderValue>,
        answer: &AnswerHead,
    ) -> Result<Report, Box<Self>> {
        match self.event.context.client.answered(&mut self.posting, bearer, answer) {
            Ok(Some(answer)) => Ok(self.ended(Ok(answer))),
            Ok(None) => Err(Box::new(self)),
            Err(error) => Ok(self.ended(Err(error))),
        }
    }

    /// Makes the requests that are left, and settles the event by the outcome.
    pub(super) async fn post(mut self, timer: &mut DeadlineTimer, lookup: &Lookup) -> Report {
        let posted = {
            let Unsettled { context, job } = &self.event;
            let Some(job) = job else { return Report::unknown() };
            let trace = trace_of(self.span.as_ref(), job);
            let post = pin!(context.client.post(&mut self.posting, &job.body, job.deadline, lookup, trace));
            timer.within(self.end, post).await.unwrap_or_else(|| Err(self.late.error()))
        };
        self.ended(posted)
    }

    /// There was no answer in time.
    pub(super) fn timed_out(self) -> Report {
        let error = self.late.error();
        self.ended(Err(error))
    }

    /// The attempt has ended. Settles the event.
    pub(super) fn ended(mut self, posted: Result<Answer, PostError>) -> Report {
        drop(self.in_flight);
        if let Some(span) = &mut self.span {
            spans::posted(span, posted.as_ref().map(|answer| answer.status));
        }
        let trace = self.span.as_ref().and_then(Span::context).map(|context| context.trace_id);
        drop(self.span);
        let took = self.start.elapsed();
        if let Unsettled { context, job: Some(job) } = &self.event {
            context.metrics.attempted(&metrics::Attempt {
                scheme: job.scheme,
                outcome: posted.as_ref().map(|answer| answer.status).map_err(PostError::reason),
                took,
                size: job.body.len(),
                trace,
            });
        }
        let report = Report::new(&posted, self.start, took);
        self.event.finish(posted);
        report
    }
}

impl Late {
    const fn error(self) -> PostError {
        match self {
            Self::Event => PostError::DeadlineExceeded,
            Self::Attempt => PostError::AttemptTimeout,
        }
    }
}

impl Unsettled<'_> {
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

impl Drop for Unsettled<'_> {
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

fn trace_of<'a>(span: Option<&'a Span>, job: &'a Job) -> Option<&'a TraceContext> {
    match span {
        Some(span) => span.context(),
        None => job.trace.as_ref().map(Trace::context),
    }
}
