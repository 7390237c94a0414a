//! Another configuration, other certificates, another client: with what is on its way.

use std::sync::Barrier;

use super::*;
use crate::ConnectionFailure;
use crate::config::{DynamicConfig, Sasl, SaslMechanism, Tls};
use crate::test_folder::TestFolder;

/// A change that needs another client.
fn lingering(millis: u64) -> DynamicConfig {
    DynamicConfig { linger: Duration::from_millis(millis), ..DynamicConfig::default() }
}

fn sent(client: usize, keys: &[&str]) -> Vec<(usize, String)> {
    keys.iter().map(|key| (client, (*key).to_owned())).collect()
}

#[test]
fn another_client_takes_over_when_the_old_one_has_delivered_and_nothing_overtakes() {
    let (publisher, script) = started(config(10));
    let (_, first) = submit(&publisher, "1", 25);
    publisher.update_config(lingering(1)).unwrap();
    eventually("the old client is taken away", || current(&publisher).is_none());
    let (low_outcome, low) = submit(&publisher, "2", 0);
    let (_, high) = submit(&publisher, "3", 75);
    assert_eq!(low_outcome, Ok(Outcome::Attempted));
    assert_eq!(script.keys(), ["1"], "the rest waits, the low one as well");
    script.deliver(1, Ok(()));
    assert_eq!(fate(&first), Ok(Outcome::Accepted));
    eventually("both go to the next client", || script.held() == 2);
    script.deliver(2, Ok(()));
    assert_eq!((fate(&low), fate(&high)), (Ok(Outcome::Accepted), Ok(Outcome::Accepted)));
    assert_eq!(script.sent(), [sent(0, &["1"]), sent(1, &["2", "3"])].concat());
}

#[test]
fn when_the_next_client_is_full_low_records_are_dropped_as_ever() {
    let (publisher, script) = started(config(1));
    submit(&publisher, "1", 25).0.unwrap();
    publisher.update_config(lingering(1)).unwrap();
    eventually("the old client is taken away", || current(&publisher).is_none());
    for key in ["2", "3"] {
        submit(&publisher, key, 25).0.unwrap();
    }
    script.deliver(1, Ok(()));
    eventually("the next client is full", || script.keys() == ["1", "2"]);
    let (_, low) = submit(&publisher, "4", 0);
    assert_eq!(fate(&low), Err(PublishError::BufferFull));
}

#[test]
fn of_several_changes_in_a_row_the_last_one_holds() {
    let (publisher, script) = started(config(10));
    let (_, first) = submit(&publisher, "1", 25);
    for millis in 1..=5 {
        publisher.update_config(lingering(millis)).unwrap();
    }
    script.deliver(1, Ok(()));
    assert_eq!(fate(&first), Ok(Outcome::Accepted));
    // All orders have been taken: each comes before the next turn, and a record goes to whom they have left.
    eventually("the last client serves", || current(&publisher) == Some(5));
    submit(&publisher, "2", 25).0.unwrap();
    eventually("it is sent", || script.sent().last() == Some(&(5, "2".to_owned())));
}

#[test]
fn a_change_that_no_client_can_be_built_for_changes_nothing() {
    let (publisher, script) = started(config(10));
    let events = listen(&publisher);
    script.break_connect(1);
    let mut dynamic = lingering(1);
    dynamic.topic_map =
        vec![crate::Route { pattern: "*".to_owned(), topic: "other".to_owned(), ..crate::Route::default() }];
    let error = publisher.update_config(dynamic.clone()).unwrap_err();
    assert!(error.to_string().contains("cannot use the certificate"), "{error}");
    script.answer([Answer::Delivered(Ok(())), Answer::Delivered(Ok(()))]);
    assert_eq!(fate(&submit(&publisher, "1", 25).1), Ok(Outcome::Accepted));
    publisher.update_config(dynamic).unwrap();
    assert_eq!(fate(&submit(&publisher, "2", 25).1), Ok(Outcome::Accepted));
    assert_eq!(*events.0.lock(), [("wrp-events".to_owned(), None), ("other".to_owned(), None)]);
}

