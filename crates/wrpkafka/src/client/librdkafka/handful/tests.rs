//! Records on their way through a handful, without a client.

#![expect(clippy::disallowed_methods, reason = "a context needs the time of its submission")]

use std::cell::RefCell;
use std::thread;

use wrp::QosLevel;

use super::*;
use crate::delivery::{MessageContext, ReceiptShare};
use crate::error::PublishError;
use crate::routing::{HeaderBlock, Target};
use crate::schema::Frame;

fn context(target: &Arc<Target>) -> Box<DeliveryContext> {
    let message = MessageContext { event_type: "e", level: QosLevel::Medium, submitted: Instant::now() };
    DeliveryContext::new(Arc::clone(target), &message, Frame::Closed, ReceiptShare::default())
}

fn add(handful: &Handful, target: &Arc<Target>, value: &str) -> Added {
    let headers = HeaderBlock::default();
    let record = Record::new(Some(b"key"), value.as_bytes(), headers.as_ref());
    handful.add(record.as_ref(target), context(target))
}

fn text(record: RecordRef<'_>) -> String {
    String::from_utf8_lossy(record.value).into_owned()
}

#[test]
fn records_pass_by_until_the_handful_is_open() {
    let (handful, target) = (Handful::new(Duration::ZERO, Instant::now()), Target::new("t", ""));
    assert!(matches!(add(&handful, &target, "1"), Added::PassesBy(_)));
    handful.open();
    assert!(matches!(add(&handful, &target, "2"), Added::Gathered));
    assert!(matches!(add(&handful, &target, "3"), Added::Gathered));
    assert_eq!(handful.outstanding(|| 1), 3);
    let sent = RefCell::new(Vec::new());
    let send = |record: RecordRef<'_>, _| {
        sent.borrow_mut().push(text(record));
        Ok(())
    };
    handful.hand_over(send);
    assert!(matches!(add(&handful, &target, "4"), Added::Gathered));
    handful.close(send);
    assert_eq!(*sent.borrow(), ["2", "3", "4"]);
    assert_eq!(handful.outstanding(|| 0), 0);
    assert!(matches!(add(&handful, &target, "5"), Added::PassesBy(_)));
}

#[test]
fn a_client_that_lingers_gathers_nothing() {
    let (handful, target) = (Handful::new(Duration::from_millis(5), Instant::now()), Target::new("t", ""));
    handful.open();
    assert!(matches!(add(&handful, &target, "1"), Added::PassesBy(_)));
}

#[test]
fn a_handful_is_bounded_in_records_and_bytes() {
    let target = Target::new("t", "");
    for (length, most) in [(1, MAX_RECORDS), (MAX_BYTES / 4, 4), (2 * MAX_BYTES, 1)] {
        let handful = Handful::new(Duration::ZERO, Instant::now());
        handful.open();
        let value = "x".repeat(length);
        let count =
            1 + (0..).take_while(|_| matches!(add(&handful, &target, &value), Added::Gathered)).count();
        assert_eq!(count, most);
    }
}

#[test]
fn nothing_overtakes_a_record_of_its_topic_that_was_not_taken() {
    let handful = Handful::new(Duration::ZERO, Instant::now());
    let (missing, other) = (Target::new("missing", ""), Target::new("other", ""));
    handful.open();
    for (target, value) in [(&missing, "1"), (&other, "2"), (&missing, "3")] {
        assert!(matches!(add(&handful, target, value), Added::Gathered));
    }
    // The topic appears as soon as the first record was refused.
    let (sent, is_missing) = (RefCell::new(Vec::new()), RefCell::new(true));
    let send = |record: RecordRef<'_>, context| {
        if &*record.target.topic == "missing" && is_missing.replace(false) {
            return Err(SendError { context, error: DeliveryError::TopicFailed(PublishError::Timeout) });
        }
        sent.borrow_mut().push(text(record));
        Ok(())
    };
    handful.hand_over(send);
    assert!(matches!(add(&handful, &missing, "4"), Added::Gathered));
    handful.hand_over(send);
    assert_eq!(*sent.borrow(), ["2"]);
    assert_eq!(handful.outstanding(|| 0), 3);
    let refused: Vec<String> =
        handful.take_given_back().iter().map(|refused| text(refused.record.as_ref(&missing))).collect();
    assert_eq!(refused, ["1", "3", "4"]);
}

#[test]
fn what_is_given_back_was_not_sent() {
    let (handful, target) = (Handful::new(Duration::ZERO, Instant::now()), Target::new("t", ""));
    handful.open();
    assert!(matches!(add(&handful, &target, "1"), Added::Gathered));
    handful.give_back();
    handful.close(|_, _| Err(SendError { context: context(&target), error: DeliveryError::MaybeWritten }));
    assert_eq!(handful.take_given_back().pop().map(|refused| refused.error), Some(DeliveryError::NotSent));
    assert!(handful.take_given_back().is_empty());
}

#[test]
fn the_order_of_a_key_holds_while_the_handful_is_opened_and_closed() {
    const RECORDS: usize = 20_000;
    let (handful, target) = (Handful::new(Duration::ZERO, Instant::now()), Target::new("t", ""));
    let sent: [Mutex<Vec<usize>>; 2] = Default::default();
    let is_done = AtomicBool::new(false);
    let send = |record: RecordRef<'_>, _| {
        let text = text(record);
        let (key, number) = text.split_once('-').unwrap();
        sent[key.parse::<usize>().unwrap()].lock().push(number.parse().unwrap());
        Ok(())
    };
    thread::scope(|scope| {
        let senders = [0, 1].map(|key| {
            let (handful, target) = (&handful, &target);
            scope.spawn(move || {
                for number in 0..RECORDS {
                    let value = format!("{key}-{number}");
                    match add(handful, target, &value) {
                        Added::Gathered => {}
                        Added::Full => handful.hand_over(send),
                        Added::PassesBy(context) | Added::PassesByFast(context) => {
                            let headers = HeaderBlock::default();
                            let record = Record::new(None, value.as_bytes(), headers.as_ref());
                            let _ = send(record.as_ref(target), context);
                        }
                    }
                }
            })
        });
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                handful.open();
                thread::yield_now();
                handful.hand_over(send);
                handful.close(send);
            }
        });
        for sender in senders {
            sender.join().unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
    });
    for sent in sent {
        assert!(sent.into_inner().into_iter().eq(0..RECORDS));
    }
}
