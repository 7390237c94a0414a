//! Pings, idle periods and writes that get stuck.

use serde_json::json;
use talaria_protocol::claims::Claims;
use tokio::time::{Instant, sleep};

use super::client::{binary, frame};
use super::*;

fn config() -> Config {
    Config {
        ping_period: seconds(10),
        idle_period: seconds(25),
        write_timeout: seconds(5),
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn every_ping_period_the_device_is_pinged_with_its_id() {
    let gateway = Gateway::new(config());
    let (mut client, _device) = gateway.connect(4096);
    let started = Instant::now();
    for periods in 1..=10 {
        client.expect(0x89, ID).await;
        let elapsed = started.elapsed();
        let due = seconds(10 * periods);
        assert!(elapsed >= due && elapsed < due + seconds(1), "ping {periods} after {elapsed:?}");
        client.send(&frame(0x8a, ID.as_bytes())).await;
    }
    settle().await;
    assert_eq!(gateway.metric("ping_count"), "10");
    assert_eq!(gateway.metric("pong_count"), "10");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_never_pongs_is_closed_after_the_idle_period() {
    let gateway = Gateway::new(config());
    let (mut client, _device) = gateway.connect(4096);
    let started = Instant::now();
    client.expect(0x89, ID).await;
    client.expect(0x89, ID).await;
    client.expect_close(1000, "readerror").await;
    let elapsed = started.elapsed();
    assert!(elapsed >= seconds(25) && elapsed < seconds(28), "closed after {elapsed:?}");
    let recorded = gateway.recorded().await;
    assert_eq!(recorded, [Recorded::Online, Recorded::Offline("nothing heard for 25s:readerror".to_owned())]);
}

/// contract §2.20
#[tokio::test(start_paused = true)]
async fn silent_devices_are_closed_only_while_there_is_room_for_their_offline_events() {
    const DEVICES: usize = 1200;
    // Time is not paused for the CPU: ends must not wait for their share of it.
    let gateway = Gateway::new(Config {
        ping_period: seconds(10),
        idle_period: seconds(25),
        disconnect_cpu_percent: 100,
        ..Config::default()
    });
    let clients: Vec<_> =
        (0..DEVICES).map(|number| gateway.connect_id(&format!("serial:{number}"), 64)).collect();
    gateway.events.is_full.store(true, Ordering::Relaxed);
    sleep(seconds(60)).await;
    assert_eq!(gateway.manager.registry().len(), DEVICES);
    gateway.events.is_full.store(false, Ordering::Relaxed);
    sleep(Duration::from_millis(150)).await;
    settle().await;
    let left = gateway.manager.registry().len();
    assert!((200..=700).contains(&left), "{left} are left after one tick or two");
    sleep(seconds(1)).await;
    assert_eq!(gateway.manager.registry().len(), 0);
    drop(clients);
}

#[tokio::test(start_paused = true)]
async fn messages_keep_a_device_alive_that_never_pongs() {
    let gateway = Gateway::new(config());
    let (mut client, device) = gateway.connect(65_536);
    for _ in 0..10 {
        sleep(seconds(20)).await;
        client.send(&binary(&event("event:iot"))).await;
    }
    settle().await;
    assert_eq!(device.statistics().messages_received(), 10);
    assert_eq!(gateway.manager.registry().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn half_a_message_keeps_no_device_alive() {
    let gateway = Gateway::new(config());
    let (mut client, _device) = gateway.connect(65_536);
    let message = binary(&event("event:iot"));
    for byte in &message[..28] {
        sleep(seconds(1)).await;
        if gateway.manager.registry().is_empty() {
            break;
        }
        client.send(&[*byte]).await;
    }
    assert!(gateway.manager.registry().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_gets_stuck_ends_the_connection_after_the_write_timeout() {
    let gateway = Gateway::new(config());
    let (_client, device) = gateway.connect(64);
    let started = Instant::now();
    let sent = device.send(Bytes::from(vec![1; 1000]), started + seconds(60)).await;
    assert_eq!(sent, Err(crate::device::SendError::Closed));
    let elapsed = started.elapsed();
    assert!(elapsed >= seconds(5) && elapsed < seconds(6), "closed after {elapsed:?}");
    let recorded = gateway.recorded().await;
    assert_eq!(
        recorded,
        [Recorded::Online, Recorded::Offline("not written within 5s:write-error".to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn slow_writes_that_finish_in_time_are_no_fault_however_many() {
    let gateway = Gateway::new(config());
    let (mut client, device) = gateway.connect(64);
    for _ in 0..20 {
        device.try_send(Bytes::from(vec![1; 200])).unwrap();
        client.send(&frame(0x8a, b"")).await;
        sleep(seconds(3)).await;
        while client.frame().await.is_some_and(|frame| frame.first != 0x82) {}
    }
    settle().await;
    assert_eq!(device.statistics().messages_sent(), 20);
    assert_eq!(gateway.manager.registry().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn periods_longer_than_a_turn_of_the_wheel_are_kept() {
    let long = Config { ping_period: seconds(1000), idle_period: seconds(2500), ..Config::default() };
    let gateway = Gateway::new(long);
    let (mut client, _device) = gateway.connect(4096);
    let started = Instant::now();
    client.expect(0x89, ID).await;
    assert_eq!(started.elapsed().as_secs(), 1000);
    client.expect(0x89, ID).await;
    client.expect_close(1000, "readerror").await;
    assert!((2500..2502).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

/// Connects a device whose token expires in a minute and a half, and answers its pings. Returns when its connection
/// ended.
async fn expiring(gateway: &Gateway) -> Option<Duration> {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({"sub": "x", "exp": now + 90});
    let claims = Some(Claims::new(claims.as_object().unwrap()));
    let identity = Identity { claims, ..Identity::new(ID.parse().unwrap(), session_id::random()) };
    let (near, far) = tokio::io::duplex(4096);
    assert!(gateway.manager.connect(near, Bytes::new(), identity).is_ok());
    let mut client = Client::new(far);
    let started = Instant::now();
    while started.elapsed() < seconds(200) {
        let received = client.frame().await.unwrap();
        if received.first == 0x88 {
            assert_eq!(received.payload, [&1008_u16.to_be_bytes()[..], b"token-expired"].concat());
            return Some(started.elapsed());
        }
        client.send(&frame(0x8a, &received.payload)).await;
    }
    None
}

/// contract §14.26
#[tokio::test(start_paused = true)]
async fn a_device_is_closed_when_its_token_expires_if_that_is_configured() {
    let gateway = Gateway::new(Config { close_expired: Some(seconds(10)), ..config() });
    let ended = expiring(&gateway).await.unwrap();
    assert!((seconds(99)..seconds(103)).contains(&ended), "{ended:?}");
    let recorded = gateway.recorded().await;
    assert_eq!(recorded, [Recorded::Online, Recorded::Offline("*no error*:token-expired".to_owned())]);
    assert_eq!(gateway.metric("device_expired_tokens_total"), "1");

    let gateway = Gateway::new(config());
    assert_eq!(expiring(&gateway).await, None);
    assert_eq!(gateway.manager.registry().len(), 1);
}
