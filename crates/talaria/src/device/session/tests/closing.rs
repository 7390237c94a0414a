//! The ends of sessions.

use talaria_protocol::session::{ProtocolError, Reason};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::client::{binary, frame};
use super::*;
use crate::device::{SendError, session_id};

#[tokio::test(start_paused = true)]
async fn a_device_that_drops_the_connection_goes_offline_once() {
    let gateway = Gateway::new(Config::default());
    let (client, device) = gateway.connect(4096);
    drop(client);
    let recorded = gateway.recorded().await;
    assert_eq!(recorded, [Recorded::Online, Recorded::Offline("*no error*:readerror".to_owned())]);
    assert!(gateway.manager.registry().is_empty());
    device.close(Reason::Drained.into());
    assert_eq!(device.try_send(Bytes::new()), Err(SendError::Closed));
    assert_eq!(gateway.recorded().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_with_the_same_code() {
    for (sent, answered) in [(&b"\x03\xe8bye"[..], &b"\x03\xe8"[..]), (b"\x0f\xa1", b"\x0f\xa1"), (b"", b"")]
    {
        let gateway = Gateway::new(Config::default());
        let (mut client, _device) = gateway.connect(4096);
        client.send(&frame(0x88, sent)).await;
        client.expect(0x88, answered).await;
        assert_eq!(client.frame().await, None);
        let recorded = gateway.recorded().await;
        assert_eq!(recorded, [Recorded::Online, Recorded::Offline("*no error*:readerror".to_owned())]);
    }
}

#[tokio::test(start_paused = true)]
async fn bad_frames_end_the_connection_with_their_code_and_text() {
    let limit = 1000;
    for (bytes, code, text, reason) in [
        (vec![0x82, 0x01, b'x'], 1002, "bad MASK".to_owned(), "unmasked"),
        (frame(0xc2, b""), 1002, "RSV1 set".to_owned(), "reserved_bits"),
        (frame(0x83, b""), 1002, "bad opcode 3".to_owned(), "bad_opcode"),
        (frame(0x80, b""), 1002, "continuation after FIN".to_owned(), "bad_fragment"),
        (frame(0x09, b""), 1002, "FIN not set on control".to_owned(), "bad_control"),
        (frame(0x89, &[0; 126]), 1002, "len > 125 for control".to_owned(), "bad_control"),
        (frame(0x88, b"\x03\xe7"), 1002, "bad close code 999".to_owned(), "bad_close"),
        (binary(&vec![0; limit + 1]), 1009, format!("message over {limit} bytes"), "too_big"),
    ] {
        let gateway = Gateway::new(Config { max_message_size: limit, ..Config::default() });
        let (mut client, _device) = gateway.connect(4096);
        client.send(&bytes).await;
        client.expect_close(code, &text).await;
        let recorded = gateway.recorded().await;
        assert_eq!(recorded, [Recorded::Online, Recorded::Offline(format!("{text}:readerror"))]);
        let series = |reason| format!("device_protocol_errors_total{{reason=\"{reason}\"}}");
        for each in ProtocolError::ALL.map(ProtocolError::as_str) {
            let expected = if each == reason { "1" } else { "0" };
            assert_eq!(gateway.metric(&series(each)), expected, "{text}: {each}");
        }
    }
}

/// contract §14.25
#[tokio::test(start_paused = true)]
async fn of_halves_of_messages_that_are_too_much_together_the_largest_is_closed() {
    const KIB: usize = 1024;
    // 768 KiB for messages over 64 KiB.
    let gateway = Gateway::new(Config { max_unfinished_bytes: 1024 * KIB, ..Config::default() });
    let connect = |id: &str| {
        let (near, far) = tokio::io::duplex(2048 * KIB);
        let identity = Identity::new(id.parse().unwrap(), session_id::random());
        gateway.manager.connect(near, Bytes::new(), identity).unwrap();
        Client::new(far)
    };
    let message = binary(&vec![0; 700 * KIB]);
    let mut large = connect("uuid:large");
    large.send(&message[..600 * KIB]).await;
    let mut small = connect("uuid:small");
    let short = binary(&vec![0; 60 * KIB]);
    small.send(&short[..10 * KIB]).await;
    settle().await;
    let mut growing = connect("uuid:growing");
    growing.send(&message[..200 * KIB]).await;
    large.expect_close(1013, "unfinished messages over 1048576 bytes").await;
    assert_eq!(gateway.metric("device_protocol_errors_total{reason=\"no_room\"}"), "1");
    drop(large);
    settle().await;
    small.send(&short[10 * KIB..]).await;
    growing.send(&message[200 * KIB..]).await;
    settle().await;
    let registry = gateway.manager.registry();
    assert_eq!(registry.len(), 2);
    for id in ["uuid:small", "uuid:growing"] {
        let device = registry.get(&id.parse().unwrap()).unwrap();
        // The long one is handled by another thread.
        while device.statistics().messages_received() == 0 {
            settle().await;
        }
        assert_eq!(device.statistics().messages_received(), 1, "{id}");
    }
}

/// contract §14.25
#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_end_in_time_ends_its_connection() {
    let gateway =
        Gateway::new(Config { idle_period: seconds(1001), ping_period: seconds(1000), ..Config::default() });
    let (mut client, device) = gateway.connect(65_536);
    let message = binary(&event("event:iot"));
    let (first, rest) = message.split_at(5);
    // Each message is complete in time, although there never is a moment without one.
    client.send(first).await;
    for _ in 0..10 {
        tokio::time::sleep(seconds(40)).await;
        client.send(&[rest, first].concat()).await;
    }
    settle().await;
    assert_eq!(device.statistics().messages_received(), 10);
    let begun = Instant::now();
    client.expect_close(1008, "message not complete within 1m0s").await;
    let took = begun.elapsed();
    assert!((seconds(60)..seconds(61)).contains(&took), "{took:?}");
    assert_eq!(gateway.metric("device_protocol_errors_total{reason=\"slow_message\"}"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_floods_the_gateway_after_its_end_is_not_waited_for() {
    let gateway = Gateway::new(Config::default());
    let (mut client, _device) = gateway.connect(65_536);
    client.send(&[0x82, 0x01, b'x']).await;
    client.expect_close(1002, "bad MASK").await;
    let started = Instant::now();
    let mut sent = 0;
    while client.io.write_all(&[0; 16 * 1024]).await.is_ok() {
        sent += 16 * 1024;
    }
    assert!((256 * 1024..512 * 1024).contains(&sent), "{sent} bytes");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_close_is_not_heard() {
    let gateway = Gateway::new(Config::default());
    let (mut client, _device) = gateway.connect(4096);
    let after = binary(&event("event:iot"));
    client.send(&[frame(0x88, b"\x03\xe8"), after.clone()].concat()).await;
    client.expect(0x88, b"\x03\xe8").await;
    client.send(&after).await;
    let recorded = gateway.recorded().await;
    assert!(matches!(recorded[..], [Recorded::Online, Recorded::Offline(_)]), "{recorded:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_closes_says_why_and_fails_whoever_waits() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(64);
    let deadline = Instant::now() + seconds(60);
    let waiting: Vec<_> = (0..3)
        .map(|number| {
            let device = Arc::clone(&device);
            tokio::spawn(async move {
                device.request(&format!("t-{number}"), Bytes::from(vec![1; 20_000]), deadline).await
            })
        })
        .collect();
    settle().await;
    device.close(CloseReason::with_error(Reason::RehashError, &"no instances"));
    device.close(Reason::Drained.into());
    for request in waiting {
        assert_eq!(request.await.unwrap(), Err(SendError::Closed));
    }
    let request = device.request("late", Bytes::new(), deadline).await;
    assert_eq!(request, Err(SendError::TransactionsClosed));
    // The frame that was under way is finished, the two behind it are not sent.
    client.expect(0x82, vec![1; 20_000]).await;
    client.expect_close(1001, "rehash-error").await;
    let recorded = gateway.recorded().await;
    assert_eq!(recorded, [Recorded::Online, Recorded::Offline("no instances:rehash-error".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_ignores_the_close_is_dropped_soon() {
    let gateway = Gateway::new(Config::default());
    let (client, device) = gateway.connect(64);
    device.try_send(Bytes::from(vec![1; 500])).unwrap();
    settle().await;
    device.close(Reason::Drained.into());
    let started = Instant::now();
    let left = gateway.manager.registry().wait_until_empty(started + seconds(10)).await;
    assert_eq!(left, 0);
    assert!(started.elapsed() < seconds(2), "{:?}", started.elapsed());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn the_same_device_again_ends_the_old_connection() {
    let gateway = Gateway::new(Config::default());
    let (mut first, _) = gateway.connect(4096);
    let (_second, device) = gateway.connect(4096);
    first.expect_close(1008, "duplicate").await;
    let recorded = gateway.recorded().await;
    assert_eq!(
        recorded,
        [Recorded::Online, Recorded::Offline("*no error*:duplicate".to_owned()), Recorded::Online],
        "the old connection is offline before the new one is online"
    );
    assert!(Arc::ptr_eq(&gateway.manager.registry().get(device.id()).unwrap(), &device));
    assert_eq!(device.statistics().duplications(), 1);
    assert_eq!(gateway.metric("duplicate_count"), "1");
    assert_eq!(gateway.metric("device_count"), "1");
    assert_eq!(gateway.metric("hardware_model"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_device_over_the_limit_is_not_admitted() {
    let gateway = Gateway::new(Config { max_devices: Some(1), ..Config::default() });
    let (_client, _device) = gateway.connect(4096);
    let other = Identity::new("uuid:other".parse().unwrap(), session_id::random());
    let error = gateway.manager.connect(tokio::io::duplex(4096).0, Bytes::new(), other).unwrap_err();
    assert_eq!(error.0, Reason::DeviceLimitReached);
    assert_eq!(gateway.recorded().await, [Recorded::Online]);
    assert_eq!(gateway.metric("device_limit_reached_count"), "1");
    assert_eq!(gateway.metric("disconnect_count"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_says_going_away_and_waits_for_the_offline_events() {
    let gateway = Gateway::new(Config::default());
    let (mut client, _device) = gateway.connect(4096);
    let (shutdown, ()) = tokio::join!(gateway.manager.shutdown(seconds(5)), async {
        client.expect_close(1001, "drained").await;
        drop(client);
    });
    assert_eq!(shutdown, 0);
    let recorded = gateway.recorded().await;
    assert_eq!(
        recorded,
        [Recorded::Online, Recorded::Offline("the gateway is shutting down:drained".to_owned())]
    );
    let late = Identity::new(ID.parse().unwrap(), session_id::random());
    let error = gateway.manager.connect(tokio::io::duplex(4096).0, Bytes::new(), late).unwrap_err();
    assert_eq!(error.0, Reason::Drained);
    assert_eq!(gateway.recorded().await, []);
}

/// contract §14.25
#[tokio::test(start_paused = true)]
async fn of_devices_that_do_not_read_the_one_for_which_most_waits_is_closed() {
    const KIB: usize = 1024;
    // 768 KiB for devices for which more than 64 KiB wait.
    let gateway = Gateway::new(Config { max_queued_bytes: 1024 * KIB, ..Config::default() });
    let mut clients = Vec::new();
    let mut connect = |id: &str, pipe| {
        let (near, far) = tokio::io::duplex(pipe);
        let identity = Identity::new(id.parse().unwrap(), session_id::random());
        let id = identity.id.clone();
        gateway.manager.connect(near, Bytes::new(), identity).unwrap();
        clients.push(Client::new(far));
        gateway.manager.registry().get(&id).unwrap()
    };
    let (most, less) = (connect("uuid:most", 1), connect("uuid:less", 1));
    let (reads, later) = (connect("uuid:reads", 4096 * KIB), connect("uuid:later", 1));
    let piece = Bytes::from(vec![0; 100 * KIB]);
    for (device, pieces) in [(&most, 4), (&less, 3)] {
        for _ in 0..pieces {
            device.try_send(piece.clone()).unwrap();
        }
    }
    settle().await;
    for _ in 0..30 {
        reads.try_send(piece.slice(..50 * KIB)).expect("a device that reads is not affected");
        settle().await;
    }
    later.try_send(piece.clone()).expect("the one that has most goes for it");
    later.try_send(piece.clone()).expect("there is room now");
    settle().await;
    let registry = gateway.manager.registry();
    assert!(registry.get(most.id()).is_none());
    assert!([&less, &reads, &later].iter().all(|device| registry.get(device.id()).is_some()));
    assert_eq!(gateway.metric("device_protocol_errors_total{reason=\"unread\"}"), "1");
    let offline = gateway.recorded().await;
    let offline = offline.iter().filter(|event| matches!(event, Recorded::Offline(_)));
    let reason = "unread messages over 1048576 bytes:write-error".to_owned();
    assert_eq!(offline.collect::<Vec<_>>(), [&Recorded::Offline(reason)]);
}

/// contract §14.25
#[tokio::test(start_paused = true)]
async fn a_message_for_which_there_is_no_room_is_refused_if_every_device_reads() {
    const KIB: usize = 1024;
    let gateway = Gateway::new(Config { max_queued_bytes: 1024 * KIB, ..Config::default() });
    let (_client, device) = gateway.connect(64 * KIB);
    // The session has not had its turn, so nothing is stuck yet.
    device.try_send(Bytes::from(vec![0; 700 * KIB])).unwrap();
    let refused = device.send(Bytes::from(vec![0; 100 * KIB]), Instant::now() + seconds(5)).await;
    assert_eq!(refused, Err(SendError::Busy), "it does not wait for other devices");
    assert!(!device.outbox().is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_leaves_no_ghost() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(4096);
    client.send(&binary(&event(PANIC))).await;
    let offline = Recorded::Offline("the session panicked:unknown".to_owned());
    assert_eq!(gateway.recorded().await, [Recorded::Online, offline]);
    assert!(gateway.manager.registry().get(device.id()).is_none());
    assert_eq!(
        (gateway.metric("device_count"), gateway.metric("disconnect_count")),
        ("0".into(), "1".into())
    );
    let (_client, again) = gateway.connect(4096);
    assert!(gateway.manager.registry().get(again.id()).is_some(), "it can connect again");
}
