//! Who may use the API: keys, tokens with capabilities, and how guessing is slowed down (contract §6.1, §6.6, §6.7).

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use talaria::api;
use talaria::auth::services::{self, Tokens};
use talaria::auth::{BasicKeys, attempts, jwt, keys};

use crate::support::gateway::{Gateway, basic, event, msgpack, send};
use crate::support::http::Response;
use crate::support::tokens::{Answer, KeyServer, Signer, now};

fn gateway(auth: services::Config) -> Gateway {
    Gateway::with(api::Config { auth, ..api::Config::default() })
}

fn user_pass() -> Option<BasicKeys> {
    BasicKeys::parse([STANDARD.encode("user:pass")]).unwrap()
}

fn tokens(server: &KeyServer) -> Option<Tokens> {
    let template = Some(server.template().parse().unwrap());
    let keys = keys::Config { template, ..keys::Config::default() };
    Some(Tokens { jwt: jwt::Config { keys, ..jwt::Config::default() }, capabilities: Default::default() })
}

/// No address has to wait.
fn patient() -> attempts::Config {
    attempts::Config { failures: None, ..attempts::Config::default() }
}

/// After so many failures an address has to wait for longer than a test takes.
fn allowed(failures: u32) -> attempts::Config {
    let hour = Duration::from_secs(3600);
    attempts::Config { failures: Some(failures), shortest: hour, longest: hour }
}

fn bearer(signer: &Signer, claims: &Value) -> String {
    format!("Authorization: Bearer {}\r\n", signer.token(&json!({"alg": "ES256"}), claims))
}

fn allowing(capabilities: impl Into<Value>) -> Value {
    json!({"sub": "service", "exp": now() + 100, "capabilities": capabilities.into()})
}

async fn devices(gateway: &Gateway, version: &str, header: &str) -> Response {
    gateway.ask(format!("GET /api/{version}/devices HTTP/1.1\r\nHost: t\r\n{header}\r\n")).await
}

