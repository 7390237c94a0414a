//! Messages to and from a device.

use talaria_protocol::session::Reason;
use tokio::time::Instant;
use wrp::Text;

use super::client::{binary, frame};
use super::*;
use crate::device::{OutboxLimit, SendError};

#[tokio::test(start_paused = true)]
async fn a_message_is_stamped_and_passed_on() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(4096);
    let sent = event("event:iot");
    client.send(&binary(&sent)).await;
    let recorded = gateway.recorded().await;
    let [Recorded::Online, Recorded::Message(message)] = &recorded[..] else { panic!("{recorded:?}") };
    let message = Message::as_ref(message);
    assert_eq!(message.session_id, device.session_id());
    assert_eq!(message.content_type, "application/octet-stream");
    assert!(message.metadata("/xmidt-timestamp").is_some());
    assert!(message.partner_ids.is_some_and(|ids| ids.contains("unknown")));
    assert_eq!(device.statistics().messages_received(), 1);
    assert_eq!(device.statistics().bytes_received(), sent.len() as u64);
    assert_eq!(gateway.metric("wrp_source_check{outcome=\"accepted\",reason=\"id_match\"}"), "1");
}

#[tokio::test(start_paused = true)]
async fn bad_messages_are_counted_and_the_connection_is_kept() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(4096);
    for bad in [&b""[..], b"not a message", b"\x82\xa8msg_type\x04\xa6source\xa1\xff"] {
        client.send(&binary(bad)).await;
    }
    client.send(&frame(0x81, b"some text")).await;
    client.send(&binary(&event("event:iot"))).await;
    let recorded = gateway.recorded().await;
    assert!(matches!(&recorded[..], [Recorded::Online, Recorded::Message(_)]), "{recorded:?}");
    assert_eq!(device.statistics().messages_received(), 5);
    assert_eq!(gateway.metric("device_refused_messages{reason=\"not_wrp\"}"), "2");
    assert_eq!(gateway.metric("device_refused_messages{reason=\"not_utf8\"}"), "1");
}

