use std::sync::Arc;
use std::time::Duration;

use wrp::MessageRef;

use crate::config::{Config, ConfigError, DynamicConfig};
use crate::error::{PublishError, StartError};
use crate::listener::{Listener, ListenerId};
use crate::outcome::Outcome;

/// Told the fate of a whole message, exactly once: `Ok` when the brokers have acknowledged every record of it, else
/// why not.
///
/// Called from the client's thread, or from the publishing one when the fate is known at once: must be quick.
pub type Receipt = Box<dyn FnOnce(Result<Outcome, PublishError>) + Send>;

/// Publishes WRP messages to Kafka. Cheap to clone: all clones are the same publisher.
#[derive(Clone)]
pub struct Publisher {
    _shared: Option<Arc<()>>,
}

/// What [`Publisher::stop`] leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Records that were neither acknowledged nor refused in time. Their receipts say so.
    pub undelivered: u64,
}

/// How full the client's buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffered {
    /// Records in the client, not yet acknowledged.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// `maxBufferedRecords`.
    pub max_records: u64,
    /// `maxBufferedBytes`.
    pub max_bytes: u64,
    /// Records that wait for room in the client.
    pub waiting_records: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

#[expect(clippy::todo, clippy::unused_async, reason = "the public skeleton, filled within the hour")]
impl Publisher {
    /// Checks the configuration and compiles its routes; connects to nothing.
    ///
    /// # Errors
    /// Every fault of the configuration.
    pub fn new(config: Config) -> Result<Publisher, ConfigError> {
        config.check().map_err(ConfigError)?;
        Ok(Publisher { _shared: Some(Arc::new(())) })
    }

    /// A publisher that takes every message silently and sends none.
    #[must_use]
    pub fn disabled() -> Publisher {
        Publisher { _shared: None }
    }

    /// Whether messages go to Kafka.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self._shared.is_some()
    }

    /// Creates the client and its thread. An unreachable broker is no error: records wait for it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(&self) -> Result<(), StartError> {
        todo!()
    }

    /// Refuses new messages, waits at most `within` for what is buffered, then fails what is left.
    pub async fn stop(&self, within: Duration) -> Stopped {
        todo!("{within:?}")
    }

    /// Publishes a message without ever waiting, for callers such as a gateway's sessions.
    ///
    /// # Errors
    /// The message was refused as a whole; the receipt is called with the same error.
    pub fn submit(
        &self,
        message: &MessageRef<'_>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        let _ = (message.qos, receipt.is_some());
        todo!()
    }

    /// Publishes a message as its quality of service asks (contract §8).
    ///
    /// # Errors
    /// The message, or the record of a QoS 75+ message, was refused or can't be delivered.
    pub async fn publish(&self, message: &MessageRef<'_>) -> Result<Outcome, PublishError> {
        let _ = message.qos;
        todo!()
    }

    /// Validates, then takes up another dynamic configuration.
    ///
    /// # Errors
    /// Every fault of it; then the old one stays.
    pub fn update_config(&self, dynamic: DynamicConfig) -> Result<(), ConfigError> {
        todo!("{dynamic:?}")
    }

    /// How full the client's buffer is.
    #[must_use]
    pub fn buffered(&self) -> Buffered {
        todo!()
    }

    /// Adds one who is told of every record.
    pub fn add_listener(&self, listener: Arc<dyn Listener>) -> ListenerId {
        let _ = listener;
        todo!()
    }

    /// Removes a listener.
    pub fn remove_listener(&self, id: ListenerId) {
        todo!("{id:?}")
    }
}
