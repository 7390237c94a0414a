//! The outcome of one message that wants an acknowledgement, collected from the sinks that carry it.
//!
//! A [`Finalizer`] gives each sink a [`Share`]. A share ends with a [`Verdict`]; one that is dropped without a verdict counts
//! as [`Verdict::Abandoned`], so that a forgotten answer never looks like a delivery. The verdict of the message is reported
//! exactly once, as soon as it is certain (contract §15.4). Which sinks decide is the [`AckPolicy`]:
//!
//! - [`AckPolicy::Kafka`]: Kafka alone if the message goes there, however long HTTP takes; otherwise HTTP;
//! - [`AckPolicy::All`]: all sinks.
//!
//! Where several verdicts count, the first failure decides at once, and a delivery needs all of them.
//!
//! Deliberately absent: devices and sinks. The [`Settle`] of a finalizer does something with the verdict. Start reading at
//! `Votes::decision`.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::verdict::Verdict;

/// Receives the verdict of a message, once.
pub trait Settle: Send {
    /// Called by the thread whose share made the verdict certain. It must be quick and must not block, and it must not end
    /// another share of the same message.
    fn settle(&mut self, verdict: Verdict);
}

impl<F: FnMut(Verdict) + Send> Settle for F {
    fn settle(&mut self, verdict: Verdict) {
        self(verdict);
    }
}

/// Whose verdict is that of the message: `device.outbound.ackPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckPolicy {
    /// Kafka's if the message goes to Kafka, otherwise that of HTTP.
    #[default]
    Kafka,
    /// Every sink that the message goes to has to have it.
    All,
}

/// The sink that a [`Share`] belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// One URL of the HTTP sink.
    Http,
    /// The Kafka sink.
    Kafka,
}

/// Makes the shares of one message. Drop it once all shares are made: until then more sinks may come, and only Kafka's
/// verdict can be certain.
pub struct Finalizer(Arc<Shared<dyn Settle>>);

/// One sink's part in the outcome of a message.
pub struct Share {
    shared: Arc<Shared<dyn Settle>>,
    sink: Sink,
    end: End,
}

/// How a share ends when it is dropped.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The sink has not reported anything: abandoned.
    Open,
    /// The sink has reported this verdict.
    Finished(Verdict),
    /// The message does not go to this sink after all.
    Withdrawn,
}

struct Shared<S: Settle + ?Sized>(Mutex<State<S>>);

struct State<S: Settle + ?Sized> {
    votes: Votes,
    is_settled: bool,
    settle: S,
}

struct Votes {
    policy: AckPolicy,
    /// Whether all shares are made.
    is_complete: bool,
    http: Ballot,
    kafka: Ballot,
}

/// The verdicts of one sink.
#[derive(Clone, Copy, Default)]
struct Ballot {
    /// Shares that have not ended.
    open: u32,
    /// The first failure, otherwise the delivery; none without a verdict.
    verdict: Option<Verdict>,
}

impl Finalizer {
    /// A finalizer that reports to `settle`.
    pub fn new(policy: AckPolicy, settle: impl Settle + 'static) -> Self {
        let votes = Votes { policy, is_complete: false, http: Ballot::default(), kafka: Ballot::default() };
        Self(Arc::new(Shared(Mutex::new(State { votes, is_settled: false, settle }))))
    }

    /// A share for one more sink, or one more URL of a sink.
    #[must_use]
    pub fn share(&self, sink: Sink) -> Share {
        self.0.0.lock().votes.ballot(sink).open += 1;
        Share { shared: Arc::clone(&self.0), sink, end: End::Open }
    }
}

impl Drop for Finalizer {
    fn drop(&mut self) {
        self.0.vote(|votes| votes.is_complete = true);
    }
}

impl Share {
    /// Reports the outcome of the message at this sink.
    pub fn finish(mut self, verdict: Verdict) {
        self.end = End::Finished(verdict);
    }

    /// Reports that the message does not go to this sink after all. The other sinks decide.
    pub fn withdraw(mut self) {
        self.end = End::Withdrawn;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let verdict = match self.end {
            End::Open => Some(Verdict::Abandoned),
            End::Finished(verdict) => Some(verdict),
            End::Withdrawn => None,
        };
        let sink = self.sink;
        self.shared.vote(|votes| votes.ballot(sink).end(verdict));
    }
}

