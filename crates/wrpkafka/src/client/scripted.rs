//! A client that does what a test says.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use parking_lot::Mutex;

use super::events::{Certainty, ClientEvents};
use super::{BuildError, Client, Connect, DeliveryError, SendError, TopicAnswer};
use crate::connection_failure::ConnectionFailure;
use crate::delivery::{DeliveryContext, Record, RecordRef};
use crate::files;

/// What a test sees of its clients, and makes them do.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The results of the next records, reported by the client's thread as soon as they are sent.
    answers: VecDeque<Answer>,
    /// The records that the clients hold, in order, each with its client.
    held: VecDeque<(usize, Record, Box<DeliveryContext>)>,
    /// All records that any client accepted, each with its client.
    sent: Vec<(usize, Record)>,
    /// How many clients were built.
    clients: usize,
    /// Whether the client rejects everything, as after a fatal error.
    fatal: bool,
    /// Fails the next attempts to build a client.
    broken: usize,
    /// What is said of every topic; nothing if the brokers do not answer.
    topics: Option<TopicAnswer>,
    /// The largest batch that every topic takes.
    largest_batch: Option<usize>,
    looked_up: Vec<String>,
    events: Option<Sender<Event>>,
    /// The other end: the client that is polled gets the event.
    received: Option<Events>,
}

type Events = Arc<Mutex<Receiver<Event>>>;

/// What becomes of a record at once.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Delivered(Result<(), DeliveryError>),
    Rejected(DeliveryError),
    /// Rejected once the test has met the caller at this barrier twice.
    RejectedAfter(Arc<Barrier>, DeliveryError),
}

/// What happens in the client's thread.
#[derive(Debug)]
enum Event {
    /// The thread that polls panics.
    Panic,
    /// The first records that the client holds get this result.
    Deliver(usize, Result<(), DeliveryError>),
    /// The client cannot work with its brokers.
    ConnectionFailure(ConnectionFailure),
}

impl Script {
    /// Builds clients for a publisher.
    pub(crate) fn connect(&self) -> Connect {
        let script = self.clone();
        Box::new(move |config, reports| {
            files::resolve(config)?;
            let mut state = script.0.lock();
            if state.broken > 0 {
                state.broken -= 1;
                return Err(BuildError::Settings("cannot use the certificate".to_owned()));
            }
            if state.events.is_none() {
                let (events, received) = channel();
                state.events = Some(events);
                state.received = Some(Arc::new(Mutex::new(received)));
            }
            let number = state.clients;
            state.clients += 1;
            state.fatal = false;
            let events = state.received.clone().unwrap();
            Ok(Box::new(Scripted { script: script.clone(), number, reports, events }))
        })
    }

    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.0.lock().answers.extend(answers);
    }

    /// Makes the client's thread report this result for the first records that it holds.
    pub(crate) fn deliver(&self, count: usize, result: Result<(), DeliveryError>) {
        self.tell(Event::Deliver(count, result));
    }

    /// The client fails for good: it returns what it holds and accepts nothing more.
    pub(crate) fn fail(&self) {
        let held = {
            let mut state = self.0.lock();
            state.fatal = true;
            state.held.len()
        };
        self.tell(Event::Deliver(held, Err(DeliveryError::NotSent)));
    }

    /// The client that is polled reports this failure.
    pub(crate) fn fail_connection(&self, failure: ConnectionFailure) {
        self.tell(Event::ConnectionFailure(failure));
    }

    /// What clients hear of every topic from now on; nothing at first.
    pub(crate) fn answer_for_topics(&self, answer: TopicAnswer) {
        self.0.lock().topics = Some(answer);
    }

    /// The topics that were asked for, in order.
    /// Every topic takes batches of so many bytes at most.
    pub(crate) fn take_batches_of(&self, bytes: usize) {
        self.0.lock().largest_batch = Some(bytes);
    }

    pub(crate) fn looked_up(&self) -> Vec<String> {
        self.0.lock().looked_up.clone()
    }

    /// The client that is polled panics.
    pub(crate) fn panic(&self) {
        self.tell(Event::Panic);
    }

    pub(crate) fn break_connect(&self, times: usize) {
        self.0.lock().broken = times;
    }

    /// The keys of all records that a client accepted, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.sent().into_iter().map(|(_, key)| key).collect()
    }

    /// The same, each with its client.
    pub(crate) fn sent(&self) -> Vec<(usize, String)> {
        let key = |record: &Record| String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
        self.0.lock().sent.iter().map(|(client, record)| (*client, key(record))).collect()
    }

    pub(crate) fn held(&self) -> usize {
        self.0.lock().held.len()
    }

    pub(crate) fn clients(&self) -> usize {
        self.0.lock().clients
    }

    fn tell(&self, event: Event) {
        if let Some(events) = &self.0.lock().events {
            // No client is polled any more.
            let _ = events.send(event);
        }
    }
}

struct Scripted {
    script: Script,
    number: usize,
    reports: Arc<dyn ClientEvents>,
    events: Events,
}

impl Client for Scripted {
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), SendError> {
        let answer = {
            let mut state = self.script.0.lock();
            if state.fatal {
                return Err(SendError { context, error: DeliveryError::NotSent });
            }
            state.answers.pop_front()
        };
        let result = match answer {
            Some(Answer::Rejected(error)) => return Err(SendError { context, error }),
            Some(Answer::RejectedAfter(meeting, error)) => {
                meeting.wait();
                meeting.wait();
                return Err(SendError { context, error });
            }
            Some(Answer::Delivered(result)) => Some(result),
            None => None,
        };
        {
            let mut state = self.script.0.lock();
            state.sent.push((self.number, record.to_record()));
            state.held.push_back((self.number, record.to_record(), context));
        }
        if let Some(result) = result {
            self.script.tell(Event::Deliver(1, result));
        }
        Ok(())
    }

    fn poll(&self, timeout: Duration) {
        if timeout.is_zero() && self.outstanding() == 0 {
            // A client that was replaced: the event is for the next one.
            return;
        }
        let event = self.events.lock().recv_timeout(timeout);
        match event {
            Ok(Event::Deliver(count, result)) => self.complete(count, &result),
            Ok(Event::Panic) => panic!("wanted by a test"),
            Ok(Event::ConnectionFailure(failure)) => {
                self.reports.on_connection_failure(failure, Certainty::Known, "said by a test");
            }
            Err(_) => {}
        }
    }

    fn flush(&self, _within: Duration) {}

    fn outstanding(&self) -> usize {
        self.script.0.lock().held.iter().filter(|(client, ..)| *client == self.number).count()
    }

    fn largest_batch(&self, _topic: &str, _within: Duration) -> Option<usize> {
        self.script.0.lock().largest_batch
    }

    fn look_up(&self, topic: &str, _within: Duration) -> Option<TopicAnswer> {
        let mut state = self.script.0.lock();
        state.looked_up.push(topic.to_owned());
        state.topics.clone()
    }

    fn purge_queue(&self) {
        self.purge();
    }

    fn purge(&self) {
        self.complete(usize::MAX, &Err(DeliveryError::NotSent));
    }
}

impl Scripted {
    fn complete(&self, count: usize, result: &Result<(), DeliveryError>) {
        for _ in 0..count {
            let held = {
                let mut state = self.script.0.lock();
                let first = state.held.iter().position(|(client, ..)| *client == self.number);
                first.and_then(|first| state.held.remove(first))
            };
            let Some((_, record, context)) = held else { return };
            // A script gives back nothing by itself.
            let _ = self.reports.on_delivery(context, result.clone(), &|| record.clone());
        }
    }
}
