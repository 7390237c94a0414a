//! Routes that accept the messages of some senders only, and rules that change while messages are published.
//! `cargo run -p wrpkafka --features mock --example filters`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use wrp::{MessageRef, MessageType, Qos};
use wrpkafka::config::{Filter, Relation, Rule, Test};
use wrpkafka::mock::MockKafka;
use wrpkafka::{
    Attribute, Attributes, CachedVerdict, Config, Filtered, Listener, PublishEvent, Publisher, Route, Sender,
};

/// A device, with the attributes that the rules below use.
struct Device {
    id: &'static str,
    partner: &'static str,
    firmware: &'static str,
    trust: f64,
    /// The filters' verdict, kept with the device so that the rules are applied once.
    verdict: CachedVerdict,
}

impl Attributes for Device {
    fn get(&self, key: &str) -> Option<Attribute<'_>> {
        match key {
            "partner" => Some(self.partner.into()),
            "firmware" => Some(self.firmware.into()),
            "trust" => Some(Attribute::Number(self.trust)),
            _ => None,
        }
    }
}

/// Prints which route rejected a message, and by which setting.
struct Print;

impl Listener for Print {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        println!("    arrived in {}", event.topic);
    }

    fn on_filtered(&self, event: &Filtered<'_>) {
        println!("    not for {}: {}", event.topic, event.by);
    }
}

fn route(filter: Filter) -> Vec<Route> {
    vec![Route { pattern: "*".into(), topic: "wrp-events".into(), filter, ..Route::default() }]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let kafka = MockKafka::start(4)?;
    let mut config = Config { brokers: vec![kafka.brokers()], ..Config::default() };
    config.dynamic.topic_map = route(Filter {
        allow: vec![Rule::new("partner", Test::In(vec!["comcast".into(), "sky".into()]))],
        deny: vec![
            Rule::new("firmware", Test::Prefix("TEST_".into())),
            Rule::new("trust", Test::Number(Relation::Lt, 1000.into())),
        ],
    });
    let mut dynamic = config.dynamic.clone();
    let publisher = Publisher::new(config)?;
    publisher.add_listener(Print);
    publisher.start()?;

    let device = |id, partner, firmware, trust| Device {
        id,
        partner,
        firmware,
        trust,
        verdict: CachedVerdict::default(),
    };
    let devices = [
        device("mac:000000000001", "sky", "PROD_1", 1000.0),
        device("mac:000000000002", "other", "PROD_1", 1000.0),
        device("mac:000000000003", "sky", "TEST_1", 1000.0),
        device("mac:000000000004", "sky", "PROD_1", 0.0),
    ];
    publish(&publisher, &devices).await?;

    println!("the rules change, and with them the routes of the next messages:");
    dynamic.topic_map =
        route(Filter { deny: vec![Rule::new("partner", Test::Is("sky".into()))], ..Filter::default() });
    publisher.update_config(dynamic)?;
    publish(&publisher, &devices).await?;

    publisher.stop(Duration::from_secs(10)).await;
    Ok(())
}

async fn publish(publisher: &Publisher, devices: &[Device]) -> Result<(), Box<dyn Error>> {
    for device in devices {
        let event = MessageRef {
            msg_type: MessageType::SIMPLE_EVENT,
            source: device.id.into(),
            dest: "event:iot".into(),
            qos: Qos(75),
            ..MessageRef::default()
        };
        println!("  {} of {} with {}, trust {}", device.id, device.partner, device.firmware, device.trust);
        let sender = Sender { attributes: device, verdict: &device.verdict };
        let outcome = publisher.publish_from(&event, &sender).await?;
        println!("    {outcome}");
    }
    Ok(())
}
