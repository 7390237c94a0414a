//! Tokens through the whole gateway: from the file to the door, and nothing of them in the log.

use std::time::Duration;

use serde_json::json;

use crate::support::eventually;
use crate::support::http::request;
use crate::support::process::{GatewayProcess, failed_start};
use crate::support::tokens::{Answer, KeyServer, Signer, now};

/// A key as themis' sample configuration makes it, and a token that it signed. Made by openssl: aws-lc makes no keys of
/// this size.
const MODULUS_OF_1024_BITS: &str = "zTT5SVD7q2WR59TpYHUgPOnhvIeC3v9hWHkwOuGzuggUhPVIEHMDsXXpTulAPtI5jOqdRoEnLn_fuDpJgpXyEIzwUcTNMoAt4KAUJxK9djOTTVVsfyBu9RlXKfQTUaWxMBp8w_-YC3tk59GePy-mdYPtyW0M17UArALFdQBjAUc";
const TOKEN_OF_1024_BITS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.BLPRSxre4W6ZoKYcvotwYvADXAqaMcKyGDe_d0S-PQXn1MhnBvFh1NsPyET0hqDB2m73tRfPOpJzWkxjvaDjZbhbF5Lg9-rHz7DKX2OlF0X7dpXeymtSFKNShe-wiLT8UsyYGL8kqcIqpMBq7QwpXLMOc2E9QrhR9OOi1judjDs";

#[tokio::test]
async fn a_configured_gateway_checks_tokens_and_never_logs_one() {
    let signer = Signer::new("ES256");
    let server = KeyServer::of(&signer);
    let template = server.template().replace("http://", "http://user:s3cret@");
    let gateway = GatewayProcess::start(&format!(
        "failOpen: false
zap: {{level: debug}}
jwtvalidator:
  config: {{resolve: {{template: '{template}', timeout: 5s}}}}
  leeway: {{exp: 10, nbf: 10, iat: 10}}
inbound:
  authKey: dXNlcjpwYXNz
  jwt: {{config: {{resolve: {{template: '{template}'}}}}, leeway: {{exp: 10}}}}
"
    ))
    .await;
    let claims = |capabilities: &[&str]| json!({"sub": "x", "exp": now() - 5, "capabilities": capabilities});
    let token = |capabilities| signer.token(&json!({"alg": "ES256", "kid": "k"}), &claims(capabilities));
    let (good, forged) =
        (token(&["x1:webpa:api:.*:all"]), Signer::new("ES256").token(&json!({"alg": "ES256"}), &claims(&[])));
    let ask = async |path: &str, authorization: &str| {
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: mac:112233445566\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {authorization}\r\n"
        );
        request(gateway.primary(), text).await.status
    };
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(ask("/api/v2/device", "").await, 403);
    assert_eq!(ask("/api/v3/device", "").await, 401);
    assert_eq!(ask("/api/v2/device", &bearer(&good)).await, 101);
    assert_eq!(ask("/api/v2/device", &bearer(&forged)).await, 400);
    assert_eq!(ask("/api/v2/devices", &bearer(&good)).await, 200);
    assert_eq!(ask("/api/v2/devices", &bearer(&token(&[]))).await, 403);
    assert_eq!(ask("/api/v2/devices", "Authorization: Basic dXNlcjp3cm9uZw==\r\n").await, 403);

    let log = gateway.log();
    assert!(log.contains("key resolve"), "{log}");
    let parts = good.split('.').chain(forged.split('.')).map(str::to_owned);
    for secret in parts.chain(["s3cret", "dXNlcjp3cm9uZw", "dXNlcjpwYXNz", "user:pass"].map(str::to_owned)) {
        assert!(!log.contains(&secret), "{secret} in the log:\n{log}");
    }
}

/// contract §14.28
#[tokio::test]
async fn a_device_whose_issuer_has_an_rsa_key_of_1024_bits_connects_unless_the_configuration_excludes_it() {
    let server = KeyServer::start(|_| {
        Answer::json(&json!({"kty": "RSA", "n": MODULUS_OF_1024_BITS, "e": "AQAB", "kid": "k"}))
    });
    let warning = "an RSA key is shorter than 2048 bits";
    for (least, status, is_warned) in [("", 101, true), ("MinRSABits: 2048", 400, false)] {
        let gateway = GatewayProcess::start(&format!(
            "failOpen: false
jwtValidator:
  Config:
    Resolve: {{Template: '{}'}}
    {least}
",
            server.template()
        ))
        .await;
        let text = format!(
            "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: mac:112233445566\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Authorization: Bearer {TOKEN_OF_1024_BITS}\r\n\r\n"
        );
        assert_eq!(request(gateway.primary(), text).await.status, status, "{least}");
        if is_warned {
            // The log is written by a thread of its own.
            let patience = Duration::from_secs(30);
            eventually("the key is warned of", patience, async || gateway.log().contains(warning)).await;
        } else {
            let log = gateway.log();
            assert!(!log.contains(warning), "{log}");
        }
    }
}

#[test]
fn a_section_that_names_no_keys_does_not_start() {
    for section in ["Template: ''", "Template: '{keyID}'", "Templat: 'http://h/{keyID}'"] {
        let configuration = format!("jwtValidator: {{Config: {{Resolve: {{{section}}}}}}}\n");
        let (code, errors) = failed_start(&configuration, &[]);
        assert_eq!(code, Some(78), "{section}: {errors}");
        assert!(errors.contains("jwtValidator.Config.Resolve.Template"), "{section}: {errors}");
    }
}
