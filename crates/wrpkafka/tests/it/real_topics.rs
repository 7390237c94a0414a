//! Topics of a real Apache Kafka that are missing or not authorized: their neighbours, and what becomes of what waits.
//!
//! Needs Java and Maven, and says `SKIPPED` where they are missing; with `TALARIA_REQUIRE_KAFKA=1` it fails instead.
use std::time::{Duration, Instant};

use realkafka::Setup;
use wrp::Message;
use wrpkafka::config::{Acks, Sasl, SaslMechanism, Tls};
use wrpkafka::{Config, DeadLetterReason, ErrorType, Outcome, PublishError, Route};

use crate::support::events::numbered;
use crate::support::{PATIENCE, eventually, real_kafka, result, started, submit};

/// Events for the missing topic, half of them of low level.
const MISSING: usize = 3000;
const GOOD: usize = 50;

fn event(topic: &str, device: &str, number: usize, qos: i64) -> Message {
    Message { dest: format!("event:{topic}/x").as_str().into(), ..numbered(device, "seq=", number, qos) }
}

#[tokio::test]
async fn a_missing_topic_delays_no_other_and_gets_what_waited_when_it_is_made() {
    let _alone = real_kafka().await;
    let setup = Setup { topics: vec![("good".to_owned(), 1)], ..Setup::default() };
    let Some(kafka) = setup.start() else { return };
    let route = |name: &str| Route { pattern: name.to_owned(), topic: name.to_owned(), ..Route::default() };
    let mut config = Config {
        brokers: vec![kafka.bootstrap().to_owned()],
        max_buffered_records: 500,
        ..Config::default()
    };
    config.dynamic.topic_map = vec![route("missing"), route("good")];
    let publisher = started(config);
    let alone = Instant::now();
    assert_eq!(result(&submit(&publisher, &event("good", "mac:first", 0, 80))), Ok(Outcome::Accepted));
    println!("the first record of the good topic took {:?}", alone.elapsed());

    let mut waiting = Vec::new();
    let mut low = Vec::new();
    for number in 0..MISSING / 2 {
        waiting.push(submit(&publisher, &event("missing", "mac:waits", number, 50)));
        low.push(submit(&publisher, &event("missing", "mac:low", number, 0)));
    }
    let begun = Instant::now();
    let good: Vec<_> =
        (0..GOOD).map(|number| submit(&publisher, &event("good", "mac:good", number, 80))).collect();
    assert!(good.iter().all(|results| result(results) == Ok(Outcome::Accepted)));
    println!("{GOOD} records of the good topic took {:?} beside the missing one", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());

    for results in &low {
        let error = result(results).unwrap_err();
        assert!(matches!(error.error_type(), ErrorType::BrokerError | ErrorType::BufferFull), "{error}");
    }
    eventually("all others wait", PATIENCE, || {
        let usage = publisher.topics().into_iter().find(|usage| usage.topic == "missing").unwrap();
        usage.in_client.records + usage.waiting[2].records == waiting.len() as u64 && usage.outage.is_some()
    });
    assert!(waiting.iter().all(|results| results.try_recv().is_err()), "none is given up");

    kafka.create_topic("missing", 1);
    let made = Instant::now();
    assert!(waiting.iter().all(|results| result(results) == Ok(Outcome::Accepted)));
    println!("what waited was delivered {:?} after the topic was made", made.elapsed());
    assert!(publisher.topics().iter().all(|usage| usage.outage.is_none()));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    let counts = kafka.count(&["missing"]);
    assert_eq!((counts.distinct, counts.duplicates), (waiting.len() as u64, 0), "{counts:?}");
    assert_eq!((counts.gaps, counts.disordered), (0, 0), "{counts:?}");
}

#[tokio::test]
async fn a_stop_beside_a_missing_topic_says_what_is_left() {
    let _alone = real_kafka().await;
    let Some(kafka) = Setup::default().start() else { return };
    let publisher = started(Config { brokers: vec![kafka.bootstrap().to_owned()], ..Config::default() });
    let waits = submit(&publisher, &event("x", "mac:waits", 0, 50));
    eventually("the topic is missed", PATIENCE, || {
        publisher.topics().iter().any(|usage| usage.outage.is_some())
    });
    assert_eq!(publisher.stop(Duration::from_secs(1)).await.undelivered, 1);
    assert_eq!(result(&waits), Err(PublishError::Stopped));
}

/// A user who may write to nothing, and one who may write to everything.
const USERS: [&str; 2] = ["guest", "gateway"];

#[tokio::test]
async fn records_wait_for_the_permission_to_write_to_their_topic() {
    let _alone = real_kafka().await;
    let users: String = USERS.iter().map(|user| format!(" user_{user}=\"secret\"")).collect();
    let setup = Setup {
        topics: vec![("wrp-events".to_owned(), 1)],
        listeners: vec![("SASL_PLAINTEXT", "SASL_PLAINTEXT")],
        properties: format!(
            "sasl.enabled.mechanisms=PLAIN\n\
             listener.name.sasl_plaintext.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required{users};\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:gateway;User:ANONYMOUS\n"
        ),
        ..Setup::default()
    };
    let Some(kafka) = setup.start() else { return };
    let sasl = |user: &str| Sasl {
        mechanism: Some(SaslMechanism::Plain),
        username: user.to_owned(),
        password: "secret".into(),
        ..Sasl::default()
    };
    let mut config =
        Config { brokers: vec![kafka.listener("SASL_PLAINTEXT")], sasl: sasl(USERS[0]), ..Config::default() };
    // An idempotent producer needs a permission of its own.
    config.dynamic.acks = Acks::Leader;
    let publisher = started(config);
    let waiting: Vec<_> =
        (0..10).map(|number| submit(&publisher, &event("x", "mac:waits", number, 50))).collect();
    let reason = || {
        let outage = publisher.topics().into_iter().find_map(|usage| usage.outage)?;
        outage.error.dead_letter_reason()
    };
    eventually("the reason is known", PATIENCE, || reason() == Some(DeadLetterReason::Unauthorized));
    assert!(waiting.iter().all(|results| results.try_recv().is_err()), "none is given up");
    publisher.update_security(Tls::default(), sasl(USERS[1])).unwrap();
    assert!(waiting.iter().all(|results| result(results) == Ok(Outcome::Accepted)));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    let counts = kafka.count(&["wrp-events"]);
    assert_eq!((counts.distinct, counts.duplicates, counts.disordered), (10, 0, 0), "{counts:?}");
}

