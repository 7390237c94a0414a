//! A fatal error of a real client, which only the client itself can provoke.

use crate::client::librdkafka::fatal_error;
use crate::mock::MockKafka;

use super::*;

#[tokio::test]
async fn a_fatal_error_loses_nothing_and_keeps_the_order() {
    let kafka = MockKafka::start(1).unwrap();
    let config = Config { brokers: vec![kafka.brokers()], ..Config::default() };
    let (built, clients) = channel();
    let publisher = Publisher::with_client(config, fatal_error::connect(built)).unwrap();
    publisher.start().unwrap();
    let client = clients.recv_timeout(PATIENCE).unwrap();

    // With the broker down everything stays in the client.
    kafka.broker_down().unwrap();
    let mut fates = Vec::new();
    for session in 0..50 {
        let session = session.to_string();
        let message = Message {
            dest: "event:x".into(),
            session_id: session.as_str().into(),
            metadata: Some([("hw-deviceid", "mac:112233445566")].into()),
            qos: Qos(25),
            ..Message::default()
        };
        let (told, fate) = channel();
        let receipt = Box::new(move |result| drop(told.send(result)));
        publisher.submit_with(&message, Some(receipt)).unwrap();
        fates.push(fate);
    }
    client.fail();
    kafka.broker_up().unwrap();
    for fate in fates {
        assert_eq!(fate.recv_timeout(PATIENCE), Ok(Ok(Outcome::Accepted)));
    }
    assert!(clients.try_recv().is_ok(), "a second client was built");
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    let records = kafka.records("wrp-events", 50, PATIENCE).unwrap();
    let sessions: Vec<String> = records
        .iter()
        .map(|record| wrp::MessageRef::decode_v5(&record.value).unwrap().0.session_id.to_string())
        .collect();
    assert_eq!(sessions, (0..50).map(|session| session.to_string()).collect::<Vec<_>>());
}
