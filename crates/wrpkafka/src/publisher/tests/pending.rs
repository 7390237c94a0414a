//! Waiting for what was submitted: the future of one message, and a flush of all.

use super::*;
use crate::error::FlushError;

#[tokio::test]
async fn the_future_of_a_message_is_ready_when_its_record_is_acknowledged() {
    let (publisher, script) = started(config(10));
    let delivery = publisher.submit(event("1", 0));
    script.deliver(1, Ok(()));
    assert_eq!(delivery.await, Ok(Outcome::Accepted));
}

#[tokio::test]
async fn the_future_of_a_message_has_its_error() {
    let not_started = Publisher::new(config(1)).unwrap();
    assert_eq!(not_started.submit(event("1", 50)).await, Err(PublishError::NotStarted));
    let (publisher, _script) = started(config(1));
    let delivery = publisher.submit(event("1", 50));
    publisher.stop(Duration::ZERO).await;
    assert_eq!(delivery.await, Err(PublishError::Stopped));
    assert_eq!(Publisher::disabled().submit(event("1", 50)).await, Ok(Outcome::Attempted));
}

#[test]
fn a_message_is_delivered_although_its_future_is_dropped() {
    let (publisher, script) = started(config(10));
    drop(publisher.submit(event("1", 0)));
    script.deliver(1, Ok(()));
    let second = publisher.submit(event("2", 0));
    script.deliver(1, Ok(()));
    assert_eq!(second.wait(), Ok(Outcome::Accepted));
    assert_eq!(script.keys(), ["1", "2"]);
}

#[tokio::test]
async fn a_flush_ends_when_every_record_is_acknowledged() {
    let (publisher, script) = started(config(1));
    let deliveries = ["1", "2"].map(|key| publisher.submit(event(key, 50)));
    let flushed = publisher.clone();
    let flush = tokio::spawn(async move { flushed.flush(PATIENCE).await });
    for delivery in deliveries {
        tokio::task::yield_now().await;
        assert!(!flush.is_finished());
        script.deliver(1, Ok(()));
        assert_eq!(delivery.await, Ok(Outcome::Accepted));
    }
    assert_eq!(flush.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_flush_says_how_many_records_are_left() {
    let (publisher, _script) = started(config(1));
    let _deliveries = ["1", "2"].map(|key| publisher.submit(event(key, 50)));
    assert_eq!(publisher.flush(Duration::ZERO).await, Err(FlushError::TimedOut { records: 2 }));
}

#[tokio::test]
async fn a_flush_needs_a_publisher_that_runs() {
    let not_started = Publisher::new(config(1)).unwrap();
    assert_eq!(not_started.flush(PATIENCE).await, Err(FlushError::NotRunning));
    assert_eq!(Publisher::disabled().flush(PATIENCE).await, Ok(()));
    let (publisher, _script) = started(config(1));
    let delivery = publisher.submit(event("1", 50));
    let flushed = publisher.clone();
    let flush = tokio::spawn(async move { flushed.flush(PATIENCE).await });
    tokio::task::yield_now().await;
    publisher.stop(Duration::ZERO).await;
    assert_eq!(flush.await.unwrap(), Err(FlushError::NotRunning));
    assert_eq!(delivery.await, Err(PublishError::Stopped));
}

#[test]
fn a_closure_is_a_listener() {
    let (publisher, script) = started(config(10));
    let (told, topics) = channel();
    publisher.add_listener(move |event: &PublishEvent<'_>| drop(told.send(event.topic.to_owned())));
    drop(publisher.submit(event("1", 0)));
    script.deliver(1, Ok(()));
    assert_eq!(topics.recv_timeout(PATIENCE).as_deref(), Ok("wrp-events"));
}

#[test]
fn a_publisher_shows_how_full_it_is_and_no_secrets() {
    let mut config = config(10);
    config.sasl.password = "hunter2".into();
    config.sasl.username = "me".into();
    config.sasl.mechanism = Some(crate::config::SaslMechanism::Plain);
    let (publisher, _script) = started(config);
    drop(publisher.submit(event("1", 0)));
    let shown = format!("{publisher:?}");
    assert!(shown.contains("records: 1") && !shown.contains("hunter2"), "{shown}");
}
