//! Attempts after the first one, and the time limits of all attempts together.

use super::*;

#[tokio::test(start_paused = true)]
async fn retryable_answers_are_tried_again_five_seconds_apart() {
    for status in [408, 429, 504] {
        let receiver = Receiver::answering(Answer::Status(status));
        let config = Config { retries: 2, ..config("http://memory/") };
        let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
        let start = Instant::now();
        bench.send("event:iot/x", "body");
        bench.drained().await;
        let times: Vec<u64> =
            receiver.requests().iter().map(|request| (request.at - start).as_secs()).collect();
        assert_eq!(times, [0, 5, 10]);
        assert_eq!(bench.verdicts(), [Verdict::ReceiverRefused]);
        bench.assert_metric("outbound_retries 3");
        let labels = format!(r#"{{code="{status}",reason="non202",scheme="event"}}"#);
        bench.assert_metric(&format!("outbound_requests{labels} 3"));
        bench.assert_metric(&format!("outbound_dropped_messages{labels} 1"));
    }
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
    let config = Config { workers: 1, ..config("http://memory/") };
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
    let config =
        Config { workers: 1, queue: QueueLimit { messages: 3, bytes: 100 }, ..config("http://memory/") };
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
    let config = Config { client_timeout: Duration::from_secs(7), retries: 9, ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    let start = Instant::now();
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!((receiver.requests().len(), start.elapsed().as_secs()), (2, 7));
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
