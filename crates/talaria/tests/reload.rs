//! A gateway that is told to read its configuration again (contract §14.7): a real process, its log, a Kafka.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail the test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value as Json;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use wrpkafka::mock::MockKafka;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

struct Gateway {
    child: Child,
    file: PathBuf,
    log: Lines<BufReader<ChildStdout>>,
}

impl Gateway {
    fn start(configuration: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("talaria-reload-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("talaria.yaml");
        fs::write(&file, configuration).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_talaria"))
            .env_clear()
            .arg("-f")
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stdout.take().unwrap()).lines();
        Gateway { child, file, log }
    }

    /// Reads the log on to the first line with this message.
    fn says(&mut self, message: &str) -> Json {
        loop {
            let line = self.log.next().unwrap_or_else(|| panic!("ended before `{message}`")).unwrap();
            let line: Json = serde_json::from_str(&line).unwrap();
            if line["msg"] == message {
                return line;
            }
        }
    }

    fn reload(&self, configuration: &str) {
        fs::write(&self.file, configuration).unwrap();
        let sent = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.file.parent().map(fs::remove_dir_all);
    }
}

/// The online event of a device goes to Kafka.
async fn connect(address: &str, id: &str) {
    let mut request = format!("ws://{address}/api/v2/device").into_client_request().unwrap();
    request.headers_mut().insert("X-Webpa-Device-Name", id.parse().unwrap());
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut device = client_async(request, socket).await.unwrap().0;
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
            "primary: {{address: '127.0.0.1:0'}}\nhealth: {{address: '127.0.0.1:0'}}\nmetric: {{address: '127.0.0.1:0'}}\n\
             region: {region}\nkafka: {{enabled: true, brokers: ['{}'], initialDynamicConfig: {{{dynamic}}}}}\n",
            kafka.brokers()
        )
    };
    let mut gateway = Gateway::start(&configuration("one", ""));
    let primary = loop {
        let line = gateway.says("starting server");
        if line["server"] == "primary" {
            break line["address"].as_str().unwrap().to_owned();
        }
    };
    connect(&primary, "mac:000000000001").await;
    assert!(!kafka.records("wrp-events", 1, PATIENCE).unwrap().is_empty());

    gateway.reload(&configuration("one", "acks: some"));
    let refused = gateway.says("the configuration was not reloaded, nothing changes");
    assert!(refused["error"].as_str().unwrap().contains("kafka.initialDynamicConfig.acks"), "{refused}");

    let filtered = "topicMap: [{pattern: '*', topic: others, filter: {deny: [{key: convey/slot, is: b}]}}]";
    gateway.reload(&configuration("one", filtered));
    let refused = gateway.says("the configuration was not reloaded, nothing changes");
    assert_eq!(refused["keys"], r#"["slot"]"#, "{refused}");

    let others = "topicMap: [{pattern: '*', topic: others}], linger: 1ms, compression: lz4";
    gateway.reload(&configuration("two", others));
    gateway.says("configuration reloaded");
    let restart = gateway.says("these keys have changed and take effect at the next start");
    assert_eq!(restart["keys"], r#"["region"]"#, "{restart}");
    connect(&primary, "mac:000000000002").await;
    assert!(!kafka.records("others", 1, PATIENCE).unwrap().is_empty());
}
