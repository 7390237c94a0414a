//! When a device waits for room: where no sink has any for its messages, and it holds much itself (contract §14.4).

use wrpkafka::Publisher;
use wrpkafka::mock::MockKafka;

use super::flow::send;
use super::*;
use crate::event::config::QueueLimit;

/// A queue of so many events.
fn queue(messages: usize) -> Config {
    Config { workers: 1, queue: QueueLimit { messages, bytes: 1 << 20 }, ..config() }
}

#[tokio::test(start_paused = true)]
async fn a_device_waits_when_three_quarters_of_the_queue_are_taken_and_until_events_leave_it() {
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(3)));
    let gateway = Gateway::start(&queue(8), Publisher::disabled(), &receiver);
    let device = device("uuid:loud", &Value::Null);
    send(&gateway, &device, "event:iot/x", 0);
    receiver.received(1).await;
    (0..5).for_each(|_| send(&gateway, &device, "event:iot/x", 0));
    assert!(!device.room().is_waiting());
    send(&gateway, &device, "event:iot/x", 0);
    assert!(device.room().is_waiting());
    receiver.received(2).await;
    assert!(!device.room().is_waiting(), "one has left");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_holds_less_than_the_others_does_not_wait() {
    let receiver = Receiver::answering(Answer::Silence);
    let gateway = Gateway::start(&queue(200), Publisher::disabled(), &receiver);
    let (loud, quiet) = (device("uuid:loud", &Value::Null), device("uuid:quiet", &Value::Null));
    (0..160).for_each(|_| send(&gateway, &loud, "event:iot/x", 0));
    send(&gateway, &quiet, "event:iot/x", 0);
    assert!(loud.room().is_waiting() && !quiet.room().is_waiting());
}

#[tokio::test]
async fn a_device_whose_messages_kafka_takes_does_not_wait_for_http() {
    let (receiver, kafka) = (Receiver::answering(Answer::Silence), MockKafka::start(1).unwrap());
    let gateway = Gateway::start(&queue(8), publisher(&kafka), &receiver);
    let device = device("uuid:loud", &Value::Null);
    (0..20).for_each(|_| send(&gateway, &device, "event:iot/x", 0));
    assert!(!device.room().is_waiting());
    kafka.records("wrp-events", 20, PATIENCE).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_device_does_not_wait_for_a_receiver_while_another_one_of_its_events_has_room() {
    let receiver = Receiver::answering(Answer::Silence);
    let endpoints =
        json!({"default": ["http://one/", "http://other/"], "one": "http://one/", "other": "http://other/"});
    let config = Config { endpoints: Endpoints::parse(&endpoints).unwrap(), ..queue(16) };
    let gateway = Gateway::start(&config, Publisher::disabled(), &receiver);
    let (both, one) = (device("uuid:both", &Value::Null), device("uuid:one", &Value::Null));
    (0..13).for_each(|_| send(&gateway, &one, "event:one/x", 0));
    assert!(one.room().is_waiting());
    send(&gateway, &both, "event:iot/x", 0);
    assert!(!both.room().is_waiting());
}

#[tokio::test(start_paused = true)]
async fn no_device_waits_for_a_receiver_that_hangs() {
    let receiver = Receiver::answering(Answer::Silence);
    let gateway = Gateway::start(&queue(8), Publisher::disabled(), &receiver);
    let device = device("uuid:loud", &Value::Null);
    (0..2).for_each(|_| send(&gateway, &device, "event:iot/x", 0));
    receiver.received(1).await;
    for _ in 0..4 {
        tokio::time::advance(Duration::from_millis(500)).await;
        tokio::task::yield_now().await;
    }
    (0..20).for_each(|_| send(&gateway, &device, "event:iot/x", 0));
    assert!(!device.room().is_waiting());
}

#[tokio::test(start_paused = true)]
async fn no_device_waits_for_a_receiver_that_is_known_to_take_too_long_for_what_waits() {
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(3)));
    let gateway = Gateway::start(&queue(8), Publisher::disabled(), &receiver);
    let device = device("uuid:loud", &Value::Null);
    (0..2).for_each(|_| send(&gateway, &device, "event:iot/x", 0));
    receiver.received(2).await;
    (0..20).for_each(|_| send(&gateway, &device, "event:iot/x", 0));
    assert!(!device.room().is_waiting());
}
