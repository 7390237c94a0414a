//! The control server over real sockets (contract §7), and what it does to devices.

use std::io::Write as _;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use talaria::api;

use crate::control_table::{CASES, FORM, JSON, NEVER_DRAINED};
use crate::support::control::{Controlled, close_code, without_times};
use crate::support::gateway::any_port;
use crate::support::http::{Client, request};

#[tokio::test]
async fn every_line_of_section_7_is_answered_as_it_says() {
    let controlled = Controlled::start(api::Config::default());
    let mut table = String::from("\ncontract §7:\n");
    for &(line, content_type, body, status, answer_type, answer_body) in CASES {
        let answer = controlled.ask(line, content_type, body).await;
        let shown = format!("{line} {body} → {} {}\n", answer.status, answer.body.trim_end());
        assert_eq!((answer.status, answer.body.as_str()), (status, answer_body), "{shown}");
        assert_eq!(answer.content_type.unwrap_or_default(), answer_type, "{shown}");
        table.push_str(&shown);
    }
    // Straight to the file: the test harness would keep what a macro prints of a test that passes.
    _ = std::io::stderr().write_all(table.as_bytes());
}

#[tokio::test]
async fn a_closed_gate_refuses_new_devices_and_keeps_those_that_are_connected() {
    let mut controlled = Controlled::start(api::Config::default());
    assert!(controlled.gateway.metric("gate_status") > 0.0);
    let _device = controlled.device("uuid:a", None, "").await;
    controlled.ask("POST /device/gate?open=false", "", "").await;
    assert!(controlled.gateway.metric("gate_status") < 1.0);
    let (_, refused) = controlled.knock("uuid:b", None, "").await;
    assert_eq!((refused.status, refused.text()), (503, ""));
    assert_eq!(controlled.gateway.manager.registry().len(), 1);
    controlled.ask("POST /device/gate?open=true", "", "").await;
    let _device = controlled.device("uuid:b", None, "").await;
}

