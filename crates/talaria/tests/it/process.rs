//! The gateway as a process: started with a file, used over the network, ended by a signal.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixDatagram;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::eventually;
use crate::support::http::request;
use crate::support::process::{CPU_SCHEDULING, GatewayProcess, ON_FREE_PORTS, failed_start};

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_listed_and_told_to_go_away_when_the_gateway_is_terminated() {
    let mut gateway = GatewayProcess::start("").await;
    let mut device = gateway.device("mac:112233445566").await;
    // Its pong comes after it has been registered.
    device.send(Message::Ping("hello".into())).await.unwrap();
    assert_eq!(device.next().await.unwrap().unwrap(), Message::Pong("hello".into()));

    let devices = request(gateway.primary(), "GET /api/v2/devices HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert!(devices.text().contains("mac:112233445566"), "{devices:?}");
    assert_eq!(gateway.health().await["DeviceCount"], 1);
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("talaria_talaria_device_count 1\n"), "{metrics}");

    gateway.signal("-TERM");
    let Message::Close(Some(close)) = device.next().await.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!(close.code, CloseCode::Away);
    // The answer to the close frame.
    let _ = device.flush().await;
    assert!(gateway.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_broker_lets_the_gateway_start_and_stop_within_its_time() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kafka = format!("kafka: {{enabled: true, brokers: ['{unused}']}}\nshutdownTimeout: 2s\n");
    let mut gateway = GatewayProcess::start(&kafka).await;
    let mut device = gateway.device("uuid:a").await;
    device.send(Message::Ping("hello".into())).await.unwrap();
    device.next().await.unwrap().unwrap();
    gateway.signal("-INT");
    assert!(gateway.ended().await.success());
}

/// contract §9.10. Without the socket the gateway could not listen there: the address is in use.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_service_manager_took_is_served_once_the_gateway_runs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let waiting = std::net::TcpStream::connect(address).unwrap();
    let primary = format!("primary: {{address: '{address}'}}");
    let servers = ON_FREE_PORTS.replace("primary: {address: '127.0.0.1:0'}", &primary);
    let gateway = GatewayProcess::start_on(listener, &servers).await;
    assert_eq!(gateway.primary(), address);
    waiting.set_nonblocking(true).unwrap();
    let mut waiting = tokio::net::TcpStream::from_std(waiting).unwrap();
    waiting.write_all(b"GET /api/v2/devices HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, waiting.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.contains(" 200 OK\r\n"), "{answer}");
}

/// contract §2.16
#[tokio::test]
async fn a_device_gets_the_first_configured_subprotocol_that_it_offers() {
    let gateway =
        GatewayProcess::start("device: {manager: {upgrader: {subprotocols: [wrp-0.1, wrp]}}}\n").await;
    for (offers, chosen) in [("wrp, wrp-0.1", Some("wrp-0.1")), ("chat, wrp", Some("wrp")), ("chat", None)] {
        let text = format!(
            "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: mac:112233445566\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {offers}\r\n\r\n"
        );
        let response = request(gateway.primary(), text).await;
        assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, chosen), "{offers}");
    }
}

/// contract §9.7
#[tokio::test]
async fn each_server_that_other_hosts_can_use_without_authentication_is_reported_at_the_start() {
    let everywhere = ["PRIMARY", "ALTERNATE", "HEALTH", "METRIC", "CONTROL"]
        .map(|server| (format!("TALARIA_{server}_ADDRESS"), Path::new(":0")));
    let environment: Vec<_> = everywhere.iter().map(|(name, address)| (&**name, *address)).collect();
    let open = "info health, info metric, warn alternate, warn control, warn primary";
    let guarded = "info metric, warn control";
    let key = Path::new("dXNlcjpwYXNz");
    let keys = [("TALARIA_INBOUND_AUTHKEY", key), ("TALARIA_HEALTH_AUTHKEY", key)];
    for (environment, expected) in
        [(Vec::new(), ""), (environment.clone(), open), ([&*environment, &keys].concat(), guarded)]
    {
        let gateway = GatewayProcess::start_in("", &environment).await;
        let mut reported: Vec<String> = gateway
            .log()
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|line| line["msg"].as_str().is_some_and(|text| text.contains("without authentication")))
            .map(|line| format!("{} {}", line["level"].as_str().unwrap(), line["server"].as_str().unwrap()))
            .collect();
        reported.sort();
        assert_eq!(reported.join(", "), expected);
    }
}

