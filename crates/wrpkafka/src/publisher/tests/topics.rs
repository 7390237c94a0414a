//! Topics that cannot be written to: what waits for them, and for how long.

use super::lanes::submit_to;
use super::*;
use crate::client::TopicAnswer;
use crate::{DeadLetterOutcome, DeadLetterReason, DynamicConfig, Route, Stopped, TopicChange, TopicState};

fn missing() -> DeliveryError {
    DeliveryError::TopicFailed(error("UnknownTopicOrPartition"))
}

fn error(code: &str) -> PublishError {
    PublishError::Broker { code: code.into(), reason: "".into() }
}

/// Hears of topics and dead letters.
#[derive(Default)]
struct Changes(Mutex<Vec<TopicChange>>, Mutex<Vec<(DeadLetterReason, DeadLetterOutcome)>>);

impl Listener for Changes {
    fn on_publish(&self, _: &PublishEvent<'_>) {}

    fn on_topic_change(&self, change: &TopicChange) {
        self.0.lock().push(change.clone());
    }

    fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        self.1.lock().push((reason, outcome));
    }
}

fn listened(config: Config) -> (Publisher, Script, Arc<Changes>) {
    let (publisher, script) = started(config);
    let changes = Arc::new(Changes::default());
    publisher.add_listener(Arc::clone(&changes));
    (publisher, script, changes)
}

/// Room for 100 records, and routes to two topics.
fn two_topics() -> Config {
    let route = |name: &str| Route { pattern: name.to_owned(), topic: name.to_owned(), ..Route::default() };
    let mut config = config(100);
    config.dynamic.topic_map = vec![route("lost"), route("good")];
    config
}

#[test]
fn records_wait_for_their_topic_in_order_and_are_tried_one_at_a_time() {
    let (publisher, script, changes) = listened(two_topics());
    script.answer([Answer::Rejected(missing())]);
    let lost: Vec<_> = (0..5).map(|number| submit_to(&publisher, "lost", &number.to_string(), 25)).collect();
    eventually("one is tried", || script.held() == 1);
    let good = submit_to(&publisher, "good", "good", 25);
    assert_eq!(script.keys(), ["0", "good"], "the others wait, and another topic's do not");
    let usage = publisher.topics().into_iter().find(|usage| usage.topic == "lost").unwrap();
    assert_eq!((usage.in_client.records, usage.waiting[1].records), (1, 4));
    assert_eq!(usage.outage.unwrap().error, error("UnknownTopicOrPartition"));

    script.deliver(1, Err(missing()));
    script.deliver(1, Ok(()));
    assert_eq!(fate(&good), Ok(Outcome::Accepted));
    eventually("the same one is tried again", || script.keys() == ["0", "good", "0"]);
    script.deliver(1, Ok(()));
    eventually("the others follow", || script.held() == 4);
    script.deliver(4, Ok(()));
    assert!(lost.iter().all(|fates| fate(fates) == Ok(Outcome::Accepted)));
    assert_eq!(script.keys(), ["0", "good", "0", "1", "2", "3", "4"]);
    let changes = changes.0.lock();
    let states: Vec<_> = changes.iter().map(|change| (&*change.topic, change.waiting_records)).collect();
    assert_eq!(states, [("lost", 1), ("lost", 4)], "told once each");
    assert!(matches!(changes[0].state, TopicState::Failing { .. }));
    assert!(
        matches!(&changes[1].state, TopicState::Recovered { lasted, .. } if *lasted > Duration::from_millis(500))
    );
    assert!(publisher.topics().iter().all(|usage| usage.outage.is_none()));
}