/// contract §7: a page that the operator's browser has open can neither close the gate nor read what it is.
#[tokio::test]
async fn a_web_page_cannot_control_the_gateway() {
    let controlled = Controlled::start(api::Config::default());
    let address = controlled.address();
    for (headers, reason) in [
        (format!("Host: {address}\r\nOrigin: https://evil.example\r\n"), "cross_site"),
        (format!("Host: {address}\r\nOrigin: null\r\n"), "cross_site"),
        (format!("Host: {address}\r\nOrigin: http://localhost:1\r\n"), "cross_site"),
        (format!("Host: {address}\r\nSec-Fetch-Site: cross-site\r\n"), "cross_site"),
        (format!("Host: {address}\r\nSec-Fetch-Site: same-site\r\n"), "cross_site"),
        ("Host: evil.example\r\n".to_owned(), "foreign_host"),
        ("Host: evil.example\r\nOrigin: http://evil.example\r\n".to_owned(), "foreign_host"),
    ] {
        let counter =
            format!("talaria_talaria_connection_failures_total{{reason=\"{reason}\",server=\"control\"}}");
        for line in
            ["POST /device/gate?open=false", "GET /device/gate", "POST /device/drain", "OPTIONS /nowhere"]
        {
            let before = controlled.gateway.metric(&counter);
            let answer = controlled.ask_with(line, &headers, "", "").await;
            assert_eq!(
                (answer.status, answer.content_type.as_deref()),
                (403, Some(JSON)),
                "{line} {headers}"
            );
            assert!(answer.body.starts_with(r#"{"code": 403, "message": ""#), "{}", answer.body);
            assert_eq!(controlled.gateway.metric(&counter) - before, 1.0, "{line} {headers}");
        }
    }
    assert!(controlled.gateway.metric("gate_status") > 0.0);
    for headers in [
        format!("Host: {address}\r\n"),
        format!("Host: {address}\r\nOrigin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n"),
        "Host: control.example:6205\r\n".to_owned(),
    ] {
        let answer = controlled.ask_with("POST /device/gate?open=true", &headers, "", "").await;
        assert_eq!(answer.status, 200, "{headers}");
    }
}

/// contract §2.7: ours refuses with 403, tested before method and upgrade.
#[tokio::test]
async fn a_filter_keeps_out_whose_claim_is_or_contains_one_of_its_values() {
    let mut controlled = Controlled::start(api::Config::default());
    let _earlier = controlled.device("uuid:a", Some(json!({"partner-id": "bad"})), "").await;
    controlled.ask("POST /device/gate/filter", JSON, r#"{"key":"partner-id","values":["bad"]}"#).await;
    controlled.ask("POST /device/gate/filter", JSON, r#"{"key":"level","values":[1000]}"#).await;
    for claims in [json!({"partner-id": "bad"}), json!({"partner-id": ["x", "bad"]}), json!({"level": 1000})]
    {
        let (_, refused) = controlled.knock("uuid:b", Some(claims.clone()), "").await;
        let message = r#"{"code": 403, "message": "device blocked from connecting due to filters"}"#;
        assert_eq!((refused.status, refused.text()), (403, message), "{claims}");
        assert_eq!(refused.header("content-type"), Some(JSON));
    }
    let innocent = [Some(json!({"partner-id": "good"})), Some(json!({"level": "1000"})), None];
    for (number, claims) in innocent.into_iter().enumerate() {
        controlled.device(&format!("serial:{number}"), claims, "").await;
    }
    assert!(controlled.gateway.manager.registry().get(&"uuid:a".parse().unwrap()).is_some());
}

/// The conditions, and how many of six devices meet them.
#[tokio::test]
async fn a_dry_run_counts_whom_each_condition_finds_and_closes_nobody() {
    let mut controlled = Controlled::start(api::Config::default());
    let convey = |model: &str| {
        let convey = STANDARD.encode(format!(r#"{{"hw-model":"{model}","fw-name":"fw-1"}}"#));
        format!("X-Webpa-Convey: {convey}\r\n")
    };
    let mut devices = Vec::new();
    for (id, claims, headers) in [
        ("mac:112233445566", Some(json!({"partner-id": "p", "level": 5})), convey("m1")),
        ("mac:112233445577", Some(json!({"partner-id": "p", "level": "5"})), convey("m1")),
        ("mac:112233445588", Some(json!({"partner-id": "q", "level": [5, 6]})), convey("m2")),
        ("uuid:a", Some(json!({"partner-id": ""})), String::new()),
        ("uuid:b", None, String::new()),
        ("serial:mac:1122", None, String::new()),
    ] {
        devices.push(controlled.device(id, claims, &headers).await);
    }
    let cases = [
        (r#"{}"#, 6, 6),
        (r#"{"count":4}"#, 6, 4),
        (r#"{"percent":50}"#, 6, 3),
        (r#"{"percent":50,"count":5,"partner":"p"}"#, 2, 2),
        (r#"{"key":"level","values":[5]}"#, 2, 2),
        (r#"{"key":"level","values":["5"]}"#, 1, 1),
        (r#"{"key":"partner-id","values":["unknown"]}"#, 0, 0),
        (r#"{"partner":"unknown"}"#, 2, 2),
        (r#"{"partner":["p","q",""]}"#, 4, 4),
        (r#"{"model":"m1"}"#, 2, 2),
        (r#"{"model":["m2","unknown"]}"#, 4, 4),
        (r#"{"firmware":"fw-1"}"#, 3, 3),
        (r#"{"ids":["MAC:11-22-33-44-55-66","uuid:a","uuid:a","uuid:zzz"]}"#, 2, 2),
        (r#"{"idPattern":"mac:1122"}"#, 4, 4),
        (r#"{"idPattern":"^mac:1122"}"#, 3, 3),
        (r#"{"idPattern":"^mac:","partner":"p","model":"m1","ids":["mac:112233445566","uuid:b"]}"#, 1, 1),
    ];
    for (body, matching, would_drain) in cases {
        let answer = controlled.ask("POST /device/drain?dryRun=1", JSON, body).await;
        let found: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (&found["matching"], &found["wouldDrain"]),
            (&json!(matching), &json!(would_drain)),
            "{body}"
        );
    }
    assert_eq!(controlled.ask("GET /device/drain", "", "").await.body, NEVER_DRAINED);
    assert_eq!(controlled.gateway.manager.registry().len(), 6);
}

#[tokio::test]
async fn a_drain_closes_whom_it_is_asked_to_and_tells_how_far_it_has_come() {
    let mut controlled = Controlled::start(api::Config::default());
    let bad = controlled.device("uuid:a", Some(json!({"partner-id": "bad"})), "").await;
    let _good = controlled.device("uuid:b", Some(json!({"partner-id": "good"})), "").await;
    let body = r#"{"key":"partner-id","values":["bad"]}"#;
    let job = r#"{"count":2,"filter":{"key":"partner-id","values":["bad"]},"rate":1,"tick":"20ms"}"#;
    let answer = controlled.ask("POST /device/drain?rate=1&tick=20ms", JSON, body).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, job));
    let expected = format!(
        r#"{{"active":false,"job":{job},"progress":{{"visited":1,"drained":1,"started":"<time>","finished":"<time>"}}}}"#
    );
    assert_eq!(controlled.drained().await, expected);
    assert_eq!(close_code(bad).await, Some(1001));
    assert!(controlled.gateway.manager.registry().get(&"uuid:b".parse().unwrap()).is_some());
}

#[tokio::test]
async fn one_drain_runs_at_a_time_and_can_be_cancelled() {
    let mut controlled = Controlled::start(api::Config::default());
    let _device = controlled.device("uuid:a", None, "").await;
    let started = controlled.ask("POST /device/drain?rate=1&tick=1h", "", "").await;
    assert_eq!((started.status, started.body.as_str()), (200, r#"{"count":1,"rate":1,"tick":"1h0m0s"}"#));
    assert!(controlled.gateway.metric("drain_status") > 0.0);
    let second = controlled.ask("PUT /device/drain", "", "").await;
    let message = r#"{"code": 409, "message": "a drain operation is already running"}"#;
    assert_eq!((second.status, second.body.as_str()), (409, message));
    assert_eq!(controlled.ask("DELETE /device/drain", "", "").await.status, 200);
    assert!(controlled.ask("GET /device/drain", "", "").await.body.contains(r#""visited":0,"drained":0"#));
    assert!(controlled.gateway.metric("drain_status") < 1.0);
    assert_eq!(controlled.gateway.manager.registry().len(), 1);
}

/// The whole gateway: contract §7, and §10.11 for the metrics.
#[tokio::test]
async fn the_control_server_is_started_only_if_it_has_an_address_and_a_stop_ends_its_drain() {
    for has_control in [false, true] {
        let mut config = talaria::config::load(&talaria::config::Sources::default()).unwrap().config;
        let server = any_port();
        (config.primary, config.health, config.metric) =
            (server.clone(), Some(server.clone()), Some(server.clone()));
        config.control = has_control.then_some(server);
        let bound = talaria::gateway::Gateway::build(config).unwrap().bind().unwrap();
        let addresses = bound.addresses();
        assert_eq!(addresses.control.is_some(), has_control);
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(bound.run(async { _ = stopping.await }));
        let metrics = request(addresses.metric.unwrap(), "GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n").await;
        for name in ["gate_status", "drain_status", "drain_count"] {
            let is_there = metrics.text().lines().any(|line| line.starts_with(name));
            assert_eq!(is_there, has_control, "{name}");
        }
        if let Some(control) = addresses.control {
            let mut device = Client::connect(addresses.primary).await;
            device
                .send(
                    "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: uuid:a\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                )
                .await;
            assert_eq!(device.response().await.status, 101);
            let line = "POST /api/v3/device/drain?count=1&rate=1&tick=1h HTTP/1.1\r\nHost: t\r\n\r\n";
            assert_eq!(request(control, line).await.text(), r#"{"count":1,"rate":1,"tick":"1h0m0s"}"#);
        }
        stop.send(()).unwrap();
        let left = tokio::time::timeout(Duration::from_secs(20), running)
            .await
            .expect("the stop waits for no drain");
        assert_eq!(left.unwrap().unwrap().sessions, 0);
    }
}

/// Issue 5: 10,000 devices at `rate=1000&tick=1s` take 10 s ± 1 s. Here 60 at 200 a second, unless
/// `TALARIA_DRAIN_DEVICES=10000` asks for more; the rate is a tenth of them each tick then.
#[tokio::test(flavor = "multi_thread")]
async fn devices_on_real_sockets_are_drained_at_the_pace_that_was_asked_for() {
    let many: Option<usize> =
        std::env::var("TALARIA_DRAIN_DEVICES").ok().and_then(|number| number.parse().ok());
    let _ = talaria::descriptors::raise_limit();
    let (count, tick) = many.map_or((60, Duration::from_millis(50)), |many| (many, Duration::from_secs(1)));
    let mut controlled = Controlled::start(api::Config::default());
    let mut devices = Vec::new();
    for number in 0..count {
        devices.push(controlled.device(&format!("serial:{number}"), None, "").await);
    }
    let began = Instant::now();
    let rate = count / 10;
    let line = format!("POST /device/drain?rate={rate}&tick={}ms", tick.as_millis());
    assert_eq!(controlled.ask(&line, "", "").await.status, 200);
    let status = controlled.drained().await;
    let took = began.elapsed();
    _ = writeln!(std::io::stderr(), "\n{count} devices at {rate} each {tick:?}: {took:?}, {status}");
    assert!(status.contains(&format!("\"visited\":{count},\"drained\":{count},")), "{status}");
    // Ten ticks; a loaded machine may be late, but never early.
    assert!(took >= tick * 10, "{took:?}");
    assert!(many.is_none() || took <= tick * 11, "{took:?}");
    for device in devices {
        assert_eq!(close_code(device).await, Some(1001));
    }
}

/// Every request of docs/control.md, in its order, answers what stands below it.
#[tokio::test]
async fn the_requests_of_the_manual_answer_what_it_says() {
    let mut controlled = Controlled::start(api::Config::default());
    let mut devices = Vec::new();
    for (id, claims) in [
        ("mac:112233445566", Some(json!({"partner-id": "comcast"}))),
        ("mac:112233445577", Some(json!({"partner-id": "comcast"}))),
        ("mac:665544332211", Some(json!({"partner-id": "sky"}))),
        ("uuid:a", None),
    ] {
        devices.push(controlled.device(id, claims, "").await);
    }
    let manual = include_str!("../../../../docs/control.md");
    let mut lines = manual.lines();
    let mut requests = 0;
    while let Some(line) = lines.next() {
        let Some(curl) = line.strip_prefix("curl ") else { continue };
        let expected =
            lines.next().and_then(|line| line.strip_prefix("# ")).expect("an answer below each request");
        controlled.settled().await;
        let (line, body) = parsed(curl);
        // As curl sends it.
        let content_type = if body.is_empty() { "" } else { FORM };
        let answer = controlled.ask(&line, content_type, &body).await;
        let got = format!("{} {}", answer.status, answer.body);
        assert_eq!(got.trim_end(), without_times(expected), "curl {curl}");
        requests += 1;
    }
    assert!(requests > 15, "the manual was read");
}

/// The request that a line of curl makes: `-X METHOD`, `-d 'BODY'` and a quoted URL.
fn parsed(curl: &str) -> (String, String) {
    let mut method = "GET";
    let (mut path, mut body) = ("", "");
    let (mut words, mut rest) = (Vec::new(), curl.trim());
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').expect("a closing quote"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word {
            "-X" => method = words.next().unwrap(),
            "-d" => body = words.next().unwrap(),
            url => path = url.split_once(":6205").expect("the control server's port").1,
        }
    }
    (format!("{method} {path}"), body.to_owned())
}
