//! Devices that wait until there is room for their messages (contract §2.18).

use tokio::time::{Instant, advance};

use super::client::binary;
use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

async fn messages(gateway: &Gateway) -> usize {
    gateway.recorded().await.len()
}

fn waits(gateway: &Gateway, ended: &str) -> String {
    gateway.metric(&format!("device_waits_for_room_total{{ended=\"{ended}\"}}"))
}

#[tokio::test(start_paused = true)]
async fn a_device_that_waits_is_not_read_until_there_is_room_and_loses_nothing() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(1 << 20);
    assert_eq!(gateway.recorded().await, [Recorded::Online]);
    assert!(device.room().begin());
    client.send(&binary(&event("event:iot")).repeat(20)).await;
    client.send(&binary(&event("event:iot"))[..9]).await;
    assert_eq!(messages(&gateway).await, 0);
    client.send(&binary(&event("event:iot"))[9..]).await;
    advance(500 * MILLISECOND).await;
    assert_eq!(messages(&gateway).await, 0);
    device.room_is_free();
    assert_eq!(messages(&gateway).await, 21);
    assert_eq!((waits(&gateway, "room"), waits(&gateway, "timeout")), ("1".to_owned(), "absent".to_owned()));
    client.send(&binary(&event("event:iot"))).await;
    assert_eq!(messages(&gateway).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_waits_for_a_second_at_most_and_is_then_read_for_ten() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(1 << 20);
    settle().await;
    gateway.recorded().await;
    device.room().begin();
    client.send(&binary(&event("event:iot"))).await;
    settle().await;
    advance(499 * MILLISECOND).await;
    assert_eq!(messages(&gateway).await, 0);
    advance(501 * MILLISECOND).await;
    assert_eq!(messages(&gateway).await, 1);
    assert_eq!(waits(&gateway, "timeout"), "1");
    assert!(!device.room().begin(), "it has just waited in vain");
    advance(seconds(9)).await;
    client.send(&binary(&event("event:iot"))).await;
    assert_eq!(messages(&gateway).await, 1);
    assert!(!device.room().begin());
    advance(seconds(1)).await;
    client.send(&binary(&event("event:iot"))).await;
    assert_eq!(messages(&gateway).await, 1);
    assert!(device.room().begin(), "from its next message on it may be asked again");
}

/// Waits for room `times` times, each time for 100 ms. Returns how often the device could be asked to.
async fn wait_often(gateway: &Gateway, client: &mut Client, device: &Device, times: usize) -> usize {
    let mut begun = 0;
    for _ in 0..times {
        begun += usize::from(device.room().begin());
        client.send(&binary(&event("event:iot"))).await;
        settle().await;
        advance(100 * MILLISECOND).await;
        device.room_is_free();
        assert_eq!(messages(gateway).await, 1);
    }
    begun
}

#[tokio::test(start_paused = true)]
async fn a_device_waits_for_a_second_in_sum_at_most_however_often_there_is_room() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(1 << 20);
    settle().await;
    gateway.recorded().await;
    let begun = wait_often(&gateway, &mut client, &device, 40).await;
    assert!((5..=10).contains(&begun), "{begun} waits of 100 ms");
    advance(seconds(10)).await;
    assert_eq!(wait_often(&gateway, &mut client, &device, 1).await, 0);
    let begun = wait_often(&gateway, &mut client, &device, 40).await;
    assert!((5..=10).contains(&begun), "{begun} waits of 100 ms");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_waits_now_and_then_may_always_wait() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(1 << 20);
    settle().await;
    gateway.recorded().await;
    for _ in 0..10 {
        assert_eq!(wait_often(&gateway, &mut client, &device, 4).await, 4);
        advance(seconds(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_device_is_sent_goes_on_while_it_waits_and_so_does_its_end() {
    let config = Config { ping_period: Duration::from_millis(300), ..Config::default() };
    let gateway = Gateway::new(config);
    let (mut client, device) = gateway.connect(1 << 20);
    device.room().begin();
    client.send(&binary(&event("event:iot"))).await;
    let start = Instant::now();
    client.expect(0x89, ID).await;
    device.try_send(Bytes::from_static(b"hello")).unwrap();
    client.expect(0x82, "hello").await;
    device.close(Reason::Duplicate.into());
    let close = client.frame().await.unwrap();
    assert_eq!(close.first, 0x88);
    assert!(start.elapsed() < seconds(1), "{:?}", start.elapsed());
}
