//! Records framed for a schema registry, with a Kafka and a registry inside the process:
//! `cargo run -p wrpkafka --features mock,registry --example schema_registry`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use wrp::{MessageRef, MessageType, Qos};
use wrpkafka::config::{SchemaFormat, SchemaRegistry};
use wrpkafka::mock::{MockKafka, MockRegistry};
use wrpkafka::{Config, Publisher};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let registry = MockRegistry::start()?;
    let mut event = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566".into(),
        dest: "event:device-status/mac:112233445566/online".into(),
        payload: Some(b"{}"),
        qos: Qos(75),
        ..MessageRef::default()
    };
    event.set_metadata("/hw-deviceid", "mac:112233445566");

    for format in [SchemaFormat::Avro, SchemaFormat::Json, SchemaFormat::Raw] {
        let kafka = MockKafka::start(1)?;
        let schema_registry =
            SchemaRegistry { urls: vec![registry.url()], format, ..SchemaRegistry::default() };
        let config = Config { brokers: vec![kafka.brokers()], schema_registry, ..Config::default() };
        let publisher = Publisher::new(config)?;
        publisher.start()?;

        // The id is asked for in the background. Until it is known, records wait, unless `when_down` says otherwise.
        let outcome = publisher.publish(&event).await?;
        let record = kafka.records("wrp-events", 1, Duration::from_secs(5))?.remove(0);
        let (frame, value) = record.value.split_at(5);
        println!("{format}: {outcome}, {} bytes", record.value.len());
        println!("  frame {frame:02x?}");
        println!("  value {}", value.escape_ascii());
        publisher.stop(Duration::from_secs(10)).await;
    }
    Ok(())
}