#[test]
fn records_of_low_level_are_given_up_after_their_retries_until_the_topic_is_there() {
    let mut config = two_topics();
    config.max_record_retries = 1;
    let (publisher, script, changes) = listened(config);
    script.answer([Answer::Rejected(missing()), Answer::Rejected(missing())]);
    let (low, more) = (submit_to(&publisher, "lost", "low", 0), submit_to(&publisher, "lost", "more", 24));
    assert_eq!([fate(&low), fate(&more)], [0, 1].map(|_| Err(error("UnknownTopicOrPartition"))));
    let refused = submit_to(&publisher, "lost", "refused", 0);
    assert_eq!(fate(&refused), Err(error("UnknownTopicOrPartition")), "it does not wait");
    assert_eq!(changes.1.lock().len(), 3, "each is counted as a dead letter");
    let tried = eventually_some("one may try", || {
        let tried = submit_to(&publisher, "lost", "tried", 0);
        (script.held() == 1 || tried.try_recv().is_err()).then_some(tried)
    });
    eventually("it is sent", || script.held() == 1);
    script.deliver(1, Ok(()));
    assert_eq!(fate(&tried), Ok(Outcome::Accepted));
    script.answer([Answer::Delivered(Ok(()))]);
    assert_eq!(fate(&submit_to(&publisher, "lost", "after", 0)), Ok(Outcome::Accepted));
}

#[test]
fn a_record_whose_time_is_over_fails_with_the_error_of_its_topic() {
    let mut config = two_topics();
    config.record_delivery_timeout = Duration::from_secs(1);
    let (publisher, script, changes) = listened(config);
    script.answer((0..20).map(|_| Answer::Rejected(missing())));
    let fates = submit_to(&publisher, "lost", "1", 75);
    assert_eq!(fate(&fates), Err(error("UnknownTopicOrPartition")));
    assert_eq!(*changes.1.lock(), [(DeadLetterReason::UnknownTopic, DeadLetterOutcome::Discarded)]);
}

#[test]
fn another_client_tries_a_failing_topic_at_once_and_keeps_the_order() {
    let (publisher, script, _) = listened(two_topics());
    script.answer([Answer::Rejected(missing())]);
    let lost: Vec<_> = (0..3).map(|number| submit_to(&publisher, "lost", &number.to_string(), 25)).collect();
    eventually("one is tried", || script.held() == 1);
    script.fail();
    eventually("the next client tries it", || script.clients() == 2 && script.held() == 1);
    script.deliver(1, Ok(()));
    eventually("the others follow", || script.held() == 2);
    script.deliver(2, Ok(()));
    assert!(lost.iter().all(|fates| fate(fates) == Ok(Outcome::Accepted)));
    assert_eq!(script.keys(), ["0", "0", "1", "2"]);
}

#[tokio::test]
async fn a_stop_counts_what_waits_for_its_topic() {
    let (publisher, script, _) = listened(two_topics());
    script.answer((0..20).map(|_| Answer::Rejected(missing())));
    let lost = submit_to(&publisher, "lost", "1", 25);
    assert_eq!(publisher.stop(Duration::from_millis(300)).await.undelivered, 1);
    assert_eq!(fate(&lost), Err(PublishError::Stopped));
}

#[tokio::test]
async fn a_stop_counts_what_fails_while_it_waits() {
    let (publisher, script) = started(config(10));
    let fates = submit(&publisher, "1", 25).1;
    script.deliver(1, Err(DeliveryError::Final(error("InvalidRecord"))));
    let stopped = publisher.stop(PATIENCE).await;
    let failed_before = fate(&fates).is_err() && stopped.failed == 0;
    assert!(failed_before || stopped == Stopped { undelivered: 0, failed: 1 }, "{stopped:?}");
}

fn eventually_some<T>(what: &str, attempt: impl Fn() -> Option<T>) -> T {
    let found = std::cell::Cell::new(None);
    eventually(what, || {
        let attempt = attempt();
        let is_some = attempt.is_some();
        found.set(attempt);
        is_some
    });
    found.take().unwrap()
}

