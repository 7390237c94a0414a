//! Topics that share a publisher: one that is slow keeps none of the others from their records.

use super::*;
use crate::stats::Usage;

/// A publisher with a route for each topic, and room for 30 records.
fn two_topics(waiting: u64) -> (Publisher, Script) {
    let mut config = config(30);
    config.waiting.records = waiting;
    let route = |name: &str| crate::Route {
        pattern: name.to_owned(),
        topic: name.to_owned(),
        ..crate::Route::default()
    };
    config.dynamic.topic_map = vec![route("slow"), route("good")];
    started(config)
}

pub(super) fn submit_to(publisher: &Publisher, topic: &str, key: &str, qos: i64) -> Fates {
    let (told, fates) = channel();
    let message = Message { dest: format!("event:{topic}").as_str().into(), ..event(key, qos) };
    let receipt = Box::new(move |fate| drop(told.send(fate)));
    publisher.submit_with(&message, Some(receipt)).unwrap();
    fates
}

#[test]
fn a_topic_that_is_slow_holds_its_share_of_the_client_and_the_other_goes_on() {
    let (publisher, script) = two_topics(1000);
    (0..50).for_each(|_| drop(submit_to(&publisher, "slow", "s", 50)));
    let good: Vec<_> = (0..6).map(|_| submit_to(&publisher, "good", "g", 0)).collect();
    let usage = |topic: &str| publisher.topics().into_iter().find(|usage| usage.topic == topic).unwrap();
    let (slow, others) = (usage("slow"), usage("good"));
    assert_eq!((slow.in_client.records, slow.waiting[2].records), (20, 30));
    assert_eq!(others.waiting, [Usage::default(); 4]);
    assert!(slow.oldest_waiting.is_some() && others.oldest_waiting.is_none());
    assert_eq!(script.keys()[20..], ["g"; 6]);
    script.deliver(26, Ok(()));
    assert!(good.iter().all(|fates| fate(fates) == Ok(Outcome::Accepted)));
}

#[test]
fn a_topic_that_is_slow_evicts_its_own_waiting_records_only() {
    let (publisher, _script) = two_topics(90);
    (0..30).for_each(|_| drop(submit_to(&publisher, "good", "g", 25)));
    let waits = submit_to(&publisher, "good", "g", 25);
    let slow: Vec<_> = (0..100).map(|_| submit_to(&publisher, "slow", "s", 80)).collect();
    let displaced = slow.iter().filter(|fates| fates.try_recv() == Ok(Err(PublishError::Displaced)));
    assert!(displaced.count() > 30);
    assert!(waits.try_recv().is_err(), "it waits still, although its level is lower");
}