impl<S: Settle + ?Sized> Shared<S> {
    /// Changes the votes, and reports the verdict if that made it certain.
    fn vote(&self, change: impl FnOnce(&mut Votes)) {
        let mut state = self.0.lock();
        change(&mut state.votes);
        if !state.is_settled
            && let Some(verdict) = state.votes.decision()
        {
            state.is_settled = true;
            state.settle.settle(verdict);
        }
    }
}

impl Votes {
    fn ballot(&mut self, sink: Sink) -> &mut Ballot {
        match sink {
            Sink::Http => &mut self.http,
            Sink::Kafka => &mut self.kafka,
        }
    }

    /// The verdict of the message, once nothing can change it.
    fn decision(&self) -> Option<Verdict> {
        match self.policy {
            AckPolicy::Kafka => match (self.kafka.decision(), self.kafka.open) {
                (Some(kafka), _) => Some(kafka),
                (None, 0) if self.is_complete => self.http.outcome(),
                (None, _) => None,
            },
            AckPolicy::All if !self.is_complete => None,
            AckPolicy::All => match self.kafka.failure().or(self.http.failure()) {
                None if self.kafka.open + self.http.open > 0 => None,
                None => self.kafka.verdict.or(self.http.outcome()),
                failure => failure,
            },
        }
    }
}

impl Ballot {
    /// A share ends, with a verdict or because it is withdrawn.
    fn end(&mut self, verdict: Option<Verdict>) {
        self.open -= 1;
        if matches!(self.verdict, None | Some(Verdict::Delivered)) {
            self.verdict = verdict.or(self.verdict);
        }
    }

    /// The verdict, once the open shares cannot change it.
    fn decision(&self) -> Option<Verdict> {
        self.failure().or(self.verdict.filter(|_| self.open == 0))
    }

    /// The same for the only sink: if it has no share, there was no route.
    fn outcome(&self) -> Option<Verdict> {
        self.decision().or((self.open == 0).then_some(Verdict::NoRoute))
    }

    fn failure(&self) -> Option<Verdict> {
        self.verdict.filter(|verdict| *verdict != Verdict::Delivered)
    }
}

