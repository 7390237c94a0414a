//! The queues of several receivers together, by properties.

use bytes::Bytes;
use proptest::prelude::*;
use wrp::QosLevel;

use super::*;
use crate::event::config::Config;
use crate::event::http::health::Health;
use crate::event::http::job::tests::job;
use crate::telemetry::metrics::Metrics;

const LIMIT: QueueLimit = QueueLimit { messages: 12, bytes: 200 };
const WORKERS: usize = 7;

#[derive(Clone, Debug)]
enum Step {
    Push(usize, usize),
    Take,
    /// Takes one, and as many further ones as may go with it.
    TakeSeveral,
    End(usize, Health),
    Retry(usize, usize, u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let health = prop_oneof![
        3 => Just(Health::Works),
        1 => Just(Health::Fails),
        1 => Just(Health::Refuses),
        2 => Just(Health::Unreachable),
        1 => Just(Health::Silent),
        1 => Just(Health::Unknown),
    ];
    prop_oneof![
        4 => (0..3usize, 1..50usize).prop_map(|(to, bytes)| Step::Push(to, bytes)),
        2 => Just(Step::Take),
        2 => Just(Step::TakeSeveral),
        4 => (0..10usize, health).prop_map(|(at, health)| Step::End(at, health)),
        2 => (0..3usize, 1..50usize, 0..3000u64).prop_map(|(to, bytes, wait)| Step::Retry(to, bytes, wait)),
        2 => (0..2000u64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever is sent, fails and gives way: no event is lost or doubled, no more requests run than there are workers, and when
    /// all receivers work again, everything that waits is posted.
    #[test]
    fn no_event_is_lost_or_doubled_and_all_that_waits_is_posted_in_the_end(
        steps in proptest::collection::vec(step(), 0..300),
    ) {
        let metrics = HttpMetrics::register(&Metrics::default());
        let targets: Vec<_> =
            ["http://a/", "http://b/", "http://c/"].map(|url| Arc::new(Target::parse(url).unwrap())).into();
        let fairness = Config::default().fairness();
        let depth = PipelineDepth::new(4).unwrap();
        let mut receivers = Receivers::new(targets.iter(), LIMIT, WORKERS, &fairness, depth, &metrics);
        let event = |to: usize, bytes: usize, attempts| Job {
            target: Arc::clone(&targets[to]),
            body: Bytes::from(vec![0; bytes]),
            attempts,
            ..job(QosLevel::Low, 0)
        };
        let (mut now, mut running, mut waiting) = (Instant::now(), Vec::new(), 0);
        let count = |pushed: Pushed| 1 - i64::from(pushed.refused.is_some()) - pushed.displaced.len() as i64;
        for step in steps {
            match step {
                Step::Push(to, bytes) => waiting += count(receivers.push_fresh(event(to, bytes, 0))),
                Step::Retry(to, bytes, wait) => {
                    let due = now + Duration::from_millis(wait);
                    waiting += count(receivers.push_retry(due, event(to, bytes, 1)));
                }
                Step::Take => {
                    let can_start = receivers.can_start(|| now);
                    let taken = receivers.take(|| now);
                    prop_assert_eq!(can_start, taken.is_some());
                    if let Some((_, started)) = taken {
                        running.push(started);
                        waiting -= 1;
                    }
                }
                Step::TakeSeveral => {
                    let Some((_, first)) = receivers.take(|| now) else { continue };
                    let further = (0..first.further).map_while(|_| receivers.take_further(first.receiver, || now));
                    let taken: Vec<_> = std::iter::once(first).chain(further.map(|(_, started)| started)).collect();
                    prop_assert!(taken.iter().all(|started| started.receiver == first.receiver));
                    waiting -= taken.len() as i64;
                    running.extend(taken);
                }
                Step::End(at, health) if at < running.len() => {
                    receivers.ended(running.swap_remove(at), &Report { health, at: now, ..Report::unknown() });
                }
                Step::End(..) => {}
                Step::Pass(time) => {
                    now += Duration::from_millis(time);
                    receivers.release(now);
                }
            }
            prop_assert!(running.len() <= WORKERS);
            prop_assert_eq!(receivers.is_empty(), waiting == 0);
        }
        let works = |now| Report { health: Health::Works, at: now, ..Report::unknown() };
        for _ in 0..200 {
            now += Duration::from_secs(1);
            receivers.release(now);
            running.drain(..).for_each(|started| drop(receivers.ended(started, &works(now))));
            while let Some((_, started)) = receivers.take(|| now) {
                running.push(started);
                waiting -= 1;
            }
        }
        prop_assert_eq!(waiting, 0);
        prop_assert!(receivers.is_empty() && running.is_empty());
    }
}
