//! What becomes of the records of a real client.

#![expect(clippy::disallowed_methods, reason = "a real client does not know a paused clock")]

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ThreadId};
use std::time::Instant;

use parking_lot::Mutex;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use wrp::QosLevel;

use super::*;
use crate::client::events::{ClientError, Next};
use crate::client::report::ClientReport;
use crate::delivery::{MessageContext, Receipt, ReceiptShare, Record};
use crate::mock::MockKafka;
use crate::outcome::Outcome;
use crate::routing::{HeaderBlock, Target};
use crate::schema::Frame;

const PATIENCE: Duration = Duration::from_secs(20);

/// The result of a record, the record if it came back, and the thread that said so.
type Reported = (Result<(), DeliveryError>, Option<Record>, ThreadId);

struct Reports(Mutex<Sender<Reported>>);

impl ClientEvents for Reports {
    fn on_delivery(
        &self,
        context: Box<DeliveryContext>,
        result: Result<(), DeliveryError>,
        record: &dyn Fn() -> Record,
    ) -> Next {
        drop(context);
        let record = result.is_err().then(record);
        let _ = self.0.lock().send((result, record, thread::current().id()));
        Next::GoOn
    }

    fn on_report(&self, _report: &ClientReport) {}
    fn on_error(&self, _error: ClientError<'_>) {}
    fn on_connection_failure(&self, _failure: ConnectionFailure, _certainty: Certainty, _reason: &str) {}
}

fn client(brokers: String) -> (Librdkafka, Receiver<Reported>) {
    let (reported, reports) = channel();
    let config = Config { brokers: vec![brokers], ..Config::default() };
    let events = Arc::new(Reports(Mutex::new(reported)));
    let client = create(&config, None, events).unwrap();
    (client, reports)
}

fn send(client: &Librdkafka, receipt: Option<Receipt>) -> Result<(), DeliveryError> {
    send_value(client, b"value", receipt)
}

fn send_value(client: &Librdkafka, value: &[u8], receipt: Option<Receipt>) -> Result<(), DeliveryError> {
    let target = Target::new("wrp-events", "");
    let context = context(&target, receipt);
    let headers = headers();
    let record = RecordRef { target: &target, key: Some(b"key"), value, headers: headers.as_ref() };
    client.send(record, context).map_err(|error| error.error)
}

fn context(target: &Arc<Target>, receipt: Option<Receipt>) -> Box<DeliveryContext> {
    let message = MessageContext { event_type: "e", level: QosLevel::Medium, submitted: Instant::now() };
    let share = receipt.map(ReceiptShare::sole).unwrap_or_default();
    DeliveryContext::new(Arc::clone(target), &message, Frame::Closed, share)
}

fn record(headers: &HeaderBlock) -> Record {
    Record::new(Some(b"key"), b"value", headers.as_ref())
}

fn headers() -> HeaderBlock {
    let mut headers = HeaderBlock::default();
    headers.push("name", b"text");
    headers.push("empty", b"");
    headers.push("bytes", &[0, 255]);
    headers
}

#[test]
fn a_delivered_record_needs_no_thread_that_polls() {
    let kafka = MockKafka::start(1).unwrap();
    let (client, reports) = client(kafka.brokers());
    send(&client, None).unwrap();
    let (result, _, by) = reports.recv_timeout(PATIENCE).unwrap();
    assert_eq!(result, Ok(()));
    assert_ne!(by, thread::current().id());
    let records = kafka.records("wrp-events", 1, PATIENCE).unwrap();
    assert_eq!((records[0].key.as_deref(), &*records[0].value), (Some(&b"key"[..]), &b"value"[..]));
    client.poll(Duration::ZERO);
    assert!(reports.try_recv().is_err(), "it is reported once");
}

#[test]
fn a_failed_record_comes_back_as_it_was_to_the_thread_that_polls() {
    let kafka = MockKafka::start(1).unwrap();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    kafka.fail_requests(RDKafkaApiKey::Produce, &[error]).unwrap();
    let (client, reports) = client(kafka.brokers());
    send(&client, None).unwrap();
    let (result, returned, by) = std::iter::repeat_with(|| {
        client.poll(Duration::from_millis(10));
        reports.try_recv()
    })
    .take(2000)
    .find_map(Result::ok)
    .unwrap();
    assert!(matches!(result, Err(DeliveryError::Final(_))), "{result:?}");
    assert_eq!(by, thread::current().id());
    let target = Target::new("wrp-events", "");
    let (returned, sent_headers) = (returned.unwrap(), headers());
    let (returned, sent) = (returned.as_ref(&target), record(&sent_headers));
    let sent = sent.as_ref(&target);
    assert_eq!((returned.key, returned.value), (sent.key, sent.value));
    assert!(returned.headers.iter().eq(sent.headers.iter()));
}

#[test]
fn a_record_that_a_later_answer_acknowledges_is_reported_to_the_thread_that_polls() {
    let (client, reports) = client("localhost:1".to_owned());
    client.producer.imply(context(&Target::new("wrp-events", ""), None));
    assert!(client.outstanding() > 0 && reports.try_recv().is_err());
    client.poll(Duration::ZERO);
    let (result, _, by) = reports.try_recv().unwrap();
    assert_eq!((result, by), (Ok(()), thread::current().id()));
    client.poll(Duration::ZERO);
    assert!(reports.try_recv().is_err(), "it is reported once");
}

#[test]
fn many_records_are_gathered_and_keep_their_order() {
    const RECORDS: usize = 3000;
    let kafka = MockKafka::start(1).unwrap();
    let (client, reports) = client(kafka.brokers());
    let is_done = AtomicBool::new(false);
    let is_gathered = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                client.poll(Duration::from_millis(20));
            }
        });
        let mut is_gathered = false;
        for number in 0..RECORDS {
            send_value(&client, number.to_string().as_bytes(), None).unwrap();
            is_gathered |= client.handful.is_wanted();
            thread::yield_now();
        }
        for _ in 0..RECORDS {
            let (result, ..) = reports.recv_timeout(PATIENCE).unwrap();
            assert_eq!(result, Ok(()));
        }
        is_done.store(true, Ordering::Relaxed);
        is_gathered
    });
    assert!(is_gathered);
    // librdkafka counts a record until just after it has reported it.
    let deadline = Instant::now() + PATIENCE;
    while client.outstanding() > 0 {
        assert!(Instant::now() < deadline, "{} records are left", client.outstanding());
        client.poll(Duration::from_millis(1));
    }
    let records = kafka.records("wrp-events", RECORDS, PATIENCE).unwrap();
    let number = |value: &[u8]| str::from_utf8(value).unwrap().parse::<usize>().unwrap();
    let numbers = records.iter().map(|record| number(&record.value));
    assert!(numbers.eq(0..RECORDS));
}

#[test]
fn a_client_that_is_dropped_forgets_no_receipt() {
    let (client, _reports) = client("localhost:1".to_owned());
    let (told, fate) = channel::<Result<Outcome, PublishError>>();
    send(&client, Some(Box::new(move |result| drop(told.send(result))))).unwrap();
    drop(client);
    assert!(fate.recv().unwrap().is_err());
}