#[tokio::test]
async fn a_token_opens_what_its_capabilities_name() {
    let signer = Signer::new("ES256");
    let server = KeyServer::of(&signer);
    let gateway =
        gateway(services::Config { keys: user_pass(), tokens: tokens(&server), attempts: patient() });
    let of = |claims: &Value| bearer(&signer, claims);
    let all = allowing(json!(["x1:webpa:api:.*:all"]));
    let expired = json!({"sub": "x", "exp": 1, "capabilities": ["x1:webpa:api:.*:all"]});
    let cases = [
        ("a token for all", of(&all), 200, 200, "{\"devices\":[]}"),
        (
            "a token for this",
            of(&allowing(json!(["x1:webpa:api:/devices:get"]))),
            200,
            200,
            "{\"devices\":[]}",
        ),
        ("a basic key", basic("user:pass"), 200, 200, "{\"devices\":[]}"),
        ("a wrong key", basic("user:wrong"), 403, 401, "bad credentials"),
        ("no header", String::new(), 403, 401, "missing credentials"),
        ("expired", of(&expired), 403, 401, "bad credentials"),
        ("another key", bearer(&Signer::new("ES256"), &all), 400, 400, "invalid credentials"),
        ("no token", "Authorization: Bearer x\r\n".into(), 400, 400, "invalid credentials"),
        (
            "another scheme",
            "Authorization: Digest x\r\n".into(),
            403,
            403,
            "Unsupported authorization scheme: Digest",
        ),
        (
            "another path",
            of(&allowing(json!(["x1:webpa:api:/hook:get"]))),
            403,
            403,
            "insufficient capabilities",
        ),
        (
            "another method",
            of(&allowing(json!(["x1:webpa:api:.*:post"]))),
            403,
            403,
            "insufficient capabilities",
        ),
        ("a device's token", of(&json!({"sub": "device"})), 403, 403, "insufficient capabilities"),
        ("no list", of(&allowing("x1:webpa:api:.*:all")), 403, 403, "insufficient capabilities"),
    ];
    for (name, header, v2, v3, body) in &cases {
        for (version, status) in [("v2", *v2), ("v3", *v3)] {
            let response = devices(&gateway, version, header).await;
            assert_eq!((response.status, response.text()), (status, *body), "{name}, {version}");
            let challenge = (status == 401).then_some("Basic realm=\"talaria\", Bearer realm=\"talaria\"");
            assert_eq!(response.header("www-authenticate"), challenge, "{name}, {version}");
        }
        // Past the test runner's capture, so that every run shows it.
        let line = format!("{:<52}{v2:>5}{v3:>5}  {body}\n", format!("contract §6.5, API: {name}"));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    let capability = "auth_failures_total{endpoint=\"api\",reason=\"capability\"}";
    assert_eq!(gateway.metric(capability), 8.0);
}

/// contract §3.4 wants basic credentials of `/device/send` in any case; a token that was checked is as good.
#[tokio::test]
async fn a_token_is_as_good_as_basic_credentials_for_sending() {
    let signer = Signer::new("ES256");
    let server = KeyServer::of(&signer);
    let header = bearer(&signer, &allowing(json!(["x1:webpa:api:/device/send:post"])));
    let request = send(&header, &msgpack(&event()));

    let closed = gateway(services::Config { keys: None, tokens: tokens(&server), attempts: patient() });
    assert_eq!(closed.ask(&request).await.status, 404, "it gets as far as the device, which is not there");
    assert_eq!(closed.ask(send(&basic("a:b"), &msgpack(&event()))).await.status, 403, "basic is not taken");

    let open = Gateway::open();
    assert_eq!(open.ask(&request).await.status, 403, "this token was not checked");
    assert_eq!(open.ask(send(&basic("a:b"), &msgpack(&event()))).await.status, 404);
}

/// contract §14.32
#[tokio::test]
async fn wrong_credentials_have_to_wait_and_right_ones_of_their_address_never() {
    let attempts = allowed(3);
    let gateway = gateway(services::Config { keys: user_pass(), tokens: None, attempts });
    let (right, wrong) = (basic("user:pass"), basic("user:wrong"));
    for _ in 0..10 {
        assert_eq!(devices(&gateway, "v2", "").await.status, 403, "asking without credentials is no guess");
    }
    for _ in 0..4 {
        assert_eq!(devices(&gateway, "v3", &wrong).await.status, 401);
    }
    // Whatever is wrong with them, the answer is the same.
    for (version, header) in
        [("v2", &wrong), ("v3", &basic("")), ("v3", &"Authorization: Basic !\r\n".into())]
    {
        let response = devices(&gateway, version, header).await;
        assert_eq!((response.status, response.text()), (429, "too many failed attempts"));
        assert_eq!(response.header("retry-after"), Some("3600"));
        assert_eq!(devices(&gateway, "v2", &right).await.status, 200);
    }
    assert_eq!(devices(&gateway, "v3", "").await.status, 401, "the challenge is no secret");
    assert_eq!(gateway.metric("auth_failures_total{endpoint=\"api\",reason=\"bad\"}"), 4.0);
    assert_eq!(gateway.metric("auth_failures_total{endpoint=\"api\",reason=\"throttled\"}"), 3.0);

    for _ in 0..20 {
        assert_eq!(devices(&gateway, "v2", &wrong).await.status, 429, "right ones do not end the wait");
        assert_eq!(devices(&gateway, "v2", &right).await.status, 200);
    }
}

/// Which key ids exist, and whether a signature is right, does not show in the answers to an address that has to wait.
#[tokio::test]
async fn tokens_of_an_address_that_has_to_wait_are_told_apart_only_if_they_are_signed() {
    let (signer, stranger) = (Signer::new("ES256"), Signer::new("ES256"));
    let server = KeyServer::of(&signer);
    let attempts = allowed(0);
    let gateway = gateway(services::Config { keys: None, tokens: tokens(&server), attempts });
    let all = allowing(json!(["x1:webpa:api:.*:all"]));
    assert_eq!(devices(&gateway, "v3", &bearer(&stranger, &all)).await.status, 400);
    let unknown_kid = {
        server.now_answers(|_| Answer::status("404 Not Found"));
        format!("Authorization: Bearer {}\r\n", stranger.token(&json!({"alg": "ES256", "kid": "x"}), &all))
    };
    let expired = json!({"sub": "x", "exp": 1, "capabilities": []});
    for (name, header, status) in [
        ("forged", bearer(&stranger, &all), 429),
        ("an unknown key", unknown_kid, 429),
        ("malformed", "Authorization: Bearer x\r\n".into(), 429),
        ("expired", bearer(&signer, &expired), 401),
        ("without the capability", bearer(&signer, &allowing(json!([]))), 403),
        ("right", bearer(&signer, &all), 200),
    ] {
        assert_eq!(devices(&gateway, "v3", &header).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn a_key_server_that_is_down_slows_nobody() {
    let signer = Signer::new("ES256");
    let server = KeyServer::of(&signer);
    let attempts = allowed(1);
    let gateway = gateway(services::Config { keys: None, tokens: tokens(&server), attempts });
    server.now_answers(|_| Answer::status("503 Service Unavailable"));
    let header = bearer(&signer, &allowing(json!(["x1:webpa:api:.*:all"])));
    for _ in 0..10 {
        assert_eq!(devices(&gateway, "v2", &header).await.status, 400);
    }
    let unknown = gateway.metric("auth_failures_total{endpoint=\"api\",reason=\"unknown_key\"}");
    assert_eq!(unknown, 10.0);
}
