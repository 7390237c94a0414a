//! The primary server's paths over real sockets, with devices connected by WebSocket. Sections are the contract's.

use std::time::Duration;

use futures_util::SinkExt as _;
use talaria::api;
use tokio_tungstenite::tungstenite::Message as Frame;
use wrp::{Message, MessageRef};

use crate::support::gateway::{Gateway, MAC, answer, basic, event, json, msgpack, question, received, send};
use crate::support::http::Client;

#[tokio::test]
async fn paths_and_methods_answer_as_the_reference_does() {
    let gateway = Gateway::open();
    let unknown = (404, "404 page not found\n", Some("text/plain; charset=utf-8"));
    let no_name = "{\"code\": 400, \"message\": \"failed to extract device ID: missing device name header\"}";
    let no_id = "{\"code\": 400, \"message\": \"failed to extract device ID: invalid device name\"}";
    let json = Some("application/json");
    let cases = [
        // contract §2.16
        ("GET /api/v1/device", unknown),
        ("GET /api/v4/device", unknown),
        ("GET /api/v2/device/", unknown),
        ("GET /", unknown),
        ("GET /api/v2/device", (400, no_name, json)),
        ("POST /api/v3/device", (400, no_name, json)),
        // contract §3.1
        ("POST /api/v2/devices", unknown),
        ("OPTIONS /api/v2/devices", unknown),
        ("GET /api/v2/device/send", unknown),
        ("PUT /api/v3/device/send", unknown),
        ("POST /api/v2/device/mac:112233445566/stat", (405, "", None)),
        ("GET /api/v2/device/nonsense/stat", (400, no_id, json)),
        ("GET /api/v2/device/mac:11/stat", (400, no_id, json)),
        ("GET /api/v3/device/mac:112233445566/stat", (404, "", None)),
        ("GET /api/v3/devices", (200, "{\"devices\":[]}", json)),
    ];
    for (line, (status, body, content_type)) in cases {
        let response = gateway.ask(format!("{line} HTTP/1.1\r\nHost: t\r\n\r\n")).await;
        assert_eq!((response.status, response.text()), (status, body), "{line}");
        assert_eq!(response.header("content-type"), content_type, "{line}");
        assert_eq!(response.header("x-talaria-server"), Some("host"), "{line}");
    }
}

#[tokio::test]
async fn credentials_are_checked_as_the_table_of_section_6_says() {
    let gateway = Gateway::locked();
    let cases = [
        (String::new(), 403, 401, "missing credentials"),
        ("Authorization: \r\n".to_owned(), 403, 401, "missing credentials"),
        (basic("user:wrong"), 403, 401, "bad credentials"),
        ("Authorization: Basic\r\n".to_owned(), 400, 400, "invalid credentials"),
        ("Authorization: Basic  dXNlcjpwYXNz\r\n".to_owned(), 400, 400, "invalid credentials"),
        (basic("nocolon"), 400, 400, "invalid credentials"),
        ("Authorization: Bearer x\r\n".to_owned(), 403, 403, "Unsupported authorization scheme: Bearer"),
    ];
    for (header, v2, v3, body) in cases {
        for (version, status) in [("v2", v2), ("v3", v3)] {
            let paths =
                ["GET /api/V/devices", "GET /api/V/device/mac:112233445566/stat", "POST /api/V/device/send"];
            for line in paths.map(|line| line.replace('V', version)) {
                let response = gateway.ask(format!("{line} HTTP/1.1\r\nHost: t\r\n{header}\r\n")).await;
                assert_eq!((response.status, response.text()), (status, body), "{line} {header}");
                assert_eq!(
                    response.header("content-type"),
                    Some("text/plain; charset=utf-8"),
                    "{line} {header}"
                );
                assert_eq!(response.header("www-authenticate").is_some(), status == 401, "{line} {header}");
            }
        }
    }
    let allowed = format!("GET /api/v3/devices HTTP/1.1\r\nHost: t\r\n{}\r\n", basic("user:pass"));
    assert_eq!(gateway.ask(allowed).await.status, 200);
}

#[tokio::test]
async fn a_bad_id_is_told_before_the_credentials_are_looked_at() {
    let gateway = Gateway::locked();
    assert_eq!(gateway.get("/api/v2/device/nonsense/stat").await.status, 400);
    assert_eq!(gateway.get("/api/v2/device/mac:112233445566/stat").await.status, 403);
}