impl fmt::Debug for Finalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finalizer").finish_non_exhaustive()
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("sink", &self.sink).field("end", &self.end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Told = Arc<Mutex<Vec<Verdict>>>;

    fn finalizer() -> (Finalizer, Told) {
        with(AckPolicy::Kafka)
    }

    fn with(policy: AckPolicy) -> (Finalizer, Told) {
        let told = Told::default();
        let tell = Arc::clone(&told);
        (Finalizer::new(policy, move |verdict| tell.lock().push(verdict)), told)
    }

    #[test]
    fn kafkas_verdict_goes_out_at_once_while_http_still_tries() {
        for verdict in [Verdict::Delivered, Verdict::KafkaFailed] {
            let (finalizer, told) = finalizer();
            let (http, kafka) = (finalizer.share(Sink::Http), finalizer.share(Sink::Kafka));
            drop(finalizer);
            assert!(told.lock().is_empty());
            kafka.finish(verdict);
            assert_eq!(*told.lock(), [verdict]);
            http.finish(Verdict::ReceiverRefused);
            assert_eq!(*told.lock(), [verdict], "only once");
        }
    }

    #[test]
    fn nothing_but_kafkas_verdict_is_certain_before_all_shares_are_made() {
        let (finalizer, told) = finalizer();
        finalizer.share(Sink::Http).finish(Verdict::NotEnqueued);
        assert!(told.lock().is_empty(), "kafka may get it yet");
        let kafka = finalizer.share(Sink::Kafka);
        drop(finalizer);
        assert!(told.lock().is_empty());
        kafka.finish(Verdict::Delivered);
        assert_eq!(*told.lock(), [Verdict::Delivered]);
    }

    #[test]
    fn a_share_that_is_dropped_unfinished_has_failed() {
        let (finalizer, told) = finalizer();
        drop(finalizer.share(Sink::Kafka));
        drop(finalizer);
        assert_eq!(*told.lock(), [Verdict::Abandoned]);
    }

    #[test]
    fn kafkas_verdict_decides_whatever_became_of_http() {
        for (kafka, http) in
            [(Verdict::Delivered, Verdict::ReceiverRefused), (Verdict::Displaced, Verdict::Delivered)]
        {
            let (finalizer, told) = finalizer();
            finalizer.share(Sink::Http).finish(http);
            finalizer.share(Sink::Kafka).finish(kafka);
            drop(finalizer);
            assert_eq!(*told.lock(), [kafka]);
        }
    }

    #[test]
    fn without_kafka_the_first_url_that_fails_fails_the_message_at_once() {
        let (finalizer, told) = finalizer();
        let shares = [(); 3].map(|()| finalizer.share(Sink::Http));
        drop(finalizer);
        let [first, second, third] = shares;
        first.finish(Verdict::Delivered);
        assert!(told.lock().is_empty());
        second.finish(Verdict::ReceiverRefused);
        assert_eq!(*told.lock(), [Verdict::ReceiverRefused]);
        third.finish(Verdict::ReceiverUnreachable);
        assert_eq!(*told.lock(), [Verdict::ReceiverRefused]);
    }

    #[test]
    fn a_sink_that_withdraws_leaves_the_decision_to_the_others() {
        for policy in [AckPolicy::Kafka, AckPolicy::All] {
            for (http, decision) in [
                (Some(Verdict::Delivered), Verdict::Delivered),
                (Some(Verdict::ReceiverRefused), Verdict::ReceiverRefused),
                (None, Verdict::NoRoute),
            ] {
                let (finalizer, told) = with(policy);
                finalizer.share(Sink::Kafka).withdraw();
                if let Some(verdict) = http {
                    finalizer.share(Sink::Http).finish(verdict);
                }
                drop(finalizer);
                assert_eq!(*told.lock(), [decision], "{policy:?}");
            }
        }
    }

    #[test]
    fn with_the_policy_all_every_sink_has_to_have_the_message() {
        let (finalizer, told) = with(AckPolicy::All);
        let (http, kafka) = (finalizer.share(Sink::Http), finalizer.share(Sink::Kafka));
        drop(finalizer);
        kafka.finish(Verdict::Delivered);
        assert!(told.lock().is_empty());
        http.finish(Verdict::Delivered);
        assert_eq!(*told.lock(), [Verdict::Delivered]);
    }

    #[test]
    fn with_the_policy_all_the_first_failure_of_any_sink_decides_at_once() {
        for (first, failure) in
            [(Sink::Http, Verdict::ReceiverUnreachable), (Sink::Kafka, Verdict::KafkaFailed)]
        {
            let (finalizer, told) = with(AckPolicy::All);
            let share = finalizer.share(first);
            let other = finalizer.share(if first == Sink::Http { Sink::Kafka } else { Sink::Http });
            drop(finalizer);
            share.finish(failure);
            assert_eq!(*told.lock(), [failure]);
            other.finish(Verdict::Delivered);
            assert_eq!(*told.lock(), [failure]);
        }
    }

    #[test]
    fn a_message_that_no_sink_took_has_no_route() {
        for policy in [AckPolicy::Kafka, AckPolicy::All] {
            let (finalizer, told) = with(policy);
            drop(finalizer);
            assert_eq!(*told.lock(), [Verdict::NoRoute]);
        }
    }

    #[test]
    fn the_decision_is_told_on_whichever_thread_makes_it_certain() {
        let (finalizer, told) = finalizer();
        let share = finalizer.share(Sink::Kafka);
        drop(finalizer);
        std::thread::spawn(move || share.finish(Verdict::KafkaFailed)).join().unwrap();
        assert_eq!(*told.lock(), [Verdict::KafkaFailed]);
    }

    proptest! {
        /// In whatever order the shares are made and end, the verdict is reported once, is that of the deciding sinks, and
        /// comes no later than the last of them.
        #[test]
        fn the_verdict_is_reported_once_and_by_the_deciding_sinks(
            all: bool,
            ends in vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..6),
        ) {
            let (finalizer, told) = with(if all { AckPolicy::All } else { AckPolicy::Kafka });
            let mut is_kafka_used = false;
            let mut shares = Vec::new();
            for (for_kafka, is_delivered, at_once) in ends {
                let for_kafka = for_kafka && !is_kafka_used;
                is_kafka_used |= for_kafka;
                let (sink, failure) = if for_kafka {
                    (Sink::Kafka, Verdict::KafkaFailed)
                } else {
                    (Sink::Http, Verdict::ReceiverRefused)
                };
                let verdict = if is_delivered { Verdict::Delivered } else { failure };
                let share = finalizer.share(sink);
                if at_once { share.finish(verdict) } else { shares.push((share, verdict)) }
            }
            drop(finalizer);
            for (share, verdict) in shares {
                share.finish(verdict);
            }
            let told = told.lock();
            prop_assert_eq!(told.len(), 1);
            if is_kafka_used && !all {
                prop_assert!(matches!(told[0], Verdict::Delivered | Verdict::KafkaFailed));
            }
        }
    }
}
