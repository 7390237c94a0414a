//! Publishes three events to a Kafka inside the process and reads them back:
//! `cargo run -p wrpkafka --features mock --example publish`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use wrp::{MessageRef, MessageType, Qos};
use wrpkafka::mock::MockKafka;
use wrpkafka::{Config, Listener, PublishEvent, Publisher, Route};

/// Prints the result of each record.
struct Print;

impl Listener for Print {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        let result = event.error_type.map_or("success", |error_type| error_type.as_str());
        println!("  {} → {}: {result} after {:?}", event.event_type, event.topic, event.duration);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let kafka = MockKafka::start(4)?;
    kafka.create_topic("device-lifecycle", 4)?;

    let mut config = Config { brokers: vec![kafka.brokers()], ..Config::default() };
    config.dynamic.topic_map = vec![
        Route { pattern: "device-*".into(), topic: "device-lifecycle".into(), ..Route::default() },
        Route { pattern: "*".into(), topic: "wrp-events".into(), ..Route::default() },
    ];
    config.dynamic.headers = vec![("source".into(), vec!["wrp.Source".into()])];
    let publisher = Publisher::new(config)?;
    publisher.add_listener(Arc::new(Print));
    publisher.start()?;

    let mut event = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566".into(),
        dest: "event:device-status/mac:112233445566/online".into(),
        payload: Some(b"{}"),
        ..MessageRef::default()
    };
    event.set_metadata("/hw-deviceid", "mac:112233445566");
    for qos in [0, 50, 99] {
        event.qos = Qos(qos);
        println!("qos {qos}: {}", publisher.publish(&event).await?);
    }

    let stopped = publisher.stop(Duration::from_secs(10)).await;
    println!("undelivered: {}", stopped.undelivered);
    for record in kafka.records("device-lifecycle", 3, Duration::from_secs(5))? {
        let (message, _) = MessageRef::decode_v5(&record.value)?;
        println!("partition {} offset {}: qos {}", record.partition, record.offset, message.qos);
    }
    Ok(())
}
