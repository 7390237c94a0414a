//! What a client reports, as calls of the engine.

use std::sync::{Arc, Weak};

use super::Engine;
use super::instance::ClientInstance;
use crate::client::events::{Certainty, ClientError, ClientEvents, Next};
use crate::client::report::ClientReport;
use crate::client::{BuildError, Connect, DeliveryError};
use crate::config::Config;
use crate::connection_failure::ConnectionFailure;
use crate::delivery::{DeliveryContext, Record};
use crate::files;

/// Builds another client, which gets no records until it is handed to the worker.
pub(crate) fn build_client(
    engine: &Arc<Engine>,
    connect: &Connect,
    config: &Config,
) -> Result<Arc<ClientInstance>, BuildError> {
    let number = engine.clients.next_number();
    // Before the client reads them: a change in between is seen by the next look at the files.
    let files = files::fingerprint(config);
    let client = connect(config, Arc::new(EngineEvents { engine: Arc::downgrade(engine), number }))?;
    Ok(Arc::new(ClientInstance { client: client.into(), number, files }))
}

/// The reports of one client. Weak, because the engine owns the client.
struct EngineEvents {
    engine: Weak<Engine>,
    /// Which of the engine's clients reports.
    number: u64,
}

impl ClientEvents for EngineEvents {
    fn on_delivery(
        &self,
        context: Box<DeliveryContext>,
        result: Result<(), DeliveryError>,
        record: &dyn Fn() -> Record,
    ) -> Next {
        // Without an engine there are no listeners, and dropping the context reports to the receipt.
        let Some(engine) = self.engine.upgrade() else { return Next::GoOn };
        match &result {
            Ok(()) => {
                engine.clients.delivered(self.number, || engine.buffered());
                let mut next = Next::GoOn;
                // The client's own threads cannot unwind.
                let panics = &engine.completion.listeners.panics;
                panics.catch("thread", || next = engine.delivered(context, result, record));
                return next;
            }
            Err(DeliveryError::NotSent) => self.set_failed(&engine),
            Err(DeliveryError::MaybeWritten) => {
                engine.clients.count_maybe_written();
                self.set_failed(&engine);
            }
            Err(
                DeliveryError::Final(_)
                | DeliveryError::Transient(_)
                | DeliveryError::TopicFailed(_)
                | DeliveryError::BatchTooLarge(_),
            ) => {}
        }
        engine.delivered(context, result, record)
    }

    fn on_report(&self, report: &ClientReport) {
        let Some(engine) = self.engine.upgrade() else { return };
        let stats = engine.clients.add_report(self.number, report);
        if report.is_connected {
            engine.clients.connected(self.number, || engine.buffered());
        }
        engine.completion.listeners.on_client_stats(&stats);
    }

    fn on_error(&self, error: ClientError<'_>) {
        let Some(engine) = self.engine.upgrade() else { return };
        match error {
            ClientError::Fatal { error, reason } => {
                tracing::warn!(error, reason, "kafka client failed, another one takes over its records");
                self.set_failed(&engine);
            }
            ClientError::AllBrokersDown { reason } => {
                self.on_connection_failure(ConnectionFailure::Unreachable, Certainty::Known, reason);
            }
            ClientError::ConnectionNotOpened { broker, error, reason } => {
                tracing::debug!(error, reason, "kafka client error");
                engine.clients.connection_not_opened(self.number, broker);
            }
            // The client's own log line has it already.
            ClientError::Other { error, reason } => tracing::debug!(error, reason, "kafka client error"),
        }
    }

    fn on_connection_failure(&self, failure: ConnectionFailure, certainty: Certainty, reason: &str) {
        let Some(engine) = self.engine.upgrade() else { return };
        engine.connection_failed(self.number, failure, certainty, reason);
    }
}

impl EngineEvents {
    fn set_failed(&self, engine: &Engine) {
        if engine.current_client() == Some(self.number) {
            engine.clients.set_failed();
        }
    }
}
