//! Senders that the routes' filters reject, through every call of the publisher (contract §8.15).

use std::sync::Arc;
use std::sync::mpsc::channel;

use parking_lot::Mutex;
use wrp::{MessageRef, MessageType, Qos};
use wrpkafka::config::{Filter, Rule, Test};
use wrpkafka::mock::MockKafka;
use wrpkafka::{
    Attribute, Attributes, CachedVerdict, Filtered, FilteredBy, Listener, Outcome, PublishEvent, Publisher,
    Route, Sender,
};

use crate::support::{PATIENCE, config};

/// A sender of this partner.
struct Partner(&'static str);

impl Attributes for Partner {
    fn get(&self, key: &str) -> Option<Attribute<'_>> {
        (key == "partner").then(|| self.0.into())
    }
}

/// The topics of the publish events and of the filtered messages.
#[derive(Default)]
struct Seen {
    published: Mutex<Vec<String>>,
    filtered: Mutex<Vec<(String, FilteredBy)>>,
}

impl Listener for Seen {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        assert!(event.error.is_none(), "{event:?}");
        self.published.lock().push(event.topic.to_owned());
    }

    fn on_filtered(&self, event: &Filtered<'_>) {
        self.filtered.lock().push((event.topic.to_owned(), event.by));
    }
}

fn event(qos: i64) -> MessageRef<'static> {
    MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        dest: "event:iot".into(),
        qos: Qos(qos),
        ..MessageRef::default()
    }
}

/// The route to `of-sky` accepts sky's messages only, the one to `not-of-sky` all others.
fn started(kafka: &MockKafka, routes: &[&str]) -> (Publisher, Arc<Seen>) {
    let rule = || vec![Rule::new("partner", Test::Is("sky".to_owned()))];
    let mut config = config(kafka);
    for topic in routes {
        kafka.create_topic(topic, 1).unwrap();
        let filter = match *topic {
            "of-sky" => Filter { allow: rule(), ..Filter::default() },
            "not-of-sky" => Filter { deny: rule(), ..Filter::default() },
            _ => Filter::default(),
        };
        config.dynamic.topic_map.push(Route {
            pattern: "*".to_owned(),
            topic: (*topic).to_owned(),
            filter,
            ..Route::default()
        });
    }
    let publisher = Publisher::new(config).unwrap();
    let seen = Arc::new(Seen::default());
    publisher.add_listener(Arc::clone(&seen));
    publisher.start().unwrap();
    (publisher, seen)
}

#[tokio::test]
async fn a_filtered_message_is_the_same_at_every_quality_of_service_and_the_receipt_is_told_once() {
    let kafka = MockKafka::start(1).unwrap();
    let (publisher, seen) = started(&kafka, &["of-sky"]);
    let (sky, other) =
        ((Partner("sky"), CachedVerdict::default()), (Partner("other"), CachedVerdict::default()));
    let sky = Sender { attributes: &sky.0, verdict: &sky.1 };
    let other = Sender { attributes: &other.0, verdict: &other.1 };
    for qos in [0, 25, 50, 75, 99] {
        let message = event(qos);
        assert_eq!(publisher.publish_from(&message, &other).await, Ok(Outcome::Filtered), "{qos}");
        assert_eq!(publisher.publish(&message).await, Ok(Outcome::Filtered), "nothing is known: {qos}");
        let (told, fates) = channel();
        let receipt = Box::new(move |fate| drop(told.send(fate)));
        assert_eq!(publisher.submit_from(&message, &other, Some(receipt)), Ok(Outcome::Filtered));
        assert_eq!(fates.recv(), Ok(Ok(Outcome::Filtered)));
        assert!(fates.recv().is_err(), "told once");
        assert_ne!(publisher.publish_from(&message, &sky).await, Ok(Outcome::Filtered));
    }
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    assert_eq!(*seen.published.lock(), ["of-sky"; 5]);
    assert_eq!(*seen.filtered.lock(), vec![("of-sky".to_owned(), FilteredBy::Allow); 15]);
}

#[tokio::test]
async fn the_routes_that_do_not_filter_a_message_get_it_all_the_same() {
    let kafka = MockKafka::start(1).unwrap();
    let (publisher, seen) = started(&kafka, &["of-sky", "not-of-sky", "all"]);
    let verdict = CachedVerdict::default();
    let sender = Sender { attributes: &Partner("sky"), verdict: &verdict };
    assert_eq!(publisher.publish_from(&event(75), &sender).await, Ok(Outcome::Accepted));
    assert_eq!(publisher.publish(&event(75)).await, Ok(Outcome::Accepted));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    assert_eq!(*seen.published.lock(), ["of-sky", "all", "not-of-sky", "all"]);
    let filtered = [("not-of-sky".to_owned(), FilteredBy::Deny), ("of-sky".to_owned(), FilteredBy::Allow)];
    assert_eq!(*seen.filtered.lock(), filtered);
}
