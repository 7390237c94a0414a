//! `order: device`: the events of a device go to each receiver one after the other (contract §14.4).

use super::*;
use crate::event::fair_queue::Order;

const ONE: &str = "mac:112233445566";
const OTHER: &str = "mac:112233445567";

fn config() -> Config {
    let endpoints = json!({"other": "http://other/", "default": "http://memory/"});
    Config {
        order: Order::Device,
        workers: 10,
        endpoints: Endpoints::parse(&endpoints).unwrap(),
        ..Config::default()
    }
}

/// The bodies of the requests, and the seconds at which they came.
fn bodies(receiver: &Receiver, start: Instant) -> Vec<(String, u64)> {
    let body = |request: Received| {
        (String::from_utf8(request.body).unwrap(), request.at.duration_since(start).as_secs())
    };
    receiver.requests().into_iter().map(body).collect()
}

fn expected(bodies: &[(&str, u64)]) -> Vec<(String, u64)> {
    bodies.iter().map(|(body, at)| ((*body).to_owned(), *at)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_device_has_one_event_at_a_time_under_way_and_others_do_not_wait() {
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(1)));
    let bench = Bench::in_memory(&config(), [("memory", receiver.clone())]);
    let start = Instant::now();
    for body in ["a", "b", "c"] {
        bench.send_as(ONE, "event:iot/x", body);
    }
    bench.send_as(OTHER, "event:iot/x", "d");
    bench.drained().await;
    assert_eq!(bodies(&receiver, start), expected(&[("a", 0), ("d", 0), ("b", 1), ("c", 2)]));
    assert_eq!(bench.verdicts(), [DELIVERED; 4]);
}

#[tokio::test(start_paused = true)]
async fn an_event_waits_for_the_retries_of_the_one_before_it() {
    let script = |request: &Received, number| match (&*request.body, number) {
        (b"a", 1 | 2) => Answer::Status(504),
        _ => Answer::Status(202),
    };
    let receiver = Receiver::new(script);
    let bench = Bench::in_memory(&config(), [("memory", receiver.clone())]);
    let start = Instant::now();
    bench.send_as(ONE, "event:iot/x", "a");
    bench.send_as(ONE, "event:iot/x", "b");
    bench.drained().await;
    let bodies: Vec<_> = bodies(&receiver, start).into_iter().map(|(body, _)| body).collect();
    assert_eq!(bodies, ["a", "a", "a", "b"]);
    assert_eq!(bench.verdicts(), [DELIVERED; 2]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_lost_holds_back_no_other_one_and_neither_does_another_receiver() {
    let hangs = Receiver::answering(Answer::Silence);
    let other = Receiver::answering(Answer::Status(202));
    let config = Config { request_timeout: Duration::from_secs(5), ..config() };
    let bench = Bench::in_memory(&config, [("memory", hangs.clone()), ("other", other.clone())]);
    let start = Instant::now();
    bench.send_as(ONE, "event:iot/x", "a");
    bench.send_as(ONE, "event:other/x", "b");
    other.received(1).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    hangs.received(1).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    bench.send_as(ONE, "event:iot/x", "c");
    bench.drained().await;
    assert_eq!(bodies(&hangs, start), expected(&[("a", 0), ("c", 5)]), "c has three seconds left");
    let unreachable = Verdict::ReceiverUnreachable;
    assert_eq!(bench.verdicts(), [DELIVERED, unreachable, unreachable]);
}
