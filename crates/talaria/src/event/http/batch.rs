//! Several events to one receiver in one packet, each of which ends by an answer of its own (contract §5.4).
//!
//! They are sent over a connection on which the receiver has answered by HTTP/1.1 before. Each event is settled as soon as its answer is read.
//! One whose answer asks for another request (a redirect, a new access token) goes on by itself, and so does one that was not sent
//! when the connection ended. An event that was sent and not answered ends its attempt as after any kept connection that breaks.
//!
//! An event whose time is over is settled, and its answer is not waited for: the others keep the connection.
//!
//! Deliberately absent: which events there are (`queue.rs`), and what an attempt is (`attempt.rs`). Start reading at
//! [`Batch::gather`].

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use ::http::HeaderValue;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use talaria_protocol::receiver_answer::AnswerHead;
use talaria_protocol::url::Target;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::connection::{Http1, Pipeline, PipelineEnd};
use super::deadline_timer::DeadlineTimer;
use super::dial::Lookup;
use super::exchange::Prepared;
use super::health::Report;
use super::job::Job;
use super::lane_context::LaneContext;
use super::pipelining::{PipelineFallback, PipelineFault};
use super::queue::{SharedRequest, Taken, WorkerSlot};

/// Events for one receiver, and a connection to it.
pub(super) struct Batch<'a> {
    context: &'a LaneContext,
    /// One of their URLs.
    target: Arc<Target>,
    connection: Http1,
    events: Vec<(Job, SharedRequest<'a>)>,
}

/// The events of a batch whose answers have not been read yet.
struct UnderWay<'a, 'p> {
    context: &'a LaneContext,
    target: &'p Arc<Target>,
    /// In the order in which they were sent; none if an event's time is over.
    waiting: VecDeque<Option<Sent<'a>>>,
    /// How many answers were read.
    answered: usize,
    /// None if all are answered, or no further one comes.
    pipeline: Option<Pipeline<'p>>,
    /// Answers that were read.
    answers: Vec<AnswerHead>,
    alone: Alone<'a>,
}

/// An event that waits for its answer.
struct Sent<'a> {
    attempt: Attempt<'a>,
    request: SharedRequest<'a>,
    /// The access token that was sent.
    bearer: Option<HeaderValue>,
}

/// Events that go on by themselves.
type Alone<'a> = FuturesUnordered<GoingOn<'a>>;
type GoingOn<'a> = Pin<Box<dyn Future<Output = (SharedRequest<'a>, Report)> + Send + 'a>>;

/// What happens next to a batch.
enum Step<'a> {
    Read(Result<(), PipelineEnd>),
    /// An event that went on by itself has ended.
    Ended(SharedRequest<'a>, Report),
    /// The time of an event is over that had as much.
    Late(Instant),
}

impl<'a> Batch<'a> {
    /// Takes what waits for the receiver of an event and can be sent with it now.
    ///
    /// # Errors
    /// The event itself, if it has no company.
    #[expect(
        clippy::result_large_err,
        reason = "an event without company moves on, as it does on its way in"
    )]
    pub(super) fn gather(
        context: &'a LaneContext,
        slot: &mut WorkerSlot<'a>,
        taken: Taken,
    ) -> Result<Self, Taken> {
        if !taken.may_share {
            return Err(taken);
        }
        let target = Arc::clone(&taken.job.target);
        let Some(connection) = context.client.take_proven(&target) else {
            slot.go_alone();
            return Err(taken);
        };
        let mut further = Vec::new();
        let Some(request) = slot.take_further(taken.job.body.len(), &mut further) else {
            context.client.give_back(&target, connection);
            return Err(taken);
        };
        further.insert(0, (taken.job, request));
        Ok(Self { context, target, connection, events: further })
    }

    /// Sends the events and settles each of them.
    pub(super) async fn post(self, slot: &mut WorkerSlot<'a>, timer: &mut DeadlineTimer) {
        let Self { context, target, connection, events } = self;
        let (mut waiting, mut prepared) = (VecDeque::new(), Vec::new());
        let alone = Alone::new();
        for (job, request) in events {
            match Attempt::begin(context, job, request.time()) {
                Ok(mut attempt) => match attempt.prepare() {
                    Some(first) => {
                        attempt.share();
                        waiting.push_back(Some(Sent { attempt, request, bearer: first.bearer.clone() }));
                        prepared.push(first);
                    }
                    None => alone.push(go_on(attempt, request)),
                },
                Err(report) => slot.shared_ended(request, report),
            }
        }
        context.metrics.pipelined(prepared.len());
        let pipeline = if prepared.is_empty() {
            context.client.give_back(&target, connection);
            None
        } else {
            let requests = prepared.iter().map(Prepared::parts);
            Some(Pipeline::new(connection, requests, context.client.answers_to()))
        };
        let answers = Vec::with_capacity(waiting.len());
        let mut under_way =
            UnderWay { context, target: &target, waiting, answered: 0, pipeline, answers, alone };
        while let Some(step) = under_way.step(timer).await {
            match step {
                Step::Read(Ok(())) => under_way.settle_answered(slot),
                Step::Read(Err(end)) => under_way.settle_unanswered(end, slot),
                Step::Ended(request, report) => slot.shared_ended(request, report),
                Step::Late(end) => under_way.settle_late(end, slot),
            }
            if !under_way.is_done() {
                slot.report();
            }
        }
    }
}

