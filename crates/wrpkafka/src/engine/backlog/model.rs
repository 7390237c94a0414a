//! The protocol of the backlog, checked with `loom`: each scenario runs in many interleavings of its threads, and with all
//! values that the memory model lets them read.
//!
//! With two threads these are all interleavings; with three, and where one thread polls, those in which threads are
//! interrupted two or three times. The backlog is the real one, with `loom`'s lock and atomics; only the client, its slot
//! and the event are imitated. A lost wake-up shows as a deadlock, because the main thread waits for every record to come
//! out of the client. A record that overtakes another shows in the client's log of its key, which `loom` also watches for
//! accesses that nothing orders. The publisher's own parts (`ArcSwap`, tokio's `Notify`, librdkafka) are not checked.
//!
//! The model can fail. Each of these changes was made once, and the scenario failed:
//!
//! | change | of point | fails |
//! |---|---|---|
//! | `submit_when_room` waits without its second attempt | 1 | `one_waits_for_room`: deadlock |
//! | `room` sets the flag before it creates the future | 1 | `another_takes_the_room`: deadlock |
//! | `free` does not wake callers | 1 | `one_waits_for_room`: deadlock |
//! | `enqueue` calls `note_waiting` after its pump | 1 | `a_full_queue`: deadlock |
//! | `free` gives back the room before the lane | 1 | `a_lane_holds_its_share`: deadlock |
//! | `Room::release` with `Relaxed` instead of `Release` | 1 | `a_lane_holds_its_share`: deadlock |
//! | `set_wanted` with `Relaxed` instead of `Acquire` | 1 | `a_lane_holds_its_share`: deadlock |
//! | `send_or_defer` does not pump when it gives back room | 1 | `room_is_given_back`: deadlock |
//! | a lane that holds its share ends the pump | 1 | `lanes_pass_each_other`: deadlock |
//! | `add_if_open` with `Relaxed` instead of `Acquire` | 2 | `two_callers`, `a_client_is_replaced`: unordered sends |
//! | `set_flow` with `Relaxed` instead of `Release` | 2 | `two_callers`, `a_client_is_replaced`: unordered sends |
//! | `topic_failed` leaves the lane open | 2 | `a_topic_fails_and_recovers`: its assertion |
//! | `send_or_defer` looks at the lane before it reads the client | 4 | `a_client_is_replaced`: unordered sends |

mod lanes;
mod primitives;

use std::io::Write as _;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use loom::cell::Cell;
use loom::sync::Arc;
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::thread::{self, JoinHandle};
use wrp::QosLevel;

use self::primitives::{FixedSlot, Model, ModelSlot};
use super::outlet::{Framing, Outlet, Readiness};
use super::primitives::Slot;
use super::{Backlog, Bounds, Failed, Unreported, Waiting};
use crate::client::SendError;
use crate::config::WaitingLimit;
use crate::delivery::{DeliveryContext, MessageContext, ReceiptShare, Record, RecordRef};
use crate::error::PublishError;
use crate::routing::{HeaderBlock, LaneId, Target};
use crate::schema::Frame;

/// No registry: every value is complete.
struct Framed;

impl Framing for Framed {
    fn complete(&self, _: &mut DeliveryContext) -> Readiness {
        Readiness::Ready
    }
}

/// A client that logs what it gets, by key, and passes it on to the main thread.
struct ModelClient {
    /// By key, the records' numbers. Nothing but the backlog orders the accesses.
    logs: [Cell<Vec<u8>>; 2],
    out: Sender<Waiting>,
    /// Records in the client. No part of the model: it only checks the bound.
    held: AtomicU64,
    bound: u64,
}

impl ModelClient {
    fn new(bound: u64) -> (Arc<Self>, Receiver<Waiting>) {
        let (out, records) = channel();
        let logs = [Cell::new(Vec::new()), Cell::new(Vec::new())];
        (Arc::new(Self { logs, out, held: AtomicU64::new(0), bound }), records)
    }

