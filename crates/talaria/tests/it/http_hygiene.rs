//! What a standard HTTP server does, beside what the contract says
//! (contract §3.10, §10.1, §10.2).
//!
//! One table: a request as its very bytes, and the status, headers and body of the answer. Every answer names the
//! gateway, those to what is no request included.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::http::{Client, Response};

/// The request's name, its bytes, the status, and a text that the answer's head and body contain.
type Case = (&'static str, String, u16, &'static str);

fn plain(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: t\r\n{headers}\r\n")
}

fn cases() -> Vec<Case> {
    let get = |path: &str| plain(&format!("GET {path}"), "");
    let post = |headers: &str, body: &str| plain("POST /api/v3/device/send", headers) + body;
    let stat = "/api/v3/device/mac:112233445566/stat";
    vec![
        ("unknown path", get("/nowhere"), 404, "404 page not found\n"),
        ("root", get("/"), 404, "404 page not found\n"),
        ("trailing slash", get("/api/v3/devices/"), 404, "404 page not found\n"),
        ("other version", get("/api/v1/devices"), 404, "404 page not found\n"),
        ("dots are not resolved", get("/api/v3/x/../devices"), 404, "404 page not found\n"),
        ("double slash", get("//api/v3/devices"), 404, "404 page not found\n"),
        ("query", get("/api/v3/devices?x=y"), 200, "{\"devices\":[]}"),
        ("absolute form", get("http://t/api/v3/devices"), 200, "{\"devices\":[]}"),
        ("GET", get("/api/v3/devices"), 200, "{\"devices\":[]}"),
        ("HEAD", plain("HEAD /api/v3/devices", ""), 200, ""),
        ("HEAD, not found", plain(&format!("HEAD {stat}"), ""), 404, ""),
        ("wrong method, devices", plain("DELETE /api/v3/devices", ""), 404, "404 page not found\n"),
        ("wrong method, send", get("/api/v3/device/send"), 404, "404 page not found\n"),
        ("wrong method, stat", plain(&format!("POST {stat}"), ""), 405, "allow: GET, HEAD"),
        ("OPTIONS, stat", plain(&format!("OPTIONS {stat}"), ""), 405, "allow: GET, HEAD"),
        ("OPTIONS, unknown", plain("OPTIONS /nowhere", ""), 404, ""),
        ("OPTIONS *", plain("OPTIONS *", ""), 404, ""),
        (
            "wrong method, device",
            plain("POST /api/v3/device", "X-Webpa-Device-Name: mac:112233445566\r\n"),
            405,
            "allow: GET",
        ),
        ("CONNECT", plain("CONNECT t:80", ""), 404, ""),
        ("unknown method", plain("BREW /api/v3/devices", ""), 404, ""),
        (
            "gzip body",
            post("Content-Encoding: gzip\r\nContent-Length: 1\r\n", "x"),
            415,
            "accept-encoding: identity",
        ),
        ("body too large", post("Content-Length: 99999999\r\n", ""), 413, "connection: close"),
        (
            "chunked body",
            post("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n\r\n"),
            400,
            "failed to decode wrp",
        ),
        ("chunk size that is none", post("Transfer-Encoding: chunked\r\n", "zz\r\nx\r\n0\r\n\r\n"), 400, ""),
        (
            "chunk size beyond all",
            post("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\nx\r\n0\r\n\r\n"),
            400,
            "",
        ),
        ("encoding that is not known", post("Transfer-Encoding: gzip\r\n", "x"), 400, "connection: close"),
        (
            "length, then encoding",
            post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            400,
            "both Content-Length and Transfer-Encoding",
        ),
        (
            "encoding, then length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
            400,
            "both Content-Length and Transfer-Encoding",
        ),
        (
            "coding that no server decodes",
            post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            501,
            "connection: close",
        ),
        (
            "coding in a line of its own",
            post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            501,
            "expected no transfer coding but chunked",
        ),
        ("chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400, "chunked once"),
        (
            "chunked before another",
            post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
            400,
            "connection: close",
        ),
        ("empty coding", post("Transfer-Encoding: , chunked\r\n", "0\r\n\r\n"), 400, "chunked once"),
        (
            "coding in HTTP/1.0",
            "POST /api/v3/device/send HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            400,
            "",
        ),
        ("two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "x"), 400, "connection: close"),
        ("negative length", post("Content-Length: -1\r\n", "x"), 400, "connection: close"),
        ("length with a plus", post("Content-Length: +1\r\n", "x"), 400, "connection: close"),
        ("folded header", plain("GET /api/v3/devices", "X: a\r\n b\r\n"), 400, "400 Bad Request"),
        ("blank before the colon", plain("GET /api/v3/devices", "X : a\r\n"), 400, "400 Bad Request"),
        ("zero byte in a header", plain("GET /api/v3/devices", "X: a\0b\r\n"), 400, "400 Bad Request"),
        ("no HTTP", "nonsense\r\n\r\n".to_owned(), 400, "400 Bad Request"),
        ("unknown version", "GET / HTTP/3.0\r\nHost: t\r\n\r\n".to_owned(), 400, "400 Bad Request"),
        ("no host", "GET /api/v3/devices HTTP/1.1\r\n\r\n".to_owned(), 400, "expected one Host"),
        ("two hosts", plain("GET /api/v3/devices", "Host: u\r\n"), 400, "expected one Host"),
        ("host that is none", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(), 400, "expected Host to be"),
        ("host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".to_owned(), 400, "connection: close"),
        ("two hosts in one", "GET / HTTP/1.0\r\nHost: a, b\r\n\r\n".to_owned(), 400, "expected Host to be"),
        ("empty host", "GET /api/v3/devices HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), 200, ""),
        ("host that is IPv6", "GET /api/v3/devices HTTP/1.1\r\nHost: [::1]:1\r\n\r\n".to_owned(), 200, ""),
        (
            "upgrade of HTTP/1.0",
            "GET /api/v2/device HTTP/1.0\r\nX-Webpa-Device-Name: uuid:a\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                .to_owned(),
            400,
            "Bad Request\n",
        ),
        (
            "HTTP/1.0",
            "GET /api/v3/devices HTTP/1.0\r\n\r\n".to_owned(),
            200,
            "content-type: application/json",
        ),
        (
            "header too large",
            plain("GET /", &format!("X: {}\r\n", "x".repeat(70_000))),
            431,
            "connection: close",
        ),
        ("too many headers", plain("GET /", &"X: y\r\n".repeat(200)), 431, "connection: close"),
        ("path too long", get(&format!("/{}", "x".repeat(70_000))), 431, "connection: close"),
        ("strange expectation", plain("GET /api/v3/devices", "Expect: tea\r\n"), 417, ""),
    ]
}

#[tokio::test]
async fn every_odd_request_gets_the_answer_of_a_standard_server_and_the_gateways_name() {
    let gateway = Gateway::open();
    let mut wrong = String::new();
    println!("{:<28} {:>6} {:>6}", "request", "status", "found");
    for (name, request, status, text) in cases() {
        let mut client = Client::connect(gateway.address()).await;
        client.send(&request).await;
        if request.starts_with("HEAD") {
            // Without a body, whatever length it announces.
            let head = String::from_utf8(client.rest_after_close_of_writing().await).unwrap();
            println!("{name:<28} {status:>6} {:>6}", &head[9..12]);
            let is_right = head[9..12] == status.to_string() && head.ends_with("\r\n\r\n");
            if !is_right || !head.contains("X-Talaria-Build: 1.2\r\n") {
                let _ = writeln!(wrong, "{name}: {head:?}");
            }
            continue;
        }
        let Some(response) = client.next_response().await else {
            let _ = writeln!(wrong, "{name}: no answer");
            continue;
        };
        println!("{name:<28} {status:>6} {:>6}", response.status);
        if let Err(problem) = check(&response, status, text) {
            let _ = writeln!(wrong, "{name}: {problem} in {response:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn check(response: &Response, status: u16, text: &str) -> Result<(), String> {
    if response.status != status {
        return Err(format!("expected {status}"));
    }
    for name in ["build", "server", "region", "flavor", "start-time"] {
        response.header(&format!("x-talaria-{name}")).ok_or_else(|| format!("no X-Talaria-{name}"))?;
    }
    response.header("date").ok_or("no Date")?;
    let mut whole = String::new();
    for (name, value) in &response.headers {
        let _ = writeln!(whole, "{}: {value}", name.to_ascii_lowercase());
    }
    whole.push_str(response.text());
    if whole.contains(text) { Ok(()) } else { Err(format!("expected {text:?}")) }
}

#[tokio::test]
async fn a_refusal_reaches_the_client_though_it_sends_on() {
    let gateway = Gateway::open();
    let mut client = Client::connect(gateway.address()).await;
    // More than the gateway reads before it refuses.
    client.send(plain("GET /", &format!("X: {}\r\n", "x".repeat(500_000)))).await;
    let response = client.response().await;
    assert_eq!((response.status, response.text()), (431, "431 Request Header Fields Too Large"));
    let reason = "talaria_talaria_connection_failures_total{reason=\"header_too_large\",server=\"primary\"}";
    // It is counted when the connection is over.
    drop(client);
    eventually("it is counted", Duration::from_secs(10), async || gateway.metric(reason) == 1.0).await;
}

/// contract §9.7. Time is paused, so only the bound on the bytes ends the reading.
#[tokio::test(start_paused = true)]
async fn after_an_error_response_no_more_than_256_kib_are_read() {
    // What the kernel holds is less than this.
    const ENOUGH: usize = 64 << 20;
    let gateway = Gateway::open();
    let mut client = Client::connect(gateway.address()).await;
    client.send("not a request\r\n\r\n").await;
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < ENOUGH
        && let Ok(count) = client.socket.write(&piece).await
    {
        sent += count;
    }
    assert!(sent < ENOUGH, "everything was read");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_a_bad_one_ends_them() {
    let gateway = Gateway::open();
    let mut client = Client::connect(gateway.address()).await;
    let good = plain("GET /api/v3/devices", "");
    client.send([good.as_str(), &good, "nonsense\r\n\r\n", &good].concat()).await;
    let mut statuses = Vec::new();
    while let Some(response) = client.next_response().await {
        assert_eq!(response.header("x-talaria-build"), Some("1.2"), "{response:?}");
        statuses.push(response.status);
    }
    assert_eq!(statuses, [200, 200, 400]);
}
