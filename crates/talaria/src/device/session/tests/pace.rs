//! Devices that send more than their rate (contract §2.18).

use talaria_protocol::connect::ConnectError;
use talaria_protocol::rate::{MessageRate, Rate};
use talaria_protocol::refusal::RefusalRules;
use talaria_protocol::session::Reason;
use tokio::time::{Instant, advance};

use super::client::{binary, frame};
use super::*;
use crate::device::{BeyondRate, RateLimit};

/// A length that a message of [`filled`] has at least.
const LENGTH: usize = 1000;

fn limited(rate: MessageRate, beyond: BeyondRate) -> Gateway {
    Gateway::new(Config {
        rate: Some(RateLimit { rate, beyond }),
        ping_period: seconds(10),
        idle_period: seconds(25),
        ..Config::default()
    })
}

/// Ten messages a second, five at once.
fn ten_a_second() -> MessageRate {
    MessageRate { messages: Some(Rate::per_second(10, 5)), bytes: None }
}

/// An event with a payload.
fn filled(length: usize) -> Vec<u8> {
    encoded(&Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: ID.into(),
        dest: "event:iot".into(),
        payload: Some(vec![7; length]),
        ..Message::default()
    })
}

fn excesses(gateway: &Gateway, limit: &str, beyond: &str) -> String {
    gateway.metric(&format!("device_rate_exceeded_total{{beyond=\"{beyond}\",limit=\"{limit}\"}}"))
}

async fn messages(gateway: &Gateway) -> usize {
    let recorded = gateway.recorded().await;
    recorded.iter().filter(|recorded| matches!(recorded, Recorded::Message(_))).count()
}