#[tokio::test]
async fn a_connected_device_is_shown_with_its_statistics() {
    let mut gateway = Gateway::open();
    let _device = gateway.device("MAC:11-22-33-44-55-66").await;
    // Other spellings and escapes find it too.
    for name in ["mac:112233445566", "mac%3A112233445566", "MAC:11:22:33:44:55:66"] {
        let response = gateway.get(&format!("/api/v2/device/{name}/stat")).await;
        let expected = "{\"id\": \"mac:112233445566\", \"pending\": 0, \"statistics\": {\"bytesSent\": 0, \
                        \"messagesSent\": 0, \"bytesReceived\": 0, \"messagesReceived\": 0, \"duplications\": 0, \
                        \"connectedAt\": \"";
        assert!(response.text().starts_with(expected), "{}", response.text());
        let statistics = &response.json()["statistics"];
        assert!(statistics["connectedAt"].as_str().unwrap().ends_with('Z'), "{statistics}");
        assert!(talaria_protocol::go::duration::parse(statistics["upTime"].as_str().unwrap()).unwrap() > 0);
    }
    let list = gateway.get("/api/v3/devices").await.json();
    assert_eq!(list["devices"].as_array().unwrap().len(), 1);
    assert_eq!(list["devices"][0]["id"], MAC);
}

#[tokio::test]
async fn every_device_is_listed_and_its_name_is_escaped() {
    let mut gateway = Gateway::open();
    let mut sockets = Vec::new();
    for number in 0..50 {
        sockets.push(gateway.device(&format!("serial:\"quote\\{number}")).await);
    }
    let list = gateway.get("/api/v2/devices").await.json();
    let mut ids: Vec<&str> =
        list["devices"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    assert_eq!(ids[0], "serial:\"quote\\0");
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_told_in_the_reference_s_order() {
    let mut gateway = Gateway::open();
    let _device = gateway.device(MAC).await;
    let auth = basic("any:body");
    let no_uuid = json(&Message { transaction_uuid: "".into(), ..question() });
    let many = Message { headers: Some(vec![""; 5000].into()), ..event() };
    let with = |header: &str| format!("{header}\r\n{auth}");
    let wrong_type = "failed to determine format of Content-Type header: invalid WRP content type: ";
    let wrong_accept = "failed to determine format of Accept header: invalid WRP content type: ";
    let undecodable = "failed to decode wrp: unexpected EOF";
    let cases = [
        (with("Content-Type: application/wrp"), json(&event()), 400, format!("{wrong_type}application/wrp")),
        (with("Content-Type: */*"), json(&event()), 400, format!("{wrong_type}*/*")),
        (
            with("Content-Type: APPLICATION/JSON"),
            json(&event()),
            400,
            format!("{wrong_type}APPLICATION/JSON"),
        ),
        (with("Content-Type: application/json"), b"{".to_vec(), 400, undecodable.to_owned()),
        (with("Content-Type: application/msgpack"), json(&event()), 400, undecodable.to_owned()),
        // JSON without a content type is no msgpack: ours does not pass its text on to the device.
        (auth.clone(), json(&event()), 400, undecodable.to_owned()),
        (auth.clone(), Vec::new(), 400, undecodable.to_owned()),
        // contract §2.18
        (auth.clone(), msgpack(&many), 400, undecodable.to_owned()),
        (with("Content-Type: application/json"), json(&many), 400, undecodable.to_owned()),
        (with("Content-Type: application/json"), no_uuid.clone(), 400, String::from_utf8(no_uuid).unwrap()),
        (with("Accept: text/plain"), msgpack(&question()), 400, format!("{wrong_accept}text/plain")),
        (
            with("Content-Encoding: gzip"),
            msgpack(&event()),
            415,
            "compressed bodies are not supported".to_owned(),
        ),
        // No basic credentials: 403, even where none are configured.
        (String::new(), msgpack(&event()), 403, String::new()),
        ("Authorization: Bearer x\r\n".to_owned(), msgpack(&event()), 403, String::new()),
        (String::new(), b"\xc1".to_vec(), 400, undecodable.to_owned()),
    ];
    for (headers, body, status, text) in cases {
        let response = gateway.ask(send(&headers, &body)).await;
        assert_eq!((response.status, response.text()), (status, text.as_str()), "{headers}");
        let expected = (!text.is_empty()).then_some("text/plain; charset=utf-8");
        assert_eq!(response.header("content-type"), expected, "{headers}");
        assert_eq!(response.header("x-xmidt-message-error"), None, "{headers}");
    }
}

#[tokio::test]
async fn an_error_on_the_way_to_the_device_has_a_json_body_and_a_header() {
    let gateway = Gateway::open();
    let to = |dest: &str| msgpack(&Message { dest: dest.into(), ..event() });
    let cases = [
        (to("mac:665544332211"), 404, "the device does not exist"),
        (to("event:device-status"), 400, "invalid device name"),
        (to(""), 400, "invalid device name"),
    ];
    for (body, status, error) in cases {
        let response = gateway.ask(send(&basic("any:body"), &body)).await;
        let text =
            format!("{{\"code\": {status}, \"message\": \"Could not process device request: {error}\"}}");
        assert_eq!((response.status, response.text()), (status, text.as_str()));
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("x-xmidt-message-error"), Some(error));
    }
    let errors = "api_request_errors_total{code=\"400\",error=\"invalid device name\"}";
    assert_eq!(gateway.metric(errors), 2.0);
}

#[tokio::test]
async fn an_event_is_answered_with_an_empty_200_once_it_is_written() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    let response = gateway.ask(send(&basic("any:body"), &msgpack(&event()))).await;
    assert_eq!((response.status, response.text()), (200, ""));
    assert_eq!(received(&mut device).await, msgpack(&event()));
}

