//! A fleet of gateways (contract §11): devices of other instances are refused.

use crate::support::http::request;
use crate::support::process::GatewayProcess;

/// Asks to connect as this device. Returns the status and the body.
async fn connect(gateway: &GatewayProcess, id: &str) -> (u16, String) {
    let request_text = format!(
        "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: {id}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let response = request(gateway.primary(), request_text).await;
    (response.status, response.text().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_of_another_instance_is_answered_with_410() {
    let configuration = "server: talaria-1\nservice: {fixed: ['https://talaria-0.example.com', talaria-1]}\n";
    let gateway = GatewayProcess::start(configuration).await;
    let mut refused = 0;
    for number in 0..20 {
        let (status, body) = connect(&gateway, &format!("mac:{number:012x}")).await;
        match status {
            101 => {}
            410 => {
                refused += 1;
                assert_eq!(body, r#"{"code": 410, "message": "the device belongs to another instance"}"#);
            }
            other => panic!("{other}: {body}"),
        }
    }
    assert!((4..=16).contains(&refused), "{refused} of 20");
    assert_eq!(gateway.metric("talaria_talaria_sd_refused_device_count", &[]).await as u64, refused);
    assert_eq!(gateway.metric("talaria_talaria_sd_instance_count", &["fixed"]).await as u64, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_knowing_which_instance_it_is_a_gateway_accepts_every_device_and_warns() {
    let configuration = "service: {fixed: ['https://talaria-0.example.com', talaria-1]}\n";
    let gateway = GatewayProcess::start(configuration).await;
    for number in 0..20 {
        assert_eq!(connect(&gateway, &format!("mac:{number:012x}")).await.0, 101);
    }
    let warnings = gateway.log_lines("configuration warning");
    let is_meant = |warning: &serde_json::Value| {
        warning["warning"].as_str().unwrap().contains("service.instance is not set")
    };
    assert!(warnings.iter().any(is_meant), "{warnings:?}");
}