#[tokio::test(start_paused = true)]
async fn a_device_beyond_its_rate_is_not_read_until_the_rate_allows_its_next_message() {
    let gateway = limited(ten_a_second(), BeyondRate::Pause);
    let (mut client, _device) = gateway.connect(1 << 20);
    for _ in 0..20 {
        client.send(&binary(&event("event:iot"))).await;
    }
    assert_eq!(messages(&gateway).await, 6, "a burst, and one that is owed");
    for _ in 0..7 {
        advance(Duration::from_millis(198)).await;
        assert_eq!(messages(&gateway).await, 0);
        advance(Duration::from_millis(2)).await;
        assert_eq!(messages(&gateway).await, 2);
    }
    advance(seconds(1)).await;
    assert_eq!(messages(&gateway).await, 0, "nothing is lost, and nothing comes twice");
    assert_eq!(excesses(&gateway, "messages", "pause"), "8");
    client.send(&binary(&event("event:iot"))).await;
    assert_eq!(messages(&gateway).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_keeps_to_its_rate_is_never_held_up() {
    let gateway = limited(ten_a_second(), BeyondRate::Pause);
    let (mut client, _device) = gateway.connect(1 << 20);
    for _ in 0..5 {
        client.send(&binary(&event("event:iot"))).await;
    }
    for _ in 0..100 {
        assert!(messages(&gateway).await > 0);
        advance(Duration::from_millis(100)).await;
        client.send(&binary(&event("event:iot"))).await;
    }
    assert_eq!(excesses(&gateway, "messages", "pause"), "absent");
}

#[tokio::test(start_paused = true)]
async fn frames_may_be_cut_anywhere_while_the_device_has_to_pause() {
    let gateway = limited(ten_a_second(), BeyondRate::Pause);
    let (mut client, _device) = gateway.connect(1 << 20);
    let sent = binary(&filled(LENGTH)).repeat(20);
    for piece in sent.chunks(333) {
        client.send(piece).await;
        settle().await;
    }
    let mut received = messages(&gateway).await;
    let started = Instant::now();
    while received < 20 {
        advance(Duration::from_millis(50)).await;
        received += messages(&gateway).await;
    }
    let elapsed = started.elapsed();
    assert!((seconds(1)..Duration::from_millis(1700)).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_message_costs_its_length_and_the_device_is_not_called_silent_meanwhile() {
    let bytes = Some(Rate::per_second(1000, 5000));
    let gateway = limited(MessageRate { messages: None, bytes }, BeyondRate::Pause);
    let (mut client, device) = gateway.connect(4096);
    // Of messages that are handled where they were read, and of one that is handled elsewhere.
    for (length, received) in [(200_000, 3), (300_000, 6)] {
        let started = Instant::now();
        let message = binary(&filled(length));
        let (first, rest) = message.split_at(length / 2);
        client.send(first).await;
        client.send(rest).await;
        client.send(&binary(&event("event:iot")).repeat(2)).await;
        while device.statistics().messages_received() < received {
            // It is pinged, but what it answers is not read.
            client.expect(0x89, ID).await;
            client.send(&frame(0x8a, ID.as_bytes())).await;
        }
        let (elapsed, due) = (started.elapsed(), seconds(length as u64 / 1000 - 5));
        assert!((due..due + seconds(12)).contains(&elapsed), "{elapsed:?}");
    }
    assert_eq!(messages(&gateway).await, 6);
    assert_eq!(excesses(&gateway, "bytes", "pause"), "2");
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_nothing_but_reading() {
    let bytes = Some(Rate::per_second(1, 1));
    let gateway = limited(MessageRate { messages: None, bytes }, BeyondRate::Pause);
    let (mut client, device) = gateway.connect(1 << 20);
    client.send(&binary(&filled(LENGTH)).repeat(3)).await;
    assert_eq!(messages(&gateway).await, 2);
    client.send(&frame(0x89, b"not read")).await;
    let sent = device.send(Bytes::from_static(b"to the device"), Instant::now() + seconds(5));
    let (sent, ()) = tokio::join!(sent, client.expect(0x82, b"to the device"));
    assert_eq!(sent, Ok(()));
    for _ in 0..10 {
        client.expect(0x89, ID).await;
    }
    device.close(Reason::Drained.into());
    client.expect_close(1001, "drained").await;
    drop(client);
    let recorded = gateway.recorded().await;
    assert_eq!(recorded, [Recorded::Offline("*no error*:drained".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_device_falls_silent_after_its_pause_as_without_one() {
    let bytes = Some(Rate::per_second(10, 1));
    let gateway = limited(MessageRate { messages: None, bytes }, BeyondRate::Pause);
    let (mut client, _device) = gateway.connect(1 << 20);
    client.send(&binary(&filled(LENGTH)).repeat(2)).await;
    let started = Instant::now();
    while client.frame().await.is_some_and(|frame| frame.first == 0x89) {}
    let elapsed = started.elapsed();
    assert!((seconds(225)..seconds(240)).contains(&elapsed), "200 s and idlePeriod, not {elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn messages_beyond_the_rate_are_dropped_and_acknowledged() {
    let gateway = limited(ten_a_second(), BeyondRate::Drop);
    let (mut client, device) = gateway.connect(1 << 20);
    let message = Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: ID.into(),
        dest: "event:iot".into(),
        qos: wrp::Qos(30),
        ..Message::default()
    };
    for _ in 0..20 {
        client.send(&binary(&encoded(&message))).await;
    }
    let recorded = gateway.recorded().await;
    let dropped = |recorded: &&Recorded| **recorded == Recorded::Dropped(Dropped::OverRate, 30);
    assert_eq!(recorded.iter().filter(dropped).count(), 15, "{recorded:?}");
    assert_eq!(recorded.len(), 21);
    assert_eq!(gateway.metric("device_refused_messages{reason=\"over_rate\"}"), "15");
    assert_eq!(excesses(&gateway, "messages", "drop"), "15");
    assert_eq!(device.statistics().messages_received(), 20);
    advance(Duration::from_millis(100)).await;
    client.send(&binary(&event("event:iot"))).await;
    assert_eq!(messages(&gateway).await, 1, "what was dropped took nothing");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_service_waits_for_is_not_dropped() {
    let gateway = limited(ten_a_second(), BeyondRate::Drop);
    let (mut client, device) = gateway.connect(1 << 20);
    for _ in 0..20 {
        client.send(&binary(&event("event:iot"))).await;
    }
    let request = device.request("t-1", Bytes::from_static(b"request"), Instant::now() + seconds(5));
    let answering = async {
        client.expect(0x82, b"request").await;
        let answer = Message {
            msg_type: MessageType::SIMPLE_REQUEST_RESPONSE,
            source: ID.into(),
            dest: "dns:scytale".into(),
            transaction_uuid: "t-1".into(),
            ..Message::default()
        };
        client.send(&binary(&encoded(&answer))).await;
    };
    let (answered, ()) = tokio::join!(request, answering);
    assert!(answered.is_ok(), "{answered:?}");
}

/// contract §2.19
#[tokio::test(start_paused = true)]
async fn a_device_that_exceeds_its_rate_for_too_long_is_closed_and_refused() {
    for beyond in [BeyondRate::Pause, BeyondRate::Drop] {
        let refusal = RefusalRules { flood_time: Some(seconds(20)), ..RefusalRules::none() };
        let rate = Some(RateLimit { rate: ten_a_second(), beyond });
        let gateway = Gateway::new(Config { rate, refusal, ..Config::default() });
        let (mut client, _device) = gateway.connect(1 << 20);
        // What it has to wait for once does not count.
        client.send(&binary(&event("event:iot")).repeat(20)).await;
        advance(seconds(100)).await;
        settle().await;
        assert_eq!(gateway.manager.registry().len(), 1);
        let started = Instant::now();
        while gateway.manager.registry().len() == 1 {
            client.send(&binary(&event("event:iot")).repeat(20)).await;
            advance(seconds(1)).await;
            settle().await;
        }
        let elapsed = started.elapsed();
        assert!((seconds(20)..seconds(23)).contains(&elapsed), "{elapsed:?}");
        while let Some(received) = client.frame().await {
            if received.first == 0x88 {
                assert_eq!(
                    received.payload,
                    [&1008_u16.to_be_bytes()[..], b"rate exceeded for 20s"].concat()
                );
            }
        }
        assert_eq!(gateway.metric("device_protocol_errors_total{reason=\"flooding\"}"), "1");
        let identity = Identity::new(ID.parse().unwrap(), session_id::random());
        assert!(matches!(gateway.manager.check_id(&identity), Err(ConnectError::Refused { seconds: 300 })));
        let other = Identity { id: "uuid:b".parse().unwrap(), ..identity };
        assert_eq!(gateway.manager.check_id(&other), Ok(()));
        drop(client);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_a_device_sends_what_it_likes() {
    let gateway = Gateway::new(Config::default());
    let (mut client, _device) = gateway.connect(1 << 20);
    for _ in 0..1000 {
        client.send(&binary(&event("event:iot"))).await;
    }
    assert_eq!(messages(&gateway).await, 1000);
    assert_eq!(excesses(&gateway, "messages", "pause"), "absent");
}