#[tokio::test]
async fn a_msgpack_body_reaches_the_device_byte_for_byte() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    // No qos, an unknown key, a source that is not UTF-8, and bytes behind the message.
    let body = b"\x84\xa8msg_type\x04\xa4dest\xb0mac:112233445566\xa6source\xa2\xff\xfe\xa3own\x01behind";
    assert_eq!(gateway.ask(send(&basic("any:body"), body)).await.status, 200);
    assert_eq!(received(&mut device).await, body);
}

#[tokio::test]
async fn a_json_body_reaches_the_device_as_msgpack() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    let headers = format!("Content-Type: application/json\r\n{}", basic("any:body"));
    assert_eq!(gateway.ask(send(&headers, &json(&event()))).await.status, 200);
    assert_eq!(received(&mut device).await, msgpack(&event()));
}

#[tokio::test]
async fn a_long_json_body_reaches_the_device_and_a_long_answer_comes_back_as_json() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    let answering = tokio::spawn(async move { answer(&mut device).await });
    let mut question = question();
    question.payload = Some(vec![b'x'; 1 << 20]);
    let js = "application/json";
    let headers = format!("Content-Type: {js}\r\nAccept: {js}\r\n{}", basic("any:body"));
    let response = gateway.ask(send(&headers, &json(&question))).await;
    assert_eq!((response.status, response.header("content-type")), (200, Some(js)));
    assert!(response.text().len() > 1 << 20, "{} bytes", response.text().len());
    answering.await.unwrap();
}

#[tokio::test]
async fn patch_sends_too() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    let patch = [b"PATCH", &send(&basic("any:body"), &msgpack(&event()))["POST".len()..]].concat();
    assert_eq!(gateway.ask(patch).await.status, 200);
    assert_eq!(received(&mut device).await, msgpack(&event()));
}

#[tokio::test]
async fn a_request_is_answered_with_the_device_s_answer_in_the_format_that_is_accepted() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    let answering = tokio::spawn(async move {
        loop {
            answer(&mut device).await;
        }
    });
    let (mp, js) = ("application/msgpack", "application/json");
    let cases = [
        (None, mp),
        (Some(mp), mp),
        (Some(js), js),
        (Some("*/*"), mp),
        (Some("application/*"), mp),
        (Some("application/json, */*;q=0.5"), js),
    ];
    for body_is_json in [false, true] {
        for (accept, content_type) in cases {
            let accept = accept.map_or_else(String::new, |accept| format!("Accept: {accept}\r\n"));
            let body = if body_is_json { json(&question()) } else { msgpack(&question()) };
            let body_type = if body_is_json { js } else { mp };
            let headers = format!("Content-Type: {body_type}\r\n{accept}{}", basic("any:body"));
            let response = gateway.ask(send(&headers, &body)).await;
            assert_eq!(response.status, 200, "{headers} {response:?}");
            assert_eq!(response.header("content-type"), Some(content_type), "{headers}");
            let answer = if content_type == js {
                wrp::json::decode_v3(&response.body).unwrap()
            } else {
                MessageRef::decode_v3(&response.body).unwrap().to_owned()
            };
            assert_eq!(answer.payload.as_deref(), Some(&b"?tahw"[..]), "{headers}");
            // The answer carries the gateway's stamps (contract §3.6).
            assert_eq!(answer.content_type, "application/octet-stream", "{headers}");
            assert!(answer.as_ref().metadata("/xmidt-timestamp").is_some(), "{headers}");
        }
    }
    answering.abort();
}

