//! A client that does what a test says.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use parking_lot::Mutex;

use super::Port;
use crate::client::{BuildError, Client, Connect, Failure, Refused};
use crate::delivery::DeliveryContext;
use crate::delivery::{Record, RecordRef};
use crate::files;
use crate::problem::ConnectionProblem;

/// What a test sees of the clients, and tells them.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The fates of the next records, told by the client's thread as soon as they are sent.
    answers: VecDeque<Answer>,
    /// What the clients have taken and not yet told the fate of, in order, each with its client.
    held: VecDeque<(usize, Record, Box<DeliveryContext>)>,
    /// All records that any client took, each with its client.
    sent: Vec<(usize, Record)>,
    /// How many clients were built.
    clients: usize,
    /// Whether the client refuses everything, as after a fatal error.
    fatal: bool,
    /// Fails the next attempts to build a client.
    broken: usize,
    events: Option<Sender<Event>>,
    /// The other end: whichever client is served hears the event.
    received: Option<Events>,
}

type Events = Arc<Mutex<Receiver<Event>>>;

/// What becomes of a record at once.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Delivered(Result<(), Failure>),
    Refused(Failure),
    /// Refused once the test has met the caller here twice.
    RefusedAfter(Arc<Barrier>, Failure),
}

/// What happens in the client's thread.
#[derive(Debug)]
enum Event {
    /// The first records that are held meet this fate.
    Deliver(usize, Result<(), Failure>),
    /// The brokers do not let the client in.
    Trouble(ConnectionProblem),
}

impl Script {
    /// Builds clients for a publisher.
    pub(crate) fn connect(&self) -> Connect {
        let script = self.clone();
        Box::new(move |config, port| {
            files::resolve(config)?;
            let mut state = script.0.lock();
            if state.broken > 0 {
                state.broken -= 1;
                return Err(BuildError::Refused("cannot use the certificate".to_owned()));
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
            Ok(Box::new(Scripted { script: script.clone(), number, port, events }))
        })
    }

    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.0.lock().answers.extend(answers);
    }

    /// Lets the client's thread tell the fate of the first records that are held.
    pub(crate) fn deliver(&self, count: usize, fate: Result<(), Failure>) {
        self.tell(Event::Deliver(count, fate));
    }

    /// The client is beyond use: what it holds comes back, and it takes nothing more.
    pub(crate) fn fail(&self) {
        let held = {
            let mut state = self.0.lock();
            state.fatal = true;
            state.held.len()
        };
        self.tell(Event::Deliver(held, Err(Failure::Gone)));
    }

    /// The brokers do not let the client in that is served.
    pub(crate) fn trouble(&self, problem: ConnectionProblem) {
        self.tell(Event::Trouble(problem));
    }

    pub(crate) fn break_connect(&self, times: usize) {
        self.0.lock().broken = times;
    }

    /// The keys of all records that a client took, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.sent().into_iter().map(|(_, key)| key).collect()
    }

    /// The same, each with its client.
    pub(crate) fn sent(&self) -> Vec<(usize, String)> {
        let key =
            |record: &Record| String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
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
            // A client that is gone hears nothing.
            let _ = events.send(event);
        }
    }
}

struct Scripted {
    script: Script,
    number: usize,
    port: Port,
    events: Events,
}

impl Client for Scripted {
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), Refused> {
        let answer = {
            let mut state = self.script.0.lock();
            if state.fatal {
                return Err(Refused { context, failure: Failure::Gone });
            }
            state.answers.pop_front()
        };
        let fate = match answer {
            Some(Answer::Refused(failure)) => return Err(Refused { context, failure }),
            Some(Answer::RefusedAfter(meeting, failure)) => {
                meeting.wait();
                meeting.wait();
                return Err(Refused { context, failure });
            }
            Some(Answer::Delivered(fate)) => Some(fate),
            None => None,
        };
        {
            let mut state = self.script.0.lock();
            state.sent.push((self.number, record.to_record()));
            state.held.push_back((self.number, record.to_record(), context));
        }
        if let Some(fate) = fate {
            self.script.tell(Event::Deliver(1, fate));
        }
        Ok(())
    }

    fn poll(&self, timeout: Duration) {
        if timeout.is_zero() && self.outstanding() == 0 {
            // One that is no longer served: the event is not for it.
            return;
        }
        let event = self.events.lock().recv_timeout(timeout);
        match event {
            Ok(Event::Deliver(count, fate)) => self.tell_fates(count, &fate),
            Ok(Event::Trouble(problem)) => self.port.problem(problem, "said by a test"),
            Err(_) => {}
        }
    }

    fn flush(&self, _within: Duration) {}

    fn outstanding(&self) -> usize {
        self.script.0.lock().held.iter().filter(|(client, ..)| *client == self.number).count()
    }

    fn purge(&self) {
        self.tell_fates(usize::MAX, &Err(Failure::Gone));
    }
}

impl Scripted {
    fn tell_fates(&self, count: usize, fate: &Result<(), Failure>) {
        for _ in 0..count {
            let held = {
                let mut state = self.script.0.lock();
                let first = state.held.iter().position(|(client, ..)| *client == self.number);
                first.and_then(|first| state.held.remove(first))
            };
            let Some((_, record, context)) = held else { return };
            self.port.delivered(context, fate.clone(), |_| record);
        }
    }
}
