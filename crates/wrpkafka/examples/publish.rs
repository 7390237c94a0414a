//! Publishes three events to a Kafka inside the process and reads them back:
//! `cargo run -p wrpkafka --features mock --example publish`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use wrp::{Message, MessageRef, Qos};
use wrpkafka::mock::MockKafka;
use wrpkafka::{Config, PublishEvent, Publisher, Route};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let kafka = MockKafka::start(4)?;
    kafka.create_topic("device-lifecycle", 4)?;

    let mut config = Config {
        brokers: vec![kafka.brokers()],
        record_delivery_timeout: Duration::from_secs(10),
        ..Config::default()
    };
    config.dynamic.topic_map = vec![
        Route { pattern: "device-*".into(), topic: "device-lifecycle".into(), ..Route::default() },
        Route { pattern: "*".into(), topic: "wrp-events".into(), ..Route::default() },
    ];
    config.dynamic.headers = vec![("source".into(), vec!["wrp.Source".into()])];
    let publisher = Publisher::new(config)?;
    publisher.add_listener(|event: &PublishEvent<'_>| {
        let result = event.error_type.map_or("success", |error_type| error_type.as_str());
        println!("  {} → {}: {result} after {:?}", event.event_type, event.topic, event.duration);
    });
    publisher.start()?;

    let event = Message::event("mac:112233445566", "event:device-status/mac:112233445566/online")
        .with_payload("application/json", *b"{}")
        .with_metadata("/hw-deviceid", "mac:112233445566");
    for qos in [0, 50, 99] {
        let event = event.clone().with_qos(Qos(qos));
        println!("qos {qos}: {}", publisher.publish(&event).await?);
    }
    println!("submitted: {}", publisher.submit(&event).await?);

    publisher.flush(Duration::from_secs(10)).await?;
    let stopped = publisher.stop(Duration::from_secs(10)).await;
    println!("undelivered: {}", stopped.undelivered);
    for record in kafka.records("device-lifecycle", 4, Duration::from_secs(5))? {
        let (message, _) = MessageRef::decode_v5(&record.value)?;
        println!("partition {} offset {}: qos {}", record.partition, record.offset, message.qos);
    }
    Ok(())
}