#[test]
fn other_routes_alone_keep_the_client() {
    let (publisher, script) = started(config(10));
    let headers = vec![("h".to_owned(), vec!["v".to_owned()])];
    publisher.update_config(DynamicConfig { headers, ..DynamicConfig::default() }).unwrap();
    assert_eq!(script.clients(), 1);
}

#[test]
fn the_size_of_a_record_is_held_to_the_new_limit() {
    let (publisher, script) = started(config(10));
    script.answer([Answer::Delivered(Ok(()))]);
    let large = |limit| {
        publisher
            .update_config(DynamicConfig { batch_max_bytes: limit, ..DynamicConfig::default() })
            .unwrap();
        let mut message = event("1", 75);
        message.payload = Some(vec![0; 600]);
        let (told, fates) = channel();
        let receipt = Box::new(move |fate| drop(told.send(fate)));
        publisher.submit_with(&message, Some(receipt)).unwrap();
        fate(&fates)
    };
    assert!(matches!(large(512), Err(PublishError::TooLarge { limit: 512, .. })));
    assert_eq!(large(2048), Ok(Outcome::Accepted));
}

/// Hears of problems.
#[derive(Default)]
struct Troubles(Mutex<Vec<ConnectionFailure>>);

impl Listener for Troubles {
    fn on_publish(&self, _: &PublishEvent<'_>) {}

    fn on_connection_failure(&self, failure: ConnectionFailure) {
        self.0.lock().push(failure);
    }
}

fn sasl(password: &str) -> Sasl {
    Sasl {
        mechanism: Some(SaslMechanism::Plain),
        username: "me".to_owned(),
        password: password.into(),
        ..Sasl::default()
    }
}

#[test]
fn right_credentials_help_a_client_at_once_that_was_never_let_in() {
    let (publisher, script) = started(config(10));
    let troubles = Arc::new(Troubles::default());
    publisher.add_listener(Arc::clone(&troubles));
    let fates = [("1", 25), ("2", 75)].map(|(key, qos)| submit(&publisher, key, qos).1);
    script.fail_connection(ConnectionFailure::Credentials);
    eventually("it is known", || publisher.connection_failure() == Some(ConnectionFailure::Credentials));
    publisher.update_security(Tls::default(), sasl("right")).unwrap();
    eventually("the next client has both", || script.sent().len() == 4);
    assert_eq!(publisher.connection_failure(), None);
    script.deliver(2, Ok(()));
    assert!(fates.iter().all(|fates| fate(fates) == Ok(Outcome::Accepted)));
    assert_eq!(script.sent()[2..], sent(1, &["1", "2"]));
    assert_eq!(*troubles.0.lock(), [ConnectionFailure::Credentials]);
}

#[test]
fn right_credentials_help_a_client_at_once_that_was_let_in_before() {
    let (publisher, script) = started(config(10));
    script.answer([Answer::Delivered(Ok(()))]);
    assert_eq!(fate(&submit(&publisher, "1", 25).1), Ok(Outcome::Accepted));
    let (_, second) = submit(&publisher, "2", 25);
    script.fail_connection(ConnectionFailure::Credentials);
    eventually("it is known", || publisher.connection_failure() == Some(ConnectionFailure::Credentials));
    let (_, third) = submit(&publisher, "3", 25);
    publisher.update_security(Tls::default(), sasl("right")).unwrap();
    eventually("the next client has both", || script.sent().len() == 5);
    script.deliver(2, Ok(()));
    assert_eq!((fate(&second), fate(&third)), (Ok(Outcome::Accepted), Ok(Outcome::Accepted)));
    assert_eq!(script.sent()[3..], sent(1, &["2", "3"]));
}

#[test]
fn a_problem_is_over_when_a_record_is_delivered() {
    let (publisher, script) = started(config(10));
    script.fail_connection(ConnectionFailure::Unreachable);
    eventually("it is known", || publisher.connection_failure() == Some(ConnectionFailure::Unreachable));
    script.answer([Answer::Delivered(Ok(()))]);
    assert_eq!(fate(&submit(&publisher, "1", 25).1), Ok(Outcome::Accepted));
    assert_eq!(publisher.connection_failure(), None);
}

#[test]
fn certificates_that_change_are_taken_up_and_unreadable_ones_waited_for() {
    let folder = TestFolder::new();
    folder.write("ca.pem", "one");
    let mut config = config(10);
    config.tls.enabled = true;
    config.tls.ca_file = folder.path("ca.pem");
    config.file_check_interval = Duration::from_millis(1);
    let (publisher, script) = started(config);
    let (_, first) = submit(&publisher, "1", 25);

    folder.write("ca.pem", "two");
    eventually("another client is built", || script.clients() == 2);
    script.deliver(1, Ok(()));
    assert_eq!(fate(&first), Ok(Outcome::Accepted));
    std::fs::remove_file(folder.path("ca.pem")).unwrap();
    script.answer([Answer::Delivered(Ok(()))]);
    assert_eq!(fate(&submit(&publisher, "2", 25).1), Ok(Outcome::Accepted), "the old one goes on");
    folder.write("ca.pem", "three");
    eventually("another client is built", || script.clients() == 3);
    script.answer([Answer::Delivered(Ok(()))]);
    assert_eq!(fate(&submit(&publisher, "3", 25).1), Ok(Outcome::Accepted));
    assert_eq!(script.keys(), ["1", "2", "3"], "none is sent twice");
}

#[test]
fn a_password_file_that_cannot_be_read_is_named_at_the_start() {
    let mut config = config(10);
    config.sasl.mechanism = Some(SaslMechanism::Plain);
    config.sasl.username = "me".to_owned();
    config.sasl.password_file = "/nonexistent/password".to_owned();
    let publisher = Publisher::with_client(config, Script::default().connect()).unwrap();
    let error = publisher.start().unwrap_err();
    assert!(error.is_configuration());
    assert!(
        error.to_string().starts_with("sasl.passwordFile: cannot read `/nonexistent/password`"),
        "{error}"
    );
}

#[test]
fn a_record_that_waits_is_sent_although_the_one_before_it_was_refused_and_nothing_is_on_its_way() {
    let (publisher, script) = started(config(1));
    let meeting = Arc::new(Barrier::new(2));
    script.answer([Answer::RejectedAfter(Arc::clone(&meeting), DeliveryError::Final(PublishError::Timeout))]);
    let other = publisher.clone();
    let refused = std::thread::spawn(move || fate(&submit(&other, "1", 25).1));
    meeting.wait();
    // The first one has the only room, so that this one must wait; then the client refuses the first one.
    let (_, waits) = submit(&publisher, "2", 25);
    assert_eq!(publisher.buffered().waiting_records, 1);
    meeting.wait();
    assert_eq!(refused.join().unwrap(), Err(PublishError::Timeout));
    eventually("the second one is sent", || script.held() == 1);
    script.deliver(1, Ok(()));
    assert_eq!(fate(&waits), Ok(Outcome::Accepted));
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_change_delivers_what_waits() {
    let (publisher, script) = started(config(10));
    let (_, first) = submit(&publisher, "1", 25);
    publisher.update_config(lingering(1)).unwrap();
    let (_, second) = submit(&publisher, "2", 25);
    script.answer([Answer::Delivered(Ok(()))]);
    script.deliver(1, Ok(()));
    script.deliver(1, Ok(()));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    assert_eq!((fate(&first), fate(&second)), (Ok(Outcome::Accepted), Ok(Outcome::Accepted)));
}

/// Panics at every event.
struct Panicking;

impl Listener for Panicking {
    fn on_publish(&self, _: &PublishEvent<'_>) {
        panic!("wanted by a test");
    }
}

#[test]
fn a_panic_of_a_listener_of_a_receipt_or_of_the_thread_costs_no_other_record() {
    let (publisher, script) = started(config(10));
    publisher.add_listener(Arc::new(Panicking));
    let (_, first) = submit(&publisher, "1", 25);
    script.panic();
    eventually("the thread's panic is counted", || publisher.panics() == 1);
    publisher.submit_with(event("2", 25), Some(Box::new(|_| panic!("wanted by a test")))).unwrap();
    let (_, third) = submit(&publisher, "3", 25);
    script.deliver(3, Ok(()));
    assert_eq!((fate(&first), fate(&third)), (Ok(Outcome::Accepted), Ok(Outcome::Accepted)));
    // Each of three events panicked, and the receipt.
    assert_eq!(publisher.panics(), 5);
}
