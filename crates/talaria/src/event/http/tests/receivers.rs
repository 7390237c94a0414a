//! Configured receivers are kept apart: one that hangs or is slow costs its own events only, is tried from time to time, and gets
//! what waits for it as soon as it works (contract §5.5).

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::event::config::RetryOn;

/// Events of the type `bad` go to the host `bad`, all others to `good`.
fn config() -> Config {
    let endpoints = json!({"bad": "http://bad/", "default": "http://good/"});
    Config { endpoints: Endpoints::parse(&endpoints).unwrap(), ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_delays_no_other_one() {
    let (bad, good) = (Receiver::answering(Answer::Silence), Receiver::answering(Answer::Status(202)));
    let bench = Bench::in_memory(&config(), [("bad", bad.clone()), ("good", good.clone())]);
    (0..400).for_each(|_| bench.send("event:bad/x", "body"));
    bad.received(75).await;
    let start = Instant::now();
    (0..50).for_each(|_| bench.send("event:iot/x", "body"));
    good.received(50).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn requests_that_hang_leave_another_receiver_its_reserved_workers() {
    let good = Receiver::answering(Answer::After(Duration::from_secs(1)));
    let bad = Receiver::answering(Answer::Silence);
    let bench =
        Bench::in_memory(&Config { workers: 8, ..config() }, [("bad", bad.clone()), ("good", good.clone())]);
    (0..100).for_each(|_| bench.send("event:bad/x", "body"));
    bad.received(6).await;
    let start = Instant::now();
    (0..6).for_each(|_| bench.send("event:iot/x", "body"));
    good.received(6).await;
    assert_eq!((start.elapsed().as_secs(), bad.requests().len()), (2, 6), "two of eight workers are its own");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_gives_back_the_room_that_it_has_borrowed() {
    let good = Receiver::answering(Answer::After(Duration::from_secs(1)));
    let queue = QueueLimit { messages: 20, bytes: 1 << 20 };
    let bench = Bench::in_memory(
        &Config { workers: 2, queue, ..config() },
        [("bad", Receiver::answering(Answer::Silence)), ("good", good.clone())],
    );
    (0..50).for_each(|_| bench.send("event:bad/x", "body"));
    let displaced = vec![Verdict::Displaced; 30];
    assert_eq!(bench.verdicts(), displaced, "an idle receiver's part may be borrowed");
    (0..10).for_each(|_| bench.send("event:iot/x", "body"));
    assert_eq!(bench.verdicts()[30..], [Verdict::Displaced; 10]);
    bench.assert_metric("outbound_queue_size 20");
    good.received(10).await;
    assert_eq!(bench.verdicts().len(), 40 + 9, "no event of the good one was lost");
}

/// A receiver that does this until it is healed, and then answers 202.
fn ill(answer: Answer) -> (Receiver, Arc<AtomicBool>) {
    let is_healed = Arc::new(AtomicBool::new(false));
    let healed = Arc::clone(&is_healed);
    let script =
        move |_: &Received, _| if healed.load(Relaxed) { Answer::Status(202) } else { answer.clone() };
    (Receiver::new(script), is_healed)
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_fails_is_tried_about_once_a_second_and_has_its_events_soon_after_it_is_healed() {
    const EVENTS: usize = 200;
    for (answer, tries, lost) in [
        (Answer::Close, 10..=60, 0),
        // It is not known how long its answers take, so the requests that hung end at their deadlines.
        (Answer::Silence, 30..=60, 17),
        (Answer::RetryAfter(429, "1".to_owned()), 10..=60, 0),
        (Answer::Status(500), 50..=200, 0),
    ] {
        let (bad, is_healed) = ill(answer.clone());
        let bench = Bench::in_memory(&config(), [("bad", bad.clone())]);
        (0..EVENTS).for_each(|_| bench.send("event:bad/x", "body"));
        let forever = bad.received(usize::MAX);
        assert!(tokio::time::timeout(Duration::from_secs(20), forever).await.is_err());
        let before = bad.requests().len();
        assert!(tries.contains(&before), "{answer:?}: {before}");
        is_healed.store(true, Relaxed);
        let start = Instant::now();
        bad.received(before + 1).await;
        assert!(start.elapsed() <= Duration::from_secs(2), "{answer:?}: {:?}", start.elapsed());
        bench.drained().await;
        let delivered = bench.verdicts().iter().filter(|verdict| **verdict == DELIVERED).count();
        assert_eq!(delivered, EVENTS - lost, "{answer:?}");
        bench.assert_metric(r#"outbound_receiver_state{origin="http://bad:80"} 0"#);
    }
}

/// A receiver that takes its time is no receiver that has stopped answering.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_becomes_slow_gets_as_many_requests_as_a_slow_one_bears() {
    const EVENTS: usize = 1000;
    let slow =
        Receiver::new(
            |_, number| {
                if number <= 50 { Answer::Status(202) } else { Answer::After(Duration::from_secs(2)) }
            },
        );
    let bench = Bench::in_memory(&super::config("http://memory/"), [("memory", slow.clone())]);
    let start = Instant::now();
    (0..EVENTS).for_each(|_| bench.send("event:iot/x", "body"));
    bench.drained().await;
    assert_eq!(bench.verdicts(), [DELIVERED; EVENTS]);
    assert_eq!(slow.requests().len(), EVENTS, "none was given up");
    let took = start.elapsed().as_secs();
    assert!(took <= 40, "{took} s; a hundred requests at a time take 20");
}

/// What is the event's fault does not slow down the others.
#[tokio::test(start_paused = true)]
async fn events_that_a_receiver_cannot_handle_cost_the_others_nothing() {
    const EVENTS: usize = 1000;
    let receiver = Receiver::new(|request, _| {
        if request.body == b"bad" { Answer::Status(500) } else { Answer::After(Duration::from_millis(100)) }
    });
    let retry = RetryConfig { on: RetryOn::parse(&[]).unwrap(), ..retries(0) };
    let config = Config { retry, ..super::config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    let start = Instant::now();
    (0..EVENTS).for_each(|number| bench.send("event:iot/x", if number % 10 == 0 { "bad" } else { "good" }));
    bench.drained().await;
    assert_eq!(bench.verdicts().iter().filter(|verdict| **verdict == DELIVERED).count(), EVENTS * 9 / 10);
    let took = start.elapsed().as_millis();
    assert!(took <= 2000, "{took} ms; a hundred requests at a time take 900");
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_that_hangs_with_all_of_its_requests_is_found_when_it_is_healed_and_loses_nothing() {
    const EVENTS: usize = 900;
    let hangs = Arc::new(Mutex::new(None));
    let is_hanging = Arc::clone(&hangs);
    let slow = Receiver::new(move |_, number| {
        let mut hangs = is_hanging.lock();
        if number == 300 {
            *hangs = Some(Instant::now() + Duration::from_secs(60));
        }
        match *hangs {
            Some(until) if Instant::now() < until => Answer::Silence,
            _ => Answer::After(Duration::from_secs(1)),
        }
    });
    let bench = Bench::in_memory(&super::config("http://memory/"), [("memory", slow.clone())]);
    (0..EVENTS).for_each(|_| bench.send("event:iot/x", "body"));
    bench.drained().await;
    let healed = hangs.lock().unwrap();
    let first = slow.requests().iter().map(|request| request.at).find(|at| *at >= healed).unwrap();
    assert!(first - healed <= Duration::from_secs(2), "{:?}", first - healed);
    assert_eq!(bench.verdicts(), [DELIVERED; EVENTS]);
    let took = healed.elapsed();
    assert!(took <= Duration::from_secs(45), "{took:?}");
}

/// A receiver that handles thirty requests at a time, in their order, each in 20 ms: 1,500 a second. Returns how long each event
/// took whose body starts with `quiet`, from its sending on, in milliseconds.
fn of_thirty_slots() -> (Receiver, Arc<Mutex<Vec<u128>>>) {
    let (took, start) = (Arc::<Mutex<Vec<u128>>>::default(), Instant::now());
    let (seen, slots) = (Arc::clone(&took), Mutex::new(VecDeque::from([start; 30])));
    let receiver = Receiver::new(move |received, _| {
        let now = Instant::now();
        let mut slots = slots.lock();
        let free = slots.pop_front().unwrap_or(now).max(now);
        let answered = free + Duration::from_millis(20);
        slots.push_back(answered);
        if let Some(sent) = received.body.strip_prefix(b"quiet ") {
            let sent: u64 = std::str::from_utf8(sent).unwrap().parse().unwrap();
            seen.lock().push((answered - start - Duration::from_millis(sent)).as_millis());
        }
        Answer::After(answered - now)
    });
    (receiver, took)
}

/// The loudest sends 2,000 events a second beside two hundred that send five each second.
#[tokio::test(start_paused = true)]
async fn one_loud_device_hardly_delays_those_beside_it() {
    let p99 = async |is_loud: bool| {
        let (receiver, took) = of_thirty_slots();
        let bench = Bench::in_memory(&super::config("http://memory/"), [("memory", receiver)]);
        let devices: Vec<_> = (0..200).map(|id| format!("serial:{id}")).collect();
        for millisecond in 0..6_000 {
            let device = &devices[millisecond * 7 % 200];
            bench.send_as(device, "event:iot/x", &format!("quiet {millisecond}"));
            if is_loud {
                (0..2).for_each(|_| bench.send_as("serial:loud", "event:iot/x", "loud"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bench.drained().await;
        let mut took = took.lock().split_off(2_000);
        took.sort_unstable();
        took[took.len() * 99 / 100]
    };
    let (alone, beside) = (p99(false).await, p99(true).await);
    assert!(2 * beside <= 3 * alone, "p99 {beside} ms, alone {alone} ms");
}
