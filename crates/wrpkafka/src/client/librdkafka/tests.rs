//! What only a real client can show, and only from within: a fatal error.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;

use rdkafka::bindings::rd_kafka_test_fatal_error;
use rdkafka::types::RDKafkaRespErr;
use wrp::{Message, Qos};

use super::*;
use crate::mock::MockKafka;
use crate::{Outcome, Publisher};

/// How long a test waits for what must come. Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_fatal_error_loses_nothing_and_keeps_the_order() {
    let kafka = MockKafka::start(1).unwrap();
    let config = Config { brokers: vec![kafka.brokers()], ..Config::default() };
    let properties = properties::client_config(&config);
    let clients = Arc::new(AtomicUsize::new(0));
    let (built, natives) = channel();
    let built = Mutex::new(built);
    let count = Arc::clone(&clients);
    let connect = move |config: &Config, port| {
        let client = create(&properties, &config.tls, port)?;
        count.fetch_add(1, SeqCst);
        built.lock().send(client.producer.client().native_ptr() as usize).unwrap();
        Ok(Box::new(client) as Box<dyn Client>)
    };
    let publisher = Publisher::with_client(config, Box::new(connect)).unwrap();
    publisher.start().unwrap();
    let native = natives.recv_timeout(PATIENCE).unwrap();

    // With the broker down everything stays in the client.
    kafka.broker_down().unwrap();
    let mut fates = Vec::new();
    for session in 0..50 {
        let session = session.to_string();
        let message = Message {
            dest: "event:x".into(),
            session_id: session.as_str().into(),
            metadata: Some([("hw-deviceid".into(), "mac:112233445566".into())].into()),
            qos: Qos(25),
            ..Message::default()
        };
        let (told, fate) = channel();
        let receipt = Box::new(move |result| drop(told.send(result)));
        publisher.submit(&message.as_ref(), Some(receipt)).unwrap();
        fates.push(fate);
    }
    fail(native);
    kafka.broker_up().unwrap();
    for fate in fates {
        assert_eq!(fate.recv_timeout(PATIENCE), Ok(Ok(Outcome::Accepted)));
    }
    assert_eq!(clients.load(SeqCst), 2);
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    let records = kafka.records("wrp-events", 50, PATIENCE).unwrap();
    let sessions: Vec<String> = records
        .iter()
        .map(|record| wrp::MessageRef::decode_v5(&record.value).unwrap().0.session_id.to_string())
        .collect();
    assert_eq!(sessions, (0..50).map(|session| session.to_string()).collect::<Vec<_>>());
}

#[expect(unsafe_code, reason = "librdkafka's provocation of a fatal error has no safe wrapper")]
fn fail(native: usize) {
    // SAFETY: the client lives until its fatal error has been dealt with, and the function copies the text.
    unsafe {
        rd_kafka_test_fatal_error(
            native as *mut _,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            c"provoked by a test".as_ptr(),
        );
    }
}