    fn log(&self, key: u8) -> Vec<u8> {
        let log = self.logs[usize::from(key)].take();
        self.logs[usize::from(key)].set(log.clone());
        log
    }
}

impl Outlet for Arc<ModelClient> {
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), SendError> {
        let (key, number) = identity(record.key);
        let mut log = self.logs[usize::from(key)].take();
        log.push(number);
        self.logs[usize::from(key)].set(log);
        assert!(self.held.fetch_add(1, Ordering::Relaxed) < self.bound, "more records than the bound");
        self.out.send(Waiting { record: record.to_record(), context }).unwrap();
        Ok(())
    }
}

const A: u8 = 0;
const B: u8 = 1;

/// A record's key and number are its identity.
fn identity(key: Option<&[u8]>) -> (u8, u8) {
    match key {
        Some(&[key, number]) => (key, number),
        other => panic!("no key of the model's: {other:?}"),
    }
}

fn record(key: u8, number: u8, level: QosLevel) -> Waiting {
    of(&Target::new("t", ""), key, number, level)
}

/// A record of a target's lane. One without a lane of its own uses that of all such targets.
fn of(target: &std::sync::Arc<Target>, key: u8, number: u8, level: QosLevel) -> Waiting {
    let message = MessageContext { event_type: "x", level, submitted: Instant::now() };
    let mut context = DeliveryContext::new(target.clone(), &message, Frame::Closed, ReceiptShare::default());
    context.set_bytes(1);
    let headers = HeaderBlock::default();
    let record = Record::new(Some(&[key, number]), &[0], headers.as_ref());
    Waiting { record, context }
}

type ModelBacklog<S> = Rc<Backlog<Model<S>>>;

/// A backlog whose client has room for this many records, and its queue as well.
fn open<S: Slot<Arc<ModelClient>>>(
    room: u64,
    waiting: u64,
) -> (ModelBacklog<S>, Arc<ModelClient>, Receiver<Waiting>) {
    let waiting = WaitingLimit { records: waiting, bytes: 10_000 };
    let backlog =
        Backlog::new(Bounds { records: room, bytes: 100, waiting, low_retries: 3, lanes: 3 }, Framed, 0);
    let (client, records) = ModelClient::new(room);
    backlog.open(client.clone());
    (Rc::new(backlog), client, records)
}

/// Submits records one after the other. Returns those that failed, of whichever thread.
fn submitter<S: Slot<Arc<ModelClient>> + 'static>(
    backlog: &ModelBacklog<S>,
    records: Vec<Waiting>,
) -> JoinHandle<Vec<Failed>> {
    let backlog = backlog.clone();
    thread::spawn(move || {
        let mut unreported = Unreported::default();
        for Waiting { record, context } in records {
            let target = context.target.clone();
            if let Err((context, error)) = backlog.submit(record.as_ref(&target), context, &mut unreported) {
                unreported.failed.push((Waiting { record, context }, error));
            }
        }
        unreported.failed
    })
}

/// Submits a record and waits for room.
fn waiting_submitter(backlog: &ModelBacklog<FixedSlot>, record: Waiting) -> JoinHandle<bool> {
    let backlog = backlog.clone();
    thread::spawn(move || {
        let submitted = backlog.submit_when_room(record, |unreported| assert!(unreported.failed.is_empty()));
        loom::future::block_on(submitted).is_ok()
    })
}

/// Waits for this many records to come out of the client, and acknowledges them.
fn deliver<S: Slot<Arc<ModelClient>>>(
    backlog: &Backlog<Model<S>>,
    client: &ModelClient,
    records: &Receiver<Waiting>,
    count: usize,
) {
    for _ in 0..count {
        acknowledge(backlog, client, &records.recv().unwrap());
    }
}

fn acknowledge<S: Slot<Arc<ModelClient>>>(
    backlog: &Backlog<Model<S>>,
    client: &ModelClient,
    delivered: &Waiting,
) {
    client.held.fetch_sub(1, Ordering::Relaxed);
    if backlog.free(delivered.context.target.lane(), delivered.context.bytes()).is_wanted {
        let mut unreported = Unreported::default();
        backlog.pump(&mut unreported);
        assert!(unreported.failed.is_empty());
    }
}

