//! A running gateway whose configuration changes: by an operator, by its file, all of it or nothing (contract §7.6, §14.7).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::support::device::Device;
use crate::support::event::{event, number, text};
use crate::support::eventually;
use crate::support::http::{Response, request};
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

const CONTROL: &str = "control: {address: '127.0.0.1:0'}\n";

/// A gateway with a control server and these sections.
async fn start(sections: &str) -> (GatewayProcess, SocketAddr) {
    let gateway = GatewayProcess::start(&format!("{CONTROL}{sections}")).await;
    eventually("the control server starts", PATIENCE, async || {
        gateway.log().contains(r#""server":"control""#)
    })
    .await;
    let control = gateway.control();
    (gateway, control)
}

async fn ask(control: SocketAddr, line: &str, headers: &str, body: &str) -> Response {
    let length = body.len();
    let (method, target) = line.split_once(' ').unwrap();
    request(
        control,
        format!(
            "{method} /api/v3/{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ),
    )
    .await
}

async fn patch(control: SocketAddr, patch: &Json) -> Response {
    ask(control, "PATCH config", "", &patch.to_string()).await
}

async fn configuration(control: SocketAddr) -> (Json, String) {
    let shown = ask(control, "GET config", "", "").await;
    assert_eq!(shown.status, 200);
    (shown.json(), shown.header("ETag").unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_the_configuration_changes_it_and_sends_it_back() {
    let (gateway, control) = start("inbound: {authKey: dXNlcjpwYXNz}\nregion: one\n").await;
    let (mut shown, tag) = configuration(control).await;
    assert_eq!(shown["region"], "one");
    assert_eq!(shown["device"]["manager"]["pingPeriod"], "45s", "defaults are shown, too");
    assert_eq!(shown["inbound"]["authKey"], "********");

    shown["device"]["manager"]["maxDevices"] = json!(1);
    shown["region"] = json!("two");
    let dry = ask(control, "PUT config?dryRun=true", "", &shown.to_string()).await;
    let expected = json!({"key": "region", "reason": "every response carries it from the start on"});
    assert_eq!((dry.status, &dry.json()["waitingForRestart"]), (200, &json!([expected])));
    assert_eq!(dry.json()["changed"], json!(["device.manager.maxDevices"]));
    assert_eq!(configuration(control).await.1, tag, "a dry run changes nothing");

    let headers = format!("If-Match: {tag}\r\n");
    let put = ask(control, "PUT config", &headers, &shown.to_string()).await;
    assert_eq!((put.status, &put.json()["generation"]), (200, &json!(2)), "{}", put.text());
    let again = ask(control, "PUT config", &headers, &shown.to_string()).await;
    assert_eq!(again.status, 412, "it has changed since: {}", again.text());

    let authorized = "GET /api/v2/devices HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\r\n";
    assert_eq!(request(gateway.primary(), authorized).await.status, 200, "the mask stood for the secret");
    let _one = Device::connect(gateway.primary(), "mac:000000000001").await;
    let refused = "GET /api/v2/device HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   X-Webpa-Device-Name: mac:000000000002\r\n\r\n";
    request(gateway.primary(), refused).await;
    eventually("the second device is refused", PATIENCE, async || {
        gateway.log_line("device not admitted: the device limit is reached").is_some()
    })
    .await;

    let state = ask(control, "GET config/state", "", "").await.json();
    assert_eq!((&state["generation"], &state["source"]), (&json!(2), &json!("control")));
    assert_eq!(state["waitingForRestart"][0]["key"], "region");
    assert_eq!(gateway.metric("talaria_talaria_config_generation", &[]).await, 2.0);
    assert_eq!(gateway.health().await["ConfigGeneration"], 2);

    let reset = ask(control, "DELETE config", "", "").await;
    assert_eq!((reset.status, &reset.json()["waitingForRestart"]), (200, &json!([])), "{}", reset.text());
    assert_eq!(configuration(control).await.0["device"]["manager"]["maxDevices"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_with_a_fault_changes_nothing_and_every_fault_is_in_the_answer() {
    let (gateway, control) = start("").await;
    let (_, tag) = configuration(control).await;
    let wrong = json!({
        "zap": {"level": "debug", "encoding": "xml"},
        "device": {"manager": {"maxDevices": "many", "pingPeriod": "soon"}},
    });
    let answer = patch(control, &wrong).await;
    assert_eq!(answer.status, 400);
    let faults = answer.json()["faults"].to_string();
    for key in ["zap.encoding", "device.manager.maxDevices", "device.manager.pingPeriod"] {
        assert!(faults.contains(key), "{faults}");
    }
    // What only a component finds: the certificate cannot be read. The other sections do not change either.
    let unreadable = json!({
        "zap": {"level": "error"},
        "health": {"certificateFile": ["/nowhere.pem"], "keyFile": ["/nowhere.key"]},
    });
    let answer = patch(control, &unreadable).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.json()["faults"].to_string().contains("health.certificateFile"), "{}", answer.text());
    let no_key_server = json!({"jwtValidator": {"Config": {"Resolve": {"Timeout": "1s"}, "Refresh": {
        "Sources": [{"uri": "http://127.0.0.1:9/keys"}]}}}, "zap": {"level": "error"}});
    let answer = patch(control, &no_key_server).await;
    assert_eq!(answer.status, 400, "{}", answer.text());

    assert_eq!(configuration(control).await.1, tag);
    let state = ask(control, "GET config/state", "", "").await.json();
    assert_eq!(state["lastFailure"]["source"], "control", "{state}");
    assert_eq!(gateway.metric("talaria_talaria_config_last_reload_successful", &[]).await, 0.0);
    assert_eq!(gateway.metric("talaria_talaria_config_reloads_total", &[r#"outcome="failure""#]).await, 3.0);
    assert_eq!(gateway.health().await["ConfigFailedReloads"], 3);
    for (line, headers, body) in [
        ("PUT config", "", "a: [\n"),
        ("PUT config", "", "- 1\n"),
        ("PUT config?dryrun=true", "", "{}"),
        ("PUT config", "If-Match: 1\r\n", "{}"),
    ] {
        assert_eq!(ask(control, line, headers, body).await.status, 400, "{line} {headers} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_change_under_load_and_no_event_is_lost() {
    const CHANGES: usize = 20;
    let receivers = [Receiver::start().await, Receiver::start().await];
    let outbound = |receiver: &Receiver| json!({"device": {"outbound": {"eventEndpoints": {"default": receiver.url()}}}});
    let (gateway, control) = start(&format!("device: {}\n", outbound(&receivers[0])["device"])).await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    let mut sent = 0;
    for change in 0..CHANGES {
        for _ in 0..50 {
            device.send(event(device.id(), sent, 80));
            sent += 1;
        }
        let answer = patch(control, &outbound(&receivers[(change + 1) % 2])).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut arrived: [HashSet<usize>; 2] = Default::default();
    eventually("every event arrives", PATIENCE, async || {
        for (receiver, arrived) in receivers.iter().zip(&mut arrived) {
            arrived.extend(receiver.take().iter().filter_map(|posted| Some(number(&posted.message)?.1)));
        }
        arrived[0].len() + arrived[1].len() >= sent
    })
    .await;
    assert!(arrived[0].is_disjoint(&arrived[1]), "none came twice");
    assert!(arrived.iter().all(|arrived| arrived.len() > 50), "both were in use");
    assert!(device.is_connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_bounds_the_changes_whose_events_are_left() {
    // It accepts connections, in its backlog, and never answers.
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", hangs.local_addr().unwrap());
    let (gateway, control) = start(&format!(
        "shutdownTimeout: 0s\ndevice: {{outbound: {{eventEndpoints: {{default: '{url}'}}}}}}\n"
    ))
    .await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    for change in 0..9_u16 {
        device.send(event(device.id(), change.into(), 0));
        let expected = f64::from(change + 1);
        let counted = async || {
            gateway.metric("total_outbound_events", &[r#"scheme="event""#, r#"outcome="success""#]).await
        };
        // With its online event.
        eventually("the event is queued", PATIENCE, async || counted().await == expected + 1.0).await;
        let change = json!({"device": {"outbound": {"retries": change}}});
        let answer = patch(control, &change).await;
        let status = if expected > 8.0 { 400 } else { 200 };
        assert_eq!(answer.status, status, "{expected}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_a_change_that_waits_for_a_key_server() {
    let (gateway, control) = start("").await;
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/keys", hangs.local_addr().unwrap());
    let change = json!({"jwtValidator": {"Config": {"Resolve": {"Timeout": "1m"}, "Refresh": {"Sources": [{"uri": uri}]}}}});
    let changing = tokio::spawn(async move { patch(control, &change).await.status });
    let asked = hangs.accept().await.unwrap();
    // More than the threads of the runtime.
    for _ in 0..16 {
        configuration(control).await;
    }
    assert!(gateway.is_healthy().await && !changing.is_finished());
    drop((asked, hangs));
    assert_eq!(changing.await.unwrap(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_levels_and_limits_change_at_once() {
    let (mut gateway, control) = start("").await;
    let get = |key: &str| {
        format!(
            "GET /api/v2/devices HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Basic {key}\r\n\r\n"
        )
    };
    assert_eq!(request(gateway.primary(), get("eDp5")).await.status, 200, "no credentials are needed");
    let changes = json!({
        "inbound": {"authKey": ["YTpi"]},
        "primary": {"maxHeaderBytes": 8192},
        "zap": {"level": "debug"},
        "failOpen": false,
        "jwtValidator": {"Config": {"Resolve": {"Template": "http://127.0.0.1:9/{keyID}"}}},
    });
    let answer = patch(control, &changes).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["waitingForRestart"], json!([]));
    assert_eq!(request(gateway.primary(), get("eDp5")).await.status, 403);
    assert_eq!(request(gateway.primary(), get("YTpi")).await.status, 200);
    let long = format!("GET /api/v2/devices HTTP/1.1\r\nHost: h\r\nX-Long: {}\r\n\r\n", "x".repeat(10_000));
    assert_eq!(request(gateway.primary(), long).await.status, 431);
    let device = "GET /api/v2/device HTTP/1.1\r\nHost: h\r\nX-Webpa-Device-Name: mac:000000000001\r\n";
    assert_eq!(
        request(gateway.primary(), format!("{device}\r\n")).await.status,
        403,
        "a token is needed now"
    );
    request(gateway.primary(), format!("{device}Authorization: Bearer a.b.c\r\n\r\n")).await;
    gateway.logged("token of a device not accepted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_read_by_itself_and_puts_an_end_to_what_an_operator_has_set() {
    let (mut gateway, control) = start("device: {manager: {maxDevices: 10}}\n").await;
    assert_eq!(patch(control, &json!({"device": {"manager": {"maxDevices": 20}}})).await.status, 200);
    gateway.logged("configuration reloaded").await;
    gateway.write(&format!("{CONTROL}device: {{manager: {{maxDevices: 30}}}}\n"));
    let line = gateway.logged("configuration reloaded").await;
    assert_eq!(line["source"], "file", "{line}");
    assert_eq!(configuration(control).await.0["device"]["manager"]["maxDevices"], 30);
    gateway.write(&format!("{CONTROL}device: {{manager: {{maxDevices: few}}}}\n"));
    gateway.logged("the configuration was not reloaded, nothing changes").await;
    assert_eq!(configuration(control).await.0["device"]["manager"]["maxDevices"], 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_an_operator_outlives_a_restart_only_in_the_file_that_keeps_it() {
    let folder = std::env::temp_dir().join(format!("talaria-persist-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("kept.json");
    let sections = format!("config: {{persist: '{}'}}\nregion: one\n", file.display());
    let (gateway, control) = start(&sections).await;
    let change = json!({"device": {"manager": {"maxDevices": 7}}, "inbound": {"authKey": "YTpi"}});
    assert_eq!(patch(control, &change).await.status, 200);
    assert!(gateway.terminate().await.success());
    let (gateway, control) = start(&sections).await;
    let (shown, _) = configuration(control).await;
    assert_eq!((&shown["device"]["manager"]["maxDevices"], &shown["region"]), (&json!(7), &json!("one")));
    let authorized = "GET /api/v2/devices HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YTpi\r\n\r\n";
    assert_eq!(request(gateway.primary(), authorized).await.status, 200, "secrets are kept, too");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ask(control, "DELETE config", "", "").await.status, 200);
    assert!(!file.exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_change_at_once_and_end_with_their_rules() {
    let (mut gateway, control) = start("").await;
    let connect = async |id: &str| {
        let head = format!(
            "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: {id}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        request(gateway.primary(), head).await.status
    };
    let refusal = |rules: Json| json!({"device": {"manager": {"refusal": rules}}});
    assert_eq!([connect("mac:000000000001").await, connect("mac:000000000001").await], [101; 2]);
    let answer = patch(control, &refusal(json!({"connectsPerId": 1, "time": "1h"}))).await;
    assert_eq!((answer.status, &answer.json()["waitingForRestart"]), (200, &json!([])), "{}", answer.text());
    assert_eq!([connect("mac:000000000001").await, connect("mac:000000000001").await], [101, 429]);
    let active = async || gateway.metric("talaria_talaria_device_refusals_active", &["id"]).await as usize;
    assert_eq!(active().await, 1);
    assert_eq!(patch(control, &refusal(json!({"connectsPerId": 0}))).await.status, 200);
    assert_eq!((connect("mac:000000000001").await, active().await), (101, 0));
    gateway.logged("refusal has ended, connections are accepted again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_and_the_source_of_events_change_at_once() {
    // It accepts connections, in its backlog, and never answers.
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = Receiver::start().await;
    let (gateway, control) = start(&format!(
        "shutdownTimeout: 0s\ndevice: {{outbound: {{eventEndpoints: {{default: 'http://{}/', device-status: '{}'}}}}}}\n",
        hangs.local_addr().unwrap(),
        receiver.url()
    ))
    .await;
    let device = Device::connect(gateway.primary(), "mac:000000000001").await;
    device.send(event(device.id(), 1, 80));
    eventually("its message is under way", PATIENCE, async || {
        gateway.metric("outbound_inflight", &[]).await > 0.0
    })
    .await;
    let change = json!({
        "device": {
            "manager": {"handshakes": {"cpuPercent": 40, "maxWait": "2s"}, "disconnectCpuPercent": 20},
            "outbound": {"maxUnacknowledgedPerDevice": 1, "maxUnacknowledgedBytes": 1_000_000, "ackPolicy": "all",
                "source": "dns:another.example.com"},
        }
    });
    let answer = patch(control, &change).await;
    assert_eq!((answer.status, &answer.json()["waitingForRestart"]), (200, &json!([])), "{}", answer.text());
    device.send(event(device.id(), 2, 80));
    eventually("the second message is refused", PATIENCE, async || {
        device.acks().iter().any(|ack| ack.rdr == Some(100))
    })
    .await;
    let _other = Device::connect(gateway.primary(), "mac:000000000002").await;
    eventually("the next online event has the source", PATIENCE, async || {
        receiver.take().iter().any(|posted| text(&posted.message.source) == "dns:another.example.com")
    })
    .await;
}