/// contract §8.18
#[tokio::test]
async fn a_topic_that_takes_only_small_batches_gets_all_records_in_order_but_the_one_that_is_too_large_alone()
{
    const RECORDS: usize = 240;
    const DEVICES: usize = 8;
    let _alone = real_kafka().await;
    let setup = Setup {
        topics: vec![("small".to_owned(), 1)],
        properties: "message.max.bytes=20000\n".to_owned(),
        ..Setup::default()
    };
    let Some(kafka) = setup.start() else { return };
    let mut config = Config { brokers: vec![kafka.bootstrap().to_owned()], ..Config::default() };
    config.dynamic.topic_map =
        vec![Route { pattern: "*".to_owned(), topic: "small".to_owned(), ..Route::default() }];
    config.dynamic.linger = Duration::from_secs(1);
    let publisher = started(config);
    // Devices take turns, so that records which were never refused leave between those that were.
    let event = |number: usize, length: usize| {
        let mut event = event("x", &format!("mac:{}", number % DEVICES), number / DEVICES, 80);
        event.content_type = "x".repeat(length).as_str().into();
        event
    };
    let large = RECORDS / 4;
    let begun = Instant::now();
    let submit_all = |numbers: std::ops::Range<usize>| -> Vec<_> {
        numbers
            .map(|number| submit(&publisher, &event(number, if number == large { 50_000 } else { 100 })))
            .collect()
    };
    let mut results = submit_all(0..RECORDS / 2);
    eventually("a batch is refused", PATIENCE, || publisher.refused_in_batches() > 0);
    results.extend(submit_all(RECORDS / 2..RECORDS));
    for (number, outcome) in results.iter().enumerate() {
        match result(outcome) {
            Ok(outcome) => assert_eq!((outcome, number == large), (Outcome::Accepted, false), "{number}"),
            Err(error) => {
                assert_eq!((number, error.dead_letter_reason()), (large, Some(DeadLetterReason::TooLarge)));
            }
        }
    }
    let lasted = begun.elapsed();
    let counts = kafka.count(&["small"]);
    assert_eq!((counts.distinct, counts.duplicates), (RECORDS as u64 - 1, 0), "{counts:?}");
    assert_eq!((counts.gaps, counts.disordered), (1, 0), "{counts:?}");
    assert!(publisher.refused_in_batches() > 0);
    println!(
        "{} of {RECORDS} records were refused in batches, all were there after {:?}",
        publisher.refused_in_batches(),
        lasted
    );
    publisher.stop(PATIENCE).await;
}

/// contract §8.18
#[tokio::test]
async fn a_topic_that_takes_only_small_batches_refuses_none_once_its_limit_is_known() {
    const BURST: usize = 400;
    let _alone = real_kafka().await;
    let topics: Vec<(String, u32)> = (0..4).map(|number| (format!("small{number}"), 1)).collect();
    let names: Vec<&str> = topics.iter().map(|(name, _)| name.as_str()).collect();
    let setup = Setup {
        topics: topics.clone(),
        properties: "message.max.bytes=20000\n".to_owned(),
        ..Setup::default()
    };
    let Some(kafka) = setup.start() else { return };
    for name in &names {
        let mut config = Config { brokers: vec![kafka.bootstrap().to_owned()], ..Config::default() };
        let route = Route { pattern: "*".to_owned(), topic: (*name).to_owned(), ..Route::default() };
        config.dynamic.topic_map = vec![route];
        let publisher = started(config);
        eventually("the largest batch is known", PATIENCE, || {
            publisher.topics().iter().any(|usage| usage.largest_batch == Some(20_000))
        });
        let begun = Instant::now();
        // A broker that does not know the client would take what is on its way behind a batch that it refuses.
        let qos = |number| if number % 2 == 0 { 80 } else { 10 };
        let results: Vec<_> = (0..BURST)
            .map(|number| {
                let mut event = event("x", &format!("mac:{name}"), number, qos(number));
                event.content_type = "x".repeat(100).as_str().into();
                submit(&publisher, &event)
            })
            .collect();
        for (number, outcome) in results.iter().enumerate() {
            assert_eq!(result(outcome), Ok(Outcome::Accepted), "{number}");
        }
        println!("{BURST} records of one key took {:?}", begun.elapsed());
        assert_eq!(publisher.refused_in_batches(), 0);
        assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    }
    let counts = kafka.count(&names);
    let expected = (BURST * names.len()) as u64;
    assert_eq!((counts.distinct, counts.duplicates, counts.disordered), (expected, 0, 0), "{counts:?}");
}