#[tokio::test]
async fn a_request_without_an_answer_ends_at_the_timeout_with_a_body_and_a_header() {
    let mut gateway =
        Gateway::with(api::Config { timeout: Duration::from_millis(50), ..api::Config::default() });
    let mut device = gateway.device(MAC).await;
    let response = gateway.ask(send(&basic("any:body"), &msgpack(&question()))).await;
    received(&mut device).await;
    assert_eq!(response.status, 504);
    assert_eq!(response.header("x-xmidt-message-error"), Some("context deadline exceeded"));
    assert_eq!(response.json()["message"], "Could not process device request: context deadline exceeded");
}

#[tokio::test]
async fn a_request_whose_device_leaves_ends_at_once() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    let mut client = Client::connect(gateway.address()).await;
    client.send(send(&basic("any:body"), &msgpack(&question()))).await;
    received(&mut device).await;
    drop(device);
    let response = client.response().await;
    assert_eq!(response.status, 504);
    assert_eq!(response.header("x-xmidt-message-error"), Some("that device has been closed"));
}

#[tokio::test]
async fn a_transaction_that_is_under_way_cannot_begin_again() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    let mut first = Client::connect(gateway.address()).await;
    first.send(send(&basic("any:body"), &msgpack(&question()))).await;
    let frame = received(&mut device).await;
    let second = gateway.ask(send(&basic("any:body"), &msgpack(&question()))).await;
    assert_eq!(second.status, 400);
    assert_eq!(second.header("x-xmidt-message-error"), Some("that transaction is already registered"));
    device.send(Frame::binary(frame)).await.unwrap();
    assert_eq!(first.response().await.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_transaction() {
    let mut gateway = Gateway::open();
    let mut device = gateway.device(MAC).await;
    let mut client = Client::connect(gateway.address()).await;
    client.send(send(&basic("any:body"), &msgpack(&question()))).await;
    received(&mut device).await;
    drop(client);
    while gateway.metric("talaria_talaria_in_flight_requests") != 0.0 {
        tokio::task::yield_now().await;
    }
    let (response, ()) =
        tokio::join!(gateway.ask(send(&basic("any:body"), &msgpack(&question()))), answer(&mut device));
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_with_413() {
    let gateway = Gateway::with(api::Config { max_body_bytes: 100, ..api::Config::default() });
    let large = msgpack(&Message { payload: Some(vec![0; 200]), ..event() });
    assert_eq!(gateway.ask(send(&basic("any:body"), &large)).await.status, 413);
}

#[tokio::test]
async fn requests_are_counted_and_an_upgrade_counts_as_200() {
    let mut gateway = Gateway::open();
    gateway.get("/nowhere").await;
    gateway.ask("BREW /pot HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let _device = gateway.device(MAC).await;
    let count = |code: &str, method: &str| {
        gateway.metric(&format!("talaria_talaria_api_requests_total{{code=\"{code}\",method=\"{method}\"}}"))
    };
    assert_eq!(count("404", "get"), 1.0);
    assert_eq!(count("404", "unknown"), 1.0);
    assert_eq!(count("200", "get"), 1.0);
    assert_eq!(gateway.metric("talaria_talaria_in_flight_requests"), 0.0);
    assert_eq!(gateway.metric("talaria_talaria_request_duration_seconds_count"), 3.0);
    assert_eq!(gateway.metric("talaria_talaria_active_connections{server=\"primary\"}"), 1.0);
}

/// contract §3.5
#[tokio::test]
async fn a_caller_with_too_many_requests_under_way_is_asked_to_come_back() {
    let config = api::Config { max_requests_per_caller: 1, ..api::Config::default() };
    let mut gateway = Gateway::with(config);
    let mut device = gateway.device(MAC).await;
    let mut client = Client::connect(gateway.address()).await;
    client.send(send(&basic("any:body"), &msgpack(&question()))).await;
    let request = received(&mut device).await;
    let refused = gateway.ask(send(&basic("any:body"), &msgpack(&event()))).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["message"], "too many requests of this caller are under way");
    let series = r#"api_request_errors_total{code="503",error="too many requests"}"#;
    assert_eq!(gateway.metric(series), 1.0);
    let mut answer = MessageRef::decode_v3(&request).unwrap().to_owned();
    std::mem::swap(&mut answer.source, &mut answer.dest);
    device.send(Frame::binary(msgpack(&answer))).await.unwrap();
    assert_eq!(client.response().await.status, 200);
    let accepted = gateway.ask(send(&basic("any:body"), &msgpack(&event()))).await;
    assert_eq!(accepted.status, 200);
}