/// Nothing is left: no record waits, and all room has been given back.
fn assert_empty<S: Slot<Arc<ModelClient>>>(backlog: &Backlog<Model<S>>) {
    let usage = backlog.usage();
    assert_eq!((usage.records, usage.bytes, usage.waiting_records, usage.waiting_bytes), (0, 0, 0, 0));
    assert!(backlog.is_drained());
}

/// Which interleavings a scenario runs.
#[derive(Debug, Clone, Copy)]
enum Explore {
    All,
    /// Those in which threads are interrupted at most this often, for three threads.
    Preemptions(usize),
}

/// Runs a scenario, and prints in how many interleavings, past the test runner, which keeps what passing tests print.
fn check(name: &str, explore: Explore, scenario: fn()) {
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&count);
    let begun = Instant::now();
    let mut builder = loom::model::Builder::new();
    if let Explore::Preemptions(bound) = explore {
        builder.preemption_bound = Some(bound);
    }
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    let (count, took) = (count.load(Ordering::Relaxed), begun.elapsed());
    let line = format!("model of the backlog, {name}: {count} interleavings, {explore:?} ({took:.1?})");
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn high(key: u8, number: u8) -> Waiting {
    record(key, number, QosLevel::High)
}

/// Submits a record that must be accepted.
fn submit<S: Slot<Arc<ModelClient>>>(backlog: &Backlog<Model<S>>, submitted: Waiting) {
    let (Waiting { record, context }, mut unreported) = (submitted, Unreported::default());
    let target = context.target.clone();
    assert!(
        backlog.submit(record.as_ref(&target), context, &mut unreported).is_ok()
            && unreported.failed.is_empty()
    );
}

fn one_caller() {
    let (backlog, client, records) = open::<FixedSlot>(1, 8);
    let caller = submitter(&backlog, vec![high(A, 0), high(A, 1)]);
    deliver(&backlog, &client, &records, 2);
    assert!(caller.join().unwrap().is_empty());
    assert_eq!(client.log(A), [0, 1]);
    assert_empty(&backlog);
}

fn two_callers() {
    let (backlog, client, records) = open::<FixedSlot>(1, 8);
    let first = submitter(&backlog, vec![high(A, 0), high(A, 1)]);
    let second = submitter(&backlog, vec![high(B, 0)]);
    deliver(&backlog, &client, &records, 3);
    assert!(first.join().unwrap().is_empty() && second.join().unwrap().is_empty());
    assert_eq!((client.log(A), client.log(B)), (vec![0, 1], vec![0]));
    assert_empty(&backlog);
}

#[test]
fn every_record_leaves_a_full_client_in_the_order_of_its_key() {
    check("one caller and a full client", Explore::All, one_caller);
    check("two callers and a full client", Explore::Preemptions(2), two_callers);
}

fn one_waits_for_room() {
    let (backlog, client, records) = open::<FixedSlot>(1, 0);
    submit(&backlog, high(A, 0));
    let caller = waiting_submitter(&backlog, high(B, 0));
    deliver(&backlog, &client, &records, 2);
    assert!(caller.join().unwrap());
    assert_empty(&backlog);
}

/// Another caller takes the room of which a waiting one was notified.
fn another_takes_the_room() {
    let (backlog, client, records) = open::<FixedSlot>(1, 0);
    submit(&backlog, high(A, 0));
    let caller = waiting_submitter(&backlog, high(B, 0));
    deliver(&backlog, &client, &records, 1);
    let Waiting { record, context } = high(A, 1);
    let target = context.target.clone();
    let is_sent = backlog.submit(record.as_ref(&target), context, &mut Unreported::default()).is_ok();
    deliver(&backlog, &client, &records, 1 + usize::from(is_sent));
    assert!(caller.join().unwrap());
    assert_empty(&backlog);
}

