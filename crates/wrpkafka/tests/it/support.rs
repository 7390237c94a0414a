//! What the integration tests share: publishers and their results, a real Kafka for one test at a time, certificates, and
//! waiting.
//!
//! Nothing here checks behaviour: the assertions are in the tests.

pub(crate) mod certificates;
pub(crate) mod events;
pub(crate) mod log;
pub(crate) mod secured;
pub(crate) mod token_server;

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};
use wrp::Message;
use wrpkafka::mock::{MockKafka, MockRecord};
use wrpkafka::{Config, Outcome, PublishError, Publisher};

/// The bound of a wait for something that must happen. Only a test that fails reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Receives the result of one message.
pub(crate) type Results = Receiver<Result<Outcome, PublishError>>;

/// The default configuration for a mock cluster.
pub(crate) fn config(kafka: &MockKafka) -> Config {
    Config { brokers: vec![kafka.brokers()], ..Config::default() }
}

pub(crate) fn started(config: Config) -> Publisher {
    let publisher = Publisher::new(config).unwrap();
    publisher.start().unwrap();
    publisher
}

pub(crate) fn submit(publisher: &Publisher, message: &Message) -> Results {
    let (sender, results) = channel();
    let receipt = Box::new(move |result| drop(sender.send(result)));
    publisher.submit_with(message, Some(receipt)).unwrap();
    results
}

pub(crate) fn result(results: &Results) -> Result<Outcome, PublishError> {
    results.recv_timeout(PATIENCE).expect("the receipt is called")
}

/// A record's header, as text.
pub(crate) fn header<'r>(record: &'r MockRecord, name: &str) -> Option<&'r str> {
    let (_, value) = record.headers.iter().find(|(other, _)| other == name)?;
    str::from_utf8(value).ok()
}

/// Held by the test that uses real brokers, so that only one set of them runs at a time.
pub(crate) async fn real_kafka() -> MutexGuard<'static, ()> {
    static REAL: Mutex<()> = Mutex::const_new(());
    REAL.lock().await
}

/// Checks again and again until `condition` holds.
///
/// # Panics
/// When it does not within `bound`, naming `what` was waited for.
pub(crate) fn eventually(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + bound;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {bound:?}: {what}");
        pass_time(Duration::from_millis(5));
    }
}

/// Lets real time pass: between two checks, and for a load of so many messages a second. No result may depend on it.
pub(crate) fn pass_time(duration: Duration) {
    std::thread::sleep(duration);
}
