//! Records that can never be delivered become dead letters, with a Kafka inside the process:
//! `cargo run -p wrpkafka --features mock --example dead_letter`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use wrp::{MessageRef, MessageType, Qos};
use wrpkafka::mock::{MockKafka, RDKafkaApiKey, RDKafkaRespErr};
use wrpkafka::{Config, DeadLetterOutcome, DeadLetterReason, Listener, PublishEvent, Publisher};

/// Prints the outcome of each dead letter.
struct Print;

impl Listener for Print {
    fn on_publish(&self, _: &PublishEvent<'_>) {}

    fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        println!("  dead letter, {reason}: {outcome}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let kafka = MockKafka::start(1)?;
    kafka.create_topic("dead-letters", 1)?;

    let mut config = Config { brokers: vec![kafka.brokers()], ..Config::default() };
    config.dead_letter.topic = "dead-letters".into();
    let publisher = Publisher::new(config)?;
    publisher.add_listener(Print);
    publisher.start()?;

    let mut event = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566".into(),
        dest: "event:device-status/mac:112233445566/online".into(),
        qos: Qos(75),
        ..MessageRef::default()
    };
    event.set_metadata("/hw-deviceid", "mac:112233445566");

    println!("a topic that we may not write to:");
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    kafka.fail_requests(RDKafkaApiKey::Produce, &[error])?;
    println!("  {:?}", publisher.publish(&event).await);

    println!("a record that is too large:");
    let payload = vec![b'x'; 2_000_000];
    event.payload = Some(&payload);
    println!("  {:?}", publisher.publish(&event).await);

    publisher.stop(Duration::from_secs(10)).await;
    println!("the topic dead-letters:");
    for record in kafka.records("dead-letters", 2, Duration::from_secs(5))? {
        println!("  a value of {} bytes", record.value.len());
        for (name, value) in record.headers {
            println!("    {name}: {}", String::from_utf8_lossy(&value));
        }
    }
    Ok(())
}
