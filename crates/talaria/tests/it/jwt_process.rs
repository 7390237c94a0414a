//! Tokens through the whole gateway: from the file to the door, and nothing of them in the log.

use serde_json::json;

use crate::support::http::request;
use crate::support::process::{GatewayProcess, failed_start};
use crate::support::tokens::{KeyServer, Signer, now};

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

#[test]
fn a_section_that_names_no_keys_does_not_start() {
    for section in ["Template: ''", "Template: '{keyID}'", "Templat: 'http://h/{keyID}'"] {
        let configuration = format!("jwtValidator: {{Config: {{Resolve: {{{section}}}}}}}\n");
        let (code, errors) = failed_start(&configuration, &[]);
        assert_eq!(code, Some(78), "{section}: {errors}");
        assert!(errors.contains("jwtValidator.Config.Resolve.Template"), "{section}: {errors}");
    }
}