fn two_wait_for_room() {
    let (backlog, client, records) = open::<FixedSlot>(1, 0);
    submit(&backlog, high(A, 0));
    let first = waiting_submitter(&backlog, high(A, 1));
    let second = waiting_submitter(&backlog, high(B, 0));
    deliver(&backlog, &client, &records, 3);
    assert!(first.join().unwrap() && second.join().unwrap());
    assert_empty(&backlog);
}

#[test]
fn a_caller_that_waits_for_room_is_woken() {
    check("one caller waits for room", Explore::All, one_waits_for_room);
    check("another caller takes the room", Explore::Preemptions(2), another_takes_the_room);
    check("two callers wait for room", Explore::Preemptions(1), two_wait_for_room);
}

fn a_stop() {
    let (backlog, client, records) = open::<FixedSlot>(1, 8);
    let caller = submitter(&backlog, vec![high(A, 0), high(A, 1)]);
    let (waited, _) = backlog.close();
    let failed = caller.join().unwrap();
    assert!(failed.iter().all(|(_, error)| *error == PublishError::Stopped));
    let sent = client.log(A);
    assert_eq!(sent.len() + waited.len() + failed.len(), 2);
    deliver(&backlog, &client, &records, sent.len());
    assert_empty(&backlog);
}

fn a_stop_while_a_caller_waits() {
    let (backlog, client, records) = open::<FixedSlot>(1, 0);
    submit(&backlog, high(A, 0));
    let caller = waiting_submitter(&backlog, high(B, 0));
    let (waited, _) = backlog.close();
    assert!(waited.is_empty() && !caller.join().unwrap());
    deliver(&backlog, &client, &records, 1);
    assert_empty(&backlog);
}

#[test]
fn a_stop_forgets_no_record_and_no_caller() {
    check("a stop", Explore::All, a_stop);
    check("a stop while a caller waits", Explore::All, a_stop_while_a_caller_waits);
}

/// One record has been sent before; the old client returns what it has; both records go to the next one.
fn a_client_is_replaced() {
    let (backlog, client, old_records) = open::<ModelSlot>(2, 8);
    submit(&backlog, high(A, 0));
    drop(client);
    let caller = submitter(&backlog, vec![high(A, 1)]);
    let old = backlog.hold().unwrap();
    // As the worker does: until no caller can send to it any more.
    while Arc::strong_count(&old) > 1 {
        thread::yield_now();
    }
    for _ in 0..old.held.load(Ordering::Relaxed) {
        assert!(backlog.put_back(old_records.recv().unwrap()).is_ok());
        assert!(backlog.free(LaneId::default(), 1).is_wanted);
    }
    let (next, records) = ModelClient::new(2);
    let mut unreported = Unreported::default();
    backlog.resume(next.clone(), &mut unreported);
    deliver(&backlog, &next, &records, 2);
    let mut failed = unreported.failed;
    failed.extend(caller.join().unwrap());
    assert!(failed.is_empty());
    assert_eq!(next.log(A), [0, 1]);
    assert_empty(&backlog);
}

#[test]
fn no_record_overtakes_while_the_client_is_replaced() {
    check("a client is replaced", Explore::Preemptions(3), a_client_is_replaced);
}

fn a_full_queue() {
    let (backlog, client, records) = open::<FixedSlot>(1, 1);
    submit(&backlog, high(A, 0));
    submit(&backlog, record(A, 1, QosLevel::Medium));
    let caller = submitter(&backlog, vec![high(B, 0)]);
    deliver(&backlog, &client, &records, 2);
    let failed = caller.join().unwrap();
    deliver(&backlog, &client, &records, 1 - failed.len());
    assert!(failed.iter().all(|(waiting, error)| {
        waiting.context.level == QosLevel::Medium && *error == PublishError::Displaced
    }));
    assert_eq!(client.log(B), [0], "the higher level is sent");
    assert_eq!(client.log(A).len() + failed.len(), 2);
    assert_empty(&backlog);
}

#[test]
fn a_higher_level_evicts_a_lower_one_and_each_record_has_one_end() {
    check("a full queue", Explore::All, a_full_queue);
}
