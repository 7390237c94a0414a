//! Acknowledgements on their way to the device.

use talaria_protocol::session::Reason;
use tokio::time::Instant;
use wrp::QosLevel;

use super::client::binary;
use super::*;
use crate::device::{Ack, AckLimits, AckNotSentError, Acknowledged};

fn ack(length: usize) -> Ack {
    let of = Acknowledged { level: QosLevel::High, since: Instant::now(), trace: None };
    Ack { frame: vec![7; length].into(), of }
}

/// contract §14.21
#[tokio::test(start_paused = true)]
async fn acknowledgements_that_are_queued_are_written_before_the_close_frame() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(4096);
    let limits = AckLimits::new(1000, 1 << 20);
    let slots: Vec<_> = (0..300).map(|_| device.take_ack_slot(&limits, 100).unwrap()).collect();
    let left = device.take_ack_slot(&limits, 100);
    for mut slot in slots {
        slot.send(ack(100)).unwrap();
    }
    device.close(Reason::Drained.into());
    for _ in 0..300 {
        client.expect(0x82, [7; 100]).await;
    }
    client.expect_close(1001, "drained").await;
    drop(client);
    assert_eq!(left.unwrap().send(ack(100)), Err(AckNotSentError(Reason::Drained)));
    settle().await;
    assert_eq!(*gateway.events.acks.lock(), Acks { written: 300, unwritten: Vec::new() });
    assert_eq!(limits.used(), 0);
}

/// contract §14.21
#[tokio::test(start_paused = true)]
async fn acknowledgements_that_a_device_does_not_read_are_counted_with_the_reason_when_it_is_closed() {
    let gateway = Gateway::new(Config { write_timeout: seconds(5), ..Config::default() });
    let (client, device) = gateway.connect(1000);
    let limits = AckLimits::new(1000, 1 << 20);
    for _ in 0..300 {
        device.take_ack_slot(&limits, 100).unwrap().send(ack(100)).unwrap();
    }
    tokio::time::sleep(seconds(7)).await;
    settle().await;
    let Acks { written, unwritten } = std::mem::take(&mut *gateway.events.acks.lock());
    assert_eq!(written, 9, "as many as the pipe holds");
    assert_eq!(unwritten.iter().map(|(count, _)| count).sum::<usize>(), 291);
    assert!(unwritten.iter().all(|(_, reason)| *reason == Reason::WriteError), "{unwritten:?}");
    assert_eq!(limits.used(), 0);
    drop(client);
}

/// contract §5.3
#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_read_its_refusals_is_not_read_until_it_does() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(16);
    let limits = AckLimits::new(0, 1 << 20);
    while !device.outbox().is_reading_paused() {
        device.send_refusal(&limits, ack(1000)).unwrap();
    }
    gateway.recorded().await;
    let event = binary(&event("event:iot/x"));
    let mut refused = Vec::new();
    // The pipe holds 16 bytes, so this ends only when the gateway reads.
    tokio::select! {
        biased;
        () = client.send(&event) => panic!("it is read"),
        () = settle() => {}
    }
    while device.outbox().is_reading_paused() {
        refused.push(client.frame().await.unwrap());
    }
    assert!(!refused.is_empty() && refused.iter().all(|frame| frame.payload == [7; 1000]));
}

/// contract §9.11
#[tokio::test(start_paused = true)]
async fn a_stop_reads_nothing_more_and_waits_until_the_outcomes_are_known_and_written() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(16);
    let limits = AckLimits::new(10, 1 << 20);
    let mut slot = device.take_ack_slot(&limits, 100).unwrap();
    gateway.manager.stop_reading();
    settle().await;
    let message = binary(&event("event:iot/x"));
    tokio::select! {
        biased;
        () = client.send(&message) => panic!("it is read"),
        () = settle() => {}
    }
    let started = Instant::now();
    let outcome = async {
        tokio::time::sleep(seconds(3)).await;
        slot.send(ack(100)).unwrap();
        client.expect(0x82, [7; 100]).await;
    };
    tokio::join!(gateway.manager.acknowledged(started + seconds(20)), outcome);
    assert_eq!(started.elapsed().as_secs(), 3);
    assert_eq!(gateway.events.acks.lock().written, 1);
}

/// contract §9.11
#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_device_that_does_not_read() {
    let gateway = Gateway::new(Config::default());
    let (client, device) = gateway.connect(16);
    let limits = AckLimits::new(10, 1 << 20);
    let (_open, mut slot) =
        (device.take_ack_slot(&limits, 100).unwrap(), device.take_ack_slot(&limits, 100).unwrap());
    slot.send(ack(100)).unwrap();
    settle().await;
    let started = Instant::now();
    gateway.manager.stop_reading();
    gateway.manager.acknowledged(started + seconds(20)).await;
    assert!(started.elapsed() < seconds(1), "{:?}", started.elapsed());
    drop(client);
}