/// contract §9.11, §14.30
#[tokio::test(flavor = "multi_thread")]
async fn only_term_int_and_quit_end_the_process_and_usr1_and_hup_open_the_log_files_again() {
    let folder = std::env::temp_dir().join(format!("talaria-reopen-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("talaria.log");
    let mut gateway =
        GatewayProcess::start(&format!("zap: {{outputPaths: [stdout, '{}']}}\n", file.display())).await;
    for (signal, moved) in [("-USR1", "talaria.log.1"), ("-HUP", "talaria.log.2")] {
        let moved = folder.join(moved);
        fs::rename(&file, &moved).unwrap();
        gateway.signal(signal);
        gateway.logged("log files opened again").await;
        eventually("the line in the new file", PATIENCE, async || {
            fs::read_to_string(&file).is_ok_and(|text| text.contains("log files opened again"))
        })
        .await;
        assert!(!fs::read_to_string(&moved).unwrap().is_empty());
    }
    for signal in [
        "-USR2", "-ALRM", "-VTALRM", "-PROF", "-IO", "-PWR", "-STKFLT", "-XCPU", "-XFSZ", "-PIPE", "-34",
        "-64",
    ] {
        gateway.signal(signal);
    }
    assert!(gateway.is_healthy().await);
    gateway.signal("-INT");
    assert!(gateway.ended().await.success());
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_hears_that_the_gateway_serves_reloads_stops_and_is_alive() {
    let folder = std::env::temp_dir().join(format!("talaria-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&folder).unwrap();
    let heard = async |text: &str| {
        let listen = async {
            let mut bytes = [0; 256];
            loop {
                let length = socket.recv(&mut bytes).await.unwrap();
                let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
                if message.starts_with(text) {
                    return message;
                }
            }
        };
        timeout(PATIENCE, listen).await.unwrap_or_else(|_| panic!("{text} was not heard"))
    };
    let period = Path::new("200000");
    let environment = [("NOTIFY_SOCKET", folder.as_path()), ("WATCHDOG_USEC", period)];
    let mut gateway = GatewayProcess::start_in("", &environment).await;
    heard("READY=1").await;
    heard("WATCHDOG=1").await;
    gateway.signal("-HUP");
    assert!(heard("RELOADING=1").await.contains("MONOTONIC_USEC="));
    heard("READY=1").await;
    gateway.signal("-TERM");
    heard("STOPPING=1").await;
    fs::remove_file(&folder).unwrap();
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn all_threads_of_a_gateway_are_scheduled_as_configured() {
    let inherited = policies_of_threads(std::process::id())[0];
    for (scheduling, policy) in [("batch", libc::SCHED_BATCH), ("normal", inherited)] {
        let mut gateway = GatewayProcess::start_in("", &[(CPU_SCHEDULING, Path::new(scheduling))]).await;
        let policies = policies_of_threads(gateway.id());
        assert!(
            policies.len() > 2 && policies.iter().all(|found| *found == policy),
            "{scheduling}: {policies:?}"
        );
        gateway.signal("-TERM");
        assert!(gateway.ended().await.success());
    }
}

/// The scheduling policy of each thread: the 41st field of its `stat`. Those of the allocator are left out: they start before `main`.
fn policies_of_threads(process: u32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stats = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")).unwrap());
    let of_gateway = stats.filter(|stat| !stat.contains("(jemalloc"));
    // The second field is the thread's name in parentheses, which may have spaces.
    let policy = |stat: String| stat.rsplit_once(") ")?.1.split(' ').nth(38)?.parse().ok();
    of_gateway.map(|stat| policy(stat).unwrap()).collect()
}

#[test]
fn a_port_in_use_is_one_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for server in ["primary", "health", "metric"] {
        let configuration = ON_FREE_PORTS.replace(
            &format!("{server}: {{address: '127.0.0.1:0'}}"),
            &format!("{server}: {{address: '{address}'}}"),
        );
        let (code, complaint) = failed_start(&configuration, &[]);
        assert_eq!(code, Some(1));
        let expected =
            format!("talaria: the {server} server cannot listen on {address} (key {server}.address): ");
        assert!(complaint.starts_with(&expected) && complaint.lines().count() == 1, "{complaint}");
    }
}

#[test]
fn a_wrong_configuration_is_one_line_a_fault() {
    let variables = [("TALARIA_DEVICE_OUTBOUND_RETRIES", "many")];
    let (code, complaint) =
        failed_start("kafka:\n  enabled: maybe\nprimary: {address: nowhere}\n", &variables);
    assert_eq!(code, Some(78));
    let expected = "talaria: talaria.yaml:3: primary.address is \"nowhere\", expected host:port, or :port for every interface
talaria: environment TALARIA_DEVICE_OUTBOUND_RETRIES: device.outbound.retries is \"many\", expected a whole number
talaria: talaria.yaml:2: kafka.enabled is \"maybe\", expected true or false
";
    assert!(complaint.ends_with(expected), "{complaint}");
}

#[tokio::test]
async fn a_second_signal_ends_the_wait_for_what_is_undelivered() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kafka = format!("kafka: {{enabled: true, brokers: ['{unused}']}}\nshutdownTimeout: 1h\n");
    let mut gateway = GatewayProcess::start(&kafka).await;
    let mut device = gateway.device("uuid:a").await;
    device.send(Message::Ping("hello".into())).await.unwrap();
    device.next().await.unwrap().unwrap();
    gateway.signal("-TERM");
    // The close frame says that the stop has begun.
    device.next().await.unwrap().unwrap();
    gateway.signal("-TERM");
    assert!(gateway.ended().await.success());
    drop(device);
}

#[test]
fn a_kafka_file_that_cannot_be_read_is_a_fault_of_the_configuration_that_names_it() {
    let kafka = "kafka: {enabled: true, brokers: ['localhost:1'], tls: {enabled: true, caFile: /nonexistent/ca.pem}}\n";
    let (code, complaint) = failed_start(&format!("{ON_FREE_PORTS}{kafka}"), &[]);
    assert_eq!(code, Some(78), "{complaint}");
    assert!(
        complaint.contains("kafka.tls.caFile names /nonexistent/ca.pem, which cannot be read"),
        "{complaint}"
    );

    let kafka = "kafka: {enabled: true, brokers: ['localhost:1'], sasl: {mechanism: PLAIN, username: me, passwordFile: /nonexistent/pw}}\n";
    let (code, complaint) = failed_start(&format!("{ON_FREE_PORTS}{kafka}"), &[]);
    assert_eq!(code, Some(78), "{complaint}");
    assert!(
        complaint.contains("kafka.sasl.passwordFile names /nonexistent/pw, which cannot be read"),
        "{complaint}"
    );
    let kafka = kafka.replace("username: me", "username: me, password: hunter2");
    let (code, complaint) = failed_start(&format!("{ON_FREE_PORTS}{kafka}"), &[]);
    assert_eq!(code, Some(78), "{complaint}");
    assert!(
        complaint.contains("kafka.sasl.passwordFile") && complaint.contains("excludes password"),
        "{complaint}"
    );
    assert!(!complaint.contains("hunter2"), "{complaint}");
}
