//! The outcome of one message that wants an acknowledgement, collected from the sinks that carry it.
//!
//! A [`Finalizer`] gives each sink a [`Share`]. A share ends with a [`Verdict`]; one that is dropped without a verdict counts
//! as [`Verdict::Abandoned`], so that a forgotten answer never looks like a delivery. When the last share is gone, the
//! verdict of the message is reported exactly once: Kafka's verdict if the message went to Kafka, otherwise that of HTTP,
//! where the first failure among several URLs decides (contract §15.4).
//!
//! Deliberately absent: devices and sinks. The [`Settle`] of a finalizer does something with the verdict.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use wrp::Rdr;

use super::reason::DropReason;

/// Receives the verdict of a message, once.
pub trait Settle: Send + Sync {
    /// Called by the thread that finished last. It must be quick and must not block.
    fn settle(&mut self, verdict: Verdict);
}

impl<F: FnMut(Verdict) + Send + Sync> Settle for F {
    fn settle(&mut self, verdict: Verdict) {
        self(verdict);
    }
}

/// The sink that a [`Share`] belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// One URL of the HTTP sink.
    Http,
    /// The Kafka sink. If it has a verdict, that one decides.
    Kafka,
}

/// Makes the shares of one message. Drop it once all shares are made.
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
    /// A finalizer that reports to `settle` when it and all its shares are dropped.
    pub fn new(settle: impl Settle + 'static) -> Self {
        Self(Arc::new(Shared { votes: Mutex::default(), settle }))
    }

    /// A share for one more sink, or one more URL of a sink.
    #[must_use]
    pub fn share(&self, sink: Sink) -> Share {
        Share { shared: Arc::clone(&self.0), sink, end: End::Open }
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

/// The outcome of a message: the `rdr` of its acknowledgement (contract §15.3).
///
/// Codes below 150 are those of the WRP specification, those from 150 on are this gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// 0: the deciding sink has delivered it.
    Delivered,
    /// 3: the message has no destination.
    MissingDest,
    /// 4: it is larger than a sink accepts.
    TooLarge,
    /// 100: a queue is full, or the device has too many unacknowledged messages.
    NotEnqueued,
    /// 102: a message of a higher level displaced it.
    Displaced,
    /// 150: the destination is malformed, or nothing is configured for it.
    NoRoute,
    /// 151: the event receiver answered, but not with 202.
    ReceiverRefused,
    /// 152: the event receiver could not be reached or did not answer in time.
    ReceiverUnreachable,
    /// 153: Kafka did not accept it.
    KafkaFailed,
    /// 154: the gateway is shutting down.
    ShuttingDown,
    /// 155: a sink dropped it without a verdict, which is a bug.
    Abandoned,
}

impl Verdict {
    /// The number in the acknowledgement.
    #[must_use]
    pub const fn rdr(self) -> Rdr {
        match self {
            Self::Delivered => Rdr::DELIVERED,
            Self::MissingDest => Rdr::MISSING_DEST,
            Self::TooLarge => Rdr::TOO_LARGE,
            Self::NotEnqueued => Rdr::UNABLE_TO_ENQUEUE,
            Self::Displaced => Rdr::DISPLACED,
            Self::NoRoute => Rdr(150),
            Self::ReceiverRefused => Rdr(151),
            Self::ReceiverUnreachable => Rdr(152),
            Self::KafkaFailed => Rdr(153),
            Self::ShuttingDown => Rdr(154),
            Self::Abandoned => Rdr(155),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered",
            Self::MissingDest => "the message has no destination",
            Self::TooLarge => "the message is too large",
            Self::NotEnqueued => "no room to queue the message",
            Self::Displaced => "displaced by a message of a higher level",
            Self::NoRoute => "nothing is configured for this destination",
            Self::ReceiverRefused => "the event receiver rejected it",
            Self::ReceiverUnreachable => "the event receiver could not be reached",
            Self::KafkaFailed => "kafka did not accept it",
            Self::ShuttingDown => "cancelled by the shutdown of the gateway",
            Self::Abandoned => "abandoned",
        })
    }
}

impl From<DropReason> for Verdict {
    /// The verdict for a message that the HTTP sink dropped for this reason.
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
            | DropReason::DnsDisabled
            | DropReason::HostNotAllowed
            | DropReason::AddressNotPublic
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
