//! Ids and addresses that are refused for a time, over real sockets (contract §2.19).

use std::path::Path;
use std::time::Duration;

use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::http::{Response, request};
use crate::support::process::GatewayProcess;

const PATIENCE: Duration = Duration::from_secs(30);

const BEGINS: &str = "connects too often, connections are refused for a time";
const FLOODS: &str = "exceeds its rate for too long, connections are refused for a time";
const ENDS: &str = "refusal has ended, connections are accepted again";

async fn gateway(manager: &str) -> GatewayProcess {
    GatewayProcess::start(&format!("device: {{manager: {manager}}}\n")).await
}

/// Asks to connect as a device, and leaves at once.
async fn connect(gateway: &GatewayProcess, id: &str, headers: &str) -> Response {
    let head = format!(
        "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: {id}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {headers}\r\n"
    );
    request(gateway.primary(), &head).await
}

async fn statuses<const N: usize>(gateway: &GatewayProcess, id: &str, headers: [&str; N]) -> [u16; N] {
    let mut statuses = [0; N];
    for (status, headers) in statuses.iter_mut().zip(headers) {
        *status = connect(gateway, id, headers).await.status;
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_connects_too_often_is_refused_for_a_time_and_others_are_not() {
    let gateway = gateway("{refusal: {connectsPerId: 3, time: 2s}}").await;
    let flapping = "mac:111111111111";
    assert_eq!(statuses(&gateway, flapping, [""; 3]).await, [101; 3]);
    let refused = connect(&gateway, flapping, "").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("2"));
    assert_eq!(
        refused.body,
        br#"{"code": 429, "message": "too many connections or messages, try again later"}"#
    );
    assert_eq!(statuses(&gateway, flapping, [""; 3]).await, [429; 3]);
    assert_eq!(connect(&gateway, "mac:222222222222", "").await.status, 101);
    eventually("the refusal ends", PATIENCE, async || gateway.log_line(ENDS).is_some()).await;
    assert_eq!(statuses(&gateway, flapping, [""; 3]).await, [101; 3], "counting begins anew");
    let begun = gateway.log_lines(BEGINS);
    assert_eq!(begun.len(), 1, "{begun:?}");
    assert_eq!(begun[0]["subject"], "mac:111111111111 (without a token)");
    assert_eq!(gateway.log_line(ENDS).unwrap()["refused"], 4);
    let metric = async |name: &str| {
        gateway.metric(&format!("talaria_talaria_device_{name}"), &["subject=\"id\""]).await
    };
    assert_eq!(metric("refusals_total").await, 1.0);
    assert_eq!(metric("refused_connects_total").await, 4.0);
    assert_eq!(metric("refusals_active").await, 0.0);
    gateway.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_connects_too_often_is_refused_behind_a_proxy_too() {
    let refusal = "{connectsPerAddress: 2, connectsPerId: 20, allowedAddresses: [192.0.2.0/24]}";
    let proxy = [
        ("TALARIA_PRIMARY_TRUSTEDPROXIES", Path::new("127.0.0.1")),
        ("TALARIA_PRIMARY_FORWARDEDHEADER", Path::new("X-Forwarded-For")),
    ];
    let sections = format!("device: {{manager: {{refusal: {refusal}}}}}\n");
    let gateway = GatewayProcess::start_in(&sections, &proxy).await;
    let (flapping, other) = ("X-Forwarded-For: 198.51.100.1\r\n", "X-Forwarded-For: 198.51.100.2\r\n");
    let client = [flapping, flapping, other, flapping, flapping, other];
    assert_eq!(statuses(&gateway, "uuid:a", client).await, [101, 101, 101, 429, 429, 101]);
    let same_64 = [1, 2, 3].map(|last| format!("X-Forwarded-For: 2001:db8::{last}\r\n"));
    let same_64 = [&*same_64[0], &*same_64[1], &*same_64[2]];
    assert_eq!(statuses(&gateway, "uuid:a", same_64).await, [101, 101, 429]);
    // Before the device's name is checked.
    assert_eq!(connect(&gateway, "", flapping).await.status, 429);
    let allowed = ["X-Forwarded-For: 192.0.2.1\r\n"; 30];
    assert_eq!(statuses(&gateway, "uuid:a", allowed).await, [101; 30]);
    assert_eq!(gateway.log_lines(BEGINS).len(), 2);
    gateway.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_floods_for_too_long_is_closed_and_refused() {
    let gateway = gateway(
        "{rate: {messagesPerSecond: 5, beyond: drop}, refusal: {floodTime: 1s, floodsPerAddress: 1}}",
    )
    .await;
    for (id, status) in [("mac:111111111111", 101), ("mac:222222222222", 429)] {
        let device = Device::connect(gateway.primary(), id).await;
        eventually("the device is closed", PATIENCE, async || {
            if device.is_connected() {
                device.send(event(device.id(), 0, 0));
            }
            !device.is_connected()
        })
        .await;
        eventually("it is logged", PATIENCE, async || {
            let lines = gateway.log_lines(FLOODS);
            lines.iter().any(|line| line["subject"].as_str().unwrap().starts_with(id))
        })
        .await;
        let refused = connect(&gateway, id, "").await;
        assert_eq!(refused.status, 429);
        // After the second one, their address is refused.
        assert_eq!(connect(&gateway, "mac:333333333333", "").await.status, status);
    }
    assert_eq!(gateway.metric("talaria_talaria_device_refusals_total", &["reason=\"flooding\""]).await, 3.0);
    let closed = gateway.metric("talaria_talaria_device_protocol_errors_total", &["reason=\"flooding\""]);
    assert_eq!(closed.await, 2.0);
    gateway.terminate().await;
}
