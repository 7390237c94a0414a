//! Devices' tokens over real sockets: each line of contract §6.5 as a case, for both versions of the path.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use talaria::api;
use talaria::auth::{DeviceConfig, jwt, keys};
use talaria_protocol::token::{self, Leeway};

use crate::support::gateway::{Gateway, MAC};
use crate::support::http::{Client, Response};
use crate::support::tokens::{Answer, KeyServer, Signer, now, pem};

const ALGORITHMS: [&str; 10] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

fn devices(keys: &KeyServer) -> DeviceConfig {
    let keys = keys::Config {
        template: Some(keys.template().parse().unwrap()),
        timeout: Duration::from_secs(5),
        ..keys::Config::default()
    };
    DeviceConfig {
        jwt: Some(jwt::Config { keys, required: token::Requirements::default() }),
        fail_open: false,
        ..DeviceConfig::default()
    }
}

fn gateway(devices: &DeviceConfig) -> Gateway {
    Gateway::with_tokens(api::Config::default(), devices)
}

/// A device that asks to connect with this `Authorization`.
async fn connect(gateway: &Gateway, version: &str, authorization: Option<&str>) -> Response {
    gateway.ask(upgrade(version, authorization)).await
}

fn upgrade(version: &str, authorization: Option<&str>) -> String {
    let authorization = authorization.map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
    format!(
        "GET /api/{version}/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: {MAC}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {authorization}\r\n"
    )
}

/// The status that a device with this token gets.
async fn status(gateway: &Gateway, token: &str) -> u16 {
    connect(gateway, "v2", Some(&format!("Bearer {token}"))).await.status
}

