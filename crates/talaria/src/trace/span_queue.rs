//! The finished spans that wait for the exporter. It is bounded in spans, and each span in bytes (`span_data.rs`).

use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::Notify;

use super::span_data::SpanData;

/// As many spans go to the collector in one request, at most.
pub(super) const BATCH: usize = 512;

/// Finished spans in their order.
pub(super) struct SpanQueue {
    state: Mutex<State>,
    /// Notified when there is a first span, and when there is a whole batch.
    changed: Notify,
    /// The spans that found no room.
    refused: IntCounter,
}

struct State {
    spans: Vec<SpanData>,
    limit: usize,
}

impl SpanQueue {
    pub(super) fn new(limit: usize, refused: IntCounter) -> Self {
        let state = State { spans: Vec::new(), limit };
        Self { state: Mutex::new(state), changed: Notify::new(), refused }
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.state.lock().limit = limit;
    }

    /// Adds a span. Never waits; without room it is dropped and counted.
    pub(super) fn push(&self, span: SpanData) {
        let mut state = self.state.lock();
        if state.spans.len() >= state.limit {
            drop(state);
            return self.refused.inc();
        }
        state.spans.push(span);
        let waiting = state.spans.len();
        drop(state);
        if waiting == 1 || waiting == BATCH {
            self.changed.notify_one();
        }
    }

    /// Takes the oldest spans, at most a batch.
    pub(super) fn take(&self) -> Vec<SpanData> {
        let mut state = self.state.lock();
        if state.spans.len() <= BATCH {
            return std::mem::take(&mut state.spans);
        }
        let rest = state.spans.split_off(BATCH);
        std::mem::replace(&mut state.spans, rest)
    }

    /// Drops all spans, and returns how many.
    pub(super) fn take_all(&self) -> usize {
        std::mem::take(&mut self.state.lock().spans).len()
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().spans.len()
    }

    /// How many spans have found no room so far.
    pub(super) fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Waits until there are so many spans: one or a batch.
    pub(super) async fn holds(&self, spans: usize) {
        loop {
            let changed = self.changed.notified();
            if self.len() >= spans {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use talaria_protocol::trace_context::{ParentRule, Ratio, Sampler};

    use super::*;
    use crate::trace::{SpanKind, Tracer};

    fn queue(limit: usize) -> Arc<SpanQueue> {
        Arc::new(SpanQueue::new(limit, IntCounter::new("refused", "refused").unwrap()))
    }

    fn end_spans(queue: &Arc<SpanQueue>, count: usize) {
        let sampler = Sampler { parent: ParentRule::Ignore, ratio: Ratio::ALL };
        let tracer = Tracer::new(sampler, Arc::clone(queue));
        (0..count).for_each(|_| drop(tracer.begin(None, || "span".into(), SpanKind::Client)));
    }

    #[test]
    fn spans_that_find_no_room_are_dropped_and_counted() {
        let queue = queue(3);
        end_spans(&queue, 5);
        assert_eq!((queue.len(), queue.refused()), (3, 2));
        assert_eq!((queue.take().len(), queue.len()), (3, 0));
        queue.set_limit(1);
        end_spans(&queue, 2);
        assert_eq!((queue.len(), queue.refused()), (1, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_exporter_is_woken_by_the_first_span_and_by_a_whole_batch() {
        let queue = queue(2 * BATCH);
        for spans in [1, BATCH] {
            let waiting = tokio::spawn({
                let queue = Arc::clone(&queue);
                async move { queue.holds(spans).await }
            });
            tokio::task::yield_now().await;
            end_spans(&queue, spans - queue.len());
            waiting.await.unwrap();
        }
        end_spans(&queue, 5);
        assert_eq!((queue.take().len(), queue.take().len(), queue.take().len()), (BATCH, 5, 0));
    }
}
