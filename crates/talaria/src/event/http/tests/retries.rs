//! Attempts after the first one, and the time limits of all attempts together.

use std::io;

use talaria_protocol::url::Origin;

use super::*;
use crate::event::config::RetryOn;
use crate::event::http::dial::{Dialing, Lookup};

/// A receiver that cannot be connected to until its restart is over.
struct Restarting {
    until: Instant,
    memory: Memory,
}

impl Dial for Restarting {
    fn dial(&self, origin: &Origin, lookup: &Lookup) -> Dialing {
        if Instant::now() >= self.until {
            return self.memory.dial(origin, lookup);
        }
        Box::pin(async { Err(PostError::Connect(io::ErrorKind::ConnectionRefused.into())) })
    }
}

/// The seconds from the first request to each one.
fn times(receiver: &Receiver) -> Vec<f64> {
    let requests = receiver.requests();
    requests.iter().map(|request| (request.at - requests[0].at).as_secs_f64()).collect()
}

#[tokio::test(start_paused = true)]
async fn answers_that_may_be_better_later_are_tried_again_after_waits_that_may_double() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let receiver = Receiver::answering(Answer::Status(status));
        let config = Config { retry: retries(2), ..config("http://memory/") };
        let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
        bench.send("event:iot/x", "body");
        bench.drained().await;
        let [_, second, third] = times(&receiver)[..] else { panic!("{:?}", times(&receiver)) };
        assert!(second <= 1.01 && third - second <= 2.01, "{second}, {third}");
        assert_eq!(bench.verdicts(), [Verdict::ReceiverRefused]);
        bench.assert_metric("outbound_retries 3");
        let labels = format!(r#"{{code="{status}",reason="non202",scheme="event"}}"#);
        bench.assert_metric(&format!("outbound_requests{labels} 3"));
        bench.assert_metric(&format!("outbound_dropped_messages{labels} 1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_three_seconds_costs_no_event_with_the_defaults() {
    let receiver = Receiver::answering(Answer::Status(202));
    let memory = Memory(HashMap::from([("memory", receiver.clone())]));
    let until = Instant::now() + Duration::from_secs(3);
    let bench = Bench::dialling(&config("http://memory/"), Arc::new(Restarting { until, memory }));
    (0..20).for_each(|_| bench.send("event:iot/x", "body"));
    receiver.received(1).await;
    assert!(until.elapsed() <= Duration::from_secs(2), "{:?}", until.elapsed());
    bench.drained().await;
    assert_eq!((receiver.requests().len(), bench.verdicts()), (20, vec![DELIVERED; 20]));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept_up_to_the_deadline_of_the_event() {
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (value, least, most) in [("2", 2.0, 2.6), ("0", 0.0, 0.6), (past, 0.0, 0.6), ("soon", 0.0, 1.6)] {
        let receiver = Receiver::new(move |_, number| {
            if number == 1 { Answer::RetryAfter(429, value.to_owned()) } else { Answer::Status(202) }
        });
        let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
        bench.send("event:iot/x", "body");
        bench.drained().await;
        let [_, second] = times(&receiver)[..] else { panic!("{:?}", times(&receiver)) };
        assert!((least..=most).contains(&second), "{value}: {second}");
        assert_eq!(bench.verdicts(), [DELIVERED]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_a_year_waits_until_the_deadline_and_holds_up_no_other_event() {
    let receiver = Receiver::new(|_, number| {
        if number == 1 { Answer::RetryAfter(503, "31536000".to_owned()) } else { Answer::Status(202) }
    });
    let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
    let start = Instant::now();
    bench.send("event:iot/x", "waits");
    receiver.received(1).await;
    bench.send("event:iot/x", "does not");
    receiver.received(2).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    bench.drained().await;
    assert_eq!(start.elapsed().as_secs(), 125);
    assert_eq!(
        (receiver.requests().len(), bench.verdicts()),
        (2, vec![DELIVERED, Verdict::ReceiverUnreachable])
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_retry_on_names_is_tried_again() {
    let on = RetryOn::parse(&["404".to_owned()]).unwrap();
    for (status, requests) in [(404, 2), (503, 1)] {
        let receiver = Receiver::answering(Answer::Status(status));
        let retry = RetryConfig { on: on.clone(), ..retries(1) };
        let config = Config { retry, ..config("http://memory/") };
        let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
        bench.send("event:iot/x", "body");
        bench.drained().await;
        assert_eq!(receiver.requests().len(), requests, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_what_waits_another_attempt_at_once() {
    let receiver = Receiver::new(|_, number| {
        if number <= 3 { Answer::RetryAfter(503, "60".to_owned()) } else { Answer::Status(202) }
    });
    let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
    (0..3).for_each(|_| bench.send("event:iot/x", "body"));
    receiver.received(3).await;
    let start = Instant::now();
    bench.sink.begin_stop(start + Duration::from_secs(10));
    bench.drained().await;
    assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(bench.verdicts(), [DELIVERED; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_goes_well_is_a_success() {
    let receiver = Receiver::new(|_, number| Answer::Status(if number == 1 { 504 } else { 202 }));
    let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!((receiver.requests().len(), bench.verdicts()), (2, vec![DELIVERED]));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_retry_holds_no_worker() {
    let receiver = Receiver::new(|request, _| Answer::Status(if request.body == b"bad" { 504 } else { 202 }));
    let config = Config { workers: 1, retry: retries(1), ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    let start = Instant::now();
    for body in ["bad", "bad", "good", "good"] {
        bench.send("event:iot/x", body);
    }
    receiver.received(4).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    bench.drained().await;
    assert_eq!(receiver.requests().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_retry_is_bounded() {
    let receiver = Receiver::answering(Answer::Status(504));
    let config = Config {
        workers: 1,
        queue: QueueLimit { messages: 3, bytes: 100 },
        retry: retries(1),
        ..config("http://memory/")
    };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    for number in 1..=5 {
        bench.send("event:iot/x", "body");
        receiver.received(number).await;
        tokio::task::yield_now().await;
    }
    bench.drained().await;
    // Five first attempts, and three that found room to wait for another.
    assert_eq!(receiver.requests().len(), 8);
    let (displaced, refused) = (Verdict::Displaced, Verdict::ReceiverRefused);
    assert_eq!(bench.verdicts(), [displaced, displaced, refused, refused, refused], "the oldest give way");
}

#[tokio::test(start_paused = true)]
async fn the_client_timeout_bounds_the_series_of_attempts() {
    let receiver = Receiver::answering(Answer::Status(504));
    let config =
        Config { client_timeout: Duration::from_secs(7), retry: retries(99), ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    let start = Instant::now();
    bench.send("event:iot/x", "body");
    bench.drained().await;
    // An event that runs out of time while its receiver is not tried is found a second later.
    assert!((7..=8).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(bench.verdicts(), [Verdict::ReceiverUnreachable]);
    bench.assert_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="context_deadline_exceeded",scheme="event"} 1"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_costs_the_request_timeout() {
    let receiver = Receiver::answering(Answer::Silence);
    let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
    let start = Instant::now();
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!(start.elapsed().as_secs(), 125);
    bench.assert_metric(
        r#"outbound_requests{code="message_dropped",reason="context_deadline_exceeded",scheme="event"} 1"#,
    );
    bench.assert_metric("outbound_inflight 0");
}
