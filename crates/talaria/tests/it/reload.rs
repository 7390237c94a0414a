//! A gateway that reads its configuration again on SIGHUP (contract §14.7): a real process, its log, a Kafka.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;
use wrpkafka::mock::MockKafka;

use crate::support::process::GatewayProcess;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects a device, whose online event goes to Kafka.
async fn connect(gateway: &GatewayProcess, id: &str) {
    let mut device = gateway.device(id).await;
    // Its pong comes after it has been registered.
    device.send(Message::Ping("hello".into())).await.unwrap();
    device.next().await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_takes_up_other_topics_and_settings_and_names_what_needs_a_restart() {
    let kafka = MockKafka::start(1).unwrap();
    kafka.create_topic("others", 1).unwrap();
    let configuration = |region: &str, dynamic: &str| {
        format!(
            "region: {region}\nkafka: {{enabled: true, brokers: ['{}'], initialDynamicConfig: {{{dynamic}}}}}\n",
            kafka.brokers()
        )
    };
    let mut gateway = GatewayProcess::start(&configuration("one", "")).await;
    connect(&gateway, "mac:000000000001").await;
    assert!(!kafka.records("wrp-events", 1, PATIENCE).unwrap().is_empty());

    gateway.reload(&configuration("one", "acks: some"));
    let refused = gateway.logged("the configuration was not reloaded, nothing changes").await;
    assert!(refused["error"].as_str().unwrap().contains("kafka.initialDynamicConfig.acks"), "{refused}");

    let filtered = "topicMap: [{pattern: '*', topic: others, filter: {deny: [{key: convey/slot, is: b}]}}]";
    gateway.reload(&configuration("one", filtered));
    let refused = gateway.logged("the configuration was not reloaded, nothing changes").await;
    assert!(refused["error"].as_str().unwrap().contains("(slot)"), "{refused}");

    let others = "topicMap: [{pattern: '*', topic: others}], linger: 1ms, compression: lz4";
    gateway.reload(&configuration("two", others));
    gateway.logged("configuration reloaded").await;
    let restart = gateway.logged("these keys have changed and take effect at the next start").await;
    assert_eq!(restart["keys"], r#"["region"]"#, "{restart}");
    connect(&gateway, "mac:000000000002").await;
    assert!(!kafka.records("others", 1, PATIENCE).unwrap().is_empty());
}
