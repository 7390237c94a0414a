//! Which events go to which topics: patterns, a topic for each event type, a key, headers from metadata.
//! `cargo run -p wrpkafka --features mock --example routes`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use wrp::{MessageRef, MessageType, Qos};
use wrpkafka::config::{HashKey, ShardStrategy};
use wrpkafka::mock::MockKafka;
use wrpkafka::{Config, Publisher, Route};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let kafka = MockKafka::start(4)?;
    let topics = ["lifecycle", "wrp-reboot", "wrp-iot", "wrp-others", "archive-0", "archive-1"];
    for topic in topics {
        kafka.create_topic(topic, 4)?;
    }

    let mut config = Config { brokers: vec![kafka.brokers()], ..Config::default() };
    config.dynamic.topic_map = vec![
        // One topic for one event type.
        Route { pattern: "device-status".into(), topic: "lifecycle".into(), ..Route::default() },
        // A topic named after each event type. Devices choose event types: only these topics can be reached.
        Route {
            pattern: "*".into(),
            topic_template: "wrp-{event_type}".into(),
            allowed_topics: vec!["wrp-reboot".into(), "wrp-iot".into()],
            fallback_topic: "wrp-others".into(),
            ..Route::default()
        },
        // Every event again, in two topics; all events of a device go to the same one.
        Route {
            pattern: "*".into(),
            topics: vec!["archive-0".into(), "archive-1".into()],
            topic_shard_strategy: Some(ShardStrategy::DeviceId),
            hash_key: HashKey::Source,
            ..Route::default()
        },
    ];
    config.dynamic.headers = vec![
        ("partner".into(), vec!["wrp.PartnerIDs".into()]),
        ("meta-*".into(), vec!["wrp.Metadata.*".into()]),
    ];
    let publisher = Publisher::new(config)?;
    publisher.start()?;

    for event_type in ["device-status", "reboot", "iot", "../secrets"] {
        let dest = format!("event:{event_type}");
        let mut event = MessageRef {
            msg_type: MessageType::SIMPLE_EVENT,
            source: "mac:112233445566".into(),
            dest: dest.as_str().into(),
            qos: Qos(75),
            ..MessageRef::default()
        };
        event.set_metadata("/hw-deviceid", "mac:112233445566");
        event.set_metadata("/hw-model", "X1");
        println!("{dest}: {}", publisher.publish(&event).await?);
    }
    publisher.stop(Duration::from_secs(10)).await;

    for topic in topics {
        for record in kafka.records(topic, 10, Duration::from_millis(500))? {
            let (message, _) = MessageRef::decode_v5(&record.value)?;
            let headers: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
            println!("{topic}: {} with {}", message.dest, headers.join(", "));
        }
    }
    Ok(())
}