impl<'a> UnderWay<'a, '_> {
    fn is_done(&self) -> bool {
        self.pipeline.is_none() && self.alone.is_empty()
    }

    /// Waits for what happens next; none if all events are settled.
    async fn step(&mut self, timer: &mut DeadlineTimer) -> Option<Step<'a>> {
        let Self { waiting, pipeline, answers, alone, .. } = self;
        let end = waiting.iter().flatten().map(|sent| sent.attempt.end()).min();
        let (Some(pipeline), Some(end)) = (pipeline, end) else {
            self.close();
            let (request, report) = self.alone.next().await?;
            return Some(Step::Ended(request, report));
        };
        let next = pin!(async {
            tokio::select! {
                biased;
                read = pipeline.answers(answers) => Step::Read(read),
                Some((request, report)) = alone.next(), if !alone.is_empty() => Step::Ended(request, report),
            }
        });
        Some(timer.within(end, next).await.unwrap_or(Step::Late(end)))
    }

    fn settle_answered(&mut self, slot: &mut WorkerSlot<'a>) {
        for answer in self.answers.drain(..) {
            self.answered += 1;
            let Some(Sent { attempt, request, bearer }) = self.waiting.pop_front().flatten() else {
                continue;
            };
            match attempt.answered(bearer.as_ref(), &answer) {
                Ok(report) => slot.shared_ended(request, report),
                Err(attempt) => self.alone.push(go_on(*attempt, request)),
            }
        }
        if self.waiting.iter().flatten().next().is_none() {
            self.close();
        }
    }

    /// No further answer comes.
    fn settle_unanswered(&mut self, end: PipelineEnd, slot: &mut WorkerSlot<'a>) {
        let Some(pipeline) = self.pipeline.take() else { return };
        // First, so that the events that are posted again go by themselves.
        self.fall_back(pipeline.fault());
        for (at, sent) in (self.answered..).zip(self.waiting.drain(..)) {
            let Some(Sent { attempt, request, .. }) = sent else { continue };
            if pipeline.is_unsent(at) {
                self.alone.push(go_on(attempt, request));
            } else {
                slot.shared_ended(request, attempt.ended(Err(end.error())));
            }
        }
    }

    /// The events whose attempts end then get no answer in time.
    fn settle_late(&mut self, end: Instant, slot: &mut WorkerSlot<'a>) {
        self.fall_back((self.answered + self.waiting.len() > 1).then_some(PipelineFault::Silent));
        for sent in &mut self.waiting {
            if let Some(Sent { attempt, request, .. }) = sent.take_if(|sent| sent.attempt.end() <= end) {
                slot.shared_ended(request, attempt.timed_out());
            }
        }
        if self.waiting.iter().flatten().next().is_none() {
            self.close();
        }
    }

    /// All events are settled. The connection is kept if all of their answers were read.
    fn close(&mut self) {
        if let Some(pipeline) = self.pipeline.take() {
            self.fall_back(pipeline.fault());
            self.context.client.give_back(self.target, pipeline.into_connection());
        }
    }

    fn fall_back(&self, fault: Option<PipelineFault>) {
        if let Some(fault) = fault
            && let Some(pause) = self.context.queue.pipelining_failed(self.target)
        {
            PipelineFallback { target: self.target, fault, pause }.emit(&self.context.metrics);
        }
    }
}

fn go_on<'a>(attempt: Attempt<'a>, request: SharedRequest<'a>) -> GoingOn<'a> {
    Box::pin(async move {
        // Only hosts that devices name share the resolution of a worker.
        let (mut timer, lookup) = (DeadlineTimer::new(), Lookup::new());
        (request, attempt.post(&mut timer, &lookup).await)
    })
}