fn claims() -> Value {
    json!({"sub": "device", "exp": now() + 100, "nbf": now() - 100, "iat": now() - 100, "trust": 1000})
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

/// Past the test runner's capture, so that every run shows it.
fn show(line: &str) {
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// What a case expects: `None` means that the device is let in.
type Expected = Option<(u16, u16, &'static str)>;

const LET_IN: Expected = None;
const MISSING: Expected = Some((403, 401, "missing credentials"));
const BAD: Expected = Some((403, 401, "bad credentials"));
const INVALID: Expected = Some((400, 400, "invalid credentials"));
const SCHEME: Expected = Some((403, 403, "Unsupported authorization scheme: Basic"));

/// HMAC-SHA-256 as an attacker makes it, with a public key as the secret; nothing in the gateway can.
fn hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

#[tokio::test]
async fn each_line_of_section_6_is_answered_to_the_letter() {
    let signers = ALGORITHMS.map(|algorithm| (algorithm, Signer::new(algorithm)));
    let current = Signer::new("ES256");
    let (one, two) = (Signer::new("ES256"), Signer::new("ES256"));
    let set = json!({"keys": [one.jwk("one"), two.jwk("two")]});
    let jwks: Vec<_> = signers.iter().map(|(name, signer)| (*name, signer.jwk("another name"))).collect();
    let current_jwk = current.jwk("2024-01");
    let for_ps256 = {
        let mut jwk = signers[0].1.jwk("ps");
        jwk["alg"] = "PS256".into();
        jwk
    };
    let oct = json!({"kty": "oct", "k": "c2VjcmV0"});
    let keys = KeyServer::start(move |kid| match kid {
        "current" => Answer::json(&current_jwk),
        "one" | "two" | "neither" => Answer::json(&set),
        "ps-only" => Answer::json(&for_ps256),
        "oct" => Answer::json(&oct),
        kid => match jwks.iter().find(|(name, _)| *name == kid) {
            Some((_, jwk)) => Answer::json(jwk),
            None => Answer::status("404 Not Found"),
        },
    });

    let es = json!({"alg": "ES256"});
    let kid = |kid: &str| json!({"alg": "ES256", "kid": kid});
    let good = current.token(&es, &claims());
    let rsa = &signers[0].1;
    let parts: Vec<&str> = good.split('.').collect();
    let mut cases: Vec<(String, Option<String>, Expected)> = Vec::new();
    let mut case = |name: &str, header: Option<&str>, expected| {
        cases.push((name.to_owned(), header.map(str::to_owned), expected));
    };
    case("no header", None, MISSING);
    case("an empty header", Some(""), MISSING);
    case("a scheme alone", Some("Bearer"), INVALID);
    case("two blanks", Some(&format!("Bearer  {good}")), INVALID);
    case("something after it", Some(&format!("Bearer {good} x")), INVALID);
    case("another scheme", Some("Basic dXNlcjpwYXNz"), SCHEME);
    case("a scheme in any case", Some(&format!("bEARER {good}")), LET_IN);
    let mut token = |name: &str, token: String, expected| {
        cases.push((name.to_owned(), Some(format!("Bearer {token}")), expected));
    };
    for (algorithm, signer) in &signers {
        let header = json!({"alg": algorithm, "kid": algorithm, "typ": "JWT"});
        let text = signer.token(&header, &claims());
        let mut other = text.split('.').map(str::to_owned).collect::<Vec<_>>();
        other[1] = URL_SAFE_NO_PAD.encode(with("trust", 0).to_string());
        token(algorithm, text, LET_IN);
        token(&format!("{algorithm}, other claims under its signature"), other.join("."), INVALID);
        token(&format!("{algorithm}, expired"), signer.token(&header, &with("exp", now() - 5)), BAD);
    }
    token("exp a second ago", current.token(&es, &with("exp", now() - 1)), BAD);
    token("exp 0", current.token(&es, &with("exp", 0)), LET_IN);
    token("exp null", current.token(&es, &with("exp", Value::Null)), BAD);
    token("exp a text", current.token(&es, &with("exp", (now() + 100).to_string())), BAD);
    token("nbf to come", current.token(&es, &with("nbf", now() + 50)), BAD);
    token("nbf a text", current.token(&es, &with("nbf", "0")), BAD);
    token("iat to come", current.token(&es, &with("iat", now() + 50)), BAD);
    token("no times at all", current.token(&es, &json!({"sub": "x"})), LET_IN);
    token("no sub", current.token(&es, &json!({"exp": now() + 100})), INVALID);
    token("sub empty", current.token(&es, &with("sub", "")), INVALID);
    token("sub a number", current.token(&es, &with("sub", 5)), INVALID);
    token("no sub, and expired", current.token(&es, &json!({"exp": 1})), INVALID);
    token("no kid: current", good.clone(), LET_IN);
    token("kid empty: current", current.token(&kid(""), &claims()), LET_IN);
    token("kid a number", current.token(&json!({"alg": "ES256", "kid": 1}), &claims()), INVALID);
    token("kid unknown", current.token(&kid("absent"), &claims()), INVALID);
    token("kid ../", current.token(&kid("../current"), &claims()), INVALID);
    token("kid ..", current.token(&kid(".."), &claims()), INVALID);
    token("kid of 300 bytes", current.token(&kid(&"k".repeat(300)), &claims()), INVALID);
    token("of two keys the named", two.token(&kid("two"), &claims()), LET_IN);
    token("of two keys the other", one.token(&kid("two"), &claims()), INVALID);
    token("of two keys none is named so", one.token(&kid("neither"), &claims()), INVALID);
    token("another key", one.token(&es, &claims()), INVALID);
    token("a key of another kind", current.token(&kid("RS256"), &claims()), INVALID);
    token("a key of another curve", current.token(&kid("ES384"), &claims()), INVALID);
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    token("a key for PS256, RS256", rsa.token(&header("RS256", "ps-only"), &claims()), INVALID);
    token("a key for PS256, PS256", rsa.token(&header("PS256", "ps-only"), &claims()), LET_IN);
    for alg in ["none", "None", "nOnE", "NONE"] {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": alg }).to_string());
        token(&format!("{alg}, unsigned"), format!("{header}.{}.", parts[1]), INVALID);
        token(&format!("{alg}, signed"), format!("{header}.{}.{}", parts[1], parts[2]), INVALID);
    }
    for (name, secret) in [
        ("HS256 with the public key's PEM", pem("PUBLIC KEY", &rsa.public_der()).into_bytes()),
        ("HS256 with the public key's DER", rsa.public_der()),
        ("HS256 with the JWK", rsa.jwk("another name").to_string().into_bytes()),
    ] {
        token(name, hs256(&header("HS256", "RS256"), &claims(), &secret), INVALID);
    }
    token("HS256 with a symmetric JWK", hs256(&header("HS256", "oct"), &claims(), b"secret"), INVALID);
    token("an unknown algorithm", current.token(&json!({"alg": "ES256K"}), &claims()), INVALID);
    token("an algorithm in lower case", current.token(&json!({"alg": "es256"}), &claims()), INVALID);
    token("no algorithm", current.token(&json!({"typ": "JWT"}), &claims()), INVALID);
    token("crit", current.token(&json!({"alg": "ES256", "crit": ["exp"]}), &claims()), INVALID);
    let twice = r#"{"alg":"ES256","alg":"ES256"}"#;
    token("a header name twice", current.token_of(twice, &claims().to_string(), "ES256"), INVALID);
    let twice = r#"{"sub":"a","sub":"b"}"#;
    token("a claim twice", current.token_of(&es.to_string(), twice, "ES256"), INVALID);
    token("claims that are a list", current.token_of(&es.to_string(), "[]", "ES256"), INVALID);
    let deep = format!("{{\"sub\":\"x\",\"d\":{}{}}}", "[".repeat(50), "]".repeat(50));
    token("claims nested deeply", current.token_of(&es.to_string(), &deep, "ES256"), INVALID);
    token("of 16 KiB and more", current.token(&es, &with("x", "x".repeat(16 * 1024))), INVALID);
    token("of nearly 16 KiB", current.token(&es, &with("x", "x".repeat(11 * 1024))), LET_IN);
    token("four parts", format!("{good}.x"), INVALID);
    token("two parts", parts[..2].join("."), INVALID);
    token("dots only", ".".repeat(1000), INVALID);
    token("padding", format!("{good}=="), INVALID);
    token(
        "stray bits in the base64",
        format!("{}{}", &good[..good.len() - 1], other_spelling(&good)),
        INVALID,
    );
    token("the other base64", format!("{}+/{}", &good[..good.len() - 2], ""), INVALID);
    token("no token", "nonsense".to_owned(), INVALID);
    let jwk = json!({"alg": "ES256", "jwk": one.jwk("x"), "jku": keys.url("/keys/one")});
    token("a key of its own in the header", one.token(&jwk, &claims()), INVALID);

    let gateway = gateway(&devices(&keys));
    show(&format!("{:<52}{:>5}{:>5}  body\n", "contract §6.5, devices", "v2", "v3"));
    for (name, authorization, expected) in &cases {
        let (v2, v3, body) = expected.unwrap_or((101, 101, ""));
        for (version, status) in [("v2", v2), ("v3", v3)] {
            let response = connect(&gateway, version, authorization.as_deref()).await;
            assert_eq!((response.status, response.text()), (status, body), "{name}, {version}");
            let challenge = (status == 401).then_some("Bearer realm=\"talaria\"");
            assert_eq!(response.header("www-authenticate"), challenge, "{name}, {version}");
            if status != 101 {
                assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"), "{name}");
                assert_eq!(response.header("x-talaria-build"), Some("1.2"), "{name}");
            }
        }
        show(&format!("{name:<52}{v2:>5}{v3:>5}  {body}\n"));
    }
    let climbing = keys.asked().iter().any(|path| path.contains("..") || path.to_lowercase().contains("%2f"));
    assert!(!climbing, "{:?}", keys.asked());
    assert_eq!(keys.asked().iter().filter(|path| *path == "/keys/current").count(), 1, "{:?}", keys.asked());
    assert!(!keys.asked().contains(&"/keys/oct".to_owned()), "a key that cannot be used is not fetched");
}

/// Another last character that a lenient decoder takes for the same bytes: a 64-byte signature leaves 4 bits unused.
fn other_spelling(token: &str) -> char {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = *token.as_bytes().last().unwrap();
    let value = ALPHABET.iter().position(|character| *character == last).unwrap();
    assert_eq!(value % 16, 0, "the last character of 64 bytes");
    ALPHABET[value + 1].into()
}

/// contract §2.4
#[tokio::test]
async fn the_token_s_device_id_replaces_the_header_s_name() {
    let signer = Signer::new("ES256");
    let keys = KeyServer::of(&signer);
    let mut gateway = gateway(&devices(&keys));
    let token = |claims: &Value| signer.token(&json!({"alg": "ES256"}), claims);

    let renamed = format!("Bearer {}", token(&with("device-id", "mac:AA-BB-CC-DD-EE-FF")));
    let mut device = Client::connect(gateway.address()).await;
    device.send(upgrade("v2", Some(&renamed))).await;
    assert_eq!(device.response().await.status, 101);
    gateway.registered().await;
    assert_eq!(gateway.get("/api/v2/device/mac:aabbccddeeff/stat").await.status, 200);
    assert_eq!(gateway.get(&format!("/api/v2/device/{MAC}/stat")).await.status, 404);

    for (version, id) in [("v2", "nonsense"), ("v3", "mac:1")] {
        let header = format!("Bearer {}", token(&with("device-id", id)));
        let response = connect(&gateway, version, Some(&header)).await;
        assert_eq!(response.status, 500);
        let expected = json!({"code": 500, "message": "invalid device name\ninvalid device name"});
        assert_eq!(response.json(), expected);
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    // A device-id that is not a text: `identity.rs`.
    for ignored in [json!(""), json!(null)] {
        assert_eq!(status(&gateway, &token(&with("device-id", ignored.clone()))).await, 101, "{ignored}");
    }
}

/// contract §2.3: the name is checked first, and `failOpen` admits only devices without a token.
#[tokio::test]
async fn fail_open_lets_in_only_those_without_a_header() {
    let signer = Signer::new("ES256");
    let keys = KeyServer::of(&signer);
    let open = gateway(&DeviceConfig { fail_open: true, ..devices(&keys) });
    assert_eq!(connect(&open, "v2", None).await.status, 101);
    assert_eq!(connect(&open, "v2", Some("")).await.status, 403);
    assert_eq!(connect(&open, "v3", Some("")).await.status, 401);
    assert_eq!(connect(&open, "v2", Some("junk")).await.status, 400);
    let no_name = open.ask("GET /api/v2/device HTTP/1.1\r\nHost: t\r\nAuthorization: junk\r\n\r\n").await;
    assert!(no_name.text().contains("missing device name header"), "{}", no_name.text());

    let unset = gateway(&DeviceConfig { fail_open: false, ..DeviceConfig::default() });
    assert_eq!(connect(&unset, "v2", Some("junk")).await.status, 101);
    assert_eq!(connect(&unset, "v3", None).await.status, 101);
}

/// contract §14.13
#[tokio::test]
async fn a_leeway_is_a_leeway() {
    let signer = Signer::new("ES256");
    let keys = KeyServer::of(&signer);
    let mut config = devices(&keys);
    let leeway = Duration::from_secs(100);
    config.jwt.as_mut().unwrap().required.leeway = Leeway { exp: leeway, nbf: leeway, iat: leeway };
    let gateway = gateway(&config);
    let token = |name, value: i64| signer.token(&json!({"alg": "ES256"}), &with(name, value));
    for (name, value, expected) in [
        ("exp", now() + 50, 101),
        ("exp", now() - 50, 101),
        ("exp", now() - 150, 403),
        ("nbf", now() - 50, 101),
        ("nbf", now() + 50, 101),
        ("nbf", now() + 150, 403),
        ("iat", now() + 50, 101),
        ("iat", now() + 150, 403),
    ] {
        assert_eq!(status(&gateway, &token(name, value)).await, expected, "{name} {}", value - now());
    }
}

/// contract §6.4: key documents by Content-Type.
#[tokio::test]
async fn keys_are_taken_as_jwk_jwk_set_and_pem() {
    let (rsa, ec, ed) = (Signer::new("RS256"), Signer::new("ES384"), Signer::new("EdDSA"));
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&pair).unwrap();
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let certified = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(algorithm, &pair.serialize_der()).unwrap();
    let certified = Signer::Ec(certified, "P-256");
    let text = |value: &Value| value.to_string().into_bytes();
    let (json, jwk) = ("application/json", "application/jwk+json");
    let (set, pem_type) = ("application/jwk-set+json", "application/x-pem-file");
    let of = |label: &str, der: &[u8]| pem(label, der).into_bytes();
    let documents: Vec<(&str, &str, &Signer, &str, Vec<u8>)> = vec![
        ("json-jwk", "RS256", &rsa, json, text(&rsa.jwk("x"))),
        ("json-charset", "RS256", &rsa, "application/JSON; charset=utf-8", text(&rsa.jwk("x"))),
        ("json-set", "ES384", &ec, json, text(&json!({"keys": [ec.jwk("json-set"), rsa.jwk("other")]}))),
        ("jwk", "EdDSA", &ed, jwk, text(&ed.jwk("x"))),
        ("set", "PS512", &rsa, set, text(&json!({"keys": [rsa.jwk("set"), ec.jwk("other")]}))),
        ("pem-rsa", "RS256", &rsa, pem_type, of("PUBLIC KEY", &rsa.public_der())),
        ("pem-ec", "ES384", &ec, pem_type, of("PUBLIC KEY", &ec.public_der())),
        ("pem-ed", "EdDSA", &ed, pem_type, of("PUBLIC KEY", &ed.public_der())),
        ("pem-pkcs1", "PS256", &rsa, pem_type, of("RSA PUBLIC KEY", &rsa.rsa_der())),
        ("pem-cert", "ES256", &certified, pem_type, of("CERTIFICATE", certificate.der())),
        ("pem-private-rsa", "RS256", &rsa, pem_type, of("PRIVATE KEY", &rsa.private_der())),
        ("pem-private-ec", "ES384", &ec, pem_type, of("PRIVATE KEY", &ec.private_der())),
        ("pem-private-ed", "EdDSA", &ed, pem_type, of("PRIVATE KEY", &ed.private_der())),
        ("plain", "RS256", &rsa, "text/plain", text(&rsa.jwk("x"))),
        ("jwk-as-pem", "RS256", &rsa, pem_type, text(&rsa.jwk("x"))),
        ("untyped", "RS256", &rsa, "", text(&rsa.jwk("x"))),
    ];
    let served: Vec<_> = documents
        .iter()
        .map(|(name, _, _, content_type, body)| ((*name).to_owned(), Answer::ok(content_type, body.clone())))
        .collect();
    let keys = KeyServer::start(move |kid| served.iter().find(|(name, _)| name == kid).unwrap().1.clone());
    let gateway = gateway(&devices(&keys));
    for (name, algorithm, signer, ..) in &documents {
        let refused = matches!(*name, "plain" | "jwk-as-pem" | "untyped");
        let header = json!({"alg": algorithm, "kid": name});
        let expected = if refused { 400 } else { 101 };
        assert_eq!(status(&gateway, &signer.token(&header, &claims())).await, expected, "{name}");
        assert_eq!(status(&gateway, &signer.token(&header, &claims())).await, expected, "{name} again");
    }
    assert_eq!(keys.asked().len(), documents.len(), "each is fetched once: {:?}", keys.asked());
}

/// contract §10.12; a key id is a stranger's choice and must not become a series of its own.
#[tokio::test]
async fn what_happens_with_keys_and_tokens_is_counted_and_no_token_is_shown() {
    let signer = Signer::new("ES256");
    let jwk = signer.jwk("good");
    let keys = KeyServer::start(move |kid| match kid {
        "good" => Answer::json(&jwk),
        _ => Answer::status("404 Not Found"),
    });
    let gateway = gateway(&devices(&keys));
    let token = |kid: &str, claims: &Value| signer.token(&json!({"alg": "ES256", "kid": kid}), claims);
    let good = token("good", &claims());
    assert_eq!(status(&gateway, &good).await, 101);
    for number in 0..5 {
        assert_eq!(status(&gateway, &token(&format!("made-up-{number}"), &claims())).await, 400);
    }
    assert_eq!(status(&gateway, &token("good", &with("exp", 1))).await, 403);
    assert_eq!(connect(&gateway, "v2", None).await.status, 403);
    let source = keys.template();
    let series = |name: &str, id: &str| format!("{name}{{keyID=\"{id}\",source=\"{source}\"}}");
    assert_eq!(gateway.metric(&series("keys_resolve_total", "good")), 1.0);
    assert_eq!(gateway.metric(&series("keys_resolve_total", "other")), 5.0);
    assert_eq!(gateway.metric(&series("keys_resolve_error_total", "other")), 5.0);
    for (reason, count) in [("unknown_key", 5.0), ("expired", 1.0), ("missing", 1.0)] {
        let series = format!("auth_failures_total{{endpoint=\"device\",reason=\"{reason}\"}}");
        assert_eq!(gateway.metric(&series), count, "{reason}");
    }
    let text = String::from_utf8(gateway.metrics.gather_text()).unwrap();
    for secret in good.split('.').chain(["made-up"]) {
        assert!(!text.contains(secret), "{secret}");
    }
}
