//! The settings of the sinks that change while the gateway runs (contract §14.7), other than those of Kafka's publisher.
//!
//! With other settings another [`HttpSink`] takes the place of the current one, which delivers the events that it has to the
//! receivers for which they were accepted, and then ends. So no event is lost, and none is delivered by rules that did not
//! hold when it was accepted.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Duration, Instant, sleep};

use super::config::Config;
use super::dispatcher::Dispatcher;
use super::http::HttpSink;
use crate::live::{Change, Live, PrepareError, Setting};

/// How many sinks may deliver what they had when others took their places. Each of them may have as many events as the current
/// one.
const MAX_RETIRING: usize = 8;

/// How often a sink that was replaced checks whether a message is still on its way into it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The HTTP sink.
pub(super) struct LiveHttp {
    current: ArcSwap<HttpSink>,
    /// Those that were replaced and have events left.
    retiring: Mutex<Vec<Arc<HttpSink>>>,
}

impl Live<Config> for Dispatcher {
    const SETTINGS: &'static [Setting] = &[Setting::live("")];

    fn prepare(self: &Arc<Self>, settings: &Config) -> Result<Change, PrepareError> {
        if self.http.retiring.lock().len() >= MAX_RETIRING {
            return Err(PrepareError(format!(
                "device.outbound: the events of {MAX_RETIRING} earlier configurations are still being delivered, \
                 try again when they are"
            )));
        }
        let next = Arc::new(self.http.load().replaced(settings));
        let (dispatcher, within) = (Arc::clone(self), settings.request_timeout);
        let (own, runtime) = (settings.clone(), Handle::current());
        Ok(Box::new(move || {
            let _runtime = runtime.enter();
            dispatcher.change(&own);
            dispatcher.http.replace(next, &dispatcher, within);
        }))
    }
}

impl LiveHttp {
    pub(super) fn new(sink: HttpSink) -> Self {
        Self { current: ArcSwap::from_pointee(sink), retiring: Mutex::default() }
    }

    /// The sink for a message.
    pub(super) fn load(&self) -> Guard<Arc<HttpSink>> {
        self.current.load()
    }

    /// The sink for something that takes a while.
    pub(super) fn load_full(&self) -> Arc<HttpSink> {
        self.current.load_full()
    }

    /// The gateway stops, and is done at `deadline`.
    pub(super) fn begin_stop(&self, deadline: Instant) {
        self.load().begin_stop(deadline);
        for sink in &*self.retiring.lock() {
            sink.begin_stop(deadline);
        }
    }

    /// Waits until all events are posted or lost, at most until `deadline`, then stops.
    pub(super) async fn flush(&self, deadline: Instant) {
        let retiring = self.retiring.lock().clone();
        // Before the current one, which closes the order of online and offline events.
        futures_util::future::join_all(retiring.iter().map(|sink| sink.retire(deadline))).await;
        self.load_full().flush(deadline).await;
    }

    fn replace(&self, next: Arc<HttpSink>, dispatcher: &Arc<Dispatcher>, within: Duration) {
        let replaced = self.current.swap(next);
        self.retiring.lock().push(Arc::clone(&replaced));
        let dispatcher = Arc::downgrade(dispatcher);
        tokio::spawn(async move {
            // One here and one in the list: then no message is on its way into it.
            while Arc::strong_count(&replaced) > 2 {
                sleep(LOOK_EVERY).await;
            }
            replaced.retire(Instant::now() + within).await;
            if let Some(dispatcher) = dispatcher.upgrade() {
                dispatcher.http.retiring.lock().retain(|sink| !Arc::ptr_eq(sink, &replaced));
            }
        });
    }
}

impl Dispatcher {
    /// What is the dispatcher's own. A message that is under way keeps the policy of its acknowledgement.
    fn change(&self, config: &Config) {
        self.http.load().set_status_limit(config.status_queue);
        self.kafka.set_status_limit(config.status_queue);
        self.source.store(Arc::new(config.source.clone()));
        self.acks.set(
            config.ack_policy,
            config.max_unacknowledged_per_device,
            config.max_unacknowledged_bytes,
        );
    }
}