/// contract §2.18: counted under a name, acknowledged if it wants that, the connection stays.
#[tokio::test(start_paused = true)]
async fn a_message_over_its_limits_is_dropped_and_acknowledged() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(1 << 20);
    let with = |message: Message| {
        let mut frame = Vec::new();
        message.as_ref().encode_v3(&mut frame);
        binary(&frame)
    };
    let event = || Message { msg_type: MessageType::SIMPLE_EVENT, ..Message::default() };
    let many = || Some(vec![""; 4096].into());
    client.send(&with(Message { headers: many(), qos: wrp::Qos(30), ..event() })).await;
    client.send(&with(Message { partner_ids: many(), ..event() })).await;
    client.send(&with(Message { path: "x".repeat(1 << 16).as_str().into(), ..event() })).await;
    client.send(&with(Message { transaction_uuid: "x".repeat(257).as_str().into(), ..event() })).await;
    let metadata = [("k".repeat(1025), "")].into();
    client.send(&with(Message { metadata: Some(metadata), ..event() })).await;
    client.send(&with(Message { source: device.id().as_str().into(), ..event() })).await;
    let recorded = gateway.recorded().await;
    let [Recorded::Online, Recorded::Dropped(Dropped::TooLarge, 30), Recorded::Message(_)] = recorded[..]
    else {
        panic!("{recorded:?}")
    };
    let counted = |reason: &str| gateway.metric(&format!("device_refused_messages{{reason=\"{reason}\"}}"));
    assert_eq!(counted("too_many_entries"), "2");
    assert_eq!(["fields_too_long", "id_too_long", "key_too_long"].map(counted), ["1", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_with_the_handshake_counts() {
    let gateway = Gateway::new(Config::default());
    let early: &'static [u8] = binary(&event("event:iot")).leak();
    let (mut client, _) = gateway.connect_with(4096, early);
    assert!(matches!(gateway.recorded().await[..], [Recorded::Online, Recorded::Message(_)]));
    let (torn, rest) = early.split_at(20);
    client.send(torn).await;
    assert_eq!(gateway.recorded().await, []);
    client.send(rest).await;
    assert!(matches!(gateway.recorded().await[..], [Recorded::Message(_)]));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_by_the_message_of_its_uuid() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(4096);
    let request = tokio::spawn({
        let device = Arc::clone(&device);
        async move { device.request("t-1", Bytes::from_static(b"request"), Instant::now() + seconds(5)).await }
    });
    client.expect(0x82, b"request").await;
    let answer = |uuid: &str| Message {
        msg_type: MessageType::SIMPLE_REQUEST_RESPONSE,
        source: ID.into(),
        dest: "dns:scytale".into(),
        transaction_uuid: uuid.into(),
        payload: Some(b"answer".to_vec()),
        ..Message::default()
    };
    client.send(&binary(&encoded(&answer("t-2")))).await;
    client.send(&binary(&encoded(&answer("t-1")))).await;
    let bytes = request.await.unwrap().unwrap();
    let rewritten = MessageRef::decode_v3(&bytes).unwrap();
    assert_eq!(rewritten.payload, Some(&b"answer"[..]));
    assert_eq!(rewritten.content_type, Text::from("application/octet-stream"));
    assert!(rewritten.metadata("/xmidt-timestamp").is_some());
    // The other one goes to the dispatcher, which drops it.
    let recorded = gateway.recorded().await;
    let [Recorded::Online, Recorded::Message(unmatched)] = &recorded[..] else { panic!("{recorded:?}") };
    assert_eq!(unmatched.transaction_uuid, "t-2");
    assert_eq!(gateway.metric("request_response_count"), "2");
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_for_room_until_its_own_deadline_and_until_its_message_is_written() {
    let outbox = OutboxLimit { messages: 1, bytes: 1 << 20 };
    let gateway = Gateway::new(Config { outbox, ..Config::default() });
    let (mut client, device) = gateway.connect(64);
    // The first message fills the pipe and is stuck in it; the second one fills the queue.
    let payload = Bytes::from(vec![7; 1000]);
    device.try_send(payload.clone()).unwrap();
    settle().await;
    device.try_send(payload.clone()).unwrap();
    assert_eq!(device.try_send(payload.clone()), Err(SendError::Busy));
    assert_eq!(device.pending(), 1);
    let started = Instant::now();
    assert_eq!(device.send(payload.clone(), started + seconds(3)).await, Err(SendError::Timeout));
    assert_eq!(started.elapsed(), seconds(3));

    let send = device.send(payload.clone(), Instant::now() + seconds(3));
    let read = async {
        for _ in 0..3 {
            client.expect(0x82, &payload).await;
        }
    };
    let (sent, ()) = tokio::join!(send, read);
    assert_eq!(sent, Ok(()));
    assert_eq!(device.statistics().messages_sent(), 3);
    assert_eq!(device.statistics().bytes_sent(), 3000);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_sender_gave_up_is_not_sent() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(64);
    device.try_send(Bytes::from(vec![1; 500])).unwrap();
    settle().await;
    let given_up = device.send(Bytes::from_static(b"given up"), Instant::now() + seconds(1)).await;
    assert_eq!(given_up, Err(SendError::Timeout));
    device.try_send(Bytes::from_static(b"after")).unwrap();
    client.expect(0x82, vec![1; 500]).await;
    client.expect(0x82, b"after").await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_in_bytes_but_takes_one_message_of_any_size() {
    let outbox = OutboxLimit { messages: 100, bytes: 1000 };
    let gateway = Gateway::new(Config { outbox, ..Config::default() });
    let (mut client, device) = gateway.connect(64);
    device.try_send(Bytes::from(vec![1; 500])).unwrap();
    settle().await;
    device.try_send(Bytes::from(vec![2; 5000])).unwrap();
    assert_eq!(device.try_send(Bytes::from_static(b"x")), Err(SendError::Busy));
    client.expect(0x82, vec![1; 500]).await;
    client.expect(0x82, vec![2; 5000]).await;
    assert_eq!(device.try_send(Bytes::from_static(b"x")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_read_is_still_read_from() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(256);
    device.try_send(Bytes::from(vec![1; 10_000])).unwrap();
    settle().await;
    for _ in 0..50 {
        client.send(&binary(&event("event:iot"))).await;
    }
    let recorded = gateway.recorded().await;
    assert_eq!(recorded.len(), 51);
    assert_eq!(device.statistics().messages_sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_message_comes_in_many_reads_and_leaves_no_memory() {
    let gateway = Gateway::new(Config::default());
    let (mut client, _) = gateway.connect(1024);
    let payload = vec![b'x'; 3_000_000];
    let message = Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: ID.into(),
        dest: "event:big".into(),
        payload: Some(payload.clone()),
        ..Message::default()
    };
    client.send(&binary(&encoded(&message))).await;
    let recorded = gateway.record(2).await;
    let [Recorded::Online, Recorded::Message(received)] = &recorded[..] else {
        panic!("{} recorded", recorded.len())
    };
    assert!(received.payload.as_ref() == Some(&payload));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_with_their_payload_and_a_flood_of_them_costs_one_pong() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(256);
    client.send(&frame(0x89, b"are you there")).await;
    client.expect(0x8a, b"are you there").await;
    device.try_send(Bytes::from(vec![1; 1000])).unwrap();
    settle().await;
    for number in 0..100_u8 {
        client.send(&frame(0x89, &[number])).await;
    }
    settle().await;
    client.expect(0x82, vec![1; 1000]).await;
    client.expect(0x8a, [99]).await;
    assert_eq!(device.statistics().messages_received(), 0);
    device.close(Reason::Drained.into());
    client.expect_close(1001, "drained").await;
}
