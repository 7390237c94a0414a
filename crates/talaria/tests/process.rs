//! The gateway as a process: started with a file, used over the network, ended by a signal.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value as Json;
use tokio::net::TcpStream as AsyncTcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::frame::coding::CloseCode},
};

const LOCAL: &str =
    "primary: {address: '127.0.0.1:0'}\nhealth: {address: '127.0.0.1:0'}\nmetric: {address: '127.0.0.1:0'}\n";

/// A running gateway with its own configuration file. Killed when it is dropped.
struct Gateway {
    child: Child,
    directory: PathBuf,
    primary: SocketAddr,
    health: SocketAddr,
    metric: SocketAddr,
}

impl Gateway {
    fn start(configuration: &str) -> Self {
        let (mut child, directory) = spawn(configuration, &[]);
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut address = |server: &str| loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the gateway ended before {server} listened");
            let line: Json = serde_json::from_str(&line).unwrap();
            if line["msg"] == "starting server" && line["server"] == server {
                break line["address"].as_str().unwrap().parse().unwrap();
            }
        };
        let (health, metric, primary) = (address("health"), address("metric"), address("primary"));
        // Somebody has to read on, or the log's pipe fills.
        thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Gateway { child, directory, primary, health, metric }
    }

    async fn connect(&self, id: &str) -> WebSocketStream<AsyncTcpStream> {
        let mut request = format!("ws://{}/api/v2/device", self.primary).into_client_request().unwrap();
        request.headers_mut().insert("X-Webpa-Device-Name", id.parse().unwrap());
        let socket = AsyncTcpStream::connect(self.primary).await.unwrap();
        client_async(request, socket).await.unwrap().0
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn spawn(configuration: &str, variables: &[(&str, &str)]) -> (Child, PathBuf) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = env::temp_dir().join(format!("talaria-process-{}-{number}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("talaria.yaml"), configuration).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_talaria"))
        .current_dir(&directory)
        .env_clear()
        .envs(variables.iter().copied())
        .args(["-f", "./talaria.yaml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child, directory)
}

/// Runs a gateway that is not to start; its exit code and what it complains of.
fn refusal(configuration: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let (child, directory) = spawn(configuration, variables);
    let output = child.wait_with_output().unwrap();
    fs::remove_dir_all(directory).unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The body of a GET.
fn get(address: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: talaria\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{response}");
    body.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_listed_and_told_to_go_away_when_the_gateway_is_terminated() {
    let gateway = Gateway::start(LOCAL);
    let mut device = gateway.connect("mac:112233445566").await;
    // Its pong comes after it has been registered.
    device.send(Message::Ping("hello".into())).await.unwrap();
    assert_eq!(device.next().await.unwrap().unwrap(), Message::Pong("hello".into()));

    let devices = get(gateway.primary, "/api/v2/devices");
    assert!(devices.contains("mac:112233445566"), "{devices}");
    let health: Json = serde_json::from_str(&get(gateway.health, "/health")).unwrap();
    assert_eq!(health["DeviceCount"], 1);
    let metrics = get(gateway.metric, "/metrics");
    assert!(metrics.contains("talaria_talaria_device_count 1\n"), "{metrics}");

    gateway.signal("-TERM");
    let Message::Close(Some(close)) = device.next().await.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!(close.code, CloseCode::Away);
    // The answer to the close frame.
    let _ = device.flush().await;
    assert!(gateway.wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_broker_lets_the_gateway_start_and_stop_within_its_time() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kafka = format!("kafka: {{enabled: true, brokers: ['{unused}']}}\nshutdownTimeout: 2s\n");
    let gateway = Gateway::start(&format!("{LOCAL}{kafka}"));
    let mut device = gateway.connect("uuid:a").await;
    device.send(Message::Ping("hello".into())).await.unwrap();
    device.next().await.unwrap().unwrap();
    gateway.signal("-INT");
    assert!(tokio::task::spawn_blocking(|| gateway.wait()).await.unwrap().success());
}

#[test]
fn a_port_in_use_is_one_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for server in ["primary", "health", "metric"] {
        let configuration = LOCAL.replace(
            &format!("{server}: {{address: '127.0.0.1:0'}}"),
            &format!("{server}: {{address: '{address}'}}"),
        );
        let (code, complaint) = refusal(&configuration, &[]);
        assert_eq!(code, Some(1));
        let expected =
            format!("talaria: the {server} server cannot listen on {address} (key {server}.address): ");
        assert!(complaint.starts_with(&expected) && complaint.lines().count() == 1, "{complaint}");
    }
}

#[test]
fn a_wrong_configuration_is_one_line_a_fault() {
    let variables = [("TALARIA_DEVICE_OUTBOUND_RETRIES", "many")];
    let (code, complaint) = refusal("kafka:\n  enabled: maybe\nprimary: {address: nowhere}\n", &variables);
    assert_eq!(code, Some(78));
    let expected = "talaria: talaria.yaml:3: primary.address is \"nowhere\", expected host:port, or :port for every interface
talaria: environment TALARIA_DEVICE_OUTBOUND_RETRIES: device.outbound.retries is \"many\", expected a whole number
talaria: talaria.yaml:2: kafka.enabled is \"maybe\", expected true or false
";
    assert!(complaint.ends_with(expected), "{complaint}");
}

#[test]
fn a_second_signal_ends_the_wait_for_what_is_undelivered() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kafka = format!("kafka: {{enabled: true, brokers: ['{unused}']}}\nshutdownTimeout: 1h\n");
    let gateway = Gateway::start(&format!("{LOCAL}{kafka}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let device = runtime.block_on(async {
        let mut device = gateway.connect("uuid:a").await;
        device.send(Message::Ping("hello".into())).await.unwrap();
        device.next().await.unwrap().unwrap();
        gateway.signal("-TERM");
        // The close frame tells that the stop has begun.
        device.next().await.unwrap().unwrap();
        device
    });
    gateway.signal("-TERM");
    assert!(gateway.wait().success());
    drop(device);
}

#[test]
fn a_kafka_file_that_cannot_be_read_is_a_fault_of_the_configuration_that_names_it() {
    let kafka = "kafka: {enabled: true, brokers: ['localhost:1'], tls: {enabled: true, caFile: /nonexistent/ca.pem}}\n";
    let (code, complaint) = refusal(&format!("{LOCAL}{kafka}"), &[]);
    assert_eq!(code, Some(78), "{complaint}");
    assert!(complaint.contains("tls.caFile: cannot read `/nonexistent/ca.pem`"), "{complaint}");

    let kafka = "kafka: {enabled: true, brokers: ['localhost:1'], sasl: {mechanism: PLAIN, username: me, passwordFile: /nonexistent/pw}}\n";
    let (code, complaint) = refusal(&format!("{LOCAL}{kafka}"), &[]);
    assert_eq!(code, Some(78), "{complaint}");
    assert!(complaint.contains("sasl.passwordFile: cannot read `/nonexistent/pw`"), "{complaint}");
    let (code, complaint) =
        refusal(&format!("{LOCAL}{kafka}"), &[("TALARIA_KAFKA_SASL_PASSWORD", "hunter2")]);
    assert_eq!(code, Some(78), "{complaint}");
    assert!(
        complaint.contains("kafka.sasl.passwordFile") && complaint.contains("excludes password"),
        "{complaint}"
    );
    assert!(!complaint.contains("hunter2"), "{complaint}");
}
