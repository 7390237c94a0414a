//! A client that does what a test says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;

use super::Port;
use crate::client::{BuildError, Client, Connect, Failure, Refused};
use crate::files;
use crate::record::{Record, RecordRef};
use crate::ticket::Ticket;

/// What a test sees of the clients, and tells them.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The fates of the next records, told by the client's thread as soon as they are sent.
    answers: VecDeque<Answer>,
    /// What the clients have taken and not yet told the fate of, in order.
    held: VecDeque<(Record, Box<Ticket>)>,
    /// The values of all records that any client took.
    sent: Vec<Record>,
    /// How many clients were built.
    clients: usize,
    /// Whether the client refuses everything, as after a fatal error.
    fatal: bool,
    /// Fails the next attempts to build a client.
    broken: usize,
    events: Option<Sender<Event>>,
}

/// What becomes of a record at once.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Delivered(Result<(), Failure>),
    Refused(Failure),
}

/// What happens in the client's thread.
#[derive(Debug)]
enum Event {
    /// The first records that are held meet this fate.
    Deliver(usize, Result<(), Failure>),
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
            let (events, received) = channel();
            state.clients += 1;
            state.fatal = false;
            state.events = Some(events);
            Ok(Box::new(Scripted { script: script.clone(), port, events: Mutex::new(received) }))
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

    pub(crate) fn break_connect(&self, times: usize) {
        self.0.lock().broken = times;
    }

    /// The keys of all records that a client took, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let key =
            |record: &Record| String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        self.0.lock().sent.iter().map(key).collect()
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
    port: Port,
    events: Mutex<Receiver<Event>>,
}

impl Client for Scripted {
    fn send(&self, record: RecordRef<'_>, ticket: Box<Ticket>) -> Result<(), Refused> {
        let mut state = self.script.0.lock();
        if state.fatal {
            return Err(Refused { ticket, failure: Failure::Gone });
        }
        let answer = state.answers.pop_front();
        if let Some(Answer::Refused(failure)) = answer {
            return Err(Refused { ticket, failure });
        }
        state.sent.push(record.to_record());
        state.held.push_back((record.to_record(), ticket));
        if let (Some(Answer::Delivered(fate)), Some(events)) = (answer, &state.events) {
            // A client that is gone hears nothing.
            let _ = events.send(Event::Deliver(1, fate));
        }
        Ok(())
    }

    fn poll(&self, timeout: Duration) {
        let Ok(Event::Deliver(count, fate)) = self.events.lock().recv_timeout(timeout) else { return };
        self.tell_fates(count, &fate);
    }

    fn flush(&self, _within: Duration) {}

    fn outstanding(&self) -> usize {
        self.script.held()
    }

    fn purge(&self) {
        self.tell_fates(usize::MAX, &Err(Failure::Gone));
    }
}

impl Scripted {
    fn tell_fates(&self, count: usize, fate: &Result<(), Failure>) {
        for _ in 0..count {
            let Some((record, ticket)) = self.script.0.lock().held.pop_front() else { return };
            self.port.delivered(ticket, fate.clone(), |_| record);
        }
    }
}
