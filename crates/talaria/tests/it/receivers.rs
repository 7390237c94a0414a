//! Four event receivers on real sockets, one of which is bad in one way or another: the other three lose nothing and do not wait,
//! and when it is healed it has its first event within two seconds and all that waited (contract §5.5, §5.6).

use std::time::{Duration, Instant};

use wrp::Message;

use crate::support::bad_receiver::{Bad, BadReceiver};
use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events for each receiver, one every few milliseconds.
const EVENTS: usize = 150;

/// Those that come before the bad one is bad.
const GOOD_EVENTS: usize = 20;

/// The time within which a healed receiver has its first event.
const HEALED: Duration = Duration::from_secs(2);

/// Sends events to a bad receiver and to three good ones, and heals the bad one.
async fn one_is_bad(bad: Bad) {
    let mut receiver = BadReceiver::start(bad);
    let good = [Receiver::start().await, Receiver::start().await, Receiver::start().await];
    let gateway = GatewayProcess::start(&format!(
        "device: {{outbound: {{eventEndpoints: {{bad: '{}', a: '{}', b: '{}', c: '{}'}}}}}}\n",
        receiver.url(),
        good[0].url(),
        good[1].url(),
        good[2].url(),
    ))
    .await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    let mut pace = tokio::time::interval(Duration::from_millis(15));
    for number in 0..EVENTS {
        pace.tick().await;
        if number == GOOD_EVENTS {
            eventually("it was good at first", PATIENCE, async || receiver.accepted() == GOOD_EVENTS).await;
            receiver.fall_ill().await;
        }
        for to in ["bad", "a", "b", "c"] {
            let dest = format!("event:{to}/x");
            device.send(Message { dest: dest.as_str().into(), ..event(device.id(), number, 50) });
        }
    }
    eventually("the others have all of their events", Duration::from_secs(10), async || {
        good.iter().all(|receiver| receiver.count() == EVENTS)
    })
    .await;
    let before = receiver.times().len();
    let healed = Instant::now();
    receiver.heal();
    eventually("the healed one has its first event", PATIENCE, async || receiver.times().len() > before)
        .await;
    let took = receiver.times()[before] - healed;
    assert!(took <= HEALED, "{bad:?}: {took:?}\n{}", gateway.log());
    eventually("it has all that waited", PATIENCE, async || receiver.accepted() == EVENTS).await;
    eventually("all is acknowledged", PATIENCE, async || device.acks().len() == 4 * EVENTS).await;
    assert!(device.acks().iter().all(|ack| ack.rdr == Some(0)), "{bad:?}");
    let origin = format!("origin=\"http://{}\"", receiver.address());
    assert_eq!(gateway.metric("outbound_receiver_state", &[&origin]).await as u64, 0);
    if !matches!(bad, Bad::Slow) {
        let url = receiver.url();
        for line in [FAILS, WORKS] {
            assert_eq!(gateway.log_line(line).unwrap()["url"], url, "{}", gateway.log());
        }
    }
}

const FAILS: &str = "event receiver fails, its events wait and it is tried about once a second";
const WORKS: &str = "event receiver works again";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_receiver_harms_no_other_one() {
    one_is_bad(Bad::Dead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_harms_no_other_one() {
    one_is_bad(Bad::Hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_trickles_harms_no_other_one() {
    one_is_bad(Bad::Trickles).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_resets_harms_no_other_one() {
    one_is_bad(Bad::Resets).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_answers_500_harms_no_other_one() {
    one_is_bad(Bad::Answers("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_to_wait_harms_no_other_one() {
    let head = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
    one_is_bad(Bad::Answers(head)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_closes_in_its_answers_harms_no_other_one() {
    one_is_bad(Bad::ClosesMidAnswer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_receiver_harms_no_other_one() {
    one_is_bad(Bad::Slow).await;
}