#[test]
fn the_topics_of_the_routes_are_looked_up_at_the_start_and_new_ones_when_the_routes_change() {
    let script = Script::default();
    let publisher = Publisher::with_client(config(10), script.connect()).unwrap();
    publisher.start().unwrap();
    eventually("the first topic is asked for", || script.looked_up() == ["wrp-events"]);
    assert!(!publisher.is_up(), "there was no answer");
    script.answer_for_topics(TopicAnswer::Exists);
    script.answer([Answer::Delivered(Ok(()))]);
    assert_eq!(fate(&submit(&publisher, "1", 25).1), Ok(Outcome::Accepted));
    eventually("it is asked for again once brokers are reached", || script.looked_up().len() == 2);
    let route = |topic: &str| Route { pattern: "*".to_owned(), topic: topic.to_owned(), ..Route::default() };
    let topic_map = vec![route("wrp-events"), route("other")];
    publisher.update_config(DynamicConfig { topic_map, ..DynamicConfig::default() }).unwrap();
    eventually("the new one alone is asked for", || {
        script.looked_up() == ["wrp-events", "wrp-events", "other"]
    });
}

#[test]
fn records_of_a_batch_that_was_too_large_go_again_one_by_one_and_only_one_that_is_too_large_alone_fails() {
    let (publisher, script, _) = listened(config(10));
    let too_large = || Err(DeliveryError::BatchTooLarge(error("MessageSizeTooLarge")));
    let fates = ["1", "2", "3"].map(|key| submit(&publisher, key, 25).1);
    script.deliver(3, too_large());
    eventually("another client gets the first one alone", || script.sent().len() == 4);
    let (_, later) = submit(&publisher, "4", 25);
    for (sent, result) in [(5, Ok(())), (6, too_large()), (7, Ok(()))] {
        assert_eq!(script.held(), 1, "one at a time");
        script.deliver(1, result);
        eventually("the next one is sent", || script.sent().len() == sent);
    }
    script.deliver(1, Ok(()));
    let [first, second, third] = fates.map(|fates| fate(&fates));
    assert_eq!(
        (first, third, fate(&later)),
        (Ok(Outcome::Accepted), Ok(Outcome::Accepted), Ok(Outcome::Accepted))
    );
    assert_eq!(second.unwrap_err().dead_letter_reason(), Some(DeadLetterReason::TooLarge));
    assert_eq!(script.keys(), ["1", "2", "3", "1", "2", "3", "4"]);
    assert_eq!(publisher.refused_in_batches(), 3);
}

#[test]
fn of_a_topic_with_small_batches_no_more_than_one_is_on_its_way_and_all_levels_wait_for_it() {
    const RECORDS: usize = 20;
    let script = Script::default();
    script.answer_for_topics(TopicAnswer::Exists);
    script.take_batches_of(1000);
    let publisher = Publisher::with_client(config(100), script.connect()).unwrap();
    publisher.start().unwrap();
    let is_known = || publisher.topics().iter().any(|usage| usage.largest_batch == Some(1000));
    eventually("the largest batch is known", is_known);
    let fates: Vec<_> = (0..RECORDS)
        .map(|number| submit(&publisher, &format!("{number:02}"), if number % 2 == 0 { 75 } else { 0 }).1)
        .collect();
    let most = script.held();
    assert!((2..10).contains(&most), "{most}");
    for fates in &fates {
        script.deliver(1, Ok(()));
        assert_eq!(fate(fates), Ok(Outcome::Accepted));
        assert!(script.held() <= most, "{}", script.held());
    }
    assert_eq!(script.keys(), (0..RECORDS).map(|number| format!("{number:02}")).collect::<Vec<_>>());
}

#[test]
fn once_it_is_known_how_large_batches_may_be_the_records_of_a_refused_one_go_together_again() {
    let (publisher, script, _) = listened(config(100));
    let fates: Vec<_> = (0..9).map(|number| submit(&publisher, &number.to_string(), 25).1).collect();
    script.answer_for_topics(TopicAnswer::Exists);
    script.take_batches_of(100_000);
    script.deliver(9, Err(DeliveryError::BatchTooLarge(error("MessageSizeTooLarge"))));
    let is_known = || publisher.topics().iter().any(|usage| usage.largest_batch == Some(100_000));
    eventually("the largest batch is known", || is_known() && script.held() == 1);
    script.deliver(1, Ok(()));
    eventually("the others go together", || script.held() == 8);
    script.deliver(8, Ok(()));
    assert!(fates.iter().all(|fates| fate(fates) == Ok(Outcome::Accepted)));
}
