//! An event of a packet whose time ends before that of the events behind it.

use futures_util::FutureExt as _;

use super::*;

const INTERVAL: Duration = Duration::from_millis(100);

/// Three events in one packet, which is answered when the test says so. The first one has waited for 20 s of its 40 s.
struct Waiting {
    bench: Bench,
    packets: Packets,
    answer: Arc<Notify>,
}

impl Waiting {
    /// The receiver answers the packet with `statuses`, and an event that is alone with 202.
    async fn send(retry: RetryConfig, statuses: [u16; 3]) -> Self {
        let answer = Arc::new(Notify::new());
        let released = Arc::clone(&answer);
        let (address, packets) = Packets::listen(move |packet| match packet.bodies.len() {
            1 => Reply::Send(accepted(packet)),
            _ => Reply::When(Arc::clone(&released), answers(statuses)),
        })
        .await;
        let config = Config { request_timeout: Duration::from_secs(40), retry, ..Config::default() };
        let bench = proven(address, config).await;
        send(&bench, 1..2);
        // Moves the clock, and no worker has a turn before the other two are there.
        assert!(tokio::time::advance(Duration::from_secs(20)).now_or_never().is_none());
        send(&bench, 2..4);
        packets.arrived(2).await;
        assert_eq!(packets.bodies(), [packet(0..1), packet(1..4)]);
        assert_eq!(bench.verdicts(), [DELIVERED]);
        Self { bench, packets, answer }
    }

    fn in_flight(&self, count: usize) -> bool {
        let text = String::from_utf8(self.bench.metrics.gather_text()).unwrap();
        text.lines().any(|line| line == format!("outbound_inflight {count}"))
    }

    /// Moves the clock on until so many requests are under way, for five seconds at most.
    async fn until_in_flight(&self, count: usize) {
        let mut steps = 0..50;
        while !self.in_flight(count) {
            assert!(steps.next().is_some(), "not {count} requests");
            tokio::time::advance(INTERVAL).await;
        }
    }
}

#[tokio::test]
async fn a_late_event_is_sent_again_alone_and_the_others_end_by_their_own_answers() {
    let _stopped = StoppedTime::new();
    let waiting = Waiting::send(retries(1), [401, 202, 400]).await;
    // Half of what each has left: 10 s of the first one, 20 s of the others.
    tokio::time::advance(Duration::from_secs(10)).await;
    waiting.until_in_flight(2).await;
    waiting.until_in_flight(3).await;
    let Waiting { bench, packets, answer } = waiting;
    packets.arrived(3).await;
    while bench.verdicts().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.verdicts(), [DELIVERED; 2], "the late one, while the others wait");
    answer.notify_one();
    bench.drained().await;
    assert_eq!(bench.verdicts()[2..], [DELIVERED, Verdict::ReceiverRefused], "the 401 belongs to no event");
    assert_eq!(packets.bodies(), [packet(0..1), packet(1..4), packet(1..2)]);
    bench.assert_metric(r#"outbound_requests{code="202",reason="no_err",scheme="event"} 3"#);
    bench.assert_metric(r#"outbound_requests{code="400",reason="non202",scheme="event"} 1"#);
    bench.assert_metric("outbound_retries 1");
    bench.assert_metric("outbound_possible_duplicates 1");
    bench.assert_metric("outbound_inflight 0");
}

/// It could not be sent again, so giving it up after half of its time would be for nothing.
#[tokio::test]
async fn the_last_attempt_of_an_event_has_all_of_its_time_in_a_packet_too() {
    let _stopped = StoppedTime::new();
    let Waiting { bench, packets, answer } = Waiting::send(retries(0), [202; 3]).await;
    tokio::time::advance(Duration::from_secs(19)).await;
    answer.notify_one();
    bench.drained().await;
    assert_eq!(bench.verdicts(), [DELIVERED; 4]);
    assert_eq!(packets.bodies().len(), 2);
    bench.assert_metric("outbound_possible_duplicates 0");
}

#[tokio::test]
async fn a_late_event_without_a_further_attempt_is_lost_and_the_others_end_by_their_own_answers() {
    let _stopped = StoppedTime::new();
    let waiting = Waiting::send(retries(0), [401, 202, 400]).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    waiting.until_in_flight(2).await;
    let Waiting { bench, packets, answer } = waiting;
    assert_eq!(bench.verdicts(), [DELIVERED, Verdict::ReceiverUnreachable]);
    answer.notify_one();
    bench.drained().await;
    assert_eq!(bench.verdicts()[2..], [DELIVERED, Verdict::ReceiverRefused]);
    assert_eq!(packets.bodies().len(), 2);
    bench.assert_metric(
        r#"outbound_requests{code="message_dropped",reason="context_deadline_exceeded",scheme="event"} 1"#,
    );
    bench.assert_metric("outbound_retries 0");
}
