//! The fate of one message that wants an acknowledgement, shared by the sinks that carry it.
//!
//! A [`Finalizer`] gives each sink a [`Share`]. A share ends with a [`Verdict`]; one that is dropped without a verdict
//! counts as [`Verdict::Abandoned`], so forgetting to answer cannot turn into a lie. When the last of them is gone,
//! what was decided is told, exactly once: Kafka's verdict if the message went to Kafka, else that of HTTP, where the
//! first failure among several URLs decides (contract §15.4).
//!
//! It knows neither devices nor sinks; what is done with the decision is the [`Settle`] it was made with.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::reason::DropReason;

/// Told once what became of a message.
pub trait Settle: Send + Sync {
    /// Called from whatever thread finished last: must be quick and must not block.
    fn settle(&mut self, verdict: Verdict);
}

impl<F: FnMut(Verdict) + Send + Sync> Settle for F {
    fn settle(&mut self, verdict: Verdict) {
        self(verdict);
    }
}

/// Who a [`Share`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// One URL of the HTTP sink.
    Http,
    /// The Kafka sink. Its verdict decides wherever there is one.
    Kafka,
}

/// Gives out the shares of one message. Dropping it, once all shares are given out, leaves the decision to them.
pub struct Finalizer(Arc<Shared<dyn Settle>>);

/// One sink's part in the fate of a message.
pub struct Share {
    shared: Arc<Shared<dyn Settle>>,
    sink: Sink,
    end: End,
}

/// How a share ends when it is dropped.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Nobody has said anything: given up.
    Open,
    Finished(Verdict),
    Withdrawn,
}

struct Shared<S: Settle + ?Sized> {
    votes: Mutex<Votes>,
    settle: S,
}

#[derive(Default)]
struct Votes {
    http: Option<Verdict>,
    kafka: Option<Verdict>,
}

impl Finalizer {
    /// A message's fate; `settle` is told of it when the finalizer and all its shares are gone.
    pub fn new(settle: impl Settle + 'static) -> Self {
        Self(Arc::new(Shared { votes: Mutex::default(), settle }))
    }

    /// A share for one more sink, or one more URL of a sink.
    pub fn share(&self, sink: Sink) -> Share {
        Share { shared: Arc::clone(&self.0), sink, end: End::Open }
    }
}

impl Share {
    /// Says what became of the message at this sink.
    pub fn finish(mut self, verdict: Verdict) {
        self.end = End::Finished(verdict);
    }

    /// Says that the message does not go to this sink after all: the others decide.
    pub fn withdraw(mut self) {
        self.end = End::Withdrawn;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let verdict = match self.end {
            End::Open => Verdict::Abandoned,
            End::Finished(verdict) => verdict,
            End::Withdrawn => return,
        };
        self.shared.votes.lock().add(self.sink, verdict);
    }
}

impl<S: Settle + ?Sized> Drop for Shared<S> {
    fn drop(&mut self) {
        let verdict = self.votes.get_mut().decision();
        self.settle.settle(verdict);
    }
}

impl Votes {
    fn add(&mut self, sink: Sink, verdict: Verdict) {
        let vote = match sink {
            Sink::Http => &mut self.http,
            Sink::Kafka => &mut self.kafka,
        };
        if matches!(vote, None | Some(Verdict::Delivered)) {
            *vote = Some(verdict);
        }
    }

    fn decision(&self) -> Verdict {
        self.kafka.or(self.http).unwrap_or(Verdict::NoRoute)
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

/// What became of a message: the `rdr` of its acknowledgement (contract §15.3).
///
/// Codes below 150 are the WRP specification's; those from 150 on are this gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// 0: every sink that decides has it safely.
    Delivered,
    /// 3: the message names no destination.
    MissingDest,
    /// 4: larger than a sink takes.
    TooLarge,
    /// 100: a queue, or what one device may have unacknowledged, is full.
    NotEnqueued,
    /// 102: a message of a higher level took its place.
    Displaced,
    /// 150: the destination leads nowhere: it does not parse, or nothing is configured that takes messages for it.
    NoRoute,
    /// 151: the event receiver answered, but not with 202.
    ReceiverRefused,
    /// 152: no answer came from the event receiver in time, or none could come.
    ReceiverUnreachable,
    /// 153: Kafka failed to take it.
    KafkaFailed,
    /// 154: the gateway is shutting down.
    ShuttingDown,
    /// 155: a sink gave it up without saying why. Never meant to be seen.
    Abandoned,
}

impl Verdict {
    /// The number in the acknowledgement.
    pub const fn rdr(self) -> i64 {
        match self {
            Self::Delivered => 0,
            Self::MissingDest => 3,
            Self::TooLarge => 4,
            Self::NotEnqueued => 100,
            Self::Displaced => 102,
            Self::NoRoute => 150,
            Self::ReceiverRefused => 151,
            Self::ReceiverUnreachable => 152,
            Self::KafkaFailed => 153,
            Self::ShuttingDown => 154,
            Self::Abandoned => 155,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered",
            Self::MissingDest => "the message names no destination",
            Self::TooLarge => "the message is too large",
            Self::NotEnqueued => "no room to queue the message",
            Self::Displaced => "displaced by a message of a higher level",
            Self::NoRoute => "nothing takes messages for this destination",
            Self::ReceiverRefused => "the event receiver refused it",
            Self::ReceiverUnreachable => "the event receiver could not be reached",
            Self::KafkaFailed => "kafka failed to take it",
            Self::ShuttingDown => "the gateway is shutting down",
            Self::Abandoned => "given up",
        })
    }
}

