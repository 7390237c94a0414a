//! Publishes one event to a Kafka over TLS, with a password, and waits for the brokers' answer. The variables `BROKERS`,
//! `CA_FILE`, `KAFKA_USER` and `KAFKA_PASSWORD` say where.

use std::env;
use std::time::Duration;

use wrp::{Message, QosLevel};
use wrpkafka::config::{Sasl, SaslMechanism, Tls};
use wrpkafka::{Config, Publisher};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let publisher = Publisher::new(Config {
        brokers: vec![env::var("BROKERS")?],
        record_delivery_timeout: Duration::from_secs(20),
        tls: Tls { enabled: true, ca_file: env::var("CA_FILE")?, ..Tls::default() },
        sasl: Sasl {
            mechanism: Some(SaslMechanism::ScramSha512),
            username: env::var("KAFKA_USER")?,
            password: env::var("KAFKA_PASSWORD")?.into(),
            ..Sasl::default()
        },
        ..Config::default()
    })?;
    publisher.start()?;
    let event = Message::event("mac:112233445566", "event:iot/temperature")
        .with_payload("application/json", *br#"{"celsius":21}"#)
        .with_qos(QosLevel::High);
    println!("{}", publisher.submit(&event).await?);
    Ok(())
}
