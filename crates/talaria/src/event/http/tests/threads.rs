//! The queue between threads: no wake-up may be lost.

use super::*;
use crate::event::config::PipelineDepth;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_from_many_threads_are_all_posted() {
    for depth in [1, 8] {
        posts_all(PipelineDepth::new(depth).unwrap()).await;
    }
}

async fn posts_all(pipeline: PipelineDepth) {
    const SENDERS: usize = 8;
    const EVENTS: usize = 200;
    let receiver = Receiver::answering(Answer::Status(202));
    let bench = Arc::new(Bench::start(&Config {
        pipeline,
        queue: QueueLimit { messages: SENDERS * EVENTS, bytes: usize::MAX },
        ..to(receiver.listen().await)
    }));
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let bench = Arc::clone(&bench);
        senders.spawn(async move {
            for _ in 0..EVENTS {
                bench.send("event:iot/x", "body");
                // Now and then all workers get idle.
                tokio::task::yield_now().await;
            }
        });
    }
    senders.join_all().await;
    bench.drained().await;
    assert_eq!(receiver.requests().len(), SENDERS * EVENTS);
    assert_eq!(bench.verdicts(), vec![DELIVERED; SENDERS * EVENTS]);
    bench.assert_metric("outbound_queue_size 0");
    bench.assert_metric("outbound_inflight 0");
}