impl From<DropReason> for Verdict {
    /// What the HTTP sink's reason for a drop means for the acknowledgement.
    fn from(reason: DropReason) -> Self {
        match reason {
            DropReason::NoError | DropReason::ExpectedCode => Self::Delivered,
            DropReason::FullQueue => Self::NotEnqueued,
            DropReason::Cancelled => Self::ShuttingDown,
            DropReason::Panic => Self::Abandoned,
            DropReason::Non202 => Self::ReceiverRefused,
            DropReason::KafkaSendFailure => Self::KafkaFailed,
            DropReason::UnroutableDestination
            | DropReason::Unknown
            | DropReason::UnsupportedEvent
            | DropReason::NoEndpoint
            | DropReason::SchemeNotAllowed
            | DropReason::MalformedRequest => Self::NoRoute,
            DropReason::Encoding
            | DropReason::DeadlineExceeded
            | DropReason::Address
            | DropReason::ParseAddress
            | DropReason::InvalidAddress
            | DropReason::Dns
            | DropReason::HostNotFound
            | DropReason::ConnectionClosed
            | DropReason::Network
            | DropReason::UnknownNetwork
            | DropReason::UnexpectedEof => Self::ReceiverUnreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = Arc<Mutex<Vec<Verdict>>>;

    fn finalizer() -> (Finalizer, Told) {
        let told = Told::default();
        let tell = Arc::clone(&told);
        (Finalizer::new(move |verdict| tell.lock().push(verdict)), told)
    }

    #[test]
    fn nothing_is_told_before_the_last_share_has_finished() {
        let (finalizer, told) = finalizer();
        let (http, kafka) = (finalizer.share(Sink::Http), finalizer.share(Sink::Kafka));
        drop(finalizer);
        kafka.finish(Verdict::Delivered);
        assert!(told.lock().is_empty());
        http.finish(Verdict::Delivered);
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
            finalizer.share(Sink::Kafka).finish(kafka);
            finalizer.share(Sink::Http).finish(http);
            drop(finalizer);
            assert_eq!(*told.lock(), [kafka]);
        }
    }

    #[test]
    fn without_kafka_one_url_that_fails_fails_the_message() {
        let (finalizer, told) = finalizer();
        for verdict in [Verdict::Delivered, Verdict::ReceiverRefused, Verdict::Delivered] {
            finalizer.share(Sink::Http).finish(verdict);
        }
        drop(finalizer);
        assert_eq!(*told.lock(), [Verdict::ReceiverRefused]);
    }

    #[test]
    fn a_sink_that_withdraws_leaves_the_decision_to_the_others() {
        for (http, decision) in [
            (Some(Verdict::Delivered), Verdict::Delivered),
            (Some(Verdict::ReceiverRefused), Verdict::ReceiverRefused),
            (None, Verdict::NoRoute),
        ] {
            let (finalizer, told) = finalizer();
            finalizer.share(Sink::Kafka).withdraw();
            if let Some(verdict) = http {
                finalizer.share(Sink::Http).finish(verdict);
            }
            drop(finalizer);
            assert_eq!(*told.lock(), [decision]);
        }
    }

    #[test]
    fn a_message_that_no_sink_took_has_no_route() {
        let (finalizer, told) = finalizer();
        drop(finalizer);
        assert_eq!(*told.lock(), [Verdict::NoRoute]);
    }

    #[test]
    fn the_decision_is_told_on_whichever_thread_finishes_last() {
        let (finalizer, told) = finalizer();
        let share = finalizer.share(Sink::Kafka);
        drop(finalizer);
        std::thread::spawn(move || share.finish(Verdict::KafkaFailed)).join().unwrap();
        assert_eq!(*told.lock(), [Verdict::KafkaFailed]);
    }
}
